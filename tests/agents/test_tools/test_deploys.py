"""Deploys are read from real git repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agents.tool import ToolFailed, ToolRetry
from agents.tools import deploys
from agents.tools.deploys import RecentArguments, RecentOutput
from tests.agents.test_tools.conftest import NOW, world


def git(repository: Path, *arguments: str, at: float = NOW) -> str:
    """Run git with a fixed clock and author."""
    stamp = f"{int(at)} +0000"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(repository),
        "GIT_AUTHOR_NAME": "Mara",
        "GIT_AUTHOR_EMAIL": "mara@example.com",
        "GIT_COMMITTER_NAME": "Mara",
        "GIT_COMMITTER_EMAIL": "mara@example.com",
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_DATE": stamp,
    }
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


def commit(repository: Path, name: str, subject: str, at: float) -> str:
    """Commit a new file and return the commit's id."""
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text(subject, encoding="utf-8")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", subject, at=at)
    return git(repository, "rev-parse", "HEAD")


def deploy(repository: Path, tag: str, at: float, message: str = "Deploy") -> None:
    """Tag the newest commit as deployed at that time."""
    git(repository, "tag", "-a", tag, "-m", message, at=at)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Make a repository with three commits of checkout, of which two were deployed."""
    path = tmp_path_factory.mktemp("repository")
    git(path, "init", "-q")
    shas = [commit(path, "checkout/a.py", "First version", NOW - 9_000)]
    deploy(path, "deploy/checkout/1", NOW - 8_000)
    shas.append(commit(path, "payments/b.py", "Payments only", NOW - 7_000))
    shas.append(commit(path, "checkout/c.py", "Price tax by region", NOW - 100))
    deploy(path, "deploy/checkout/2", NOW - 60, f"Deploy checkout\n\nPrevious: {shas[0][:10]}\n")
    return path, shas


async def recent(repository: dict[str, object], **arguments: object) -> RecentOutput:
    """Return the deploys of a service built from that repository."""
    context = world(checkout={"repository": repository, "commands": {"restart": {"argv": ["x"]}}})
    result = await deploys.recent(
        context, RecentArguments.model_validate({"service": "checkout", **arguments})
    )
    assert isinstance(result.output, RecentOutput)
    assert all(item.line in result.text for item in result.output.deploys)
    return result.output


async def test_tags_are_deploys(shop: tuple[Path, list[str]]) -> None:
    """A deploy tag gives the time, the release, the one before, and what changed between."""
    path, shas = shop

    output = await recent(
        {"path": str(path), "paths": ["checkout/"], "deploy_tags": "deploy/checkout/*"}
    )

    newest, oldest = output.deploys
    assert (newest.at, newest.release, newest.previous) == (NOW - 60, shas[2], shas[0])
    assert (newest.author, newest.subject) == ("Mara", "Price tax by region")
    assert newest.files == ["checkout/c.py"]
    assert "1 file changed" in newest.diffstat
    assert oldest.previous == ""
    assert output.actions == {"checkout": ["restart"]}


async def test_whole_ids_stand_in_the_evidence(shop: tuple[Path, list[str]]) -> None:
    """A rollback's target can be found in the trusted text as it is."""
    path, shas = shop
    context = world(
        checkout={"repository": {"path": str(path), "deploy_tags": "deploy/checkout/*"}}
    )

    result = await deploys.recent(context, RecentArguments(service="checkout"))

    assert shas[0] in result.text
    assert shas[2] in result.text


async def test_without_tags_commits_count(shop: tuple[Path, list[str]]) -> None:
    """Commits that touch the service's folders stand in for deploys."""
    path, shas = shop

    output = await recent({"path": str(path), "paths": ["checkout/"]})

    assert [item.release for item in output.deploys] == [shas[2], shas[0]]


async def test_look_back_bounds_what_is_listed(shop: tuple[Path, list[str]]) -> None:
    """Older deploys are left out."""
    path, _ = shop

    output = await recent({"path": str(path), "deploy_tags": "deploy/checkout/*"}, last_s=1_000)

    assert len(output.deploys) == 1


async def test_wrong_repository_is_said_so(tmp_path: Path) -> None:
    """A folder that is no repository is named, with git's reason."""
    with pytest.raises(ToolFailed, match="not a git repository"):
        await recent({"path": str(tmp_path), "deploy_tags": "x"})
    with pytest.raises(ToolFailed, match="there is no repository"):
        await recent({"path": str(tmp_path / "no"), "deploy_tags": "x"})


async def test_unknown_service_is_refused() -> None:
    """A name that is not configured gets the known ones."""
    with pytest.raises(ToolRetry, match="known services"):
        await deploys.recent(world(a={}), RecentArguments(services=["b"]))

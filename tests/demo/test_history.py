"""The release history and its repository."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.history import (
    FRIENDLIER_TEXTS,
    PAST,
    RECENT,
    TAX_BY_REGION,
    Change,
    apply_change,
    seed_tree,
)
from demo.releases import Repository, UnknownReleaseError

NOW = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a fresh release repository."""
    return Repository.create(tmp_path / "releases", NOW)


def git(repository: Repository, *arguments: str) -> str:
    """Return what git says about the repository."""
    command = ["git", "-C", str(repository.path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("change", [RECENT, TAX_BY_REGION, FRIENDLIER_TEXTS])
def test_every_change_fits_and_compiles(change: Change) -> None:
    """The past and each release on top of it are valid code."""
    tree = seed_tree()
    for step in (*PAST, change):
        tree = apply_change(tree, step)

    for path, text in tree.items():
        if path.endswith(".py"):
            compile(text, path, "exec")


def test_red_herring_changes_texts_only() -> None:
    """The innocent deploy touches what customers read and the version, nothing else."""
    paths = {edit.path for edit in FRIENDLIER_TEXTS.edits}

    assert paths == {"checkout/texts.py"}


def test_history_looks_real(repository: Repository) -> None:
    """Several authors over weeks, each commit with its own date, and a clean working tree."""
    authors = set(git(repository, "log", "--format=%an").splitlines())
    dates = [int(line) for line in git(repository, "log", "--format=%ct").splitlines()]

    assert len(authors) >= 4
    assert len(dates) == len(PAST) + 1
    assert dates == sorted(dates, reverse=True)
    assert dates[0] < NOW.timestamp() - 86400
    assert git(repository, "status", "--porcelain") == ""


def test_deploys_are_annotated_tags(repository: Repository) -> None:
    """A deploy's tag has the time of the deploy and names service, release and previous one."""
    before = repository.deployed("checkout").release
    release = repository.commit(TAX_BY_REGION, NOW)
    deploy = repository.tag_deploy("checkout", release, NOW)

    assert git(repository, "cat-file", "-t", deploy.tag) == "tag"
    moment = git(
        repository, "for-each-ref", "--format=%(taggerdate:unix)", f"refs/tags/{deploy.tag}"
    )
    assert int(moment) == int(NOW.timestamp())
    text = git(repository, "for-each-ref", "--format=%(contents)", f"refs/tags/{deploy.tag}")
    assert "Service: checkout" in text
    assert f"Release: {release}" in text
    assert f"Previous: {before}" in text
    assert (
        git(repository, "diff", "--name-only", before, release)
        .splitlines()[-1]
        .startswith("checkout/")
    )


def test_release_is_found_by_prefix(repository: Repository) -> None:
    """A release may be named by the start of its id, if it was deployed for the service."""
    release = repository.deployed("checkout").release
    foreign = repository.deployed("payments").release

    assert repository.find_release("checkout", release[:7]) == release
    with pytest.raises(UnknownReleaseError, match=re.escape(release[:12])):
        repository.find_release("checkout", foreign)


def test_export_holds_one_service(repository: Repository, tmp_path: Path) -> None:
    """An export has the files of the service at the release, and nothing else."""
    release = repository.deployed("checkout").release

    repository.export("checkout", release, tmp_path / "export")

    assert [path.name for path in (tmp_path / "export").iterdir()] == ["checkout"]
    version = (tmp_path / "export" / "checkout" / "VERSION").read_text(encoding="utf-8")
    assert version.strip() == repository.deployed("checkout").version

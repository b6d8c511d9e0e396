"""A git repository with the deploys that a scenario records."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.evals.scenario import RecordedServiceSpec

BASE_AGE_S = 8 * 86_400
"""How old the release is that every service had before its recorded deploys."""
GIT_TIMEOUT_S = 30
EMAIL = "recorded@example.com"
BASE_SUBJECT = "First release"


@dataclass(frozen=True, slots=True)
class _Release:
    mark: int
    id: str
    service: str
    at: int
    author: str
    subject: str
    files: tuple[str, ...]


def tag_pattern(service: str) -> str:
    """Return the pattern of the tags that mark the service's deploys."""
    return f"deploy/{service}/*"


def make_repository(
    folder: Path, services: Mapping[str, RecordedServiceSpec], now: float
) -> dict[str, str]:
    """Make the repository; return the commit of each release: a deploy's by its id.

    The release before all deploys of a service has the service's name with `-base` as its id.
    """
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main", ".")
    releases = list(_releases(services, now))
    marks = folder / "marks"
    stream = b"".join(part for release in releases for part in _stream(release))
    _git(folder, "fast-import", "--quiet", f"--export-marks={marks}", given=stream)
    lines = marks.read_text(encoding="ascii").split()
    commits = dict(zip(lines[::2], lines[1::2], strict=True))
    return {release.id: commits[f":{release.mark}"] for release in releases}


def _releases(services: Mapping[str, RecordedServiceSpec], now: float) -> Iterator[_Release]:
    """Yield all releases, oldest first: one history for all services."""
    deploys = [
        (
            now + deploy.at_s,
            deploy.id,
            name,
            deploy.author,
            deploy.subject,
            tuple(deploy.files),
        )
        for name, service in services.items()
        for deploy in service.deploys
    ]
    bases = [
        (now - BASE_AGE_S, f"{name}-base", name, "Dana Reyes", BASE_SUBJECT, ("service.py",))
        for name in services
    ]
    ordered = sorted([*bases, *deploys], key=lambda one: one[0])
    for mark, (at, release, service, author, subject, files) in enumerate(ordered, start=1):
        yield _Release(mark, release, service, int(at), author, subject, files)


def _stream(release: _Release) -> Iterator[bytes]:
    who = f"{release.author} <{EMAIL}> {release.at} +0000"
    yield f"commit refs/heads/main\nmark :{release.mark}\n".encode()
    yield f"author {who}\ncommitter {who}\n".encode()
    yield _data(release.subject)
    for file in release.files:
        yield f"M 644 inline {release.service}/{file}\n".encode()
        yield _data(f"# {release.subject}\nRELEASE = {release.id!r}\n")
    yield b"\n"
    yield f"tag deploy/{release.service}/{release.mark}\nfrom :{release.mark}\n".encode()
    yield f"tagger {who}\n".encode()
    yield _data(f"Deploy {release.service}")


def _data(text: str) -> bytes:
    data = text.encode()
    return b"data %d\n%s\n" % (len(data), data)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> None:
    done = subprocess.run(  # noqa: S603 - a fixed program; the options are written here
        ["git", "-C", str(folder), "-c", "core.fsync=none", *arguments],  # noqa: S607 - on PATH
        input=given,
        capture_output=True,
        timeout=GIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip()
        raise RuntimeError(f"git {arguments[0]} failed: {reason}; is git installed and recent?")

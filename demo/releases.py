"""The shop's release repository: a real git history whose tags are the deploys."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from demo.history import IMPORT, PAST, Change, Tree, apply_change, seed_tree

SERVICES = ("checkout", "payments")
RELEASE_ENGINEER = ("Shop Deploys", "deploys@shop.example")
# From merging to running takes a pipeline in the past; in the demo it takes a moment.
_PIPELINE = timedelta(minutes=6)
_GIT_TIMEOUT_S = 20


class GitError(Exception):
    """Git refused, or is not installed; the sentence says which."""


class UnknownReleaseError(Exception):
    """The release was never deployed for this service."""

    def __init__(self, service: str, release: str, known: Sequence[str]) -> None:
        self.service = service
        self.release = release
        super().__init__(
            f"unknown release {release!r} of {service}; deployed releases, newest first: "
            + ", ".join(sha[:12] for sha in known)
        )


@dataclass(frozen=True, slots=True)
class Deploy:
    """One deploy of one service, as its tag records it."""

    service: str
    number: int
    release: str
    version: str
    previous: str | None
    kind: str = "deploy"

    @property
    def tag(self) -> str:
        """Return the name of the tag."""
        return f"deploy/{self.service}/{self.number}"

    def message(self) -> str:
        """Return the tag's message: a title, then one fact per line."""
        verb = "Roll back" if self.kind == "rollback" else "Deploy"
        lines = [
            f"{verb} {self.service} to {self.version}",
            "",
            f"Service: {self.service}",
            f"Release: {self.release}",
            f"Previous: {self.previous or 'none'}",
            f"Version: {self.version}",
            f"Kind: {self.kind}",
        ]
        return "\n".join(lines) + "\n"


class Repository:
    """The release repository at a path, and what is deployed from it."""

    def __init__(self, path: Path, tree: Tree) -> None:
        self.path = path
        self._tree = tree
        self._deploys: dict[str, list[Deploy]] = {service: [] for service in SERVICES}

    @classmethod
    def create(cls, path: Path, now: datetime, extra: Sequence[Change] = ()) -> Self:
        """Make the repository with its past; `extra` changes are its most recent history."""
        path.mkdir(parents=True)
        repository = cls(path, {})
        repository._git("init", "-q", "-b", "main")
        repository._commit(IMPORT, seed_tree(), now - IMPORT.age, now - IMPORT.age)
        first = repository.head()
        for service in SERVICES:
            repository._tag(service, first, now - IMPORT.age + _PIPELINE)
        for change in (*PAST, *extra):
            moment = now - change.age
            repository._commit(change, apply_change(repository._tree, change), moment, moment)
            repository._tag(change.service, repository.head(), moment + _PIPELINE)
        repository._git("reset", "-q", "--hard")
        return repository

    def commit(self, change: Change, now: datetime) -> str:
        """Commit a change that was written `change.age` ago, and return its id."""
        self._commit(change, apply_change(self._tree, change), now - change.age, now)
        self._git("reset", "-q", "--hard")
        return self.head()

    def head(self) -> str:
        """Return the id of the newest commit."""
        return self._git("rev-parse", "refs/heads/main").decode().strip()

    def deployed(self, service: str) -> Deploy:
        """Return the newest deploy of a service."""
        return self._deploys[service][-1]

    def find_release(self, service: str, release: str) -> str:
        """Return the full id of a release of the service that has been deployed before."""
        known = list(dict.fromkeys(deploy.release for deploy in reversed(self._deploys[service])))
        matches = [sha for sha in known if sha.startswith(release)]
        if len(matches) != 1:
            raise UnknownReleaseError(service, release, known)
        return matches[0]

    def tag_deploy(self, service: str, release: str, now: datetime, kind: str = "deploy") -> Deploy:
        """Record that a release of the service runs from now on."""
        return self._tag(service, release, now, kind)

    def version_of(self, service: str, release: str) -> str:
        """Return the version that a release of the service calls itself."""
        return self._git("show", f"{release}:{service}/VERSION").decode().strip()

    def export(self, service: str, release: str, target: Path) -> None:
        """Write the service's files of a release below `target`."""
        listed = self._git("ls-tree", "-r", "--name-only", "-z", release, "--", f"{service}/")
        for name in filter(None, listed.decode().split("\0")):
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._git("show", f"{release}:{name}"))

    def _commit(self, change: Change, tree: Tree, written: datetime, committed: datetime) -> None:
        stream = bytearray(b"commit refs/heads/main\n")
        stream += f"author {change.author} <{change.email}> {_stamp(written)}\n".encode()
        stream += f"committer {change.author} <{change.email}> {_stamp(committed)}\n".encode()
        stream += _data(f"{change.subject}\n\n{change.body}\n")
        if self._tree:
            stream += b"from refs/heads/main^0\n"
        for path, text in tree.items():
            if self._tree.get(path) != text:
                stream += f"M 100644 inline {path}\n".encode() + _data(text)
        self._git("fast-import", "--quiet", stdin=bytes(stream))
        self._tree = tree

    def _tag(self, service: str, release: str, moment: datetime, kind: str = "deploy") -> Deploy:
        deploys = self._deploys[service]
        deploy = Deploy(
            service=service,
            number=len(deploys) + 1,
            release=release,
            version=self.version_of(service, release),
            previous=deploys[-1].release if deploys else None,
            kind=kind,
        )
        name, email = RELEASE_ENGINEER
        stream = f"tag {deploy.tag}\nfrom {release}\n".encode()
        stream += f"tagger {name} <{email}> {_stamp(moment)}\n".encode()
        self._git("fast-import", "--quiet", stdin=stream + _data(deploy.message()))
        deploys.append(deploy)
        return deploy

    def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            finished = subprocess.run(  # noqa: S603 - fixed program; arguments are the shop's own
                ["git", "-C", str(self.path), *arguments],  # noqa: S607 - git is wherever PATH says
                input=stdin,
                capture_output=True,
                env=_git_environment(),
                timeout=_GIT_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise GitError("the demo shop needs git; install it and start again") from error
        if finished.returncode != 0:
            reason = finished.stderr.decode(errors="replace").strip()
            raise GitError(f"git {arguments[0]} failed in {self.path}: {reason}")
        return finished.stdout


def _git_environment() -> dict[str, str]:
    """Return an environment in which nobody's own git settings or repository matter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


def _stamp(moment: datetime) -> str:
    return f"{int(moment.timestamp())} +0000"


def _data(text: str) -> bytes:
    raw = text.encode()
    return b"data %d\n%s\n" % (len(raw), raw)

"""Deploys: what was released lately, read from the configured git repositories."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, Field

from agents import world
from agents.tool import Tool, ToolContext, ToolFailed, ToolResult
from agents.wording import one_line, short, utc
from config.specs import RepositorySpec

GIT_TIMEOUT_S = 15
DEFAULT_LOOK_BACK_S = 86_400.0
MAX_LOOK_BACK_S = 30 * 86_400.0
MAX_DEPLOYS = 10
"""Per service: the newest ones."""
MAX_FILES = 20
MAX_SUBJECT_CHARS = 120
MAX_STAT_CHARS = 1_000
FIELD = "\x1f"
RECORD = "\x1e"
_PREVIOUS = re.compile(r"\bprevious[\s:=]+([0-9a-f]{7,40})\b", re.IGNORECASE)
_ROLLBACK = re.compile(r"\broll(?:ed)?[\s-]?back\b", re.IGNORECASE)
_SHA = re.compile(r"[0-9a-f]{40}")


class RecentArguments(BaseModel, extra="forbid"):
    """Whose deploys: one service (and what it depends on), or the services named."""

    service: str | None = None
    services: list[str] = Field(default_factory=list, max_length=50)
    with_dependencies: bool = True
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)


class Deploy(BaseModel):
    """One release that went live; `line` is its line of the evidence."""

    service: str
    release: str
    previous: str = ""
    at: float
    author: str = ""
    subject: str = ""
    files: list[str] = Field(default_factory=list)
    diffstat: str = ""
    is_rollback: bool = False
    line: str = ""


class RecentOutput(BaseModel):
    """Newest first. `actions` names the commands that people declared for each service."""

    deploys: list[Deploy] = Field(default_factory=list)
    actions: dict[str, list[str]] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A deploy before its commit was looked at."""

    at: float
    release: str
    previous: str
    is_rollback: bool


async def recent(context: ToolContext, args: RecentArguments) -> ToolResult:
    """List the deploys of the services, newest first."""
    names = [*args.services]
    for name in names:
        world.service(context, name)
    if args.service is not None:
        own = world.with_dependencies(context, args.service)
        names += own if args.with_dependencies else own[:1]
    names = list(dict.fromkeys(names)) or list(context.world.services)
    deploys: list[Deploy] = []
    missing: list[str] = []
    for name in names:
        repository = context.world.services[name].repository
        if repository is None:
            missing.append(f"{name} has no repository; set it in services.yaml")
            continue
        try:
            deploys += read_deploys(name, repository, context.now - args.last_s, context.now)
        except ToolFailed as error:
            missing.append(f"deploys of {name}: {error}")
    if missing and not deploys and len(missing) == len(names):
        raise ToolFailed("; ".join(missing))
    deploys.sort(key=lambda deploy: deploy.at, reverse=True)
    output = RecentOutput(
        deploys=deploys,
        actions={name: sorted(context.world.services[name].commands) for name in names},
        missing=missing,
    )
    head = f"{len(deploys)} deploys of {', '.join(names)} since {utc(context.now - args.last_s)}"
    body = [_paragraph(deploy) for deploy in deploys]
    return ToolResult(output, "\n".join([head, *body, *missing]), f"Deploys of {', '.join(names)}")


def _paragraph(deploy: Deploy) -> str:
    """Return the deploy's lines of the evidence; whole ids, so that a rollback can cite them."""
    before = f", before {deploy.previous}" if deploy.previous else ""
    return f"{deploy.line}\n  release {deploy.release}{before}\n{deploy.diffstat}".rstrip()


def read_deploys(
    service: str, repository: RepositorySpec, since: float, until: float
) -> list[Deploy]:
    """Return the service's deploys of that time, newest first, with what each changed."""
    if not Path(repository.path).is_dir():
        raise ToolFailed(f"there is no repository at {repository.path}; correct services.yaml")
    marks = _tags(repository) if repository.deploy_tags else _commits(repository, since)
    marks = [mark for mark in marks if since <= mark.at <= until][:MAX_DEPLOYS]
    return [_deploy(service, repository, mark) for mark in marks]


def _tags(repository: RepositorySpec) -> list[_Mark]:
    """Return the deploys that tags mark, newest first; a tag's date is the deploy's time."""
    fields = "%1f".join(["%(creatordate:unix)", "%(*objectname)", "%(objectname)", "%(contents)"])
    text = _git(
        repository,
        "for-each-ref",
        "--sort=-creatordate",
        f"--format={fields}%1e",
        f"refs/tags/{repository.deploy_tags}",
    )
    marks = []
    for record in text.split(RECORD):
        if FIELD not in record:
            continue
        at, peeled, own, message = record.strip("\n").split(FIELD, 3)
        named = _PREVIOUS.search(message)
        marks.append(
            _Mark(
                float(at or 0),
                peeled or own,
                named[1] if named else "",
                bool(_ROLLBACK.search(message)),
            )
        )
    # Same-second tags keep git's order; the release before a deploy is the next older tag's.
    return [
        mark if mark.previous else replace(mark, previous=_older(marks[index + 1 :], mark))
        for index, mark in enumerate(marks)
    ]


def _older(marks: list[_Mark], than: _Mark) -> str:
    return next((mark.release for mark in marks if mark.release != than.release), "")


def _commits(repository: RepositorySpec, since: float) -> list[_Mark]:
    """Without deploy tags, each commit that touches the service's paths counts as a deploy."""
    text = _git(
        repository,
        "log",
        f"--max-count={MAX_DEPLOYS}",
        f"--since={int(since)}",
        "--format=%ct%x1f%H%x1f%P%x1e",
        "--",
        *repository.paths,
    )
    marks = []
    for record in text.split(RECORD):
        if FIELD in record:
            at, release, parents = record.strip("\n").split(FIELD)
            marks.append(_Mark(float(at), release, parents.split(" ")[0], is_rollback=False))
    return marks


def _deploy(service: str, repository: RepositorySpec, mark: _Mark) -> Deploy:
    author, subject = (
        _git(repository, "log", "-1", "--format=%an%x1f%s", mark.release, "--")
        .strip("\n")
        .split(FIELD, 1)
    )
    previous = _full(repository, mark.previous)
    files, stat = _changed(repository, mark.release, previous)
    subject = one_line(subject, MAX_SUBJECT_CHARS)
    before = f" (before: {short(previous)})" if previous else ""
    verb = "rolled back to" if mark.is_rollback else "deployed"
    return Deploy(
        service=service,
        release=mark.release,
        previous=previous,
        at=mark.at,
        author=author,
        subject=subject,
        files=files,
        diffstat=stat,
        is_rollback=mark.is_rollback,
        line=(
            f"{utc(mark.at)} {service} {verb} {short(mark.release)}{before} by {author}: {subject}"
        ),
    )


def _full(repository: RepositorySpec, sha: str) -> str:
    """Return the whole id of a commit, empty when the repository does not have it."""
    if not sha:
        return ""
    try:
        found = _git(repository, "rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}").strip()
    except ToolFailed:
        return ""
    return found if _SHA.fullmatch(found) else ""


def _changed(repository: RepositorySpec, release: str, previous: str) -> tuple[list[str], str]:
    what = [previous, release] if previous else [f"{release}^!"]
    try:
        names = _git(
            repository, "diff", "--no-ext-diff", "--name-only", *what, "--", *repository.paths
        )
        stat = _git(
            repository, "diff", "--no-ext-diff", "--stat=100", *what, "--", *repository.paths
        )
    except ToolFailed:
        return [], ""  # the first commit has nothing to be compared with
    return names.splitlines()[:MAX_FILES], stat.rstrip()[:MAX_STAT_CHARS]


def _git(repository: RepositorySpec, *arguments: str) -> str:
    """Run git in the repository, without its hooks, pagers, prompts or configured programs."""
    command = [
        "git",
        "-C",
        repository.path,
        "-c",
        f"safe.directory={Path(repository.path).resolve()}",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "--no-pager",
        *arguments,
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; options come from services.yaml
            command, capture_output=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise ToolFailed("git is not installed on this worker; install it") from error
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"git {arguments[0]} took longer than {GIT_TIMEOUT_S} s") from error
    if done.returncode != 0:
        reason = one_line(done.stderr.decode("utf-8", "replace"), 300)
        raise ToolFailed(f"git {arguments[0]} failed in {repository.path}: {reason}")
    return done.stdout.decode("utf-8", "replace")


TOOLS = (
    Tool(
        name="deploys.recent",
        description="List recent deploys of services: release, previous, author, files changed.",
        arguments=RecentArguments,
        output=RecentOutput,
        run=recent,
    ),
)

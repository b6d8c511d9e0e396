"""How people on this machine get in: the sign-in link and the token of the command line.

`up` and `demo` write two files into the state directory, readable by their owner alone:
`sign-in.json` is for the server, `server.json` for commands such as `muster goal`.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from config.contents import Catalogue
from config.specs import PersonSpec

SIGN_IN_FILE = "sign-in.json"
SERVER_FILE = "server.json"
KEY_FILE = "session.key"
LOCAL_PERSON = "local"
DEMO_DIR = "demo"
"""The folder of a state directory in which the demo keeps its own state."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in link for people who need no token, and whom it lets in."""

    key: str = field(repr=False)
    people: tuple[str, ...]
    token: str = field(repr=False)
    """The bearer token of the first of them, for the command line."""

    @classmethod
    def new(cls, people: tuple[str, ...]) -> SignIn:
        """Return a sign-in with fresh secrets."""
        return cls(key=secrets.token_urlsafe(18), people=people, token=secrets.token_urlsafe(24))

    def link(self, url: str) -> str:
        """Return the link that signs in, at the console's address."""
        return f"{url}/login?key={self.key}"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a running bot is, and the token to speak to it."""

    url: str
    token: str = field(repr=False)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)  # A file left over by a crash keeps the mode it had.
        file.write(text)
    temporary.replace(path)


def write_sign_in(state_dir: Path, sign_in: SignIn) -> None:
    """Tell the server of this state directory whom the link lets in."""
    write_private(state_dir / SIGN_IN_FILE, json.dumps(asdict(sign_in)))


def read_sign_in(state_dir: Path) -> SignIn | None:
    """Return the sign-in of this state directory, if there is one."""
    stored = _read(state_dir / SIGN_IN_FILE)
    if stored is None:
        return None
    return SignIn(stored["key"], tuple(stored["people"]), stored["token"])


def write_server(state_dir: Path, server: Server) -> None:
    """Tell the command line where this process, the bot of this state directory, is."""
    stored = {**asdict(server), "pid": os.getpid()}
    write_private(state_dir / SERVER_FILE, json.dumps(stored))


def read_server(state_dir: Path) -> Server | None:
    """Return where the bot of this state directory is, or None when none runs."""
    stored = _read(state_dir / SERVER_FILE)
    if stored is None or not _is_alive(stored.get("pid")):
        return None
    return Server(stored["url"], stored["token"])


def _is_alive(pid: object) -> bool:
    """Whether a process of that id runs; a bot that was killed leaves its file behind."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """Return what was written, or None when there is nothing that can be read as such."""
    try:
        stored = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


def secret_key(state_dir: Path, configured: str) -> str:
    """Return the key that signs sessions: the configured one, or one made once and kept."""
    if configured:
        return configured
    path = state_dir / KEY_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def people_with_local(catalogue: Catalogue, sign_in: SignIn | None) -> Mapping[str, PersonSpec]:
    """Return people.yaml, and the owner of this process where the sign-in names them.

    Whoever may start Muster and read its state directory could do anything anyway, so the local
    person is in every group that a policy names.
    """
    people = dict(catalogue.people)
    if sign_in is None or not sign_in.people:
        return people
    digest = hashlib.sha256(sign_in.token.encode()).hexdigest()
    first = sign_in.people[0]
    if first == LOCAL_PERSON and first not in people:
        # Not validated: a group that a policy names may have a name that people.yaml cannot hold.
        people[first] = PersonSpec.model_construct(
            name=_user(), groups=tuple(sorted(policy_groups(catalogue))), token_sha256=digest
        )
    elif first in people:
        people[first] = people[first].model_copy(update={"token_sha256": digest})
    return people


def policy_groups(catalogue: Catalogue) -> frozenset[str]:
    """Return every group that may approve something."""
    terms = [policy.approval for policy in catalogue.policies if policy.approval]
    named = [spec.approvers for spec in terms]
    named += [spec.escalation.to for spec in terms if spec.escalation]
    return frozenset(group for approvers in named for group in approvers.groups)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"

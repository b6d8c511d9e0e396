"""How people on this machine get in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bot.access import (
    LOCAL_PERSON,
    SERVER_FILE,
    Server,
    SignIn,
    people_with_local,
    policy_groups,
    read_server,
    read_sign_in,
    secret_key,
    write_private,
    write_server,
    write_sign_in,
)
from config.contents import Catalogue
from config.specs import (
    ApprovalSpec,
    ApproversSpec,
    EscalationSpec,
    PersonSpec,
    PolicySpec,
    Verdict,
)
from tests.bot.samples import CATALOGUE

ASKING = PolicySpec(
    name="ask",
    verdict=Verdict.ASK,
    approval=ApprovalSpec(
        approvers=ApproversSpec(groups=("oncall", "Ops Team")),
        escalation=EscalationSpec(after_s=60, to=ApproversSpec(groups=("leads",))),
    ),
)


def catalogue(**people: PersonSpec) -> Catalogue:
    """Return a catalogue with these people and one policy that asks."""
    return replace(CATALOGUE, people=people, policies=(ASKING,))


def test_what_is_written_is_read_back_by_its_owner_alone(tmp_path: Path) -> None:
    """Both files hold secrets, so nobody else can open them."""
    sign_in, server = SignIn.new(("alice", "bob")), Server("http://localhost:1", "token")
    write_sign_in(tmp_path, sign_in)
    write_server(tmp_path, server)

    assert read_sign_in(tmp_path) == sign_in
    assert read_server(tmp_path) == server
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_file_left_by_a_crash_does_not_open_the_next_one(tmp_path: Path) -> None:
    """A half-written file that others could read is closed before it is used."""
    left = (tmp_path / SERVER_FILE).with_suffix(".new")
    left.write_text("old")
    left.chmod(0o644)

    write_private(tmp_path / SERVER_FILE, "new")

    assert (tmp_path / SERVER_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_nothing_readable_is_nothing(tmp_path: Path, text: str | None) -> None:
    """A missing or damaged file means that no bot was started."""
    if text is not None:
        (tmp_path / SERVER_FILE).write_text(text)

    assert read_server(tmp_path) is None
    assert read_sign_in(tmp_path) is None


def test_secrets_do_not_show_in_logs() -> None:
    """Neither key nor token is part of how these values print."""
    sign_in = SignIn.new(("alice",))

    shown = repr(sign_in) + repr(Server("http://x", sign_in.token))

    assert sign_in.key not in shown
    assert sign_in.token not in shown
    assert sign_in.link("http://x") == f"http://x/login?key={sign_in.key}"


def test_session_key_is_made_once(tmp_path: Path) -> None:
    """Sessions outlive a restart, and a configured key wins."""
    first = secret_key(tmp_path, "")

    assert secret_key(tmp_path, "") == first
    assert secret_key(tmp_path, "configured") == "configured"


def test_owner_is_in_every_group_that_decides() -> None:
    """Whoever starts Muster alone can also approve, whatever the groups are called."""
    sign_in = SignIn.new((LOCAL_PERSON,))

    people = people_with_local(catalogue(), sign_in)

    owner = people[LOCAL_PERSON]
    assert set(owner.groups) == policy_groups(catalogue()) == {"oncall", "Ops Team", "leads"}
    assert owner.token_sha256 == hashlib.sha256(sign_in.token.encode()).hexdigest()


def test_named_person_gets_the_token_and_keeps_their_groups() -> None:
    """In the demo the command line speaks for the first of the people."""
    alice = PersonSpec(name="Alice", groups=("oncall",))

    people = people_with_local(catalogue(alice=alice), SignIn.new(("alice", "bob")))

    assert people["alice"].groups == ("oncall",)
    assert people["alice"].token_sha256
    assert set(people) == {"alice"}


def test_without_a_sign_in_people_are_those_of_the_file() -> None:
    """A server started without a link adds nobody."""
    people = {"alice": PersonSpec(name="Alice")}

    assert people_with_local(catalogue(**people), None) == people
    assert people_with_local(catalogue(**people), SignIn.new(())) == people


def test_owner_without_a_name_is_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have no entry for its user."""

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nobody)

    people = people_with_local(catalogue(), SignIn.new((LOCAL_PERSON,)))

    assert people[LOCAL_PERSON].name == "owner"

"""What the calls of the thinking tale's model come to, from what its server noted."""

from __future__ import annotations

from tests.crash.model import BEGUN, ENDED, REFUSED, Bill, read_bill
from tests.crash.script import MENDER, READER, RELEASE, line
from tests.model_server.asked import Asked

ONE, TWO = "look reader/turn-1", "look reader/turn-2"


def begun(name: str, *, is_kept: bool = False) -> tuple[str, str, str, bool]:
    """Note a call that began; `is_kept`: its reply was in the journal by then."""
    return BEGUN, "look", name, is_kept


def ended(name: str) -> tuple[str, str, str, bool]:
    """Note an answer that was given in full."""
    return ENDED, "look", name, False


def test_each_call_once_is_just_counted() -> None:
    """Nothing is wrong with calls that follow each other."""
    assert read_bill([begun(ONE), ended(ONE), begun(TWO), ended(TWO)]) == Bill(calls=2)


def test_a_call_that_was_cut_off_before_its_answer_may_be_made_again() -> None:
    """Nobody heard the answer, so nobody has to count it."""
    assert read_bill([begun(ONE), begun(ONE), ended(ONE)]) == Bill(calls=2)


def test_a_reply_that_was_not_kept_is_counted_apart() -> None:
    """It died with its worker between the answer and the journal."""
    bill = read_bill([begun(ONE), ended(ONE), begun(ONE), ended(ONE)])

    assert (bill.cut_off, bill.paid_twice) == ((ONE,), ())


def test_a_reply_that_was_kept_may_not_be_asked_for_again() -> None:
    """The journal held it."""
    bill = read_bill([begun(ONE), ended(ONE), begun(ONE, is_kept=True), ended(ONE)])

    assert (bill.cut_off, bill.paid_twice) == ((), (ONE,))


def test_a_step_that_went_on_had_its_reply() -> None:
    """A journal that lost the entry is no excuse."""
    notes = [begun(ONE), ended(ONE), begun(TWO), ended(TWO), begun(ONE), ended(ONE)]

    assert read_bill(notes).paid_twice == (ONE,)


def test_wrong_requests_are_told() -> None:
    """A server that refuses a request has found a bug of ours."""
    assert read_bill([(REFUSED, "", "no model", False)]).refused == ("no model",)


def asked(title: str, turns: int) -> Asked:
    """Return the call of an agent that has spoken so often."""
    messages = [
        {"role": "system", "content": f"You are {title}, one agent of a team"},
        {"role": "user", "content": "Go."},
        *[{"role": "assistant", "content": "..."} for _ in range(turns)],
    ]
    return Asked({"model": "m", "messages": messages, "tools": []}, 0, "")


def test_lines_are_told_apart_by_agent_and_turn() -> None:
    """The same call hears the same line again, and the journal's key says whose it is."""
    first, second = line(asked("Crash reader", 0)), line(asked("Crash mender", 0))

    assert (first.step_id, first.key) == ("solve.look", f"{READER}/turn-1")
    assert (second.step_id, second.key) == ("solve.mend", f"{MENDER}/turn-1")
    assert second.reply.calls[0].args["release"] == RELEASE
    assert first.is_kept_as(f"{READER}/turn-1#0")
    assert not first.is_kept_as(f"{READER}/turn-11#0")

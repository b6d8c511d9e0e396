"""Untrusted text stays inside its fence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.fencing import closing_mark, fence, nonce_of, opening_mark

NONCE = nonce_of("run-1", "look")


def test_nonce_is_the_same_after_a_takeover_and_differs_between_steps() -> None:
    """It is made of the run and the step alone."""
    assert nonce_of("run-1", "look") == NONCE
    assert len({NONCE, nonce_of("run-2", "look"), nonce_of("run-1", "fix")}) == 3


@given(st.text() | st.sampled_from([closing_mark(NONCE), NONCE * 2, f"x{NONCE}"]))
def test_text_cannot_leave_its_fence(text: str) -> None:
    """Whatever the text holds, the marks stand at its ends and nowhere else."""
    lines = fence(text, NONCE)

    assert lines.startswith(opening_mark(NONCE))
    assert lines.endswith(closing_mark(NONCE))
    assert lines.count(NONCE) == 2

"""Pauses before retries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.models.patience import FIRST_PAUSE_S, MAX_PAUSE_S, MAX_RETRY_AFTER_S, pause_s

RETRIES = st.integers(0, 10)
CHANCES = st.floats(0, 1, exclude_max=True)


@given(RETRIES, CHANCES)
def test_pause_is_never_long_nor_none(retry: int, chance: float) -> None:
    """Without a word of the provider we decide, between a moment and a few seconds."""
    pause = pause_s(retry, None, lambda: chance)

    assert pause is not None
    assert FIRST_PAUSE_S / 2 <= pause <= MAX_PAUSE_S


@given(RETRIES, CHANCES, st.floats(0, MAX_RETRY_AFTER_S))
def test_provider_is_never_asked_too_early(retry: int, chance: float, asked_s: float) -> None:
    """What the provider asks for is the least."""
    pause = pause_s(retry, asked_s, lambda: chance)

    assert pause is not None
    assert pause >= asked_s


@given(RETRIES, st.floats(MAX_RETRY_AFTER_S, exclude_min=True, allow_infinity=False))
def test_too_much_patience_is_refused(retry: int, asked_s: float) -> None:
    """A provider that wants to be left alone for long is left for the next model."""
    assert pause_s(retry, asked_s, lambda: 0.5) is None


def test_pauses_grow() -> None:
    """Each retry waits longer than the one before, up to the limit."""
    pauses = [pause_s(retry, None, lambda: 0.5) or 0.0 for retry in range(6)]

    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2]

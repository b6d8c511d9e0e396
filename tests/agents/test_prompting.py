"""Prompts are files."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from agents.prompting import render


def test_prompt_is_filled_in() -> None:
    """What is given stands in it."""
    assert "too long" in render("correct_output", errors=("too long",))


def test_prompt_with_a_gap_is_an_error() -> None:
    """A forgotten value is found at once."""
    with pytest.raises(UndefinedError):
        render("correct_output")

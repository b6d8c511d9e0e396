"""Arguments that carry a secret are found before anything is stored."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agents.secret_args import refusal, secret_argument


@pytest.mark.parametrize(
    "args",
    [
        {"text": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"},
        {"password": "hunter22"},
        {"deep": [{"token": "abc"}]},
        {"url": "https://me:pw@example.com"},
    ],
)
def test_secret_is_found_by_its_look_or_its_name(args: dict[str, JsonValue]) -> None:
    """Both the value and the name of an argument can give it away."""
    assert secret_argument(args) == next(iter(args))


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"service": "checkout", "release": "3f2a1c9"},
        {"max_tokens": "5"},
        {"token": ""},
        {"n": 1},
    ],
)
def test_ordinary_arguments_pass(args: dict[str, JsonValue]) -> None:
    """Names, numbers and empty values are no secrets."""
    assert secret_argument(args) == ""


def test_refusal_says_what_to_do() -> None:
    """The sentence names the argument and the way out, never the value."""
    assert "argument token" in refusal("http.get", "token")
    assert "configuration" in refusal("http.get", "token")

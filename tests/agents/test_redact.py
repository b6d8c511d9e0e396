"""Secrets leave text, ordinary words stay, and hostile text takes no long time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.redact import MASK, redact, redact_json

SECRETS = (
    "Authorization: Bearer abcdefghijklmnop.qrs",
    "authorization: basic dXNlcjpwYXNzd29yZA==",
    "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE in the log",
    "xoxb-123456789012-abcdefghijkl",
    "https://hooks.slack.com/services/T000/B000/XXXXXXXX",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "github_pat_11ABCDEFG0123456789_abcdefghij",
    "postgres://shop:hunter2hunter2@db/shop",
    "password=hunter2hunter2",
    'api_key: "hunter2hunter2"',
    '{"client_secret": "hunter2hunter2"}',
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2hunter2\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nhunter2hunter2 cut off",
)
HARMLESS = (
    "2026-11-20T21:30:01.123Z INFO checkout order placed cart=1234 total=12.50 trace=ab12cd34",
    "ERROR checkout price failed KeyError: 'tax_region'",
    "release 3f2a1c9d0b1e4f5a6b7c8d9e0f1a2b3c4d5e6f70 of checkout",
    "upstream timeout payments after 800ms",
    "http://127.0.0.1:9090/api/v1/query",
)
PIECES = st.sampled_from(
    [
        "password=", "token", ":", '"', "'", " ", "\n", "eyJ", ".", "-", "Bearer ", "://", "@", "/",
        "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "AKIA", "abcdefgh",
        "0123456789", "xoxb-", "ghp_", "secret", "=", MASK,
    ]
)  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_secret_is_taken_out(text: str) -> None:
    """Whatever looks like a secret is masked."""
    clean = redact(text)

    assert MASK in clean
    assert "hunter2" not in clean


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_line_stays(text: str) -> None:
    """Log lines, releases and addresses without a secret are left as they are."""
    assert redact(text) == text


def test_known_secret_is_taken_out_anywhere() -> None:
    """A secret that the caller knows is masked whatever it looks like."""
    assert redact("said s3same-open twice", ["s3same-open"]) == f"said {MASK} twice"


def test_json_is_redacted_at_any_depth() -> None:
    """Strings inside of lists and mappings are redacted, other values stay."""
    clean = redact_json({"a": ["password=hunter2hunter2", 1, None, {"b": True}]})

    assert clean == {"a": [f"password={MASK}", 1, None, {"b": True}]}


@given(st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What was redacted is stable."""
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "-----BEGIN RSA PRIVATE KEY-----", "password='", "://", "://a:", "token=", "M."],
)
def test_hostile_repetition_is_survived(piece: str) -> None:
    """Half a megabyte made to make patterns backtrack is still redacted at once."""
    redact(piece * (500_000 // len(piece)))

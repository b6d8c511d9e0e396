"""Logs and error reports never hold a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from jobs import observe
from jobs.observe import configure_logging, flush_errors, report_error

SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """Give each test logging of its own, and the others theirs back."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    structlog.reset_defaults()


def test_secrets_are_taken_out_of_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Nested values, exceptions and the event itself are cleaned."""
    configure_logging(as_json=True)

    structlog.get_logger().info(
        f"event {SECRET}",
        text=SECRET,
        deep={"a": [SECRET, (SECRET,)], "n": 1},
        error=ValueError(SECRET),
        data=SECRET.encode(),
    )

    said = capsys.readouterr().err
    assert SECRET not in said
    assert '"n": 1' in said


def test_tracebacks_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    """What an exception says is redacted like everything else."""
    configure_logging()

    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("went_wrong")

    said = capsys.readouterr().err
    assert "Traceback" in said
    assert SECRET not in said


def test_what_libraries_log_is_cleaned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of the standard library's logging go through the same filter."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()

    logging.getLogger("some.library").warning("connecting with %s", SECRET)

    said = capsys.readouterr().err
    assert "connecting with [redacted]" in said


def test_known_secrets_are_taken_out_whatever_they_look_like(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process was given is masked in logs of ours, in those of libraries, in reports."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging(secrets=["open sesame"])

    structlog.get_logger().info("told", words=["say open sesame"])
    logging.getLogger("some.library").warning("say %s", "open sesame")
    event = observe._scrubbed({"message": "say open sesame"}, None, secrets=["open sesame"])

    said = capsys.readouterr().err
    assert "sesame" not in said + repr(event)
    assert said.count("[redacted]") == 2


def test_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Less serious events than asked for are not printed."""
    configure_logging("WARNING")

    structlog.get_logger().info("quiet")

    assert capsys.readouterr().err == ""


def test_reports_to_sentry_are_scrubbed() -> None:
    """An event for Sentry is cleaned as a whole."""
    event = {"exception": {"values": [{"value": SECRET}]}, "tags": {"n": 1}}

    assert SECRET not in repr(observe._scrubbed(event, None))


def test_error_is_reported_only_with_sentry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Sentry nothing is imported for it; with it, run and step are tags."""
    monkeypatch.delitem(sys.modules, "sentry_sdk", raising=False)
    report_error(ValueError("x"), run_id="r")
    flush_errors()
    assert "sentry_sdk" not in sys.modules

    told: list[Any] = []

    class Scope:
        def __enter__(self) -> Scope:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def set_tag(self, key: str, value: str) -> None:
            told.append((key, value))

    fake = SimpleNamespace(
        isolation_scope=Scope,
        capture_exception=told.append,
        flush=lambda timeout: told.append("flushed"),
    )
    monkeypatch.setitem(sys.modules, "sentry_sdk", fake)
    error = ValueError("x")
    report_error(error, run_id="r")
    flush_errors()

    assert told == [("run_id", "r"), error, "flushed"]

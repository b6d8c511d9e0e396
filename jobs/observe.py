"""Logs and error reports: one line per event, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from agents.redact import redact, redact_json

QUIET_LOGGERS = ("httpx", "httpcore", "uvicorn.access", "rq.worker", "asyncio")


def configure_logging(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send structlog and the standard library's records to stderr, redacted."""
    render: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redacted,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _redacted(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event


def configure_sentry(dsn: str, environment: str, process: str) -> None:
    """Report errors to Sentry, without the integrations that guess and without secrets.

    With `auto_enabling_integrations` it would import every library it knows (3.4 s, 120 MB).
    """
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        auto_enabling_integrations=False,
        send_default_pii=False,
        include_local_variables=False,
        before_send=_scrubbed,
    )
    sentry_sdk.set_tag("process", process)


def _scrubbed(event: Any, _hint: Any) -> Any:
    return redact_json(event)


def report_error(error: BaseException, **tags: str) -> None:
    """Send one error with its run and step, if Sentry is configured and loaded."""
    sentry_sdk = sys.modules.get("sentry_sdk")
    if sentry_sdk is None:
        return
    with sentry_sdk.isolation_scope() as scope:
        for key, value in tags.items():
            scope.set_tag(key, value)
        sentry_sdk.capture_exception(error)

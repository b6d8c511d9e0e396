"""Logs and error reports: one line per event, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import structlog

from agents.redact import redact

QUIET_LOGGERS = ("httpx", "httpcore", "uvicorn.access", "rq.worker", "asyncio")
FLUSH_S = 2.0


def configure_logging(
    level: str = "INFO", *, as_json: bool = False, secrets: Sequence[str] = ()
) -> None:
    """Send structlog and the standard library's records to stderr, without `secrets` and such."""
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
            partial(_redacted, secrets=secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(secrets))
    logging.basicConfig(level=level, handlers=[handler])
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Redacting(logging.Formatter):
    """Takes secrets out of what libraries log, tracebacks included."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return redact(super().format(record), self._secrets)


def _redacted(
    _logger: Any, _method: str, event: MutableMapping[str, Any], *, secrets: Sequence[str]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _clean(value, secrets)
    return event


def _clean(value: Any, secrets: Sequence[str]) -> Any:
    """Return any value without secrets; what is no JSON is told by its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _clean(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, secrets) for item in value]
    return redact(str(value), secrets)


def configure_sentry(dsn: str, environment: str, process: str, secrets: Sequence[str] = ()) -> None:
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
        before_send=partial(_scrubbed, secrets=secrets),
    )
    sentry_sdk.set_tag("process", process)


def _scrubbed(event: Any, _hint: Any, *, secrets: Sequence[str] = ()) -> Any:
    return _clean(event, secrets)


def report_error(error: BaseException, **tags: str) -> None:
    """Send one error with its run and step, if Sentry is configured and loaded."""
    sentry_sdk = sys.modules.get("sentry_sdk")
    if sentry_sdk is None:
        return
    with sentry_sdk.isolation_scope() as scope:
        for key, value in tags.items():
            scope.set_tag(key, value)
        sentry_sdk.capture_exception(error)


def flush_errors() -> None:
    """Wait a moment until reported errors are sent: for a process that ends right after."""
    sentry_sdk = sys.modules.get("sentry_sdk")
    if sentry_sdk is not None:
        sentry_sdk.flush(timeout=FLUSH_S)

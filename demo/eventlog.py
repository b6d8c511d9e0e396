"""The services' log files: one line per event, in the shape most shops have."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_LOG_BYTES = 8 << 20
KEPT_LOG_FILES = 2


def render_fields(fields: dict[str, object]) -> str:
    """Return `key=value` pairs; values that would not read as one word are quoted."""
    return " ".join(f"{name}={_render_value(value)}" for name, value in fields.items())


def _render_value(value: object) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return json.dumps(text) if not text or any(c.isspace() or c == '"' for c in text) else text


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        level = "WARN" if record.levelname == "WARNING" else record.levelname
        service = record.name.removeprefix("shop.")
        return f"{stamp} {level} {service} {record.getMessage()}"


class EventLog:
    """Append events to one service's log file, which is rotated before it grows large."""

    def __init__(self, service: str, path: Path) -> None:
        self._logger = logging.getLogger(f"shop.{service}")
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        handler = RotatingFileHandler(
            path, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOG_FILES, encoding="utf-8"
        )
        handler.setFormatter(_LineFormatter())
        self._logger.addHandler(handler)

    def info(self, text: str, **fields: object) -> None:
        """Log something that belongs to normal work."""
        self._logger.info("%s", self._line(text, fields))

    def warning(self, text: str, **fields: object) -> None:
        """Log something unusual that the service coped with."""
        self._logger.warning("%s", self._line(text, fields))

    def error(self, text: str, **fields: object) -> None:
        """Log a request that failed."""
        self._logger.error("%s", self._line(text, fields))

    @staticmethod
    def _line(text: str, fields: dict[str, object]) -> str:
        return f"{text} {render_fields(fields)}" if fields else text

"""The kinds of alert systems that may deliver; one file each, listed here."""

from __future__ import annotations

from bot.sources import alertmanager, generic
from bot.sources.base import AlertSource, BadDeliveryError

__all__ = ["ALERT_SOURCES", "AlertSource", "BadDeliveryError"]

ALERT_SOURCES: tuple[AlertSource, ...] = (alertmanager.SOURCE, generic.SOURCE)

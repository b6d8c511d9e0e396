"""Prometheus Alertmanager: its webhook, format version 4."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.sources.base import AlertSource, alert, bad_shape, plausible_time, require_few
from config.specs import SourceSpec
from jobs.incidents import Alert, AlertStatus

SEVERITY_LABEL = "severity"
TITLE_LABEL = "alertname"


class _Item(BaseModel):
    model_config = ConfigDict(strict=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: datetime | None = None  # noqa: N815 - named by Alertmanager
    endsAt: datetime | None = None  # noqa: N815 - named by Alertmanager
    generatorURL: str = ""  # noqa: N815 - named by Alertmanager
    fingerprint: str = ""


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True)

    version: Literal["4"]
    alerts: list[_Item]
    truncatedAlerts: int = Field(0, ge=0)  # noqa: N815 - named by Alertmanager


def parse(body: bytes, name: str, spec: SourceSpec) -> tuple[Alert, ...]:
    """Translate one delivery; Alertmanager batches several alerts into it."""
    del spec
    what = "Alertmanager webhook"
    try:
        payload = _Payload.model_validate_json(body)
    except ValidationError as error:
        raise bad_shape(what, error) from None
    require_few(what, len(payload.alerts))
    return tuple(_alert(item, name, payload.truncatedAlerts) for item in payload.alerts)


def _alert(item: _Item, source: str, cut_off: int) -> Alert:
    return alert(
        source=source,
        title=item.labels.get(TITLE_LABEL, "") or "unnamed alert",
        status=AlertStatus(item.status),
        severity=item.labels.get(SEVERITY_LABEL, ""),
        labels=item.labels,
        annotations=item.annotations,
        fingerprint=item.fingerprint,
        starts_at=_seconds(item.startsAt),
        ends_at=_seconds(item.endsAt),
        url=item.generatorURL,
        cut_off=cut_off,
    )


def _seconds(moment: datetime | None) -> float | None:
    """Return Unix seconds; Alertmanager writes "no time" as the year 1."""
    return plausible_time(moment.timestamp()) if moment and moment.year > 1 else None


SOURCE = AlertSource(name="alertmanager", parse=parse)

"""Each alert source reads its own format, and says what is wrong with anything else."""

from __future__ import annotations

import contextlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot import sources
from bot.sources import ALERT_SOURCES, BadDeliveryError, alertmanager, base, generic
from config.specs import SourceSpec
from jobs.incidents import Alert, AlertStatus
from tests.bot.samples import CATALOGUE, am_alert, am_body

AM = CATALOGUE.sources["alertmanager"]
GENERIC = CATALOGUE.sources["generic"]


def am(body: bytes) -> tuple[Alert, ...]:
    """Parse as Alertmanager."""
    return alertmanager.parse(body, "alertmanager", AM)


def gen(value: Any, spec: SourceSpec = GENERIC) -> tuple[Alert, ...]:
    """Parse as the generic source."""
    return generic.parse(json.dumps(value).encode(), "generic", spec)


def test_every_file_of_the_folder_is_listed() -> None:
    """A source that is not in the list would never be reached."""
    files = {module.name for module in pkgutil.iter_modules(sources.__path__)} - {"base"}

    assert files == {source.name for source in ALERT_SOURCES}


def test_alertmanager_delivery_becomes_alerts() -> None:
    """Fields, times and severity arrive; the end of a firing alert is none."""
    (alert,) = am(am_body())

    assert alert.title == "CheckoutErrorRateHigh"
    assert alert.fingerprint == "CheckoutErrorRateHigh-checkout"
    assert alert.service == "checkout"
    assert alert.severity == "critical"
    assert alert.status is AlertStatus.FIRING
    assert alert.starts_at == pytest.approx(1_795_210_205.123, abs=0.01)
    assert alert.ends_at is None
    assert alert.url.startswith("http://")


def test_alertmanager_resolution_carries_its_end() -> None:
    """A resolved alert says when."""
    (alert,) = am(am_body(am_alert(status="resolved", ended="2026-11-20T21:31:05Z")))

    assert alert.status is AlertStatus.RESOLVED
    assert alert.ends_at == 1_795_210_265


def test_truncated_alerts_are_noted() -> None:
    """What Alertmanager left out of the delivery is counted."""
    (alert,) = am(am_body(truncatedAlerts=7))

    assert alert.cut_off == 7


def test_unknown_extra_fields_are_tolerated() -> None:
    """A newer Alertmanager may send more."""
    (alert,) = am(am_body(am_alert() | {"news": [1]}, news={"a": 1}))

    assert alert.title == "CheckoutErrorRateHigh"


def test_alert_without_fingerprint_gets_one_from_its_labels() -> None:
    """The same labels give the same fingerprint, others another."""
    bare = [{k: v for k, v in am_alert(service=s).items() if k != "fingerprint"} for s in "aab"]

    one, same, other = am(am_body(*bare))

    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not json", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "body"),
        (b"{}", "version"),
        (am_body(version="3"), "version"),
        (am_body(alerts="x"), "alerts"),
        (am_body(am_alert() | {"status": "odd"}), "alerts.0.status"),
        (am_body(am_alert() | {"labels": {"a": 1}}), "alerts.0.labels.a"),
        (am_body(am_alert() | {"startsAt": "yesterday"}), "alerts.0.startsAt"),
        (am_body(*[am_alert()] * (base.MAX_ALERTS + 1)), "at most 500"),
    ],
)
def test_bad_alertmanager_deliveries_name_the_field(body: bytes, said: str) -> None:
    """The sender reads which field to mend."""
    with pytest.raises(BadDeliveryError, match=said) as caught:
        am(body)

    assert caught.value.sentence.startswith("Alertmanager webhook:")


def test_texts_are_cut_and_secrets_taken_out() -> None:
    """Nothing overlong and nothing secret gets further than the edge."""
    item = am_alert()
    item["labels"] |= {"token": "hunter2hunter2", "long": "x" * 5_000}
    item["annotations"]["description"] = "see https://bob:hunter2@example.test/ " + "y" * 5_000
    item["generatorURL"] = "javascript:alert(1)"

    (alert,) = am(am_body(item))

    assert "hunter2" not in repr(alert)
    assert len(alert.labels["long"]) == base.MAX_LABEL_CHARS
    assert len(alert.annotations["description"]) == base.MAX_ANNOTATION_CHARS
    assert alert.labels["service"] == "checkout"
    assert alert.url == ""


def test_generic_mapping_reads_any_json() -> None:
    """sources.yaml says where the fields stand; single labels may be mapped too."""
    (alert,) = gen(
        {
            "alerts": [
                {
                    "title": "Disk full",
                    "service": "payments",
                    "severity": "High",
                    "status": "OK",
                    "id": 17,
                    "since": 1_700_000_000_000,
                    "until": "2023-11-14T22:30:00",
                    "url": "https://example.test/1",
                    "labels": {"disk": "sda", "size": 5, "none": None},
                    "owner": {"team": "shop"},
                    "text": "It is full.",
                }
            ]
        }
    )

    assert alert.title == "Disk full"
    assert alert.status is AlertStatus.RESOLVED
    assert alert.fingerprint == "17"
    assert alert.severity == "high"
    assert alert.starts_at == 1_700_000_000
    assert alert.ends_at == 1_700_001_000
    assert alert.labels == {
        "disk": "sda",
        "size": "5",
        "team": "shop",
        "service": "payments",
        "severity": "High",
    }
    assert alert.annotations == {"description": "It is full."}


def test_generic_body_may_be_the_alert_itself() -> None:
    """Without a list the body is the one item; what is not sent has a default."""
    (alert,) = gen({"title": "Disk full"})

    assert alert.status is AlertStatus.FIRING
    assert alert.starts_at is None
    assert alert.fingerprint


def test_generic_without_items_takes_the_body() -> None:
    """A source without `items` sends one alert at a time."""
    spec = SourceSpec(kind="generic", mapping={"title": "body.name", "status": "body.firing"})

    assert gen({"name": "A", "firing": False}, spec)[0].status is AlertStatus.RESOLVED
    assert gen({"name": "A", "firing": True}, spec)[0].status is AlertStatus.FIRING


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"alerts": [{"title": "A"}, {}]}, "alert 2: title is missing"),
        ({"alerts": 5}, "items gives no list"),
        ({"title": {"a": 1}}, "title must be text, not a mapping"),
        ({"title": "A", "status": "odd"}, "status 'odd' is neither firing"),
        ({"title": "A", "since": "yesterday"}, "starts_at must be an ISO 8601 time"),
        ({"title": "A", "labels": ["x"]}, "labels must be a mapping, not a list"),
        ({"alerts": [{"title": "A"}] * 501}, "at most 500"),
    ],
)
def test_bad_generic_deliveries_name_the_field(value: Any, said: str) -> None:
    """The sender reads which alert and which field."""
    with pytest.raises(BadDeliveryError, match=said):
        gen(value)


def test_unknown_field_of_a_mapping_is_said_with_the_nearest() -> None:
    """A typo in sources.yaml does not silently drop a field."""
    spec = SourceSpec(kind="generic", mapping={"title": "item.a", "sevrity": "item.b"})

    with pytest.raises(BadDeliveryError, match="severity"):
        gen({"a": "x"}, spec)


def test_example_of_the_documentation_works() -> None:
    """What docs/alert-sources.md shows can be copied; it names every field and every word."""
    page = (Path(__file__).parents[2] / "docs" / "alert-sources.md").read_text()
    blocks = [yaml.safe_load(block.split("```")[0]) for block in page.split("```yaml\n")[1:]]
    (spec,) = (
        SourceSpec.model_validate(block["sources"]["uptime"])
        for block in blocks
        if "uptime" in block.get("sources", {})
    )

    (alert,) = gen(
        {
            "checks": [
                {"name": "shop", "up": True, "tags": {"service": "a"}, "owner": {"team": "t"}}
            ]
        },
        spec,
    )

    assert alert.title == "shop is down"
    assert alert.status is AlertStatus.RESOLVED
    assert alert.labels == {"service": "a", "team": "t"}
    for word in generic.FIELDS | generic.FIRING_WORDS | generic.RESOLVED_WORDS:
        assert word in page


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
fields = st.dictionaries(
    st.sampled_from(["title", "service", "status", "id", "since", "until", "labels", "owner"]),
    json_values,
)


@given(fields | json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Whatever is sent, it becomes alerts or a BadDeliveryError, nothing else."""
    try:
        alerts = gen(value)
    except BadDeliveryError:
        alerts = ()
    assert all(alert.title and alert.fingerprint for alert in alerts)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_a_sentence(body: bytes) -> None:
    """Rubbish never raises anything but BadDeliveryError."""
    for source, spec in ((alertmanager, AM), (generic, GENERIC)):
        with contextlib.suppress(BadDeliveryError):
            source.parse(body, "x", spec)

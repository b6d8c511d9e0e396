"""Metrics are read, judged and waited for."""

from __future__ import annotations

import pytest

from agents.tool import ToolFailed, ToolRetry, TransientError
from agents.tools import metrics
from agents.tools.metrics import (
    CurrentArguments,
    CurrentOutput,
    OnsetArguments,
    OnsetOutput,
    RangeArguments,
    RangeOutput,
    WaitArguments,
    WaitOutput,
)
from tests.agents.test_tools.conftest import NOW, Site, line_of, measured, world

PAGE = """# TYPE http_requests_total counter
http_requests_total{{service="checkout",code="200"}} {ok}
http_requests_total{{service="checkout",code="500"}} {bad}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{le="0.1"}} {fast}
http_request_duration_seconds_bucket{{le="0.5"}} {all}
http_request_duration_seconds_bucket{{le="+Inf"}} {all}
# TYPE build_info gauge
build_info{{service="checkout",version="2.1.0"}} 1
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without pauses."""
    monkeypatch.setattr(metrics, "POLL_S", 0.0)
    monkeypatch.setattr(metrics, "SCRAPE_GAP_S", 0.01)


def rising(at: float) -> list[tuple[float, float]]:
    """Return an error ratio that steps up at that time."""
    return [(NOW - 120 + i, 0.4 if NOW - 120 + i >= at else 0.0) for i in range(121)]


async def test_range_gives_points_and_extremes(site: Site) -> None:
    """A series comes with its lowest, highest and current value."""
    site.serves_series({"errors": rising(NOW - 30)})

    result = await metrics.range_(
        world(checkout=measured(site)),
        RangeArguments(service="checkout", indicator="error_ratio", last_s=60),
    )

    assert isinstance(result.output, RangeOutput)
    assert (result.output.lowest, result.output.highest, result.output.current) == (0.0, 0.4, 0.4)
    assert "highest 0.4" in result.text


async def test_onset_names_the_second_and_quotes_it(site: Site) -> None:
    """A lasting symptom is found with its time, and its line stands in the evidence."""
    site.serves_series({"errors": rising(NOW - 30), "rate": line_of(20.0)})

    result = await metrics.onset_(
        world(checkout=measured(site)), OnsetArguments(service="checkout")
    )

    assert isinstance(result.output, OnsetOutput)
    errors, rate = result.output.indicators
    assert (errors.is_symptom, errors.is_normal_now, errors.onset_at) == (True, False, NOW - 30)
    assert (rate.is_symptom, rate.is_normal_now) == (False, True)
    assert all(item.line in result.text.splitlines() for item in result.output.indicators)


async def test_young_symptom_is_looked_at_again(site: Site) -> None:
    """What might be a blip is watched until it is old enough to be believed."""
    site.serves_series({"errors": rising(NOW - 5), "rate": line_of(20.0)})

    await metrics.onset_(
        world(checkout=measured(site)), OnsetArguments(service="checkout", settle_s=5.05)
    )

    assert len(site.asked) > 2


async def test_dependencies_are_examined_and_unknown_ones_named(site: Site) -> None:
    """What the service depends on is looked at too; what is not configured is said."""
    site.serves_series({"errors": line_of(0.0), "rate": line_of(20.0)})
    context = world(
        checkout=measured(site, depends_on=["payments", "mail"]), payments=measured(site)
    )

    output = (await metrics.onset_(context, OnsetArguments(service="checkout"))).output

    assert isinstance(output, OnsetOutput)
    assert output.depends_on == ["payments"]
    assert {item.service for item in output.indicators} == {"checkout", "payments"}
    assert "checkout depends on mail" in output.missing[0]


async def test_service_without_data_is_unknown_not_normal(site: Site) -> None:
    """No data is told as that."""
    site.serves_series({"errors": [], "rate": []})

    output = (
        await metrics.onset_(world(checkout=measured(site)), OnsetArguments(service="checkout"))
    ).output

    assert isinstance(output, OnsetOutput)
    assert [item.is_normal_now for item in output.indicators] == [None, None]


async def test_wait_ends_when_all_is_good(site: Site) -> None:
    """Good for long enough is normal, with the values as evidence."""
    site.serves_series({"errors": line_of(0.001), "rate": line_of(20.0)})

    result = await metrics.wait_normal(
        world(checkout=measured(site)),
        WaitArguments(service="checkout", within_s=5, steady_s=0),
    )

    assert isinstance(result.output, WaitOutput)
    assert result.output.is_normal
    assert result.output.values == {"error_ratio": 0.001, "request_rate": 20.0}
    assert "checkout error_ratio: 0.1 %" in result.text


async def test_wait_gives_up_with_the_numbers(site: Site) -> None:
    """Not normal in time is an answer, not an error."""
    site.serves_series({"errors": line_of(0.4, seconds=50), "rate": line_of(20.0)})

    result = await metrics.wait_normal(
        world(checkout=measured(site)),
        WaitArguments(service="checkout", within_s=0.05, since=NOW - 60),
    )

    assert isinstance(result.output, WaitOutput)
    assert not result.output.is_normal
    assert "checkout is not back to normal" in result.text


async def test_wait_knows_what_is_usual(site: Site) -> None:
    """A service that always lived above its floor is normal when it is as it was."""
    usual = line_of(0.05, until=NOW - 60) + line_of(0.055, seconds=30)
    site.serves_series({"errors": usual, "rate": line_of(20.0)})

    result = await metrics.wait_normal(
        world(checkout=measured(site)),
        WaitArguments(
            service="checkout",
            indicators=["error_ratio"],
            within_s=5,
            steady_s=0,
            since=NOW - 60,
        ),
    )

    assert isinstance(result.output, WaitOutput)
    assert result.output.is_normal


async def test_current_values_come_from_two_readings(site: Site) -> None:
    """Rates and quantiles are computed from the difference of counters."""
    pages = iter(
        [
            PAGE.format(ok=100, bad=0, fast=100, all=100),
            PAGE.format(ok=175, bad=25, fast=150, all=200),
        ]
    )
    site.routes["/metrics"] = lambda query: (200, {}, next(pages).encode())
    context = world(checkout={"metrics": {"scrape": f"{site.url}/metrics"}})

    output = (await metrics.current_(context, CurrentArguments(service="checkout"))).output

    assert isinstance(output, CurrentOutput)
    assert output.error_ratio == 0.25
    assert output.version == "2.1.0"
    assert output.latency_p95 == pytest.approx(0.1 + 0.4 * 45 / 50)


@pytest.mark.parametrize(
    ("body", "status", "family"),
    [
        ("<html>", 200, ToolFailed),
        ("{}", 200, ToolFailed),
        ('{"status":"error","error":"bad query"}', 400, ToolFailed),
        ("busy", 503, TransientError),
        ('{"status":"success","data":{"result":[{"values":[]},{"values":[]}]}}', 200, ToolFailed),
    ],
)
async def test_wrong_answer_says_what_is_wrong(
    site: Site, body: str, status: int, family: type[Exception]
) -> None:
    """An address that is no Prometheus, a bad query and a busy server differ."""
    site.serves("/api/v1/query_range", body, status)

    with pytest.raises(family):
        await metrics.range_(
            world(checkout=measured(site)),
            RangeArguments(service="checkout", indicator="error_ratio"),
        )


async def test_unknown_names_list_the_known() -> None:
    """A wrong service or indicator is answered with what there is."""
    context = world(checkout={"metrics": {"prometheus": "http://x"}})

    with pytest.raises(ToolRetry, match="known services: checkout"):
        await metrics.range_(context, RangeArguments(service="shop", indicator="e"))
    with pytest.raises(ToolRetry, match="has no indicator 'e'"):
        await metrics.range_(context, RangeArguments(service="checkout", indicator="e"))

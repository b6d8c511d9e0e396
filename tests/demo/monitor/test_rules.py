"""The recording rules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.monitor.rules import ERROR_RATIO, LATENCY_P95, REQUEST_RATE, quantile, rate, record
from demo.monitor.series import SeriesStore


def test_rate_of_a_steady_counter() -> None:
    """The rate is the increase over the time between the first and the last sample."""
    assert rate([(0.0, 10.0), (1.0, 30.0), (2.0, 50.0)]) == 20.0


def test_rate_survives_a_restart() -> None:
    """A counter that falls has restarted at zero: what it shows is the increase."""
    assert rate([(0.0, 100.0), (1.0, 110.0), (2.0, 5.0)]) == 7.5


def test_rate_needs_two_samples() -> None:
    """One sample says nothing about a rate."""
    assert rate([(0.0, 1.0)]) is None


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=30))
def test_rate_is_never_negative(values: list[int]) -> None:
    """Whatever a counter does, it never counts backwards."""
    samples = [(float(second), float(value)) for second, value in enumerate(values)]

    assert (rate(samples) or 0.0) >= 0.0


def test_quantile_interpolates_in_its_bucket() -> None:
    """The rank's place between two bounds gives the quantile, as in Prometheus."""
    assert quantile(0.95, {0.1: 90.0, 0.2: 100.0, math.inf: 100.0}) == pytest.approx(0.15)


def test_quantile_beyond_the_last_bound() -> None:
    """What is slower than every bound counts as the highest one."""
    assert quantile(0.95, {0.1: 10.0, 0.2: 10.0, math.inf: 100.0}) == 0.2


def test_quantile_of_nothing() -> None:
    """Without observations there is no quantile."""
    assert quantile(0.95, {}) is None
    assert quantile(0.95, {0.1: 0.0, math.inf: 0.0}) is None


def test_record_computes_all_three() -> None:
    """Rate, error ratio and p95 come from the counters of the window, over all routes and codes."""
    store = SeriesStore()
    for second in range(11):
        now = float(second)
        for code, per_second in (("200", 15.0), ("404", 1.0), ("500", 3.0), ("504", 1.0)):
            labels = {"service": "checkout", "route": "/orders", "code": code}
            store.add("http_requests_total", labels, now, per_second * second)
        for bound, per_second in (("0.1", 18.0), ("0.2", 20.0), ("+Inf", 20.0)):
            bucket = {"service": "checkout", "route": "/orders", "le": bound}
            store.add("http_request_duration_seconds_bucket", bucket, now, per_second * second)

    recorded = {value.name: value.value for value in record(store, "checkout", 10.0)}

    assert recorded == pytest.approx({REQUEST_RATE: 20.0, ERROR_RATIO: 0.2, LATENCY_P95: 0.15})


def test_record_without_traffic_has_no_ratio() -> None:
    """No requests: the rate is zero and a ratio of nothing is not made up."""
    store = SeriesStore()
    for now in (0.0, 1.0):
        store.add("http_requests_total", {"service": "checkout", "code": "200"}, now, 5.0)

    assert [value.name for value in record(store, "checkout", 1.0)] == [REQUEST_RATE]
    assert record(store, "payments", 1.0) == []

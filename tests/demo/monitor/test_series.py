"""Selectors and series."""

import pytest

from demo.monitor.series import (
    LOOKBACK_S,
    RETENTION_S,
    Selector,
    SelectorError,
    Series,
    SeriesStore,
    parse_selector,
)


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        ("up", Selector("up")),
        (" up { } ", Selector("up")),
        ('a:b{service="checkout"}', Selector("a:b", {"service": "checkout"})),
        ('x{a="1", b="two, \\"three\\"",}', Selector("x", {"a": "1", "b": 'two, "three"'})),
    ],
)
def test_plain_selectors_are_read(query: str, selector: Selector) -> None:
    """A name with equality matchers is a selector."""
    assert parse_selector(query) == selector


@pytest.mark.parametrize(
    "query",
    ["", "rate(x[5m])", "x[5m]", 'x{a!="1"}', 'x{a=~"1"}', "x{a}", 'x{a="1" b="2"}', "x + y", "1"],
)
def test_other_queries_are_refused(query: str) -> None:
    """Anything but a plain selector is refused with a sentence that shows one."""
    with pytest.raises(SelectorError, match="only knows plain selectors"):
        parse_selector(query)


def test_value_expires() -> None:
    """A series that is no longer scraped loses its value after the lookback."""
    series = Series("up", {})
    series.add(100.0, 1.0)

    assert series.at(99.0) is None
    assert series.at(100.0 + LOOKBACK_S) == 1.0
    assert series.at(100.1 + LOOKBACK_S) is None


def test_old_samples_are_forgotten() -> None:
    """A series never holds much more than the retention, however long it is fed."""
    series = Series("up", {})
    for second in range(3 * RETENTION_S):
        series.add(float(second), 1.0)

    kept = series.between(0.0, 3.0 * RETENTION_S)

    assert RETENTION_S <= len(kept) <= RETENTION_S + 300


def test_select_finds_by_labels() -> None:
    """A selector matches series that have its labels, whatever else they have."""
    store = SeriesStore()
    store.add("up", {"service": "checkout", "zone": "a"}, 1.0, 1.0)
    store.add("up", {"service": "payments", "zone": "a"}, 1.0, 0.0)

    found = list(store.select(Selector("up", {"service": "payments"})))

    assert [series.labels["service"] for series in found] == ["payments"]
    assert list(store.select(Selector("down"))) == []

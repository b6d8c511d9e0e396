"""Time series in memory, and the selectors that find them."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

RETENTION_S = 45 * 60
# How long a series that is no longer scraped still has a value.
LOOKBACK_S = 5.0
_TRIM_EVERY = 300

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(.)")

Sample = tuple[float, float]


class SelectorError(ValueError):
    """The query is more than this monitor understands."""

    def __init__(self, query: str) -> None:
        self.query = query
        super().__init__(
            f"cannot answer {query!r}: this monitor only knows plain selectors such as "
            'service:error_ratio{service="checkout"}'
        )


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric name and the labels that a series must have."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


def parse_selector(query: str) -> Selector:
    """Read `name` or `name{label="value",...}`; raise SelectorError for anything else."""
    text = query.strip()
    name = _NAME.match(text)
    if name is None:
        raise SelectorError(query)
    rest = text[name.end() :].strip()
    if not rest:
        return Selector(name.group())
    if not (rest.startswith("{") and rest.endswith("}")):
        raise SelectorError(query)
    labels: dict[str, str] = {}
    inner = rest[1:-1]
    position = 0
    while inner[position:].strip():
        matcher = _MATCHER.match(inner, position)
        if matcher is None:
            raise SelectorError(query)
        labels[matcher.group(1)] = _ESCAPE.sub(r"\1", matcher.group(2))
        position = matcher.end()
        if position < len(inner):
            if inner[position] != ",":
                raise SelectorError(query)
            position += 1
    return Selector(name.group(), labels)


class Series:
    """The samples of one metric with one set of labels, oldest first."""

    __slots__ = ("_times", "_values", "labels", "name")

    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.labels = dict(labels)
        self._times = array("d")
        self._values = array("d")

    def add(self, time: float, value: float) -> None:
        """Append a sample and forget those that are past retention."""
        self._times.append(time)
        self._values.append(value)
        if len(self._times) % _TRIM_EVERY == 0:
            expired = bisect_left(self._times, time - RETENTION_S)
            del self._times[:expired]
            del self._values[:expired]

    def at(self, time: float) -> float | None:
        """Return the value at a time, or None when the last sample is too old."""
        index = bisect_right(self._times, time) - 1
        if index < 0 or time - self._times[index] > LOOKBACK_S:
            return None
        return self._values[index]

    def between(self, start: float, end: float) -> list[Sample]:
        """Return the samples from start to end, both included."""
        first = bisect_left(self._times, start)
        last = bisect_right(self._times, end)
        return list(zip(self._times[first:last], self._values[first:last], strict=True))


class SeriesStore:
    """All series of the monitor, found by name and labels."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[tuple[tuple[str, str], ...], Series]] = {}

    def add(self, name: str, labels: Mapping[str, str], time: float, value: float) -> None:
        """Append a sample to the series of this name with these labels."""
        family = self._by_name.setdefault(name, {})
        key = tuple(sorted(labels.items()))
        series = family.get(key)
        if series is None:
            series = family[key] = Series(name, labels)
        series.add(time, value)

    def select(self, selector: Selector) -> Iterator[Series]:
        """Yield the series that the selector matches; an absent label counts as empty."""
        for series in self._by_name.get(selector.name, {}).values():
            if all(series.labels.get(name, "") == want for name, want in selector.labels.items()):
                yield series

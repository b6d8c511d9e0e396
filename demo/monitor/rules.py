"""The recording rules: request rate, error ratio and p95 per service, over a short window."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from demo.monitor.series import Sample, Selector, Series, SeriesStore

WINDOW_S = 10.0
QUANTILE = 0.95

REQUEST_RATE = "service:request_rate"
ERROR_RATIO = "service:error_ratio"
LATENCY_P95 = "service:latency_p95_seconds"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One value that a recording rule computed for a service."""

    name: str
    service: str
    value: float


def rate(samples: Sequence[Sample]) -> float | None:
    """Return the per-second increase of a counter, which may have restarted at zero.

    None when there are fewer than two samples to compare.
    """
    if len(samples) < 2:
        return None
    increase = 0.0
    for (_, before), (_, after) in pairwise(samples):
        increase += after - before if after >= before else after
    return increase / (samples[-1][0] - samples[0][0])


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return the quantile of a cumulative histogram, linear inside a bucket.

    `buckets` maps upper bounds (the last one infinite) to counts. None when nothing was counted.
    What lies in the infinite bucket counts as the highest finite bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    rank = share * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def record(store: SeriesStore, service: str, now: float) -> list[Recorded]:
    """Compute all recorded values of a service for the window that ends now."""
    requests = list(store.select(Selector("http_requests_total", {"service": service})))
    total = _sum_rates(requests, now)
    if total is None:
        return []
    recorded = [Recorded(REQUEST_RATE, service, total)]
    if total > 0:
        failed = [series for series in requests if series.labels["code"].startswith("5")]
        errors = _sum_rates(failed, now) or 0.0
        recorded.append(Recorded(ERROR_RATIO, service, errors / total))
    p95 = quantile(QUANTILE, _bucket_rates(store, service, now))
    if p95 is not None:
        recorded.append(Recorded(LATENCY_P95, service, p95))
    return recorded


def _sum_rates(series: Iterable[Series], now: float) -> float | None:
    rates = [rate(one.between(now - WINDOW_S, now)) for one in series]
    known = [value for value in rates if value is not None]
    return sum(known) if known else None


def _bucket_rates(store: SeriesStore, service: str, now: float) -> dict[float, float]:
    rates: dict[float, float] = {}
    selector = Selector("http_request_duration_seconds_bucket", {"service": service})
    for series in store.select(selector):
        bound = float(series.labels["le"])
        value = rate(series.between(now - WINDOW_S, now))
        rates[bound] = rates.get(bound, 0.0) + (value or 0.0)
    return rates

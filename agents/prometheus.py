"""Reads series from a Prometheus HTTP API, and current values from a plain /metrics page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.fetch import get_json, get_text
from agents.tool import ToolFailed, ToolRetry
from config.specs import Indicator, MetricsSpec

MAX_SAMPLES = 1_000
"""Points per series: Prometheus itself refuses more than 11,000."""
ERROR_CODE_PREFIX = "5"
P95 = 0.95

Series = list[tuple[float, float]]


def api(spec: MetricsSpec, service: str) -> str:
    """Return the base URL of the service's Prometheus, or say how to configure one."""
    if not spec.prometheus:
        raise ToolRetry(
            f"{service} has no Prometheus; set metrics.prometheus in services.yaml, "
            "or use metrics.current, which reads metrics.scrape"
        )
    return spec.prometheus.rstrip("/")


def step_for(span_s: float) -> int:
    """Return the whole seconds between points that keep a series within `MAX_SAMPLES`."""
    return max(1, math.ceil(span_s / MAX_SAMPLES))


def query_range(base: str, indicator: Indicator, start: float, end: float) -> Series:
    """Return the one series of an indicator, empty when there are no data."""
    answer = get_json(
        f"{base}/api/v1/query_range",
        {
            "query": indicator.query,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": str(step_for(end - start)),
        },
    )
    try:
        if answer["status"] != "success":
            raise ToolFailed(f"Prometheus refused {indicator.query}: {answer.get('error', '')}")
        result = answer["data"]["result"]
        if len(result) > 1:
            raise ToolFailed(
                f"{indicator.query} yields {len(result)} series; an indicator is one: aggregate it"
            )
        rows = result[0]["values"] if result else []
        return [(float(at), float(value)) for at, value in rows]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ToolFailed(f"{base} does not answer like Prometheus; check the address") from error


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading of a /metrics page: what the current values are computed from."""

    at: float
    version: str = ""
    requests: float = 0.0
    errors: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=dict)


def scrape(url: str, at: float) -> Scrape:
    """Read a /metrics page; unknown metrics are ignored."""
    return read_page(get_text(url), at)


def read_page(page: str, at: float) -> Scrape:
    """Sum the conventional request metrics of a /metrics page."""
    from prometheus_client.parser import text_string_to_metric_families

    version, requests, errors = "", 0.0, 0.0
    buckets: dict[float, float] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == "http_requests_total":
                    requests += sample.value
                    code = sample.labels.get("code") or sample.labels.get("status", "")
                    if code.startswith(ERROR_CODE_PREFIX):
                        errors += sample.value
                elif sample.name == "http_request_duration_seconds_bucket":
                    edge = float(sample.labels["le"])
                    buckets[edge] = buckets.get(edge, 0.0) + sample.value
                elif sample.name == "build_info":
                    version = sample.labels.get("version", version)
    except (ValueError, KeyError) as error:
        raise ToolFailed("the page is not in Prometheus' text format; check the url") from error
    return Scrape(at, version, requests, errors, buckets)


def request_rate(first: Scrape, second: Scrape) -> float | None:
    """Return requests per second between two readings; None after a counter reset."""
    span, count = second.at - first.at, second.requests - first.requests
    return count / span if span > 0 and count >= 0 else None


def error_ratio(first: Scrape, second: Scrape) -> float | None:
    """Return the share of requests that failed between two readings; None without requests."""
    count, errors = second.requests - first.requests, second.errors - first.errors
    return errors / count if count > 0 and errors >= 0 else None


def latency_p95(first: Scrape, second: Scrape) -> float | None:
    """Return the 95th percentile of durations between two readings; None without requests."""
    return quantile(
        P95,
        [(edge, count - first.buckets.get(edge, 0.0)) for edge, count in second.buckets.items()],
    )


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Return a quantile of cumulative buckets, interpolated as Prometheus does."""
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] <= 0 or any(count < 0 for _, count in ordered):
        return None
    rank = share * ordered[-1][1]
    lower_edge, lower_count = 0.0, 0.0
    for edge, count in ordered:
        if count >= rank:
            if math.isinf(edge):
                return lower_edge
            inside = count - lower_count
            return lower_edge + (edge - lower_edge) * (
                (rank - lower_count) / inside if inside > 0 else 1.0
            )
        lower_edge, lower_count = edge, count
    return lower_edge

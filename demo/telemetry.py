"""The metrics every service of the shop exposes on /metrics."""

from collections.abc import Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from demo.wire import Response

LATENCY_BUCKETS_S = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0,
    1.5, 2.0, 2.5, 3.0, 5.0,
)  # fmt: skip
# Series that start at zero: the first failure must be seen as an increase, not as a birth.
_CODES_FROM_THE_START = ("200", "500", "502", "503", "504")


class Telemetry:
    """Count and time one service's requests, with a registry of its own."""

    def __init__(self, service: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._service = service
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests_total",
            "HTTP requests answered.",
            ["service", "route", "code"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time from request to response.",
            ["service", "route"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        build = Gauge(
            "build_info", "The version that runs.", ["service", "version"], registry=self.registry
        )
        build.labels(service, version).set(1)

    def announce(self, routes: Iterable[str]) -> None:
        """Start the series of these routes at zero."""
        for route in routes:
            self._durations.labels(self._service, route)
            for code in _CODES_FROM_THE_START:
                self._requests.labels(self._service, route, code)

    def gauge(self, name: str, text: str) -> Gauge:
        """Return a new gauge, already labelled with the service."""
        return Gauge(name, text, ["service"], registry=self.registry).labels(self._service)

    def observe(self, route: str, code: int, seconds: float) -> None:
        """Record one answered request."""
        self._requests.labels(self._service, route, str(code)).inc()
        self._durations.labels(self._service, route).observe(seconds)

    def response(self) -> Response:
        """Return all metrics in the text format."""
        return Response(200, generate_latest(self.registry), CONTENT_TYPE_LATEST)

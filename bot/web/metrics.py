"""The numbers behind /metrics."""

from __future__ import annotations

from collections import Counter as Count

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.desk import Desk
from bot.web.limits import RUNS_COUNTED
from jobs.state import TERMINAL, Status

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counted as things happen, except runs and approvals: those are looked up when asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._ended: dict[str, Status] = {}
        self.alerts = Counter(
            "muster_alerts_total",
            "Alerts delivered, by source and by what became of them.",
            ["source", "outcome"],
            registry=registry,
        )
        self.refused = Counter(
            "muster_deliveries_refused_total",
            "Deliveries that were not accepted, by source and reason.",
            ["source", "reason"],
            registry=registry,
        )
        self.webhook_seconds = Histogram(
            "muster_webhook_seconds",
            "Time from a delivery's arrival to its answer.",
            ["source"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.streams = Gauge(
            "muster_event_streams", "Event streams open in this process.", registry=registry
        )
        self._runs = Gauge(
            "muster_runs",
            f"The newest {RUNS_COUNTED} runs and all active ones, by status.",
            ["status"],
            registry=registry,
        )
        self._approvals = Gauge(
            "muster_open_approvals", "Approvals that wait for a decision.", registry=registry
        )

        self._laid_aside = Gauge(
            "muster_posts_laid_aside",
            "Posts that no platform took for a day; the log says which and why.",
            registry=registry,
        )

    async def render(self, desk: Desk, laid_aside: int) -> bytes:
        """Look up what is not counted and return everything in Prometheus' text format."""
        counted = await self._count_runs(desk)
        for status in Status:
            self._runs.labels(status.value).set(counted[status])
        self._laid_aside.set(laid_aside)
        self._approvals.set(len(await desk.store.open_approvals()))
        return generate_latest(self._registry)

    async def _count_runs(self, desk: Desk) -> Count[Status]:
        """Count runs by status; one that has ended is read only once."""
        newest = await desk.store.run_ids(RUNS_COUNTED)
        active = await desk.store.run_ids(RUNS_COUNTED, active=True)
        seen: dict[str, Status] = {}
        for run_id in dict.fromkeys([*newest, *active]):
            if run_id in self._ended:
                seen[run_id] = self._ended[run_id]
            elif run := await desk.run(run_id):
                seen[run_id] = run.status
        self._ended = {id_: status for id_, status in seen.items() if status in TERMINAL}
        return Count(seen.values())

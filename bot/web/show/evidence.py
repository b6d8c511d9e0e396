"""Where a piece of evidence is shown."""

from __future__ import annotations

from urllib.parse import quote

SEPARATOR = "/"
"""Between the run and the id of evidence that an earlier run of the thread had found."""


def evidence_path(run_id: str, evidence_id: str) -> str:
    """Return the page of the evidence that a run cites, be it its own or an earlier run's."""
    earlier, separator, own = evidence_id.partition(SEPARATOR)
    if separator:
        run_id, evidence_id = earlier, own
    return f"/runs/{quote(run_id, safe='')}/evidence/{quote(evidence_id, safe='')}"

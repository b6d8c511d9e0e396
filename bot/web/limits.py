"""Every number that bounds what somebody may send or hold open."""

from __future__ import annotations

MAX_WEBHOOK_BYTES = 1024 * 1024
MAX_BODY_BYTES = 64 * 1024
"""Of every other request."""
MAX_IDEMPOTENCY_KEY_CHARS = 200
MAX_TOKEN_CHARS = 512

MAX_STREAMS = 200
"""Open event streams per process."""
MAX_STREAMS_PER_PERSON = 20
KEEPALIVE_S = 15.0
FRAME_GAP_S = 0.1
"""Least time between two updates of a thread or a run page."""
LIST_GAP_S = 0.5
"""Least time between two updates of a list."""
MAX_DIRTY = 1_000
"""Changes remembered for one stream; beyond it everything counts as changed."""

SESSION_S = 12 * 3_600
LOGIN_FAILURES = 10
"""Wrong tokens per client address within LOGIN_WINDOW_S; then it has to wait."""
LOGIN_WINDOW_S = 300.0
MAX_CLIENTS_REMEMBERED = 10_000

RETRY_AFTER_S = 5
THREADS_LISTED = 100
EXAMPLES_SHOWN = 6
"""Goals offered to somebody who has no thread yet."""
RUNS_LISTED = 50
INCIDENTS_LISTED = 50
LOG_LINES_SHOWN = 500
TURNS_SHOWN = 200
RUNS_COUNTED = 200
"""How many of the newest runs /metrics counts by status."""

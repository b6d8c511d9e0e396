"""`python -m tests.crash.short_lease`: workers whose leases last a moment, and nothing else new."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from config.settings import load_settings
from jobs.assembly import make_process, serve_workers

LEASE_S = 3.0
"""Longer than a pop waits: what a worker pops while it stands still is found only by a sweep."""


def main() -> int:
    """Run the workers until they are told to stop."""
    settings = load_settings(os.environ)
    if settings.redis_url is None:
        raise SystemExit("MUSTER_REDIS_URL is not set")
    return serve_workers(replace(make_process(settings, settings.redis_url), lease_s=LEASE_S))


if __name__ == "__main__":
    sys.exit(main())

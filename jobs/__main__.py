"""`python -m jobs`: the worker parent. It needs a Redis: MUSTER_REDIS_URL, or a running `up`."""

from __future__ import annotations

import os
import sys

from config.catalogue import CatalogueError
from config.settings import SettingsError, load_settings
from jobs.assembly import run_workers
from jobs.embedded import attach


def main() -> int:
    """Run workers; returns the exit code."""
    try:
        settings = load_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    running = None if settings.redis_url else attach(settings.state_dir)
    url = settings.redis_url or (running.url if running else "")
    if not url:
        sys.stderr.write(
            "There is no Redis to work for: set MUSTER_REDIS_URL, or start `muster up` with the "
            "same MUSTER_STATE_DIR.\n"
        )
        return 2
    try:
        return run_workers(settings, url)
    except CatalogueError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())

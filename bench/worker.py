"""`python -m bench.worker`: the product's worker parent, with the stub tool added to its tools."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from agents.tool import Toolbox
from agents.tools.alerts import AlertBook
from agents.tools.chat import Poster
from bench.graph import sleep_tool
from config.settings import load_settings
from jobs.assembly import all_tools, make_process, serve_workers


def bench_tools(book: AlertBook, poster: Poster) -> Toolbox:
    """Return the product's tools and the stub."""
    return Toolbox((*all_tools(book, poster).values(), sleep_tool()))


def main() -> int:
    """Run workers until told to stop; returns the exit code."""
    settings = load_settings(os.environ)
    process = make_process(settings, settings.redis_url or "")
    return serve_workers(replace(process, tools=bench_tools))


if __name__ == "__main__":
    sys.exit(main())

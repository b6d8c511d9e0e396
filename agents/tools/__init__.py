"""The tools that agents use: one capability per file, each file listing its `TOOLS`."""

from __future__ import annotations

from importlib import import_module

from agents.tool import Tool

CONFINED = ("chart", "deploys", "http", "logs", "metrics", "outlet", "service", "sql")
"""The modules of this folder whose tools run in a child process; each has `TOOLS`."""


def confined_tools() -> tuple[Tool, ...]:
    """Return every tool that runs in a child process.

    Imported on call: a child process imports only the one module it needs.
    """
    modules = [import_module(f"{__name__}.{name}") for name in CONFINED]
    return tuple(tool for module in modules for tool in module.TOOLS)

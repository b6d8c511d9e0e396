"""`muster preview`: look at what a platform shows, without that platform."""

from __future__ import annotations

import sys
from pathlib import Path

from bot.preview.page import PLATFORMS, page_of
from bot.preview.serve import server_of


def run_preview(platform: str, out: Path | None, port: int) -> int:
    """Write the page into a folder, or serve it until Ctrl-C; returns the exit code."""
    if platform not in PLATFORMS:
        known = ", ".join(sorted(PLATFORMS))
        sys.stderr.write(f"There is no preview of {platform!r}; choose one of: {known}.\n")
        return 2
    if out is not None:
        return _write(platform, out)
    try:
        server = server_of(platform, port)
    except OSError as error:
        sys.stderr.write(f"Port {port} cannot be used ({error.strerror}): choose another --port.\n")
        return 1
    sys.stdout.write(f"Open http://{server.server_name}:{server.server_port}/ (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    finally:
        server.server_close()
    return 0


def _write(platform: str, out: Path) -> int:
    path = out / f"{platform}.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(page_of(platform), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"{path} cannot be written ({error.strerror}): choose another --out.\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0

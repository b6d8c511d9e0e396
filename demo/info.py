"""What others may know about a running shop: DIR/shop.json, and whether it is healthy."""

import asyncio
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from demo import wire

HEALTHY_ERROR_RATIO = 0.02
HEALTHY_LATENCY_P95_S = 0.5
_QUERY_TIMEOUT_S = 2.0


class ShopNotRunningError(Exception):
    """There is no running shop in the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(
            f"no shop runs in {directory}; start one with: "
            f"python -m demo.shop start --dir {directory}"
        )


class DirectoryInUseError(Exception):
    """The directory cannot be the shop's; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are below the shop's directory."""

    root: Path

    @property
    def marker(self) -> Path:
        """Return the file that says that the directory is a shop's and may be cleared."""
        return self.root / ".demo-shop"

    @property
    def lock(self) -> Path:
        """Return the file that a running director holds locked."""
        return self.root / "lock"

    @property
    def info(self) -> Path:
        """Return the file that describes the running shop."""
        return self.root / "shop.json"

    @property
    def control_token(self) -> Path:
        """Return the file with the token that the director's control port wants."""
        return self.root / "control.token"

    @property
    def releases(self) -> Path:
        """Return the release repository."""
        return self.root / "releases"

    @property
    def effects(self) -> Path:
        """Return the record of effects performed on request."""
        return self.root / "effects.jsonl"

    @property
    def customers(self) -> Path:
        """Return the database of the shop's customers."""
        return self.root / "customers.sqlite"

    @property
    def updates(self) -> Path:
        """Return the record of what was published on the status page."""
        return self.root / "status.jsonl"

    @property
    def mails(self) -> Path:
        """Return the record of the mail that was sent to customers."""
        return self.root / "mailbox.jsonl"

    @property
    def timeline(self) -> Path:
        """Return the director's record of what it staged: the truth that tests compare with."""
        return self.root / "timeline.jsonl"

    @property
    def director_log(self) -> Path:
        """Return where the director of a shop in the background logs."""
        return self.root / "director.log"

    @property
    def logs(self) -> Path:
        """Return the folder of log files."""
        return self.root / "logs"

    def log(self, service: str) -> Path:
        """Return the log file of a service."""
        return self.logs / f"{service}.log"

    def pointer(self, service: str) -> Path:
        """Return the pointer that names the service's current release."""
        return self.root / "current" / service

    def export(self, service: str, release: str) -> Path:
        """Return the folder with the files of one release."""
        return self.root / "exports" / service / release

    def claim(self) -> None:
        """Make the directory the shop's, unless it holds somebody else's files."""
        if self.root.exists() and not self.root.is_dir():
            raise DirectoryInUseError(f"{self.root} is a file; choose another --dir")
        if self.root.exists() and any(self.root.iterdir()) and not self.marker.exists():
            raise DirectoryInUseError(
                f"{self.root} is not empty and no shop has been there; choose another --dir"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        self.marker.touch()

    def is_locked(self) -> bool:
        """Say whether a director runs here now."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


@dataclass(frozen=True, slots=True)
class ShopInfo:
    """A running shop: its processes, addresses and files, as DIR/shop.json says."""

    dir: str
    fault: str
    started_at: float
    baseline_s: float
    python: str
    cwd: str
    pids: dict[str, int]
    urls: dict[str, str]
    logs: dict[str, str]
    repository: str

    @classmethod
    def load(cls, directory: Path | str) -> Self:
        """Read the description of the shop that runs in a directory."""
        layout = Layout(Path(directory).absolute())
        if not layout.is_locked():
            raise ShopNotRunningError(layout.root)
        try:
            return cls(**json.loads(layout.info.read_text(encoding="utf-8")))
        except FileNotFoundError:  # the director runs but is not ready yet
            raise ShopNotRunningError(layout.root) from None

    def save(self) -> None:
        """Write the description so that a reader sees either the old or the new one."""
        path = Layout(Path(self.dir)).info
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    @property
    def layout(self) -> Layout:
        """Return where the shop's files are."""
        return Layout(Path(self.dir))


async def health(info: ShopInfo) -> dict[str, Any]:
    """Return which versions run and how they do; `healthy` sums it up.

    A value that is not known (no traffic yet, process down) is None, and not healthy.
    """
    names = ("checkout", "payments")
    states = await asyncio.gather(*(_service_health(info, name) for name in names))
    services = dict(zip(names, states, strict=True))
    alerts = await _get(f"{info.urls['monitor']}/api/v1/alerts")
    firing = [
        alert["labels"]["alertname"]
        for alert in (alerts or {}).get("data", {}).get("alerts", [])
        if alert["state"] == "firing"
    ]
    return {
        "healthy": all(_is_healthy(state) for state in states),
        "services": services,
        "alerts_firing": firing,
    }


def _is_healthy(state: dict[str, Any]) -> bool:
    ratio, p95 = state["error_ratio"], state["latency_p95_s"]
    return (
        bool(state["up"])
        and ratio is not None
        and ratio < HEALTHY_ERROR_RATIO
        and p95 is not None
        and p95 < HEALTHY_LATENCY_P95_S
    )


async def _service_health(info: ShopInfo, service: str) -> dict[str, Any]:
    running, ratio, p95, rate = await asyncio.gather(
        _get(f"{info.urls[service]}/healthz"),
        _value(info, "service:error_ratio", service),
        _value(info, "service:latency_p95_seconds", service),
        _value(info, "service:request_rate", service),
    )
    running = running or {}
    return {
        "up": running.get("status") == "ok",
        "version": running.get("version"),
        "release": running.get("release"),
        "error_ratio": ratio,
        "latency_p95_s": p95,
        "request_rate": rate,
    }


async def _value(info: ShopInfo, name: str, service: str) -> float | None:
    query = quote(f'{name}{{service="{service}"}}')
    answer = await _get(f"{info.urls['monitor']}/api/v1/query?query={query}")
    result = (answer or {}).get("data", {}).get("result", [])
    return float(result[0]["value"][1]) if result else None


async def _get(url: str) -> dict[str, Any] | None:
    try:
        response = await wire.call("GET", url, timeout_s=_QUERY_TIMEOUT_S)
        value = response.json()
    except (TimeoutError, wire.WireError, ValueError):
        return None
    return value if isinstance(value, dict) else None

"""Whole stories: each fault from the first request to the resolved alert, in real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from demo import wire
from demo.director import CODE_ROOT
from demo.shop import KEY_VARIABLE, ShopInfo, health
from demo.wire import Request, Response, Server, json_response

TOKEN_VARIABLE = "SHOP_TEST_TOKEN"
TOKEN = "let-me-in"
TIMEOUT_S = 60
LOOK_S = 0.2

Deliveries = asyncio.Queue[dict[str, Any]]


async def shop_command(
    command: str, directory: Path, *arguments: str, key: str | None = None
) -> dict[str, Any]:
    """Run one command from a foreign working directory and return what it printed."""
    environment = {**os.environ, TOKEN_VARIABLE: TOKEN, "PYTHONPATH": str(CODE_ROOT)}
    if key is not None:
        environment[KEY_VARIABLE] = key
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "demo.shop", command, "--dir", str(directory), *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory.parent,
        env=environment,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    printed: dict[str, Any] = json.loads(out)
    return printed


@asynccontextmanager
async def running_shop(
    directory: Path, fault: str, baseline_s: float
) -> AsyncIterator[tuple[ShopInfo, Deliveries]]:
    """Start a shop whose alerts arrive in a queue; stop it at the end, whatever happened."""
    deliveries: Deliveries = asyncio.Queue()

    async def receive(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return json_response(401, {})
        deliveries.put_nowait(json.loads(request.body))
        return json_response(200, {})

    server, sock = Server(receive), wire.listen()
    url = wire.url_of(sock)
    await server.start(sock)
    options = ["--fault", fault, "--baseline-s", str(baseline_s)]
    options += ["--webhook", f"{url}/hook", "--webhook-token-env", TOKEN_VARIABLE]
    try:
        await shop_command("start", directory, *options)
        info = ShopInfo.load(directory)
        try:
            yield info, deliveries
        finally:
            if info.layout.is_locked():
                await shop_command("stop", directory)
        assert_gone(list(info.pids.values()))
    finally:
        server.stop_accepting()


def assert_gone(pids: list[int]) -> None:
    """Wait until none of the shop's processes is left."""
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():  # noqa: ASYNC110 - the shop is another process
            await asyncio.sleep(LOOK_S)


async def next_alert(deliveries: Deliveries, status: str) -> dict[str, Any]:
    """Return the next alert that was delivered with a status."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            delivery = await deliveries.get()
            if delivery["status"] == status:
                alert: dict[str, Any] = delivery["alerts"][0]
                return alert


async def series(info: ShopInfo, name: str, service: str) -> list[tuple[float, float]]:
    """Return a recorded series since the shop started."""
    health_now = await wire.call(
        "GET", f"{info.urls['monitor']}/api/v1/query?query=up", timeout_s=5
    )
    end = health_now.json()["data"]["result"][0]["value"][0]  # type: ignore[index]
    query = {
        "query": f'{name}{{service="{service}"}}',
        "start": str(int(info.started_at)),
        "end": str(end),
        "step": "1",
    }
    url = f"{info.urls['monitor']}/api/v1/query_range?{urlencode(query)}"
    body: Any = (await wire.call("GET", url, timeout_s=5)).json()
    return [(time, float(value)) for time, value in body["data"]["result"][0]["values"]]


def first_above(values: list[tuple[float, float]], threshold: float) -> float:
    """Return when a series first exceeded a threshold."""
    return next(time for time, value in values if value > threshold)


def log_text(info: ShopInfo, service: str) -> str:
    """Return a service's log."""
    return Path(info.logs[service]).read_text(encoding="utf-8")


def staged(info: ShopInfo, event: str) -> list[dict[str, Any]]:
    """Return what the director staged of one kind."""
    lines = info.layout.timeline.read_text(encoding="utf-8").splitlines()
    return [entry for line in lines if (entry := json.loads(line))["event"] == event]


async def is_healthy(info: ShopInfo) -> bool:
    """Say whether the shop is healthy."""
    return bool((await health(info))["healthy"])


async def bad_release(directory: Path) -> None:
    """Break checkout by a deploy; rolling back, asked twice with one key, heals it once."""
    async with running_shop(directory, "bad-release", 8) as (info, deliveries):
        good = (await health(info))["services"]["checkout"]["release"]

        fired = await next_alert(deliveries, "firing")

        (deploy,) = staged(info, "deploy")
        ratio = await series(info, "service:error_ratio", "checkout")
        assert fired["labels"]["alertname"] == "CheckoutErrorRateHigh"
        assert fired["labels"]["service"] == "checkout"
        assert all(value == 0 for time, value in ratio if time < int(deploy["time"]))
        assert "KeyError: 'tax_region'" in log_text(info, "checkout")
        assert " ERROR " not in log_text(info, "payments")
        assert not await is_healthy(info)

        unsigned = await wire.call("POST", f"{info.urls['control']}/rollback", timeout_s=5)
        assert unsigned.status == 401

        order = ("--service", "checkout", "--release", good[:12])
        first = await shop_command("rollback", directory, *order, key="key-1")
        second = await shop_command("rollback", directory, *order, key="key-1")

        assert first == second
        assert (first["release"], first["previous"]) == (good, deploy["release"])
        assert len(info.layout.effects.read_text(encoding="utf-8").splitlines()) == 1
        resolved = await next_alert(deliveries, "resolved")
        assert resolved["fingerprint"] == fired["fingerprint"]
        await until(lambda: is_healthy(info))
        state = await shop_command("status", directory)
        assert state["services"]["checkout"]["release"] == good
        assert state["alerts_firing"] == []


async def slow_payments(directory: Path) -> None:
    """Slow payments down after an innocent deploy; checkout pages; a restart heals it."""
    async with running_shop(directory, "slow-payments", 10) as (info, deliveries):
        before = (await health(info))["services"]["payments"]["release"]

        fired = await next_alert(deliveries, "firing")

        (deploy,) = staged(info, "deploy")
        slow_from = first_above(await series(info, "service:latency_p95_seconds", "payments"), 0.25)
        errors_from = first_above(await series(info, "service:error_ratio", "checkout"), 0.02)
        assert fired["labels"]["service"] == "checkout"
        assert deploy["service"] == "checkout"
        assert deploy["time"] < staged(info, "refunds")[0]["time"] < slow_from < errors_from
        assert "upstream timeout payments after 800ms" in log_text(info, "checkout")
        assert "WARN payments ledger pool exhausted waiting=" in log_text(info, "payments")
        assert (await health(info))["services"]["payments"]["release"] == before

        await shop_command("restart", directory, "--service", "payments")

        await next_alert(deliveries, "resolved")
        await until(lambda: is_healthy(info))


async def nothing_wrong(directory: Path) -> None:
    """Let a touchy alert come and go by itself; nothing outlives a director that is killed."""
    async with running_shop(directory, "none", 6) as (info, deliveries):
        fired = await next_alert(deliveries, "firing")
        assert fired["labels"]["alertname"] == "CheckoutErrorsSeen"

        await next_alert(deliveries, "resolved")

        ratio = await series(info, "service:error_ratio", "checkout")
        assert max(value for _, value in ratio) < 0.03
        assert staged(info, "deploy") == []
        assert await is_healthy(info)
        assert deliveries.empty()
        os.kill(info.pids["director"], signal.SIGKILL)
        assert_gone(list(info.pids.values()))


async def test_the_three_stories(tmp_path: Path) -> None:
    """Each fault shows, pages and heals as it should, with three shops side by side."""
    async with asyncio.TaskGroup() as stories:
        stories.create_task(bad_release(tmp_path / "bad-release"))
        stories.create_task(slow_payments(tmp_path / "slow-payments"))
        stories.create_task(nothing_wrong(tmp_path / "none"))

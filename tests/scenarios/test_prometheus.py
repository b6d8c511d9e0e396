"""The same story under a real Prometheus and Alertmanager, which nobody wrote for Muster."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from demo.info import Layout, ShopInfo, ShopNotRunningError
from demo.shop import muster_config, write_prometheus_config
from tests.needs import need_program
from tests.ports import free_port
from tests.scenarios.program import (
    Home,
    Program,
    answers,
    api,
    muster,
    running,
    seen,
    until,
    write_people,
)

BASELINE_S = 20
START_S = 60
ALERT_S = 120
STORY_S = 180
WEBHOOK_TOKEN = "let-alertmanager-in"


@pytest.fixture
def programs() -> tuple[Path, Path]:
    """Return Debian's Prometheus and Alertmanager."""
    return need_program("prometheus"), need_program("prometheus-alertmanager", "alertmanager")


async def test_an_alert_of_a_real_prometheus_is_handled(
    tmp_path: Path, programs: tuple[Path, Path]
) -> None:
    """Scraped, fired, ranked, approved, rolled back, resolved: the answer says fixed."""
    home = Home.new(tmp_path)
    async with _watched_shop(home, programs) as (info, bot, prometheus), api(home, "alice") as http:
        decision = await _approve_first(http, bot)
        assert decision["outcome"] == "approved", decision
        detail = await until(lambda: _ended(http), STORY_S, "the run has ended", bot)

        answer = detail["answer"]["answer"]
        assert answer["finding"] == "fixed", answer
        assert answer["missing"] == []
        assert "Alice" in " ".join(answer["actions"])
        assert {step["status"] for step in detail["run"]["steps"]} <= {"succeeded", "skipped"}
        assert [effect["service"] for effect in _effects(info.layout)] == ["checkout"]
        await until(lambda: _is_resolved(http), ALERT_S, "the incident is resolved", bot)
        assert await _counted(prometheus, 'handler="/api/v1/query_range"') > 0


async def _counted(prometheus: str, label: str) -> float:
    """Return how many requests with this label Prometheus says it has answered."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"http://{prometheus}/metrics")).text.splitlines()
    name = "prometheus_http_requests_total{"
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and label in line)


@asynccontextmanager
async def _watched_shop(
    home: Home, programs: tuple[Path, Path]
) -> AsyncIterator[tuple[ShopInfo, Program, str]]:
    """Run the shop, its two watchers and Muster; yield the shop, Muster, Prometheus' address."""
    prometheus, alertmanager = (f"127.0.0.1:{free_port()}" for _ in programs)
    config_dir, watching = home.directory / "config", home.directory / "watching"
    token_file = home.directory / "webhook.token"
    token_file.write_text(WEBHOOK_TOKEN)
    environ = home.environ(MUSTER_CONFIG_DIR=str(config_dir), MUSTER_WEBHOOK_TOKEN=WEBHOOK_TOKEN)
    async with _shop(home) as info:
        _write_services(info, config_dir, f"http://{prometheus}")
        write_people(config_dir, alice=["oncall"])
        webhook = f"{home.url}/webhooks/alertmanager"
        write_prometheus_config(watching, info, webhook, token_file, alertmanager)
        async with (
            _watcher(programs[0], watching, "prometheus", prometheus, "--storage.tsdb.path=p"),
            _watcher(
                *(programs[1], watching, "alertmanager", alertmanager),
                *("--storage.path=a", "--cluster.listen-address="),
            ),
            muster("up", home=home, environ=environ) as bot,
        ):
            await until(lambda: answers(f"{home.url}/readyz"), START_S, "Muster is ready", bot)
            yield info, bot, prometheus


@asynccontextmanager
async def _watcher(
    program: Path, directory: Path, name: str, address: str, *options: str
) -> AsyncIterator[None]:
    """Run Prometheus or Alertmanager on its written configuration; it listens on loopback only."""
    async with running(
        program,
        f"--config.file={name}.yml",
        f"--web.listen-address={address}",
        *options,
        environ=dict(os.environ),
        output=directory / f"{name}.log",
    ) as watcher:
        await until(lambda: answers(f"http://{address}/-/ready"), START_S, f"{name} is up", watcher)
        yield


@asynccontextmanager
async def _shop(home: Home) -> AsyncIterator[ShopInfo]:
    """Run the shop without a webhook: its own monitor tells nobody."""
    directory = home.directory / "shop"
    options = ("--fault", "bad-release", "--baseline-s", str(BASELINE_S), "--die-with-parent")
    argv = (sys.executable, "-m", "demo.shop", "run", "--dir", str(directory), *options)
    async with running(*argv, environ=home.environ(), output=home.directory / "shop.out") as shop:

        def opened() -> ShopInfo | None:
            try:
                return ShopInfo.load(directory)
            except ShopNotRunningError:
                return None

        yield await seen(opened, START_S, "the shop is open", shop)


def _write_services(info: ShopInfo, config_dir: Path, prometheus: str) -> None:
    """Write services.yaml with the real Prometheus in the place of the shop's monitor."""
    path = muster_config(info, config_dir)
    content = yaml.safe_load(path.read_text())
    for service in content["services"].values():
        service["metrics"]["prometheus"] = prometheus
    path.write_text(yaml.safe_dump(content))


async def _approve_first(http: httpx.AsyncClient, bot: Program) -> dict[str, Any]:
    """Wait for the approval of the fix (others tell customers), and approve what it shows."""

    async def waiting() -> list[dict[str, Any]]:
        found = [
            item["approval"] for item in (await http.get("/api/approvals")).json()["approvals"]
        ]
        return [one for one in found if [c["tool"] for c in one["calls"]] == ["service.rollback"]]

    (approval,) = await until(waiting, BASELINE_S + ALERT_S, "the rollback waits", bot)
    body = {key: approval[key] for key in ("revision", "digest")}
    decided = await http.post(
        f"/api/approvals/{approval['id']}", json=body | {"decision": "approve"}
    )
    outcome: dict[str, Any] = decided.json()
    return outcome


async def _ended(http: httpx.AsyncClient) -> dict[str, Any] | None:
    """Return the only run, once it has ended."""
    (run,) = (await http.get("/api/runs")).json()["runs"]
    if run["ended_at"] is None:
        return None
    detail: dict[str, Any] = (await http.get(f"/api/runs/{run['run_id']}")).json()
    return detail


async def _is_resolved(http: httpx.AsyncClient) -> bool:
    incidents = (await http.get("/api/incidents")).json()["incidents"]
    return [incident["status"] for incident in incidents] == ["resolved"]


def _effects(layout: Layout) -> list[dict[str, Any]]:
    """Return what was done to the shop on request."""
    return [json.loads(line) for line in layout.effects.read_text().splitlines()]

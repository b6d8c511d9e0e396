"""`muster demo`: the whole stack beside a small shop that really breaks.

It keeps its state in a folder of its own and starts afresh each time. Unattended, a script
clicks, and the exit code says whether the shop is in the state that the click should lead to.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from bot.access import DEMO_DIR, Server, SignIn, write_sign_in
from bot.address import console_url, free_port, port_problem
from bot.cli.client import Client, ClientError
from bot.cli.narrate import line
from bot.cli.stack import BAD_START, ROOT, Stack, StackError
from bot.cli.up import run_until_signal, say
from config.settings import Settings
from demo.info import ShopInfo, ShopNotRunningError, health
from demo.muster_config import muster_config
from jobs.apply import apply
from jobs.incident_store import RedisIncidentStore
from jobs.observe import configure_logging
from jobs.redis_client import connect
from jobs.redis_store import RedisStore
from jobs.run import replay
from jobs.state import ApprovalStatus, CallStatus, Run

APPROVER = "alice"
PEOPLE = {
    "alice": {"name": "Alice", "groups": ["oncall"]},
    "bob": {"name": "Bob", "groups": ["oncall", "leads"]},
}
LOG_FILE = "muster.log"
SHOP_START_S = 20.0
BOT_START_S = 60.0
STORY_S = 300.0
"""The most that an unattended story may take after the healthy baseline."""
HEALTHY_WITHIN_S = 60.0
CLICK_EVERY_S = 0.5
SERVICE_TOOLS = "service."


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the person at the terminal asked for."""

    fault: str
    is_unattended: bool
    is_denied: bool
    baseline_s: float


@dataclass(slots=True)
class _Stage:
    """Where the demo runs, and what it made to run there."""

    settings: Settings
    options: DemoOptions
    url: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    sign_in: SignIn = field(default_factory=lambda: SignIn.new(tuple(PEOPLE)))
    shop: asyncio.subprocess.Process | None = None
    began_at: float = field(default_factory=time.time)

    @property
    def shop_dir(self) -> Path:
        """Where the shop keeps its files."""
        return self.settings.state_dir / "shop"

    @property
    def config_dir(self) -> Path:
        """Where the catalogue of the demo is written."""
        return self.settings.state_dir / "config"

    @property
    def client(self) -> Client:
        """Alice's access to the bot."""
        return Client(Server(self.url, self.sign_in.token))


def run_demo(settings: Settings, environ: Mapping[str, str], options: DemoOptions) -> int:
    """Run the demo until Ctrl-C or, unattended, until it is judged; returns the exit code."""
    configure_logging("ERROR")
    if problem := port_problem(settings.host, settings.port):
        say(problem)
        return BAD_START
    port = settings.port or free_port(settings.host)  # The shop's alerts have to know it.
    own = {"state_dir": settings.state_dir / DEMO_DIR, "redis_url": None, "drain_s": 3.0}
    stage = _Stage(
        settings.model_copy(update={**own, "port": port}),
        options,
        url=console_url(settings.host, port),
    )
    return run_until_signal(_demo(stage, environ))


async def _demo(stage: _Stage, environ: Mapping[str, str]) -> int:
    settings = stage.settings
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    child_environ = {
        **{name: value for name, value in environ.items() if name != "MUSTER_REDIS_URL"},
        "MUSTER_STATE_DIR": str(settings.state_dir),
        "MUSTER_CONFIG_DIR": str(stage.config_dir),
        "MUSTER_PORT": str(settings.port),
        "MUSTER_HOST": settings.host,
        "MUSTER_DRAIN_S": str(settings.drain_s),
        "MUSTER_WEBHOOK_TOKEN": stage.token,
    }

    async def prepare(redis_url: str) -> None:
        await _forget_last_time(redis_url)
        stage.shop = await _start_shop(stage, child_environ)
        _write_config(stage)

    log_file = settings.state_dir / LOG_FILE
    log_file.unlink(missing_ok=True)
    stack = Stack(settings, child_environ, prepare=prepare, log_file=log_file)
    try:
        async with stack:
            keeping = asyncio.create_task(stack.run())
            story = asyncio.create_task(_story(stage, stack.redis_url))
            done, _ = await asyncio.wait({keeping, story}, return_when=asyncio.FIRST_COMPLETED)
            for task in (keeping, story):
                task.cancel()
            await asyncio.gather(keeping, story, return_exceptions=True)
            return story.result() if story in done else _failed(keeping)
    finally:
        await _stop_shop(stage)


def _failed(keeping: asyncio.Task[None]) -> int:
    keeping.result()
    return 1


async def _forget_last_time(redis_url: str) -> None:
    client = connect(redis_url)
    await client.flushall()
    await client.aclose()


async def _start_shop(stage: _Stage, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
    log = stage.settings.state_dir / "shop.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "demo.shop", "run", "--die-with-parent"),
            *("--dir", str(stage.shop_dir), "--fault", stage.options.fault),
            *("--webhook", f"{stage.url}/webhooks/alertmanager"),
            *("--webhook-token-env", "MUSTER_WEBHOOK_TOKEN"),
            *("--baseline-s", str(stage.options.baseline_s)),
            cwd=ROOT,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    async with asyncio.timeout(SHOP_START_S):
        while not _shop_is_up(stage, process):
            if process.returncode is not None:
                raise StackError(f"The shop did not start; see {log}")
            await asyncio.sleep(0.05)
    return process


def _shop_is_up(stage: _Stage, process: asyncio.subprocess.Process) -> bool:
    try:
        info = ShopInfo.load(stage.shop_dir)
    except ShopNotRunningError:
        return False
    return process.pid in info.pids.values()


async def _stop_shop(stage: _Stage) -> None:
    if stage.shop is None or stage.shop.returncode is not None:
        return
    stage.shop.terminate()
    try:
        async with asyncio.timeout(5):
            await stage.shop.wait()
    except TimeoutError:
        stage.shop.kill()
        await stage.shop.wait()


def _write_config(stage: _Stage) -> None:
    """Write the demo's catalogue: the shop's services, and two people to try four eyes with."""
    stage.config_dir.mkdir(parents=True, exist_ok=True)
    muster_config(ShopInfo.load(stage.shop_dir), stage.config_dir)
    people = {name: dict(person) for name, person in PEOPLE.items()}
    people[APPROVER]["token_sha256"] = hashlib.sha256(stage.sign_in.token.encode()).hexdigest()
    (stage.config_dir / "people.yaml").write_text(yaml.safe_dump({"people": people}))
    write_sign_in(stage.settings.state_dir, stage.sign_in)


async def _story(stage: _Stage, redis_url: str) -> int:
    """Tell what happens; unattended, click, judge, and return the exit code."""
    await _bot_is_up(stage)
    say(f"Open {stage.sign_in.link(stage.url)}")
    baseline = stage.options.baseline_s
    _tell(stage, f"The shop is open and healthy. In about {baseline:.0f} s something goes wrong.")
    client = connect(redis_url)
    telling = asyncio.create_task(_narrate(stage, RedisStore(client)))
    incidents = asyncio.create_task(_narrate_incidents(stage, RedisIncidentStore(client)))
    try:
        if not stage.options.is_unattended:
            await asyncio.gather(telling, incidents)
        run = await _attend(stage, RedisStore(client))
        problems = await _judge(stage, run)
    except TimeoutError:
        problems = [f"nothing came to an end within {STORY_S:.0f} s; see the log files"]
    finally:
        for task in (telling, incidents):
            task.cancel()
        await asyncio.gather(telling, incidents, return_exceptions=True)
        await client.aclose()
    for problem in problems:
        _tell(stage, f"NOT as it should be: {problem}")
    if not problems:
        _tell(stage, "As it should be.")
    return 1 if problems else 0


async def _bot_is_up(stage: _Stage) -> None:
    async with asyncio.timeout(BOT_START_S), httpx.AsyncClient() as http:
        while True:
            with suppress(httpx.HTTPError):
                if (await http.get(f"{stage.url}/healthz")).is_success:
                    return
            await asyncio.sleep(0.05)


async def _narrate(stage: _Stage, store: RedisStore) -> None:
    """Print a line for each event of each run."""
    known: dict[str, Run] = {}
    async for batch in store.changes("0"):
        for change in batch:
            run = known.get(change.run_id)
            seen = run.version if run else 0
            for stored in await store.events(change.run_id, seen):
                run = apply(run, stored.event) if run else replay(change.run_id, [stored.event])
                known[change.run_id] = run
                if text := line(run, stored.event):
                    _tell(stage, text)


async def _narrate_incidents(stage: _Stage, store: RedisIncidentStore) -> None:
    """Print a line when an incident opens or changes its status."""
    told: dict[str, str] = {}
    async for part in store.changes("0"):
        for incident_id in part.incident_ids:
            incident = await store.get(incident_id)
            if incident is not None and told.get(incident_id) != incident.status:
                told[incident_id] = incident.status
                _tell(stage, f"Incident {incident.title}: {incident.status}")


def _tell(stage: _Stage, text: str) -> None:
    seconds = int(time.time() - stage.began_at)
    sys.stdout.write(f"{seconds // 60:2d}:{seconds % 60:02d}  {text}\n")
    sys.stdout.flush()


async def _attend(stage: _Stage, store: RedisStore) -> Run:
    """Click as asked whenever something waits, until the first run has ended."""
    async with asyncio.timeout(stage.options.baseline_s + STORY_S):
        while True:
            for run_id in await store.run_ids():
                run = await store.load(run_id)
                if run is not None and run.is_over:
                    return run
            with suppress(ClientError):
                await asyncio.to_thread(_click, stage)
            await asyncio.sleep(CLICK_EVERY_S)


def _click(stage: _Stage) -> None:
    for item in stage.client.get("/api/approvals")["approvals"]:
        approval = item["approval"]
        decision: dict[str, Any] = {
            "decision": "deny" if stage.options.is_denied else "approve",
            "revision": approval["revision"],
            "digest": approval["digest"],
            "comment": "clicked by the demo's script",
        }
        stage.client.post(f"/api/approvals/{approval['id']}", decision)


async def _judge(stage: _Stage, run: Run) -> list[str]:
    """Return what is not as the click should have left it."""
    info = ShopInfo.load(stage.shop_dir)
    effects = _effects(info)
    checks: list[tuple[bool, str]] = [(run.answer is not None, "the run has no answer")]
    if stage.options.fault == "none":
        finding = run.answer.finding.value if run.answer else ""
        checks += [
            (not effects, f"nothing was wrong, and still something was done: {effects}"),
            (not run.approvals, "nothing was wrong, and still an approval was asked"),
            (finding == "healthy", f"the answer says {finding}, and not that all is well"),
        ]
    elif stage.options.is_denied:
        denied = [
            approval
            for approval in run.approvals.values()
            if approval.status is ApprovalStatus.DENIED
            and any(_acts(call.tool) for call in approval.calls)
        ]
        checks += [
            (len(denied) == 1, f"{len(denied)} approvals were denied instead of one"),
            (not effects, f"it was denied, and still something was done: {effects}"),
            (
                not any(_acts(call.tool) for call in run.calls.values()),
                "it was denied, and still a call was begun",
            ),
        ]
    else:
        checks += _fixed(run, effects)
        checks.append((await _turns_healthy(info), "the shop is not healthy again"))
    return [sentence for is_so, sentence in checks if not is_so]


def _fixed(run: Run, effects: list[dict[str, Any]]) -> list[tuple[bool, str]]:
    """Return the checks that exactly the approved call took effect, once."""
    approved = {
        f"{run.id}/{call.key}"
        for call in run.calls.values()
        if _acts(call.tool)
        and call.status is CallStatus.SUCCEEDED
        and call.approval_id in run.approvals
        and run.approvals[call.approval_id].status is ApprovalStatus.APPROVED
    }
    keys = [effect["key"] for effect in effects]
    return [
        (len(approved) == 1, f"{len(approved)} approved calls succeeded instead of one"),
        (
            keys == sorted(approved),
            f"the effects on the shop are {keys}, those approved {sorted(approved)}",
        ),
    ]


def _acts(tool: str) -> bool:
    """Whether a tool acts on the shop itself, and does not only tell people."""
    return tool.startswith(SERVICE_TOOLS)


def _effects(info: ShopInfo) -> list[dict[str, Any]]:
    path = Path(info.layout.effects)
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(text) for text in lines]


async def _turns_healthy(info: ShopInfo) -> bool:
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline:
        if (await health(info))["healthy"]:
            return True
        await asyncio.sleep(1)
    return False

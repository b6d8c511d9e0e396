"""Faults that no crash point covers: Redis dies, a worker stands still, people wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis

from jobs.embedded import EmbeddedRedis, attach
from jobs.redis_client import connect_sync
from jobs.state import Run, Status
from tests.crash.judge import Evidence
from tests.crash.parts import (
    BOT,
    SHORT_LEASE_WORKERS,
    UP,
    child,
    part,
    stopped,
    worker_process,
)
from tests.crash.people import NoAnswerError, People
from tests.crash.world import WEBHOOK_TOKEN, World, build

LIMIT_S = 60.0
"""How long a test waits for what must happen; it never waits for time to pass."""
LOOK_S = 0.02


class Scene:
    """A world with its people, and a look into its Redis."""

    def __init__(self, world: World, client: redis.Redis) -> None:
        self.world = world
        self.evidence = Evidence(client)
        self.people = People(world, started_at=datetime.now(UTC).isoformat())

    def run(self) -> Run | None:
        """Return the only run, None before it has started."""
        return next(iter(self.evidence.runs()), None)

    def act(self, until: Callable[[], Any], *, decides: bool = True) -> None:
        """Let the people act until something holds."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with suppress(NoAnswerError, redis.ConnectionError):
                if until():
                    return
                self.people.sound_alarm()
                if decides and self.evidence.waits_for_decision():
                    self.people.decide()
                for run in self.evidence.runs():
                    self.people.say_what_happened(run)
                self.people.end_alarm()
            time.sleep(LOOK_S)
        raise AssertionError(f"it did not happen; see:\n{self.world.log_file.read_text()[-8000:]}")

    def finish(self, *, workers: int = 1) -> None:
        """Let the story end, and see that it ended as if nothing had happened."""
        problems: list[str] = []

        def is_tidy() -> bool:
            problems[:] = self.evidence.problems(self.world, None, workers=workers)
            return not problems

        try:
            self.act(is_tidy)
        except AssertionError as error:
            raise AssertionError(f"{problems}\n{error}") from error


@contextmanager
def scene_of_up(folder: Path) -> Iterator[tuple[Scene, psutil.Process]]:
    """Start everything with `muster up`, and return the process that watches over it."""
    world = build(folder)
    with part(world, "", *UP) as up:
        running = attach(world.settings.state_dir)
        deadline = time.monotonic() + LIMIT_S
        while running is None and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            running = attach(world.settings.state_dir)
        assert running is not None, world.log_file.read_text()
        with connect_sync(running.url) as client:
            yield Scene(world, client), up


def test_story_outlives_its_redis(tmp_path: Path) -> None:
    """Redis is killed while a write is under way: it comes back, and nothing was lost."""
    with scene_of_up(tmp_path / "world") as (scene, _):
        scene.act(lambda: scene.world.effects())
        running = attach(scene.world.settings.state_dir)
        assert running is not None
        psutil.Process(running.pid).send_signal(signal.SIGKILL)

        scene.finish()


def test_approval_outlives_the_bot(tmp_path: Path) -> None:
    """The bot is killed while an approval waits: the next bot shows it, and a click counts."""
    with scene_of_up(tmp_path / "world") as (scene, up):
        scene.act(scene.evidence.waits_for_decision, decides=False)
        child(up, *BOT).send_signal(signal.SIGKILL)
        assert scene.world.effects() == []

        scene.finish()


def test_delivery_waits_for_redis(tmp_path: Path) -> None:
    """Without Redis the sender hears 503; what it sends again is accepted, once."""
    world = build(tmp_path / "world")
    alert = {
        "status": "firing",
        "labels": {"alertname": "Broken", "service": "shop"},
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": "f00d",
    }
    body = {"version": "4", "alerts": [alert]}
    headers = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}

    def deliver() -> int:
        with suppress(httpx.TransportError):
            url = f"{world.url}/webhooks/alertmanager"
            return httpx.post(url, json=body, headers=headers, timeout=LIMIT_S).status_code
        return 0

    def deliver_until_answered() -> int:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if status := deliver():
                return status
            time.sleep(LOOK_S)
        raise AssertionError(world.log_file.read_text()[-8000:])

    with EmbeddedRedis(tmp_path / "redis") as server, part(world, server.url, *BOT):
        with suppress(httpx.TransportError):
            httpx.get(f"{world.url}/healthz")
        deadline = time.monotonic() + LIMIT_S
        while not _answers(world) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        psutil.Process(server.pid).kill()

        assert deliver_until_answered() == 503

        server.restart()
        assert [deliver_until_answered(), deliver_until_answered()] == [202, 200]
        with connect_sync(server.url) as client:
            scene = Scene(world, client)
            scene.act(scene.run)
            assert len(scene.evidence.runs()) == 1


def test_worker_that_stood_still_is_fenced_off(tmp_path: Path) -> None:
    """A worker that is not heard of loses its step; when it wakes, its outcome counts no more."""
    world = build(tmp_path / "world", effect_s=0.3)
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        connect_sync(server.url) as client,
        part(world, server.url, *BOT),
        part(world, server.url, *SHORT_LEASE_WORKERS),
        part(world, server.url, *SHORT_LEASE_WORKERS),
    ):
        scene = Scene(world, client)
        scene.act(lambda: "restart" in world.effects())
        run = scene.run()
        assert run is not None
        step = run.steps["restart"]
        assert step.status is Status.RUNNING

        with stopped(worker_process(step.worker)):
            scene.act(lambda: (after := scene.run()) and after.is_over)

        scene.finish(workers=2)
        after = scene.run()
        assert after is not None
        assert after.steps["restart"].attempt > step.attempt
        assert after.steps["restart"].worker != step.worker
        assert scene.people.answers == ["done"]


def _answers(world: World) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{world.url}/healthz").is_success
    return False

"""One story from alert to answer, with at most one process killed on the way.

A stage is a Redis and a world; each story on it begins with nothing, and with new processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import redis

from config.contents import Catalogue
from jobs.assembly import read_catalogue
from jobs.embedded import EmbeddedRedis
from jobs.redis_client import connect_sync
from tests.crash.judge import Ending, Evidence, ending
from tests.crash.killing import Killer
from tests.crash.model import Bill, ModelProcess, model_process
from tests.crash.people import NoAnswerError, People
from tests.crash.processes import NOBODY, Child, fork_bot, fork_workers
from tests.crash.tales import Tale
from tests.crash.world import World, begin, build

Victim = Literal["worker", "bot"]

LIMIT_S = 60.0
"""A story takes about a second; what hangs for this long will not end."""
SETTLE_S = 20.0
"""How long after the run's end everything else must be tidy."""
CALM_S = 0.05
"""What is done twice is done again soon: look once more after this."""
LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process is killed: right before or right after its n-th write."""

    victim: Victim
    write: int
    is_after: bool

    def __str__(self) -> str:
        """Return the point in words."""
        return f"{self.victim} {'after' if self.is_after else 'before'} write {self.write}"


@dataclass(frozen=True, slots=True)
class Told:
    """How a story went."""

    point: Point | None
    problems: tuple[str, ...]
    ending: Ending | None
    seconds: float
    writes: int
    """How many writes the victim had sent when it died, or in all."""
    is_killed: bool
    label: str
    """The write at which it died."""
    answers: tuple[str, ...]
    bill: Bill


@dataclass(slots=True)
class Stage:
    """Where stories happen, one after the other."""

    world: World
    catalogue: Catalogue
    redis_url: str
    client: redis.Redis
    model: ModelProcess | None = None

    def tell(self, point: Point | None, expected: Ending | None, victim: Victim) -> Told:
        """Let one story happen from the beginning, and return what is wrong in the end.

        Without a point the victim's writes are counted, and nobody is killed.
        """
        self.client.flushall()
        begin(self.world)
        if self.model is not None:
            self.model.forget()
        killer = Killer(point.write, point.is_after) if point else Killer(0, is_after=False)
        cast = _Cast(self, killer, victim)
        began = time.monotonic()
        try:
            problems = self._play(cast, expected)
            runs = Evidence(self.client).runs()
        finally:
            cast.leave()
        bill = self.model.bill() if self.model is not None else Bill()
        return Told(
            point=point,
            problems=(*problems, *self._of_bill(bill, point)),
            ending=ending(runs[0]) if len(runs) == 1 else None,
            seconds=time.monotonic() - began,
            writes=killer.tally.writes,
            is_killed=killer.tally.is_killed,
            label=killer.tally.label,
            answers=tuple(cast.people.answers),
            bill=bill,
        )

    def _of_bill(self, bill: Bill, point: Point | None) -> Iterator[str]:
        for name in bill.paid_twice:
            yield f"a finished model call was made again: {name}"
        excused = self.world.tale.at_work if point and point.victim == "worker" else 0
        if len(bill.cut_off) > excused:
            yield f"{len(bill.cut_off)} replies were not kept, and at most {excused} can be lost"
        for sentence in bill.refused:
            yield f"the model refused a request: {sentence}"

    def _play(self, cast: _Cast, expected: Ending | None) -> list[str]:
        evidence = Evidence(self.client)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            cast.revive()
            with suppress(NoAnswerError):
                cast.people.sound_alarm()
                runs = evidence.runs()
                if evidence.waits_for_decision():
                    cast.people.decide()
                for run in runs:
                    cast.people.say_what_happened(run)
                cast.people.end_alarm()
                if runs and all(run.is_over for run in runs) and cast.people.is_end_told:
                    break
            time.sleep(LOOK_S)
        deadline = time.monotonic() + SETTLE_S
        while True:
            cast.revive()
            problems = evidence.problems(self.world, expected)
            if not problems:
                time.sleep(CALM_S)
                problems = evidence.problems(self.world, expected)
            if not problems or time.monotonic() >= deadline:
                return problems
            time.sleep(LOOK_S)


class _Cast:
    """The processes and people of one story."""

    def __init__(self, stage: Stage, killer: Killer, victim: Victim) -> None:
        self._stage = stage
        self._victim = victim
        self.people = People(stage.world, started_at=datetime.now(UTC).isoformat())
        self._bot = self._start_bot(killer if victim == "bot" else NOBODY)
        self._workers = self._start_workers(killer if victim == "worker" else NOBODY)

    def revive(self) -> None:
        """Start again what died; the worker parent sees to its workers itself."""
        if not self._bot.is_alive():
            self._bot = self._start_bot(NOBODY)
        if not self._workers.is_alive():
            self._workers = self._start_workers(NOBODY)

    def leave(self) -> None:
        """End all of them."""
        self._bot.kill()
        self._workers.kill()

    def _start_bot(self, killer: Killer) -> Child:
        stage = self._stage
        return fork_bot(stage.world, stage.catalogue, stage.redis_url, killer)

    def _start_workers(self, killer: Killer) -> Child:
        stage = self._stage
        return fork_workers(stage.world, stage.catalogue, stage.redis_url, killer)


@contextmanager
def stage(folder: Path, tale: Tale) -> Iterator[Stage]:
    """Build a world, and start its Redis and its model."""
    world = build(folder, tale)
    catalogue = read_catalogue(world.settings)
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedRedis(folder / "redis"))
        model = None
        if tale.model_calls:
            model = stack.enter_context(model_process(world, server.url))
        client = connect_sync(server.url, max_connections=1)
        stack.callback(client.close)
        yield Stage(world, catalogue, server.url, client, model)

"""The model of the thinking tale: a server in a process of its own that writes down each call.

Its record is judged in the end: a call whose reply the step's journal held may not be made again.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Any

from jobs import redis_store
from jobs.redis_client import connect_sync
from tests.crash.processes import fork
from tests.crash.script import Line, line
from tests.crash.world import World
from tests.model_server import Asked, ModelServer, Reply
from tests.model_server.counting import Ledger

BEGUN, ENDED, REFUSED = "begun", "ended", "refused"
START_S = 20.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Bill:
    """What a story's model calls came to."""

    calls: int = 0
    paid_twice: tuple[str, ...] = ()
    """Calls made again although their reply had been kept."""
    cut_off: tuple[str, ...] = ()
    """Calls made again because nobody had kept their reply when their worker died."""
    refused: tuple[str, ...] = ()
    """What the server found wrong with requests."""


class _Diary(Ledger):
    """A ledger that writes each call to a file, with whether its reply is in a journal already."""

    def __init__(self, path: Path, redis_url: str) -> None:
        super().__init__()
        self._path = path
        self._redis: Any = connect_sync(redis_url, max_connections=1)

    def begin(self, body: dict[str, Any], key: str) -> Asked:
        """Count a call that begins, and look whether it was paid for before."""
        asked = super().begin(body, key)
        said = line(asked)
        self._note(BEGUN, said.step_id, said.name, is_kept=self._is_kept(said))
        return asked

    def end(self, asked: Asked, status: int, *, is_finished: bool) -> None:
        """Count a call that ended."""
        super().end(asked, status, is_finished=is_finished)
        said = line(asked)
        if is_finished:
            self._note(ENDED, said.step_id, said.name, is_kept=False)

    def refuse(self, sentence: str) -> None:
        """Count a request that was wrong."""
        super().refuse(sentence)
        self._note(REFUSED, "", sentence, is_kept=False)

    def _is_kept(self, said: Line) -> bool:
        for run_id in self._redis.zrange(redis_store.RUNS, 0, -1):
            kept = self._redis.lrange(redis_store.journal_key(run_id.decode(), said.step_id), 0, -1)
            if any(said.is_kept_as(json.loads(entry)["key"]) for entry in kept):
                return True
        return False

    def _note(self, what: str, step_id: str, name: str, *, is_kept: bool) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps([what, step_id, name, is_kept]) + "\n")


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A running model server and what it wrote down."""

    path: Path

    def forget(self) -> None:
        """Begin a new story."""
        self.path.unlink(missing_ok=True)

    def bill(self) -> Bill:
        """Return what the calls of this story came to."""
        if not self.path.exists():
            return Bill()
        return read_bill([json.loads(text) for text in self.path.read_text().splitlines()])


def read_bill(notes: Sequence[tuple[str, str, str, bool]]) -> Bill:
    """Return what the noted calls came to.

    A reply was kept when the journal says so, and also when its step had gone on to another call:
    so a journal that loses entries is found out too.
    """
    calls = 0
    ended: Counter[str] = Counter()
    latest: dict[str, str] = {}
    paid_twice: list[str] = []
    cut_off: list[str] = []
    refused: list[str] = []
    for what, step_id, name, is_kept in notes:
        if what == REFUSED:
            refused.append(name)
        elif what == ENDED:
            ended[name] += 1
        else:
            calls += 1
            if ended[name]:
                is_paid_twice = is_kept or latest.get(step_id) != name
                (paid_twice if is_paid_twice else cut_off).append(name)
            latest[step_id] = name
    return Bill(calls, tuple(paid_twice), tuple(cut_off), tuple(refused))


@contextmanager
def model_process(world: World, redis_url: str) -> Iterator[ModelProcess]:
    """Run the model of a world in a process of its own: whoever forks has no threads."""
    path = world.folder / "model-calls"

    def live() -> None:
        server = ModelServer(_answer, port=world.model_port)
        server.ledger = _Diary(path, redis_url)
        server.serve()

    child = fork(live, world.log_file)
    try:
        _wait_for(world.model_port)
        yield ModelProcess(path)
    finally:
        child.kill()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with closing(create_connection(("127.0.0.1", port))):
                return
        except OSError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(LOOK_S)


def _answer(asked: Asked) -> Reply:
    return line(asked).reply

"""The crash-point sweep: kill the worker, then the bot, at every write, and compare the endings.

`python -m tests.crash.sweep` tries every point of both tales, the one with runbooks and the one
with models; `--short` a spread of them. The last line is `points tried: N, model calls: C, paid
twice: T, violations: M`; the exit code is 1 when there is a violation. With `--broken` a fault is
built in that has to be found.
"""

from __future__ import annotations

import argparse
import mmap
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, get_args

from agents.models import lite
from tests.crash.breaking import FAULTS, build_in
from tests.crash.judge import Ending
from tests.crash.story import Point, Told, Victim, stage
from tests.crash.tales import NAMES, TALES, Tale

LANES = 2
"""Stories told at the same time; each has a Redis of its own."""
SHORT_POINTS = 10
"""Of each victim of each tale."""
BEYOND = 1_000
"""Nobody writes this often: the sweep goes on until a point is not reached any more."""
UNDISTURBED = 2
ENOUGH = 10
"""After so many violations the rest of the points would say nothing new."""


@dataclass(slots=True)
class Score:
    """What the sweep found so far."""

    tried: int = 0
    not_reached: int = 0
    violations: int = 0
    model_calls: int = 0
    paid_twice: int = 0
    cut_off: int = 0
    slowest: list[tuple[float, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def count(self, told: Told) -> None:
        """Count a story, and print what is wrong with it."""
        self.answers += told.answers
        self.model_calls += told.bill.calls
        self.paid_twice += len(told.bill.paid_twice)
        self.cut_off += len(told.bill.cut_off)
        if told.is_killed:
            self.tried += 1
            self.slowest.append((told.seconds, f"{told.point} ({told.label})"))
        else:
            self.not_reached += 1
        self.violations += bool(told.problems)
        for problem in told.problems:
            say(f"VIOLATION {told.point} ({told.label}): {problem}")


def main(argv: Sequence[str]) -> int:
    """Run the sweep; returns the exit code."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    if options.fault:
        build_in(options.fault)
    if any(tale.model_calls for tale in options.tales):
        lite.warm()  # Once: all processes of all stories are forked from this one.
    began = time.monotonic()
    score = Score()
    with tempfile.TemporaryDirectory(prefix="muster-crash-") as folder:
        home = Path(folder)
        for tale in options.tales:
            for victim in options.victims:
                _sweep(tale, victim, options, home, score)
    score.slowest.sort(reverse=True)
    for seconds, what in score.slowest[: options.slowest]:
        say(f"slow: {seconds:.1f} s, {what}")
    asked = ", ".join(f"{score.answers.count(a)} x {a}" for a in sorted(set(score.answers)))
    say(f"people were asked about unknown outcomes: {asked or 'never'}")
    if score.not_reached:
        say(f"points not reached, because the processes had less to write: {score.not_reached}")
    say(f"took {time.monotonic() - began:.0f} s")
    if score.cut_off:
        say(f"calls repeated because their reply died with the worker: {score.cut_off}")
    say(
        f"points tried: {score.tried}, model calls: {score.model_calls}, "
        f"paid twice: {score.paid_twice}, violations: {score.violations}"
    )
    return 1 if score.violations or not score.tried else 0


@dataclass(frozen=True, slots=True)
class Options:
    """What to try."""

    tales: tuple[Tale, ...]
    victims: tuple[Victim, ...]
    is_short: bool
    lanes: int
    slowest: int
    points: tuple[int, ...]
    log: Path | None
    fault: str


def _options(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.sweep", description=__doc__)
    victims: tuple[Victim, ...] = get_args(Victim)
    parser.add_argument("--tale", choices=NAMES, help="only this one")
    parser.add_argument("--victim", choices=victims, help="only this one")
    parser.add_argument("--short", action="store_true", help="a spread of the points")
    parser.add_argument("--lanes", type=int, default=LANES, help="stories at the same time")
    parser.add_argument("--slowest", type=int, default=3, help="how many slow points to name")
    parser.add_argument("--points", type=int, nargs="*", default=(), help="only these writes")
    parser.add_argument("--log", type=Path, help="keep the processes' log of bad stories here")
    parser.add_argument("--broken", choices=tuple(FAULTS), default="", help="build in a fault")
    given = parser.parse_args(argv)
    return Options(
        tales=tuple(TALES[name] for name in ([given.tale] if given.tale else NAMES)),
        victims=(given.victim,) if given.victim else victims,
        is_short=given.short,
        lanes=given.lanes,
        slowest=given.slowest,
        points=tuple(given.points),
        log=given.log,
        fault=given.broken,
    )


def _sweep(tale: Tale, victim: Victim, options: Options, home: Path, score: Score) -> None:
    """Try the points of one victim of one tale."""
    with stage(home / f"{tale.name[0]}-{victim}-0", tale) as here:
        calm = [here.tell(None, None, victim) for _ in range(UNDISTURBED)]
        expected = calm[0].ending
        for told in calm:
            for problem in told.problems:
                sys.exit(f"the undisturbed {tale.name} tale went wrong: {problem}")
        if expected is None:
            sys.exit(f"the undisturbed {tale.name} tale has no run")
        writes = max(told.writes for told in calm)
        say(
            f"{tale.name}, {victim}: {writes} writes and {calm[-1].bill.calls} model calls in an "
            f"undisturbed tale of {calm[-1].seconds:.1f} s"
        )
        numbers = options.points or range(1, writes + 1)
        points = [Point(victim, n, is_after) for n in numbers for is_after in (False, True)]
        if options.is_short:
            points = _spread(points, SHORT_POINTS)
        enough = mmap.mmap(-1, 1)
        for told in _tell_all(tale, points, expected, options, home, enough):
            score.count(told)
            if score.violations >= ENOUGH:
                enough[0] = 1
        if enough[0]:
            say(f"{score.violations} violations are enough: the sweep of the {victim} stops here")
            return
        if options.is_short or options.points:
            return
        for number in range(writes + 1, BEYOND):
            told = here.tell(Point(victim, number, is_after=True), expected, victim)
            score.count(told)
            if not told.is_killed:
                return


def _spread(points: Sequence[Point], count: int) -> list[Point]:
    """Return so many of the points, spread evenly, the first and the last among them."""
    if len(points) <= count:
        return list(points)
    last = len(points) - 1
    return [points[round(index * last / (count - 1))] for index in range(count)]


def _tell_all(
    tale: Tale,
    points: Sequence[Point],
    expected: Ending,
    options: Options,
    home: Path,
    enough: mmap.mmap,
) -> Iterator[Told]:
    """Tell the stories in several processes, since each forks and waits for its children."""
    lanes = [
        _lane(tale, points[n :: options.lanes], expected, options, home, enough, n)
        for n in range(options.lanes)
    ]
    alive = {pid for pid, _ in lanes}
    try:
        for pid, output in lanes:
            with output:
                while True:
                    try:
                        told = pickle.load(output)  # noqa: S301 - written by our own fork
                    except EOFError:
                        break
                    yield told
            _, status = os.waitpid(pid, 0)
            alive.discard(pid)
            if status:
                sys.exit(f"a lane of the sweep ended with {os.waitstatus_to_exitcode(status)}")
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def _lane(
    tale: Tale,
    points: Sequence[Point],
    expected: Ending,
    options: Options,
    home: Path,
    enough: mmap.mmap,
    number: int,
) -> tuple[int, IO[bytes]]:
    """Fork a process that tells the stories of these points; return its pid and its output.

    It goes on until somebody sets the byte `enough`, which they share.
    """
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        return pid, os.fdopen(readable, "rb")
    code = 1
    try:
        os.close(readable)
        with os.fdopen(writable, "wb") as output:
            victim = points[0].victim if points else "bot"
            with stage(home / f"{tale.name[0]}-{victim}-lane{number}", tale) as here:
                for point in points:
                    if enough[0]:
                        break
                    here.world.log_file.unlink(missing_ok=True)
                    told = here.tell(point, expected, victim)
                    if told.problems and options.log is not None:
                        text = here.world.log_file.read_text()
                        name = f"{tale.name}-{point}".replace(" ", "-")
                        options.log.mkdir(parents=True, exist_ok=True)
                        (options.log / f"{name}.log").write_text(text)
                    pickle.dump(told, output)
                    output.flush()
        code = 0
    except BaseException as error:
        say(f"lane {number}: {type(error).__name__}: {error}")
    finally:
        os._exit(code)


def say(sentence: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

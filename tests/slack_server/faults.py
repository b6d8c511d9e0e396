"""What can be made to go wrong with a call, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

ANY = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `after_write`: the call has done its work by then."""

    kind: Literal["status", "error", "ratelimited", "cut", "slow"]
    after_write: bool = False
    status: int = 500
    error: str = ""
    seconds: float = 0.0
    in_body: bool = False


def failing(status: int = 500, *, after_write: bool = False) -> Fault:
    """Answer with an HTTP status and a page instead of JSON."""
    return Fault("status", after_write, status=status)


def refusing(error: str) -> Fault:
    """Answer `ok: false` with this error; nothing is done."""
    return Fault("error", error=error)


def limiting(retry_after_s: float = 1.0, *, in_body: bool = False) -> Fault:
    """Say that it is too much: as HTTP 429, or `in_body` as HTTP 200 without any header."""
    return Fault("ratelimited", seconds=retry_after_s, in_body=in_body)


def cutting(*, after_write: bool = False) -> Fault:
    """Cut the connection: before anything is done, or when only the answer is missing."""
    return Fault("cut", after_write)


def slowing(seconds: float, *, after_write: bool = True) -> Fault:
    """Answer late; the work is done at once, or after the wait."""
    return Fault("slow", after_write, seconds=seconds)


Where = Callable[[dict[str, Any]], bool]


@dataclass(slots=True)
class _Planned:
    method: str
    fault: Fault
    left: int
    where: Where | None


@dataclass(slots=True)
class Faults:
    """The faults that are still to come, used in the order in which they were planned."""

    _planned: list[_Planned] = field(default_factory=list)

    def plan(self, method: str, fault: Fault, times: int, where: Where | None) -> None:
        """Let the next calls of a method go wrong; `*` is any method."""
        self._planned.append(_Planned(method, fault, times, where))

    def take(self, method: str, args: dict[str, Any]) -> Fault | None:
        """Return what goes wrong with this call."""
        for planned in self._planned:
            if planned.method not in {method, ANY}:
                continue
            if planned.where is not None and not planned.where(args):
                continue
            planned.left -= 1
            if planned.left <= 0:
                self._planned.remove(planned)
            return planned.fault
        return None

    @property
    def left(self) -> int:
        """How many faults have not happened yet."""
        return sum(planned.left for planned in self._planned)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._planned.clear()

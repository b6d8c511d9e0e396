"""What is sent to the app: deliveries and their attempts, until acknowledged or given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tests.slack_server.limits import Limits
from tests.slack_server.state import Json

Kind = Literal["events_api", "slash_commands", "interactive"]


@dataclass(slots=True)
class Attempt:
    """One try. `error` says why it failed; `took_s` how long the acknowledgement took."""

    number: int
    reason: str
    sent_at: float
    via: str = ""
    """The socket's id, or the address."""
    error: str = ""
    took_s: float | None = None
    is_late: bool = False
    """Acknowledged after the app's time was up."""
    is_last: bool = False
    """The app asked not to be sent this again."""

    @property
    def is_acked(self) -> bool:
        """Whether the app acknowledged it in time."""
        return self.took_s is not None and not self.is_late


@dataclass(slots=True)
class Delivery:
    """An event, command or interaction on its way to the app."""

    id: str
    kind: Kind
    team: str
    payload: Json
    user: str = ""
    trigger_id: str = ""
    response_url: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    answer: Json = field(default_factory=dict)
    """What the app acknowledged with."""
    problem: str = ""
    """What a person sees when the app did not answer well."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_acked(self) -> bool:
        """Whether an attempt was acknowledged in time."""
        return any(attempt.is_acked for attempt in self.attempts)

    @property
    def took_s(self) -> float:
        """How long the first acknowledgement took."""
        times = [attempt.took_s for attempt in self.attempts if attempt.took_s is not None]
        return times[0] if times else float("inf")

    @property
    def event(self) -> Json:
        """The event in it; empty for commands and interactions."""
        return dict(self.payload.get("event", {}))


class Transport(Protocol):
    """How attempts reach the app. The answer's body is returned; None when there was none."""

    async def send(self, delivery: Delivery, attempt: Attempt) -> Json | None:
        """Make one attempt and note in it how it went."""


@dataclass(slots=True)
class Deliveries:
    """All deliveries, in order; events that are not acknowledged are sent again."""

    limits: Limits
    transport: Transport
    answered: Callable[[Delivery, Json], None]
    all: list[Delivery] = field(default_factory=list)
    double_next: int = 0
    """How many of the next deliveries are sent twice at the same time; -1: all."""
    is_held: bool = False
    """Whether deliveries wait until `release`."""
    _tasks: set[asyncio.Task[object]] = field(default_factory=set)
    _held: list[Delivery] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """How many are neither acknowledged nor given up."""
        return len(self._tasks)

    def send(self, delivery: Delivery) -> Delivery:
        """Begin to deliver."""
        self.all.append(delivery)
        if self.is_held:
            self._held.append(delivery)
        else:
            self._begin(delivery)
        return delivery

    def release(self) -> None:
        """Deliver what was held, in order."""
        self.is_held = False
        held, self._held = self._held, []
        for delivery in held:
            self._begin(delivery)

    def again(self, delivery: Delivery, reason: str = "timeout") -> None:
        """Deliver the same payload once more, as Slack does when it missed the acknowledgement."""
        self._start(self._attempt(delivery, len(delivery.attempts), reason))

    async def stop(self) -> None:
        """Give up all that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, delivery: Delivery) -> None:
        self._start(self._deliver(delivery))
        if self.double_next:
            self.double_next -= self.double_next > 0
            self.again(delivery)

    def _start(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        waits = (0.0, *self.limits.retries_s) if delivery.kind == "events_api" else (0.0,)
        reason = ""
        for number, wait_s in enumerate(waits):
            if wait_s:
                await asyncio.sleep(wait_s)
            attempt = await self._attempt(delivery, number, reason)
            if attempt.is_acked or attempt.is_last:
                break
            reason = attempt.error or "timeout"
        if not delivery.is_acked:
            delivery.problem = delivery.problem or "the app did not respond"
        delivery.finished.set()

    async def _attempt(self, delivery: Delivery, number: int, reason: str) -> Attempt:
        attempt = Attempt(number, reason, time.monotonic())
        delivery.attempts.append(attempt)
        answer = await self.transport.send(delivery, attempt)
        if attempt.is_acked:
            delivery.answer = answer or {}
            self.answered(delivery, answer or {})
        return attempt

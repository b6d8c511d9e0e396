"""The async RQ worker: one process that runs many tickets at once.

Steps wait for models, tools and people far more than they compute, so one event loop carries many
of them. The worker pops tickets in batches, runs each in a task, and removes the job when the task
has ended: what the outcome means is the run's business, not the queue's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import redis
import structlog
from redis import RedisError

from jobs.broker import (
    AGENTS_QUEUE,
    RefusedTicketError,
    Ticket,
    TicketWorker,
    command_channel,
    read_command,
    read_ticket,
)
from jobs.observe import report_error
from jobs.process import STOP_SIGNALS, take_stop_signals
from jobs.redis_client import connect_blocking, connect_sync
from jobs.ticket_queue import Suspects, Taken, TicketQueue, suspects

log = structlog.get_logger(__name__)

SLOTS = 64
BATCH_LIMIT = 16
"""At most this many tickets at a time, so that workers share a burst."""
LEASE_S = 15
"""A worker that was not heard of for this long is dead for everybody else."""
HEARTBEAT_S = 5.0
SWEEP_S = 10.0
DRAIN_S = 20.0
CANCEL_GRACE_S = 5.0
HURRY_GRACE_S = 0.5
SECOND_SIGNAL_S = 1.0
"""Signals closer together are one request: a terminal and a parent both pass Ctrl-C on."""
SUSPENDED_PAUSE_S = 0.5
RETRY_PAUSE_S = 0.1
RETRY_PAUSE_CAP_S = 2.0

_OUTAGES = (RedisError, OSError, TimeoutError)


class StopReason(StrEnum):
    """Why a running ticket was cancelled."""

    STOPPED = "stopped"
    """Somebody stopped this step or its run."""
    DRAINED = "drained"
    """The worker shuts down and the step took too long: another worker should go on."""


@dataclass(slots=True)
class StopSignal:
    """Tells a cancelled ticket why: read `reason` where you catch CancelledError."""

    reason: StopReason | None = None


RunTicket = Callable[[Ticket, StopSignal], Awaitable[None]]
"""Runs one ticket to its end. It asks the store first whether the ticket is still valid."""


@dataclass(slots=True)
class _Slot:
    """One ticket that runs."""

    stop: StopSignal
    task: asyncio.Task[None] | None = field(default=None)


def run_step(*, run_id: str, step_id: str, attempt: int) -> None:
    """Say who runs tickets. Every ticket names this function, so that RQ's tools can show it."""
    raise RuntimeError(
        f"attempt {attempt} of step {step_id} of {run_id} was taken by a plain RQ worker, which "
        "cannot run it: start workers with `muster worker`"
    )


class AsyncWorker(TicketWorker):
    """A worker with `slots` tickets at once; `serve` runs it in the current event loop.

    It shows in `rq info`, hears RQ's stop, shutdown, suspend and resume commands, and drains on
    SIGTERM: no more tickets, `drain_s` for those that run, then they are cancelled. A second
    SIGTERM cancels them at once. Heartbeats come from a thread, but only while the loop answers.
    """

    def __init__(
        self,
        url: str,
        name: str,
        run_ticket: RunTicket,
        *,
        slots: int = SLOTS,
        queue: str = AGENTS_QUEUE,
        drain_s: float = DRAIN_S,
        lease_s: int = LEASE_S,
        heartbeat_s: float = HEARTBEAT_S,
        sweep_s: float = SWEEP_S,
        has_signals: bool = True,
    ) -> None:
        super().__init__(name, connect_sync(url), lease_s, queue)
        self._url = url
        self._run_ticket = run_ticket
        self._slots = slots
        self._queue_name = queue
        self._drain_s = drain_s
        self.heartbeat_s = heartbeat_s
        self._sweep_s = sweep_s
        self._has_signals = has_signals
        self._running: dict[str, _Slot] = {}
        self._ended: dict[str, bool] = {}
        """Jobs whose traces are still to be removed; the value says whether they succeeded."""
        self._is_suspended = False
        self._drain_asked_at: float | None = None

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Run until drained, for callers that have no event loop."""
        asyncio.run(self.serve())
        return True

    async def serve(self) -> None:
        """Work until drained. Raises what made the worker itself (not a ticket) fail."""
        self._loop = asyncio.get_running_loop()
        self._drain = asyncio.Event()
        self._hurry = asyncio.Event()
        self._slot_free = asyncio.Event()
        self._any_ended = asyncio.Event()
        self._queue = TicketQueue(self._url, self.name, self._queue_name)
        if self._has_signals:
            # Before the first thread: it would hold back signals for ever if the parent does now.
            self._install_signals()
        await asyncio.to_thread(self.register_birth)
        heart = _Heart(self)
        heart.start()
        log.info("worker_started", worker=self.name, slots=self._slots, queue=self._queue_name)
        pull = asyncio.create_task(self._pull(), name="pull")
        others = [
            asyncio.create_task(self._settle(), name="settle"),
            asyncio.create_task(self._listen(), name="listen"),
            asyncio.create_task(self._sweep(), name="sweep"),
        ]
        try:
            # The loops end only when the worker drains, or when there is a bug in one of them.
            await asyncio.wait({pull, *others}, return_when=asyncio.FIRST_COMPLETED)
            self._drain.set()
            await self._finish_running()
            for task in (pull, *others):
                if task.done() and (error := task.exception()) is not None:
                    raise error
        finally:
            await _end({pull, *others})
            await self._leave(heart)

    def request_drain(self) -> None:
        """Take no more tickets and leave when the running ones are done; twice means now."""
        now = self._loop.time()
        if self._drain_asked_at is None:
            self._drain_asked_at = now
            log.info("worker_drains", worker=self.name, running=len(self._running))
            self._drain.set()
            self._slot_free.set()
            self._unblocking = asyncio.create_task(self._unblock())
        elif now - self._drain_asked_at >= SECOND_SIGNAL_S:
            self._hurry.set()

    def stop_job(self, job_id: str) -> bool:
        """Cancel a running ticket; False if it does not run here."""
        slot = self._running.get(job_id)
        if slot is None or slot.task is None:
            return False
        slot.stop.reason = slot.stop.reason or StopReason.STOPPED
        self._cancel(slot.task)
        return True

    def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel a task, and again if it goes on: up to Python 3.11 `wait_for` may swallow it.

        The pause leaves the ticket the time to write down that it was stopped.
        """
        if not task.done():
            task.cancel()
            self._loop.call_later(CANCEL_GRACE_S, self._cancel, task)

    def handle_payload(self, message: Mapping[str, Any]) -> None:
        """Obey a command that RQ's tools sent to this worker."""
        command, job_id = read_command(message)
        if command == "stop-job":
            is_ours = self.stop_job(job_id)
            log.info("worker_stop_command", worker=self.name, job_id=job_id, is_ours=is_ours)
        elif command == "shutdown":
            self.request_drain()
        else:
            log.warning("worker_command_ignored", worker=self.name, command=command)

    def job_ids(self) -> tuple[str, ...]:
        """Return what runs here now; safe to call from any thread."""
        return tuple(self._running)

    async def _pull(self) -> None:
        """Fill free slots until the worker drains. Never cancelled: a pop may hold a ticket."""
        pause_s = RETRY_PAUSE_S
        has_more = False
        while not self._drain.is_set():
            free = self._slots - len(self._running)
            if free <= 0:
                self._slot_free.clear()
                await self._slot_free.wait()
                continue
            if self._is_suspended:
                await asyncio.sleep(SUSPENDED_PAUSE_S)
                continue
            limit = min(free, BATCH_LIMIT)
            try:
                popped = None if has_more else await self._queue.pop()
                if popped is None and not has_more:
                    continue
                if popped is not None and self._drain.is_set():
                    await self._queue.hand_back(popped)
                    return
                taken = await self._queue.take(popped, limit)
            except _OUTAGES as error:
                has_more = False
                log.warning("worker_queue_unreachable", worker=self.name, error=str(error))
                await self._queue.reconnect()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_PAUSE_CAP_S)
                continue
            pause_s = RETRY_PAUSE_S
            has_more = len(taken) == limit
            for job in taken:
                self._start(job)
            if has_more:
                await asyncio.sleep(0)  # Let what was started run before more is taken.

    def _start(self, job: Taken) -> None:
        """Run a ticket in a task of its own, or remove what is none."""
        try:
            ticket = read_ticket(job.job_id, job.fields)
        except RefusedTicketError as error:
            log.error("ticket_refused", worker=self.name, job_id=job.job_id, reason=error.reason)
            self._note_end(job.job_id, has_succeeded=False)
            return
        if job.job_id in self._running:
            # Handed back by a sweep although we run it: one is enough.
            log.warning("ticket_runs_already", worker=self.name, job_id=job.job_id)
            return
        # The same ticket may come again before the traces of the first time are removed.
        self._ended.pop(job.job_id, None)
        slot = _Slot(StopSignal())
        self._running[job.job_id] = slot
        slot.task = asyncio.create_task(self._run(ticket, slot.stop), name=job.job_id)
        slot.task.add_done_callback(lambda task: self._on_end(job.job_id, task))

    async def _run(self, ticket: Ticket, stop: StopSignal) -> None:
        """Run one ticket with its names in every line it logs."""
        structlog.contextvars.bind_contextvars(
            run_id=ticket.run_id, step_id=ticket.step_id, attempt=ticket.attempt
        )
        try:
            await self._run_ticket(ticket, stop)
        except asyncio.CancelledError:
            log.info("ticket_cancelled", worker=self.name, reason=stop.reason)
            raise
        except Exception as error:
            log.exception("ticket_failed", worker=self.name)
            report_error(error, run_id=ticket.run_id, step_id=ticket.step_id)
            raise

    def _on_end(self, job_id: str, task: asyncio.Task[None]) -> None:
        """Free the slot, whether the task ran, failed, or was cancelled before it began."""
        del self._running[job_id]
        has_succeeded = not task.cancelled() and task.exception() is None
        self._note_end(job_id, has_succeeded=has_succeeded)
        self._slot_free.set()

    def _note_end(self, job_id: str, *, has_succeeded: bool) -> None:
        """Remember to remove the job."""
        self._ended[job_id] = has_succeeded
        self._any_ended.set()

    async def _settle(self) -> None:
        """Remove ended jobs, as many at a time as there are."""
        while True:
            await self._any_ended.wait()
            self._any_ended.clear()
            try:
                await self._settle_once()
            except _OUTAGES as error:
                log.warning("worker_settle_failed", worker=self.name, error=str(error))
                await asyncio.sleep(RETRY_PAUSE_CAP_S)
                self._any_ended.set()

    async def _settle_once(self) -> None:
        """Remove the jobs that have ended by now; they stay noted until Redis has answered."""
        batch = {job_id: ok for job_id, ok in self._ended.items() if job_id not in self._running}
        if not batch:
            return
        await self._queue.finish(batch, next(iter(self._running), None))
        for job_id in batch:
            self._ended.pop(job_id, None)

    async def _listen(self) -> None:
        """Hear commands; subscribe again when the connection breaks."""
        while True:
            client = connect_blocking(self._url, name=f"{self.name}:commands")
            try:
                async with client.pubsub() as channel:
                    await channel.subscribe(command_channel(self.name))
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self.handle_payload(message)
            except _OUTAGES as error:
                log.warning("worker_commands_unreachable", worker=self.name, error=str(error))
            finally:
                await client.aclose()
            await asyncio.sleep(RETRY_PAUSE_CAP_S)

    async def _sweep(self) -> None:
        """Hand back tickets that nobody held in two looks, `sweep_s` apart."""
        before = Suspects()
        while True:
            try:
                look = await self._queue.look()
                now = suspects(look, self.name, {*self._running, *self._ended})
                if lost := before & now:
                    count = await self._queue.release(lost)
                    log.warning("tickets_handed_back", worker=self.name, count=count)
                before = now
            except _OUTAGES as error:
                log.warning("worker_sweep_failed", worker=self.name, error=str(error))
                before = Suspects()
            await asyncio.sleep(self._sweep_s)

    async def _unblock(self) -> None:
        """Wake the waiting pop, again and again: the first try may come just before it waits."""
        while True:
            try:
                await self._queue.unblock()
            except _OUTAGES:
                return  # It wakes by itself a little later.
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _finish_running(self) -> None:
        """Give running tickets their time, then cancel them."""
        if await self._wait_for_running(self._drain_s, or_hurry=True):
            return
        log.warning("worker_cancels_running", worker=self.name, jobs=self.job_ids())
        for slot in self._running.values():
            slot.stop.reason = slot.stop.reason or StopReason.DRAINED
            if slot.task is not None:
                self._cancel(slot.task)
        grace_s = HURRY_GRACE_S if self._hurry.is_set() else CANCEL_GRACE_S
        if not await self._wait_for_running(grace_s, or_hurry=False):
            log.error("worker_leaves_running", worker=self.name, jobs=self.job_ids())

    async def _wait_for_running(self, limit_s: float, *, or_hurry: bool) -> bool:
        """Wait until nothing runs; False if the time is up or, if asked, on a second signal."""
        end = self._loop.time() + limit_s
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            while self._running:
                tasks = {slot.task for slot in self._running.values() if slot.task is not None}
                left_s = end - self._loop.time()
                if left_s <= 0 or (or_hurry and self._hurry.is_set()):
                    return False
                watched = tasks | ({hurry} if or_hurry else set())
                await asyncio.wait(watched, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)  # Let the callbacks of the ended tasks free their slots.
            return True
        finally:
            hurry.cancel()

    async def _leave(self, heart: _Heart) -> None:
        """Remove the last traces, ours included, as far as Redis can be reached."""
        if self._drain_asked_at is not None:
            await _end({self._unblocking})
        try:
            await asyncio.to_thread(heart.stop)
            await self._settle_once()
            await asyncio.to_thread(self.register_death)
        except _OUTAGES as error:
            log.warning("worker_left_unannounced", worker=self.name, error=str(error))
        finally:
            await self._queue.close()
            self.connection.close()
            log.info("worker_left", worker=self.name)

    def _install_signals(self) -> None:
        """Drain on SIGTERM and Ctrl-C, also when they came before there was a worker."""
        for sign in STOP_SIGNALS:
            self._loop.add_signal_handler(sign, self.request_drain)
        take_stop_signals()

    def beat_once(self) -> None:
        """Renew our presence; called from the heart's thread."""
        try:
            self._is_suspended = self.beat()
        except (redis.RedisError, OSError) as error:
            log.warning("worker_heartbeat_failed", worker=self.name, error=str(error))

    def is_loop_answering(self, limit_s: float) -> bool:
        """Ask the loop for a sign of life, from another thread."""
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:
            return False  # The loop is closed.
        return answered.wait(limit_s)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: one cancellation may be swallowed, see `_cancel`."""
    pending = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=RETRY_PAUSE_S)


class _Heart:
    """The thread that beats as long as the loop answers."""

    def __init__(self, worker: AsyncWorker) -> None:
        self._worker = worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a beat that is on its way: it must not come after our death."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        """Beat at regular times; a loop that does not answer loses its leases."""
        worker = self._worker
        while not self._stop.wait(worker.heartbeat_s):
            if worker.is_loop_answering(worker.presence_ttl_s):
                worker.beat_once()
            elif not self._stop.is_set():
                log.error("worker_loop_blocked", worker=worker.name, jobs=worker.job_ids())

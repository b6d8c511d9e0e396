"""What each page of the console shows: reads it, and renders it whole or block by block.

A block is a part of the page with an id; a live update replaces the blocks that changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agents.domain import Evidence, Step, ThreadRef
from bot.desk import Desk, OpenApproval, obstacle
from bot.platforms.console.adapter import NAME
from bot.platforms.console.store import Message
from bot.views import RunView, StepView
from bot.web.console.render import Templates
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.limits import (
    EXAMPLES_SHOWN,
    FRAME_GAP_S,
    INCIDENTS_LISTED,
    LIST_GAP_S,
    LOG_LINES_SHOWN,
    RUNS_LISTED,
    THREADS_LISTED,
    TURNS_SHOWN,
)
from bot.web.live import EVERYTHING, Thing
from bot.web.sessions import Session
from bot.web.show import log, spans
from bot.web.show.plan import draw_plan
from bot.web.show.turns import Turn, turns
from config.expressions import ExpressionError, fill
from jobs.questions import may_answer
from jobs.state import TERMINAL, Person, Run, Status
from jobs.store import StoredEvent
from jobs.summary import variables

Blocks = dict[str, str]
AXIS_LABEL_ROOM = 96.0
"""Percent; a tick further right has no room for its label."""


class Screen(Protocol):
    """One page: `gap_s` is the least time between two of its live updates."""

    template: str
    title: str
    gap_s: float

    def concerns(self, things: set[Thing]) -> bool:
        """Whether the page shows any of what changed."""

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """Return the page's blocks by id. What the browser has at the mark in `known` is left out.

        `known` maps the ids of list items to the mark they were last sent with.
        """

    def marks(self) -> Mapping[str, str]:
        """Return the marks of the items in the blocks that were rendered last."""

    def context(self) -> Mapping[str, Any]:
        """Return what the page's frame needs besides the blocks."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every screen is made with."""

    web: Web
    templates: Templates
    session: Session

    @property
    def desk(self) -> Desk:
        """The desk through which everything is read."""
        return self.web.deps.desk

    @property
    def person(self) -> Person:
        """Who is looking."""
        return self.session.person

    def render(self, template: str, **values: Any) -> str:
        """Render a block, which always knows the time and the session's CSRF token."""
        return self.templates.render(
            template, now=self.web.deps.clock(), csrf=self.session.csrf, **values
        )

    async def waiting(self) -> list[OpenApproval]:
        """Return the open approvals, with what keeps this person from deciding each."""
        return await self.desk.approvals(self.person)


class ThreadScreen:
    """A channel's threads and, beside them, one of them with its messages."""

    template = "thread.html"
    gap_s = FRAME_GAP_S

    def __init__(self, parts: Parts, channel: str, thread_id: str = "") -> None:
        self._parts = parts
        self._channel = channel
        self._thread_id = thread_id
        self._marks: dict[str, str] = {}
        self._has_threads = False
        self.title = f"#{channel}"

    def concerns(self, things: set[Thing]) -> bool:
        """See `Screen.concerns`."""
        return ("channel", self._channel) in things

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """See `Screen.blocks`."""
        console = self._parts.web.deps.console
        threads = await console.threads(self._channel, THREADS_LISTED)
        self._marks = {thread.id: repr(thread) for thread in threads}
        rendered = {
            "threads": self._parts.render(
                "_threads.html",
                threads=[(thread, known.get(thread.id) == repr(thread)) for thread in threads],
                channel=self._channel,
                current=self._thread_id,
            )
        }
        if self._thread_id:
            return rendered | await self._messages(known)
        self._has_threads = bool(threads)
        return rendered | {
            "welcome": self._parts.render(
                "_welcome.html",
                newest=threads[0] if threads else None,
                channel=self._channel,
                examples=self._parts.desk.present.examples()[:EXAMPLES_SHOWN],
            )
        }

    def marks(self) -> Mapping[str, str]:
        """See `Screen.marks`."""
        return self._marks

    def context(self) -> Mapping[str, Any]:
        """See `Screen.context`."""
        return {
            "channel": self._channel,
            "thread_id": self._thread_id,
            "has_threads": self._has_threads,
        }

    async def _messages(self, known: Mapping[str, str]) -> Blocks:
        console = self._parts.web.deps.console
        thread = await console.thread(self._thread_id)
        if thread is None or thread.channel != self._channel:
            raise WebError(404, "There is no such thread.", "It may be too old: look in Runs.")
        self.title = thread.title
        messages = await console.messages(self._thread_id)
        marks = {message.id: str(message.version) for message in messages}
        self._marks |= marks
        fresh = [message for message in messages if known.get(message.id) != marks[message.id]]
        return {
            "thread-head": self._parts.render("_thread_head.html", thread=thread),
            "messages": self._parts.render(
                "_messages.html",
                messages=[
                    (message, None if message not in fresh else await self._obstacles(message))
                    for message in messages
                ],
            ),
        }

    async def _obstacles(self, message: Message) -> dict[str, str]:
        """Return what keeps this person from deciding what a card asks."""
        view = message.view
        if not isinstance(view, RunView):
            return {}
        return await obstacles(self._parts, view)


async def obstacles(parts: Parts, view: RunView, run: Run | None = None) -> dict[str, str]:
    """Return what keeps this person from deciding or answering each thing a run asks, by its id."""
    is_asking = any(approval.status == "pending" for approval in view.approvals) or any(
        question.is_open for question in view.questions
    )
    if not is_asking or view.ended_at is not None:
        return {}
    run = run or await parts.desk.run(view.run_id)
    if run is None:
        return {}
    found = {one.id: obstacle(run, one, parts.person) for one in run.approvals.values()}
    return found | {one.id: may_answer(one, parts.person) for one in run.questions.values()}


class RunsScreen:
    """The list of runs, all or only those in one status."""

    template = "runs.html"
    title = "Runs"
    gap_s = LIST_GAP_S

    def __init__(self, parts: Parts, status: str = "") -> None:
        self._parts = parts
        self._status = status

    def concerns(self, things: set[Thing]) -> bool:
        """See `Screen.concerns`."""
        return any(kind == "run" for kind, _ in things)

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """See `Screen.blocks`."""
        desk = self._parts.desk
        is_active = self._status == "active"
        runs = await desk.runs(RUNS_LISTED, active=is_active)
        views = [desk.present.run_view(run) for run in runs]
        if self._status and not is_active:
            views = [view for view in views if view.status == self._status]
        threads = {run.id: run.goal.thread for run in runs}
        return {
            "runs": self._parts.render(
                "_runs.html", runs=views, threads=threads, is_filtered=bool(self._status)
            )
        }

    def marks(self) -> Mapping[str, str]:
        """See `Screen.marks`."""
        return {}

    def context(self) -> Mapping[str, Any]:
        """See `Screen.context`."""
        ends = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
        filters = ["", "active", *(status.value for status in ends)]
        return {"status": self._status, "filters": filters}


class ApprovalsScreen:
    """What waits for a decision: for this person first, then for others."""

    template = "approvals.html"
    title = "Approvals"
    gap_s = LIST_GAP_S

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def concerns(self, things: set[Thing]) -> bool:
        """See `Screen.concerns`."""
        return any(kind == "run" for kind, _ in things)

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """See `Screen.blocks`."""
        desk = self._parts.desk
        items = []
        for item in await self._parts.waiting():
            card = desk.present.run_view(item.run)
            views = [view for view in card.approvals if view.id == item.approval.id]
            items += [(item, card, view) for view in views]
        mine = [entry for entry in items if not entry[0].obstacle]
        others = [entry for entry in items if entry[0].obstacle]
        return {"approvals": self._parts.render("_approvals.html", mine=mine, others=others)}

    def marks(self) -> Mapping[str, str]:
        """See `Screen.marks`."""
        return {}

    def context(self) -> Mapping[str, Any]:
        """See `Screen.context`."""
        return {}


class IncidentsScreen:
    """The list of incidents with their alerts."""

    template = "incidents.html"
    title = "Incidents"
    gap_s = LIST_GAP_S

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def concerns(self, things: set[Thing]) -> bool:
        """See `Screen.concerns`."""
        return bool(things)

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """See `Screen.blocks`."""
        incidents = await self._parts.desk.incidents(INCIDENTS_LISTED)
        return {"incidents": self._parts.render("_incidents.html", incidents=incidents)}

    def marks(self) -> Mapping[str, str]:
        """See `Screen.marks`."""
        return {}

    def context(self) -> Mapping[str, Any]:
        """See `Screen.context`."""
        return {}


@dataclass(frozen=True, slots=True)
class StepDetail:
    """A step as the run page shows it."""

    step: Step
    view: StepView | None
    state: Any
    inputs: Any
    evidence: tuple[Evidence, ...]
    calls: tuple[Any, ...]
    entries: tuple[log.Entry, ...]


class RunScreen:
    """Everything about one run."""

    template = "run.html"
    gap_s = LIST_GAP_S

    def __init__(self, parts: Parts, run_id: str) -> None:
        self._parts = parts
        self._run_id = run_id
        self._thread: ThreadRef | None = None
        self.title = "Run"

    def concerns(self, things: set[Thing]) -> bool:
        """See `Screen.concerns`."""
        return ("run", self._run_id) in things

    async def blocks(self, known: Mapping[str, str]) -> Blocks:
        """See `Screen.blocks`."""
        desk, render = self._parts.desk, self._parts.render
        run = await desk.run(self._run_id)
        if run is None:
            raise WebError(404, "There is no such run.", "It may be too old: look in Runs.")
        view = desk.present.run_view(run)
        self.title = view.title
        stored = await desk.events(run.id)
        evidence = await desk.evidence(run.id)
        answer = desk.present.answer_view(run, evidence) if run.answer else None
        now = self._parts.web.deps.clock()
        end = now if run.ended_at is None else run.ended_at
        steps = run.all_steps()
        self._thread = run.goal.thread
        drawing = draw_plan(run, view.planner.id if view.planner else "")
        entries = log.entries(stored)
        refused = await obstacles(self._parts, view, run)
        return {
            "run-head": render("_run_head.html", run=run, view=view),
            "run-card": render("_run_card.html", view=view, obstacles=refused),
            "run-answer": render("_run_answer.html", answer=answer),
            "run-graph": render(
                "_graph.html", drawing=drawing, steps={step.id: step for step in steps}, run=run
            ),
            "run-revisions": render("_revisions.html", revisions=view.revisions),
            "run-turns": render("_turns.html", spent=view.spent, turns=self._turns(run, stored)),
            "run-gantt": render(
                "_gantt.html",
                run=run,
                steps=steps,
                depths=_depths(view),
                end=end,
                bars=spans.bars(spans.spans(item.event for item in stored), run.started_at, end),
                ticks=_ticks(end - run.started_at),
            ),
            "run-steps": render(
                "_steps.html",
                run=run,
                details=_details(run, view, evidence, entries),
            ),
            "run-log": render(
                "_log.html",
                entries=entries[-LOG_LINES_SHOWN:],
                hidden=max(0, len(entries) - LOG_LINES_SHOWN),
                run_id=run.id,
            ),
        }

    def marks(self) -> Mapping[str, str]:
        """See `Screen.marks`."""
        return {}

    def context(self) -> Mapping[str, Any]:
        """See `Screen.context`."""
        is_here = self._thread is not None and self._thread.platform == NAME
        thread_id = self._thread.id if self._thread is not None and is_here else ""
        return {"run_id": self._run_id, "thread_id": thread_id}

    def _turns(self, run: Run, stored: list[StoredEvent]) -> list[Turn]:
        """Return the newest model calls."""
        present = self._parts.desk.present
        titles = {step.id: step.title for step in run.all_steps()}
        found = turns(stored, lambda key: titles.get(key, key), present.agent_title)
        return found[-TURNS_SHOWN:]


def _depths(view: RunView) -> dict[str, int]:
    """Return how far in each step stands, the run's own supervisor being outermost."""
    return {step.id: step.depth + (view.planner is not None) for step in view.steps}


def _ticks(seconds: float) -> list[tuple[float, float]]:
    """Return the axis' marks as (percent, seconds)."""
    whole = max(seconds, 0.001)
    places = [(at / whole * 100, at) for at in spans.ticks(whole)]
    return [(round(left, 3), at) for left, at in places if left <= AXIS_LABEL_ROOM]


def _details(
    run: Run, view: RunView, evidence: Mapping[str, Evidence], entries: list[log.Entry]
) -> list[StepDetail]:
    views = {one.id: one for one in (*view.steps, *((view.planner,) if view.planner else ()))}
    return [
        StepDetail(
            step=step,
            view=views.get(step.id),
            state=run.steps[step.id],
            inputs=_inputs(run, step),
            evidence=tuple(item for item in evidence.values() if item.step_id == step.id),
            calls=tuple(call for call in run.calls.values() if call.step_id == step.id),
            entries=tuple(entry for entry in entries if entry.step_id == step.id),
        )
        for step in run.all_steps()
    ]


def _inputs(run: Run, step: Step) -> Any:
    """Return what the step got; before it began, the expressions that will be filled in."""
    state = run.steps[step.id]
    if state.status is Status.PENDING or (state.status in TERMINAL and state.started_at is None):
        return step.inputs
    try:
        return fill(step.inputs, variables(run, step))
    except ExpressionError:
        return step.inputs


def is_everything(things: set[Thing]) -> bool:
    """Whether so much changed that nobody kept count."""
    return EVERYTHING in things

"""What people write in a thread: it stops a run, answers it, tells it something, or asks anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agents.domain import Moment, ThreadRef
from bot.desk import MAX_GOAL_CHARS, Desk, Outcome, goal_key
from bot.intake import NOTHING_ENCLOSED, Enclosed, goal_run_id
from jobs.commands import Refusal
from jobs.planning import MESSAGE
from jobs.questions import may_answer
from jobs.state import Person, Question, Run

log = structlog.get_logger(__name__)

MAX_MESSAGE_CHARS = MAX_GOAL_CHARS
STOP_WORDS = frozenset({"stop", "cancel", "abort"})
ANSWERED_BY_OPTION = frozenset({"input", "budget", "plan", "review"})
"""Kinds of questions that a message answers by naming an option; others need their button."""
INPUT, BUDGET = "input", "budget"
REPEATED_WITHIN_S = 1.0
"""A run may put a message a little later than it was written, to tell it from the one before."""

EMPTY = "Write something: an answer, a hint for the run, a new goal, or stop."
NOTHING_TO_STOP = "Nothing runs in this thread, so there is nothing to stop."
NOT_ADDRESSED = "Nothing runs in this thread; mention Muster to give it a goal."
HEARD = "The supervisor hears it, and changes the plan if that is called for."
NOTED = (
    "It stands in the run's timeline. Its plan is fixed, so nobody acts on it: say stop to end it."
)


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a message; `choices` are goals that would fit when none did.

    `outcome.kind` is stopping, answered, heard, noted, started, or the value of a Refusal.
    """

    outcome: Outcome
    choices: tuple[str, ...] = ()


def may_write(person: Person, thread: ThreadRef) -> str:
    """Return why somebody may not write in a thread, as a sentence; empty when they may.

    Whoever is signed in may write in the threads of their own platform; what a message may
    decide there is policy's business.
    """
    if person.id.partition(":")[0] == thread.platform:
        return ""
    return f"This thread is in {thread.platform}: write there, as who you are there."


def is_stop(text: str) -> bool:
    """Say whether a message is the word that stops a run, and nothing else."""
    return text.strip().rstrip("!.").lower() in STOP_WORDS


def answered(run: Run, text: str, person: Person) -> tuple[Question, str] | None:
    """Return the one open question that a message answers, and the answer; None when it is unclear.

    An option may be named in any case. Free text answers an agent's question only when that is
    the only one to which this person may say something.
    """
    mine = [one for one in run.questions.values() if one.is_open and not may_answer(one, person)]
    named = [
        (one, option)
        for one in mine
        if one.kind in ANSWERED_BY_OPTION
        for option in one.options
        if option.casefold() == text.casefold()
    ]
    if named:
        # One answer settles all questions about a budget, so it does not matter which is meant.
        meant = {(one.about if one.kind == BUDGET else one.id, option) for one, option in named}
        return named[0] if len(meant) == 1 else None
    asking = [one for one in mine if one.kind == INPUT]
    if len(asking) == 1 and not asking[0].options:
        return asking[0], text
    return None


class Conversation:
    """Takes what people write in threads. `clock` gives Unix seconds."""

    def __init__(self, desk: Desk, clock: Callable[[], float]) -> None:
        self._desk = desk
        self._clock = clock

    async def say(
        self,
        thread: ThreadRef,
        text: str,
        person: Person,
        *,
        key: str = "",
        at: float | None = None,
        enclosed: Enclosed = NOTHING_ENCLOSED,
        may_start: bool = True,
    ) -> Said:
        """Act on a message; with the same key and time again it acts once.

        `at` is when it was written, as the platform says; `enclosed` goes with a new goal. What
        people say to each other (not `may_start`) is heard by what runs, and begins nothing.
        """
        text = self._desk.clean(text)
        if problem := objection(text):
            return _refused(problem)
        if problem := may_write(person, thread):
            return _refused(problem, Refusal.NOT_ALLOWED)
        runs = await self._desk.runs_in(thread)
        at = self._clock() if at is None else at
        if known := await self._taken_before(runs, text, person, thread, key, at):
            return Said(known)
        going = next((run for run in runs if not run.is_over and not run.stopped_by), None)
        if is_stop(text):
            if going is None:
                return _refused(NOTHING_TO_STOP)
            return Said(await self._desk.stop(going.id, person, "asked in the thread"))
        if going is not None:
            if found := answered(going, text, person):
                question, answer = found
                return Said(await self._answer(going, question, answer, person))
            if told := await self._tell(going, text, person, at):
                return Said(told)
        if not may_start:
            return _refused(NOT_ADDRESSED)
        return await self._ask(thread, text, person, key, enclosed)

    async def _taken_before(
        self, runs: list[Run], text: str, person: Person, thread: ThreadRef, key: str, at: float
    ) -> Outcome | None:
        """Return what the same message led to when it was sent before; None when it is new."""
        for run in runs:
            if was_told(run, _words(text, person), at):
                return self._heard(run)
            if was_stopped(run, text, person, at):
                return Outcome("stopping", "The run is being stopped.", run)
            if was_answered(run, text, person, at):
                return Outcome("answered", "Your answer is recorded; the step goes on.", run)
        if not key:
            return None
        started = await self._desk.run(goal_run_id(goal_key(person, _key_in(thread, key))))
        sentence = f"It was taken before; its run is {started.id}." if started else ""
        return Outcome("started", sentence, started) if started else None

    async def _answer(self, run: Run, question: Question, answer: str, person: Person) -> Outcome:
        outcome = await self._desk.answer_question(question.id, person, answer, run.id)
        if outcome.is_refusal:
            return outcome
        sentence = f"Taken as the answer to “{question.text}”; the step goes on."
        return Outcome(outcome.kind, sentence, outcome.run)

    async def _tell(self, run: Run, text: str, person: Person, at: float) -> Outcome | None:
        """Tell the run; None when it has ended meanwhile."""
        after = await self._desk.tell(run.id, Moment(at, _words(text, person), MESSAGE))
        if after is None or after.is_over:
            return None
        log.info("message_told", run_id=run.id, person=person.id)
        return self._heard(after)

    def _heard(self, run: Run) -> Outcome:
        is_heard = self._desk.present.has_supervisor(run)
        return Outcome("heard", HEARD, run) if is_heard else Outcome("noted", NOTED, run)

    async def _ask(
        self, thread: ThreadRef, text: str, person: Person, key: str, enclosed: Enclosed
    ) -> Said:
        submitted = await self._desk.goal(
            text, person, thread.channel, _key_in(thread, key), thread, enclosed
        )
        run = await self._desk.run(submitted.run_id) if submitted.run_id else None
        if run is None:
            return Said(Outcome(Refusal.INVALID.value, submitted.sentence), submitted.choices)
        return Said(Outcome("started", submitted.sentence, run))


def was_told(run: Run, words: str, at: float) -> bool:
    """Say whether the run heard exactly this before."""
    return any(
        (one.kind, one.text) == (MESSAGE, words) and 0 <= one.at - at <= REPEATED_WITHIN_S
        for one in run.signals
    )


def was_stopped(run: Run, text: str, person: Person, at: float) -> bool:
    """Say whether this message has stopped the run."""
    is_theirs = run.stopped_by == person.name and is_stop(text)
    return is_theirs and (run.ended_at is None or run.ended_at >= at)


def was_answered(run: Run, text: str, person: Person, at: float) -> bool:
    """Say whether this message has answered a question of the run."""
    return any(
        one.answered_by == person.name
        and (one.answer or "").casefold() == text.casefold()
        and (one.answered_at or 0.0) >= at
        for one in run.questions.values()
    )


def objection(text: str) -> str:
    """Return why a text cannot be taken as a message; empty when it can."""
    if not text.strip():
        return EMPTY
    if len(text) > MAX_MESSAGE_CHARS:
        return f"A message has at most {MAX_MESSAGE_CHARS:,} characters; this has {len(text):,}."
    return ""


def _key_in(thread: ThreadRef, key: str) -> str:
    return f"{thread.platform}:{thread.id}:{key}" if key else ""


def _words(text: str, person: Person) -> str:
    return f"{person.name}: {text}"


def _refused(sentence: str, refusal: Refusal = Refusal.INVALID) -> Said:
    return Said(Outcome(refusal.value, sentence))

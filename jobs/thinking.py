"""A step's model calls, made durable: journalled, counted once, held to budgets, told on the card.

A call that ended is recalled after a takeover, never made again. A budget that is reached becomes
a question to people; see `jobs.spending`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, cast

import structlog
from pydantic import JsonValue, TypeAdapter

from agents.domain import JsonObject
from agents.models.port import Model, ModelReply, ModelRequest
from agents.redact import MASK, redact, redact_json
from agents.secret_args import secret_argument
from agents.wording import one_line
from jobs import commands as c
from jobs.asking import Suspended
from jobs.commands import Refused
from jobs.journal import StepJournal, leg_of
from jobs.patience import patiently, to_the_end
from jobs.run import MAX_NOTE_CHARS
from jobs.service import Runs, UnknownRunError
from jobs.spending import BudgetReachedError
from jobs.state import Question, Run
from jobs.store import ConflictError, Lease, StoreUnavailableError

log = structlog.get_logger(__name__)

REPLY = TypeAdapter(ModelReply)
CONTINUE, STOP = "continue", "stop"
BUDGET_OPTIONS = (CONTINUE, STOP)
NOTE_EVERY_S = 1.0
"""What a model says while it speaks is told on the card this often; each time is one commit."""


class Models(Protocol):
    """Where a worker gets models from."""

    def for_run(self, run: Run) -> Model:
        """Return the models as this run may use them: within its budgets."""

    def offers(self, alias: str) -> bool:
        """Return whether the alias has any model at all."""


class StoppedAtBudget(Exception):
    """A person was asked about a used-up budget and said stop."""


class Thinking:
    """The model calls of one attempt at one step."""

    def __init__(
        self,
        runs: Runs,
        run: Run,
        lease: Lease,
        journal: StepJournal,
        model: Model,
        clock: Callable[[], float],
        renewed: Callable[[Run], Model] | None = None,
    ) -> None:
        """`renewed` gives the models as a later state of the run may use them."""
        self._runs = runs
        self._run = run
        self._lease = lease
        self._journal = journal
        self._model = model
        self._clock = clock
        self._renewed = renewed
        self._granted = grants(run)
        state = run.steps[lease.step_id]
        self._agent = state.agent
        self._prefix = f"{leg_of(state)}/"
        self._suffix = f"#{state.tries}"

    @property
    def model(self) -> Model:
        """The models, for prices and for what they offer."""
        return self._model

    async def call(self, key: str, request: ModelRequest) -> ModelReply:
        """Return the reply to the request of that key (unique in the agent's turn at the step).

        Raises Suspended when a person must say whether to go on, StoppedAtBudget, FencedOff, and
        what `agents.models.port.Model.complete` raises.
        """
        full = self._full(key)
        entry = await self._journal.get(full)
        if entry is not None:
            reply = REPLY.validate_python(entry["reply"])
        else:
            reply = without_secrets(await self._ask(key, request))
        # It is paid: it goes on record even when the step's time is up just now.
        await to_the_end(self._record(full, request, reply, is_new=entry is None))
        return reply

    async def _record(
        self, full: str, request: ModelRequest, reply: ModelReply, *, is_new: bool
    ) -> None:
        if is_new:
            stored = cast(JsonObject, REPLY.dump_python(reply, mode="json"))
            await self._journal.put({"key": full, "kind": request.purpose, "reply": stored})
        await self._count(full, request, reply)

    async def once(self, key: str, make: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Return what `make` gave the first time it was asked under this key."""
        full = self._full(key)
        entry = await self._journal.get(full)
        if entry is not None:
            return entry["value"]
        value = await make()
        await self._journal.put({"key": full, "kind": "note", "value": value})
        return value

    def _full(self, key: str) -> str:
        return f"{self._prefix}{key}{self._suffix}"

    async def _ask(self, key: str, request: ModelRequest) -> ModelReply:
        while True:
            try:
                return await self._complete(request)
            except BudgetReachedError as reached:
                if not await self._was_granted():
                    raise self._question(key, reached) from None

    async def _complete(self, request: ModelRequest) -> ModelReply:
        said: list[str] = []
        telling = asyncio.create_task(self._tell(said))
        try:
            # The store is needed before a call is made, never after: trying again pays nothing.
            return await patiently(lambda: self._model.complete(request, said.append))
        finally:
            telling.cancel()

    async def _was_granted(self) -> bool:
        """Say whether people said "continue" to another step since this attempt began."""
        if self._renewed is None:
            return False
        self._run = await patiently(lambda: self._runs.get(self._run.id))
        granted, before = grants(self._run), self._granted
        if granted == before:
            return False
        self._granted, self._model = granted, self._renewed(self._run)
        return True

    async def _tell(self, said: list[str]) -> None:
        """Show on the card what the model says while it speaks."""
        told = ""
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            text = last_words(said[-1]) if said else ""
            if not text or text == told:
                continue
            told = text
            command = c.NoteStep(self._lease.step_id, self._lease.attempt, text)
            try:
                await self._runs.send(self._run.id, command)
            except (Refused, UnknownRunError, StoreUnavailableError, ConflictError) as error:
                log.debug("note_dropped", reason=str(error))

    async def _count(self, full: str, request: ModelRequest, reply: ModelReply) -> None:
        if full in self._run.steps[self._lease.step_id].turns:
            return
        usage = reply.usage
        command = c.NoteTurn(
            step_id=self._lease.step_id,
            attempt=self._lease.attempt,
            key=full,
            agent=self._agent,
            model=reply.model,
            purpose=request.purpose,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_usd,
            duration_s=reply.duration_s,
            note="" if request.output_schema else redact(one_line(reply.text, MAX_NOTE_CHARS)),
        )
        self._run = await patiently(lambda: self._runs.send(self._run.id, command))

    def _question(self, key: str, reached: BudgetReachedError) -> Suspended | StoppedAtBudget:
        """Return what to raise: a question to people, or their word to stop.

        What was answered last about this budget holds for every step of the run.
        """
        step_id, now = self._lease.step_id, self._clock()
        asked = [
            question
            for question in self._run.questions.values()
            if question.kind == "budget" and question.about == reached.scope
        ]
        answered = [question for question in asked if question.answer is not None]
        last = max(answered, key=lambda question: question.answered_at or 0.0, default=None)
        if last is not None and last.answer == STOP:
            return StoppedAtBudget(f"{reached}; {last.answered_by} said to stop")
        number = sum(question.step_id == step_id for question in asked) + 1
        return Suspended(
            c.AskQuestion(
                step_id=step_id,
                attempt=self._lease.attempt,
                question=Question(
                    id=f"q-{self._run.id}-{step_id}-budget-{reached.scope}-{number}",
                    step_id=step_id,
                    text=f"{str(reached)[0].upper()}{str(reached)[1:]}. Go on with as much again?",
                    options=BUDGET_OPTIONS,
                    asked_at=now,
                    kind="budget",
                    about=reached.scope,
                ),
            )
        )


def last_words(text: str) -> str:
    """Return the end of a text that is still being said, as it may be shown.

    A secret is known by all of it: it is looked for before the text is cut, and the last word,
    which may be the beginning of one, is left out.
    """
    whole = " ".join(redact(text).split()[:-1])
    return whole if len(whole) <= MAX_NOTE_CHARS else whole[-MAX_NOTE_CHARS:].partition(" ")[2]


def without_secrets(reply: ModelReply) -> ModelReply:
    """Return the reply as it may be stored: what looks like a secret is taken out of it.

    A tool request with such an argument is not carried out as it stands; see `agents.loop`.
    """
    return replace(
        reply,
        text=redact(reply.text),
        output=redact_json(reply.output),
        requests=tuple(
            replace(
                one,
                raw=redact(one.raw),
                args=None if one.args is None else _clean(one.args),
            )
            for one in reply.requests
        ),
    )


def _clean(args: JsonObject) -> JsonObject:
    """Redact the arguments that hold a secret, or are one by their name."""
    cleaned: JsonObject = {}
    for name, value in args.items():
        if secret_argument({name: value}):
            clean = redact_json(value)
            cleaned[name] = clean if clean != value else MASK
        else:
            cleaned[name] = value
    return cleaned


def grants(run: Run) -> dict[str, int]:
    """Return how often people said "continue" to each budget in this run."""
    granted: dict[str, set[tuple[str, float]]] = {}
    for question in run.questions.values():
        if question.kind == "budget" and question.answer == CONTINUE:
            # One answer settles all open questions about a budget at once: it grants once.
            once = (question.answered_by, question.answered_at or 0.0)
            granted.setdefault(question.about, set()).add(once)
    return {scope: len(times) for scope, times in granted.items()}

"""How an agent works with a model: turns and tool calls until its output is handed in.

`solve` is pure but for its ports. Everything that a port gives is recorded under a key made of
the turn, so going through the loop again after a takeover recalls what was done and goes on at
the exact turn: no finished model call and no finished tool call is made twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from pydantic import JsonValue, ValidationError

from agents import builtins, paging
from agents.builtins import ASK, EVIDENCE_READ, EVIDENCE_SEARCH, FIND_TOOLS, HAND_OFF, SUBMIT
from agents.discovery import MANY_TOOLS, found, listed
from agents.domain import Evidence, JsonObject
from agents.fencing import fence
from agents.folding import Folding, as_text
from agents.models.output import Reading
from agents.models.port import (
    Finish,
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelTool,
    Role,
    ToolRequest,
)
from agents.prompting import render
from agents.redact import MASK
from agents.repetition import Again, Repetition, call_key
from agents.reports import CallOutcome
from agents.review import Review, Verdict, read_verdict, verdict_request
from agents.submission import Form
from config.specs import PERSON, AgentSpec

MAX_PARALLEL = 8
MAX_CALLS_PER_TURN = 16
MAX_BAD_OUTPUTS = 2
"""How often an agent is told what is wrong with its output before it counts as failed."""
LAST_WORDS_S = 20.0
LAST_WORDS_SHARE = 0.25
MAX_QUESTIONS = 5
"""How much one agent may ask people in one step."""
ACCEPT, REJECT = "accept", "reject"
NOTHING_SAID = "(nothing)"
"""Providers refuse messages without words."""
CUT_OFF = "it was cut off at its length limit: write less"


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that the agent may call; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    is_writing: bool = False
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What an agent has to do, and with what.

    `handoffs` says to whom it may pass the conversation, with what they can do. `form` is what
    its output must look like; None: any text. `reserve_s` is kept for its last words.
    """

    agent: AgentSpec
    opening: tuple[Message, ...]
    nonce: str
    offers: tuple[Offer, ...] = ()
    handoffs: Mapping[str, str] = field(default_factory=dict)
    form: Form | None = None
    review: Review | None = None
    reserve_s: float = LAST_WORDS_S


@dataclass(frozen=True, slots=True)
class Solved:
    """An output; `partial` says why the agent was stopped before it was done, or is empty."""

    output: JsonValue
    partial: str = ""


class Ports(Protocol):
    """The loop's way to the world; whatever waits for a person is raised through the loop."""

    async def think(self, key: str, request: ModelRequest) -> ModelReply:
        """Return the reply to the request of that key; a recorded one is recalled."""

    async def call_tool(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        """Return what the call came to; a failure or a denial is part of it."""

    async def ask(self, call_id: str, text: str, options: Sequence[str], kind: str) -> str:
        """Return a person's answer to the question of that id."""

    async def once(self, key: str, make: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Return what `make` gave the first time it was asked under this key."""

    async def evidence(self) -> Mapping[str, Evidence]:
        """Return what the agent may read and cite, by id."""

    def objection_to_hand_off(self, to: str) -> str:
        """Return why the step may not go to that agent; empty when it may."""

    def seconds_left(self) -> float:
        """Return how long the step may still take."""


class UnsolvedError(Exception):
    """The agent gave no output that may be passed on; the message says why."""


class RejectedError(UnsolvedError):
    """A reviewer, a person or the model itself said no: another try would not change it."""


class HandedOff(Exception):
    """The agent passes its conversation to another one."""

    def __init__(self, to: str, reason: str) -> None:
        self.to = to
        self.reason = reason
        super().__init__(f"handed to {to}: {reason}")


class _Stopped(Exception):
    """The agent has to end with what it has; the message says why."""


def reserve_of(timeout_s: float) -> float:
    """Return how much of a step's time is kept for the last words."""
    return min(LAST_WORDS_S, timeout_s * LAST_WORDS_SHARE)


async def solve(task: Task, ports: Ports) -> Solved:
    """Return the agent's output, reviewed if the step asks for it.

    Raises UnsolvedError, HandedOff, and whatever the ports raise.
    """
    work = _Work(task, ports)
    number = 0
    while True:
        solved = await work.round(number)
        if task.review is None:
            return solved
        verdict = await _judged(task.review, task, ports, solved, number)
        if verdict.verdict == "accept":
            return solved
        if verdict.verdict == "reassign":
            objection = _objection_to_reassign(task.review, ports, verdict.to)
            if not objection:
                raise HandedOff(verdict.to, f"the review says: {verdict.feedback}")
            verdict = verdict.escalated(objection)
        if verdict.verdict == "escalate":
            await _accepted_by_person(task, ports, solved, verdict, number)
            return solved
        if number >= task.review.retries or solved.partial:
            raise RejectedError(f"the review by {task.review.by.name} says: {verdict.feedback}")
        number += 1
        work.tell(render("review_feedback", feedback=verdict.feedback))


async def _judged(review: Review, task: Task, ports: Ports, solved: Solved, number: int) -> Verdict:
    request = verdict_request(review, task.nonce, solved.output, solved.partial)
    try:
        reply = await ports.think(f"review-{number}", request)
    except ModelError as error:
        return Verdict(verdict="escalate", feedback=f"nobody could review it: {error}")
    return read_verdict(reply)


def _objection_to_reassign(review: Review, ports: Ports, to: str) -> str:
    if to not in review.team:
        return f"{to or 'nobody'} is not in the team of {review.by.name}"
    return ports.objection_to_hand_off(to)


async def _accepted_by_person(
    task: Task, ports: Ports, solved: Solved, verdict: Verdict, number: int
) -> None:
    """Let a person decide about an output; RejectedError when they say no."""
    text = render("review_question", agent=task.agent, verdict=verdict, output=solved.output)
    answer = await ports.ask(f"review-{number}", text, (ACCEPT, REJECT), "review")
    if answer != ACCEPT:
        raise RejectedError(f"rejected by a person: {verdict.feedback}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that can be carried out: the tool's own name, checked arguments, its place."""

    place: int
    name: str
    args: JsonObject
    offer: Offer | None = None

    @property
    def acts_once(self) -> bool:
        """Whether doing it twice would be wrong rather than wasteful."""
        return self.name == ASK or (self.offer is not None and self.offer.is_writing)


@dataclass(slots=True)
class _Turn:
    """The requests of one turn and what became of them; `said` is told to the model."""

    requests: Sequence[ToolRequest]
    said: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    failures: set[int] = field(default_factory=set)
    is_progress: bool = False
    stop: str = ""
    output: Reading | None = None


class _Work:
    """One agent's conversation about one step, as far as it got."""

    def __init__(self, task: Task, ports: Ports) -> None:
        self._task = task
        self._ports = ports
        self._offers = {offer.name: offer for offer in task.offers}
        self._has_many = len(task.offers) > MANY_TOOLS
        self._found: list[str] = []
        self._messages = list(task.opening)
        self._notes: dict[int, str] = {}
        self._results: dict[str, str] = {}
        self._repetition = Repetition()
        self._folding = Folding(task.agent.context_tokens)
        self._bad_outputs = 0
        self._questions = 0
        self._prefix = ""

    def tell(self, text: str) -> None:
        """Add what the agent should know before its next turn."""
        self._messages.append(Message(Role.USER, text))

    async def round(self, number: int) -> Solved:
        """Work until an output is handed in; each review that sends it back begins a round."""
        self._prefix = f"r{number}-" if number else ""
        most = self._task.agent.max_turns
        for turn in range(1, most + 1):
            try:
                reply = await self._turn(turn)
            except _Stopped as stopped:
                return await self._last_words(turn, str(stopped))
            try:
                reading = await self._heed(reply, turn)
            except _Stopped as stopped:
                return await self._last_words(turn + 1, str(stopped))
            if reading is not None:
                return Solved(reading.value)
            if turn == most - 1:
                self.tell(render("one_turn_left", has_form=self._task.form is not None))
        return await self._last_words(most + 1, f"it has used its {most} turns")

    async def _turn(self, turn: int) -> ModelReply:
        """Make (or recall) the model call of this turn."""
        request = self._request()
        left = self._ports.seconds_left() - self._task.reserve_s
        if left <= 0:
            raise _Stopped("its time is nearly up")
        try:
            async with asyncio.timeout(left):
                return await self._ports.think(f"{self._prefix}turn-{turn}", request)
        except TimeoutError:
            raise _Stopped("its time is nearly up") from None

    def _request(self) -> ModelRequest:
        tools = self._tools()
        view = self._folding.view(self._messages, self._notes)
        if not self._folding.fits(view):
            most = self._task.agent.context_tokens
            raise _Stopped(f"its conversation does not fit into {most} tokens any more")
        return ModelRequest(
            alias=self._task.agent.model or "",
            messages=view,
            tools=tools,
            max_output_tokens=self._task.agent.max_output_tokens,
        )

    def _tools(self) -> tuple[ModelTool, ...]:
        """Return what can be called in the next turn; what was there before keeps its place."""
        task = self._task
        tools = [builtins.built_in(EVIDENCE_READ), builtins.built_in(EVIDENCE_SEARCH)]
        if task.agent.may_ask:
            tools.append(builtins.built_in(ASK))
        if task.handoffs:
            tools.append(builtins.hand_off_tool(task.handoffs))
        if task.form is not None:
            tools.append(builtins.submit_tool(task.form.parameters))
        if self._has_many:
            tools.append(builtins.built_in(FIND_TOOLS))
        names = self._found if self._has_many else list(self._offers)
        tools += [_as_model_tool(self._offers[name]) for name in names]
        return tuple(tools)

    async def _heed(self, reply: ModelReply, number: int) -> Reading | None:
        """Do what the model asks for; returns its output once that is right."""
        if reply.finish is Finish.REFUSED:
            raise RejectedError(f"the model refused: {reply.text or 'it did not say why'}")
        if reply.output is not None or not reply.requests:
            return self._heed_words(reply)
        turn = _Turn(reply.requests)
        await self._carry_out(
            turn, f"{self._prefix}t{number}", is_cut=reply.finish is Finish.LENGTH
        )
        self._messages.append(Message(Role.ASSISTANT, reply.text, reply.requests))
        for place, request in enumerate(reply.requests):
            if place in turn.notes:
                self._notes[len(self._messages)] = turn.notes[place]
            self._messages.append(Message(Role.TOOL, turn.said[place], call_id=request.id))
        if turn.output is not None:
            return turn.output
        if turn.stop:
            raise _Stopped(turn.stop)
        self._require_progress(is_progress=turn.is_progress)
        return None

    def _heed_words(self, reply: ModelReply) -> Reading | None:
        """Take a reply without calls as the output, if it can be one."""
        self._messages.append(Message(Role.ASSISTANT, reply.text or NOTHING_SAID))
        reading = self._read(reply)
        if not reading.errors:
            return reading
        self._complain(reading)
        return None

    def _read(self, reply: ModelReply) -> Reading:
        form, is_cut = self._task.form, reply.finish is Finish.LENGTH
        if form is None and is_cut:
            return Reading(errors=(CUT_OFF,))
        if form is None:
            return Reading(reply.text) if reply.text.strip() else Reading(errors=("it is empty",))
        if reply.output is not None:
            return form.read(reply.output)
        return form.read_text(reply.text, is_cut=is_cut)

    def _complain(self, reading: Reading) -> None:
        self._count_bad_output(reading)
        self.tell(render("bad_output", errors=reading.errors, has_form=self._task.form is not None))

    def _count_bad_output(self, reading: Reading) -> None:
        self._bad_outputs += 1
        if self._bad_outputs > MAX_BAD_OUTPUTS:
            raise UnsolvedError(f"its output is still wrong: {'; '.join(reading.errors)}")

    def _require_progress(self, *, is_progress: bool) -> None:
        again = self._repetition.end_turn(is_progress=is_progress)
        if again is Again.STOP:
            raise _Stopped("it made no progress any more")
        if again is Again.TELL:
            self.tell(render("no_progress"))

    async def _last_words(self, turn: int, why: str, *, may_be_late: bool = True) -> Solved:
        """Ask once for what the agent has, without tools; it takes the place of a turn."""
        form = self._task.form
        said = as_text(
            self._folding.view(self._messages, self._notes)[len(self._task.opening) :],
            self._task.agent.context_tokens // 2,
        )
        request = ModelRequest(
            alias=self._task.agent.model or "",
            messages=(
                *self._task.opening,
                Message(Role.USER, render("last_words", why=why, said=said, has_form=bool(form))),
            ),
            output_schema=form.parameters if form else None,
            max_output_tokens=self._task.agent.max_output_tokens,
        )
        try:
            async with asyncio.timeout(max(1.0, self._ports.seconds_left())):
                reply = await self._ports.think(f"{self._prefix}turn-{turn}", request)
        except TimeoutError:
            raise UnsolvedError(f"{why}, and there was no time for last words") from None
        except ModelError as error:
            raise UnsolvedError(f"{why}, and its last words failed: {error}") from error
        if reply.requests and may_be_late:  # The turn is on record after all: it came too late.
            return await self._last_words(turn + 1, why, may_be_late=False)
        reading = self._read(reply)
        if reply.finish is Finish.REFUSED or reading.errors:
            raise UnsolvedError(f"{why}, and its last words cannot be used")
        self._messages.append(Message(Role.ASSISTANT, reply.text or NOTHING_SAID))
        return Solved(reading.value, why)

    # ---- one turn's requests

    async def _carry_out(self, turn: _Turn, call_id: str, *, is_cut: bool) -> None:
        """Carry out the requests: what only reads together, then what acts, in order."""
        asked = self._runnable(turn, is_cut=is_cut)
        together = [one for one in asked if one.name != SUBMIT and not self._is_serial(one)]
        limit = asyncio.Semaphore(MAX_PARALLEL)

        async def bounded(one: _Asked) -> None:
            async with limit:
                await self._do(turn, one, f"{call_id}-{one.place}")

        # What one of them raises waits until the others have ended and are on record.
        for raised in await asyncio.gather(*map(bounded, together), return_exceptions=True):
            if isinstance(raised, BaseException):
                raise raised
        for one in asked:
            if self._is_serial(one):
                await self._do(turn, one, f"{call_id}-{one.place}")
        for one in asked:
            if one.name == SUBMIT and turn.output is None:
                self._submit(turn, one)

    def _is_serial(self, one: _Asked) -> bool:
        return one.acts_once or one.name == HAND_OFF

    def _runnable(self, turn: _Turn, *, is_cut: bool) -> list[_Asked]:
        """Return the requests that are to be carried out, and answer the others."""
        firsts: dict[str, int] = {}
        runnable: list[_Asked] = []
        for place, request in enumerate(turn.requests):
            asked = self._understood(place, request, is_cut=is_cut)
            if isinstance(asked, str):
                turn.said[place] = asked
                turn.failures.add(place)
                continue
            key = call_key(asked.name, asked.args)
            if key in firsts:
                turn.said[place] = f"The same as call {firsts[key] + 1} of this turn."
            elif place >= MAX_CALLS_PER_TURN:
                turn.said[place] = f"Not run: {MAX_CALLS_PER_TURN} calls at a time are the most."
            elif asked.name == SUBMIT or self._is_first(turn, asked, key):
                firsts[key] = place
                runnable.append(asked)
        return runnable

    def _is_first(self, turn: _Turn, asked: _Asked, key: str) -> bool:
        """Say whether a call may run again; if not, the model is told what it has already."""
        again = self._repetition.ask(asked.name, asked.args, acts_once=asked.acts_once)
        if again is Again.RUN:
            return True
        if again is Again.STOP:
            turn.stop = f"it kept repeating the same call of {asked.name}"
        had = self._results.get(key, "no result")
        turn.said[asked.place] = render("same_call", had=had, acts_once=asked.acts_once)
        return False

    def _understood(self, place: int, request: ToolRequest, *, is_cut: bool) -> _Asked | str:
        """Return the request as a call, or what the model has to mend."""
        known = {SUBMIT} if self._task.form is not None else set()
        known |= {EVIDENCE_READ, EVIDENCE_SEARCH, *self._offers}
        known |= {ASK} if self._task.agent.may_ask else set()
        known |= {HAND_OFF} if self._task.handoffs else set()
        known |= {FIND_TOOLS} if self._has_many else set()
        by_name = {name: name for name in known} | {builtins.model_name(n): n for n in known}
        name = by_name.get(request.name)
        if name is None:
            names = ", ".join(sorted(builtins.model_name(one) for one in known))
            return f"There is no tool {request.name!r}. You may call: {names}."
        if request.args is None:
            cut = " (your reply was cut off at its length limit: write less)" if is_cut else ""
            return f"The arguments of {request.name} are not a JSON object{cut}: send one."
        if name != SUBMIT and MASK in json.dumps(request.args):
            return f"{request.name} was not called: leave out what is or was a secret."
        if name in builtins.ARGUMENTS:
            try:
                typed = builtins.ARGUMENTS[name].model_validate(request.args)
            except ValidationError as error:
                return _argument_errors(name, error)
            return _Asked(place, name, typed.model_dump(mode="json"))
        return _Asked(place, name, request.args, self._offers.get(name))

    async def _do(self, turn: _Turn, one: _Asked, call_id: str) -> None:
        """Carry out one request, and note what it came to."""
        if one.offer is not None:
            text = await self._call(turn, one, call_id)
        elif one.name in (EVIDENCE_READ, EVIDENCE_SEARCH):
            text = str(await self._ports.once(call_id, lambda: self._page(one)))
            turn.notes[one.place] = f"[evidence {one.args['evidence_id']}: evidence__read shows it]"
            self._note_progress(turn, text)
        elif one.name == FIND_TOOLS:
            text = self._find(str(one.args["query"]))
            self._note_progress(turn, text)
        elif one.name == ASK:
            text = await self._ask(turn, one, call_id)
        else:
            text = await self._hand_off(turn, one, call_id)
        turn.said[one.place] = text
        self._results[call_key(one.name, one.args)] = turn.notes.get(one.place, text)

    async def _ask(self, turn: _Turn, one: _Asked, call_id: str) -> str:
        if self._questions >= MAX_QUESTIONS:
            turn.failures.add(one.place)
            return f"You have asked {MAX_QUESTIONS} times, and that is the most."
        self._questions += 1
        question = f"{self._task.agent.title} asks: {one.args['question']}"
        options = cast("list[str]", one.args["options"])
        text = f"Answer: {await self._ports.ask(call_id, question, options, 'input')}"
        self._note_progress(turn, text)
        return text

    def _note_progress(self, turn: _Turn, text: str) -> None:
        turn.is_progress = self._repetition.is_new(text) or turn.is_progress

    async def _call(self, turn: _Turn, one: _Asked, call_id: str) -> str:
        offer = self._offers[one.name]
        if self._has_many and offer.name not in self._found:
            self._found.append(offer.name)
        outcome = await self._ports.call_tool(call_id, offer.name, one.args)
        if outcome.error:
            turn.failures.add(one.place)
            return f"No result: {self._fenced(outcome.error, offer.is_trusted)}"
        text = outcome.text or json.dumps(outcome.output, ensure_ascii=False)
        self._note_progress(turn, text)
        shown = self._fenced(paging.excerpt(text, outcome.evidence_id), offer.is_trusted)
        lines = [f"evidence_id: {outcome.evidence_id}" if outcome.evidence_id else "", shown]
        if outcome.args is not None:
            ran = json.dumps(outcome.args, ensure_ascii=False)
            lines.insert(0, f"An approver changed the arguments. What ran was: {ran}")
        if outcome.evidence_id:
            turn.notes[one.place] = (
                f"[{offer.name} gave evidence {outcome.evidence_id}: evidence__read shows it]"
            )
        return "\n".join(line for line in lines if line)

    def _fenced(self, text: str, is_trusted: bool) -> str:
        return text if is_trusted else fence(text, self._task.nonce)

    async def _page(self, one: _Asked) -> JsonValue:
        evidence_id = str(one.args["evidence_id"])
        known = await self._ports.evidence()
        piece = known.get(evidence_id)
        if piece is None:
            return f"There is no evidence {evidence_id!r}. Known: {', '.join(known) or 'none'}."
        if one.name == EVIDENCE_READ:
            from_line, lines = cast(int, one.args["from_line"]), cast(int, one.args["lines"])
            text = paging.page(piece.text, from_line, lines)
        else:
            text = paging.matches(piece.text, str(one.args["text"]))
        return self._fenced(text, piece.is_trusted)

    def _find(self, query: str) -> str:
        offers = list(self._offers.values())
        names = found(query, offers)
        self._found += [name for name in names if name not in self._found]
        return listed([self._offers[name] for name in names] or offers, is_found=bool(names))

    async def _hand_off(self, turn: _Turn, one: _Asked, call_id: str) -> str:
        to, reason = str(one.args["to"]), str(one.args["reason"])
        if to not in self._task.handoffs:
            turn.failures.add(one.place)
            return (
                f"You cannot hand over to {to!r}. Choose one of: {', '.join(self._task.handoffs)}."
            )
        if to == PERSON:
            text = f"{self._task.agent.title} hands over: {reason}"
            answer = await self._ports.ask(call_id, text, (), "input")
            turn.is_progress = True
            return f"A person took it and says: {answer}"
        if objection := self._ports.objection_to_hand_off(to):
            turn.failures.add(one.place)
            return objection
        raise HandedOff(to, reason)

    def _submit(self, turn: _Turn, one: _Asked) -> None:
        if turn.failures:
            turn.said[one.place] = (
                "Not taken yet: another call of this turn failed. Look at it, then submit again."
            )
            return
        form = self._task.form
        reading = form.read(one.args) if form is not None else Reading(errors=("no form",))
        if not reading.errors:
            turn.output = reading
            turn.said[one.place] = "Taken."
            return
        self._count_bad_output(reading)
        turn.said[one.place] = render("bad_output", errors=reading.errors, has_form=True)


def _as_model_tool(offer: Offer) -> ModelTool:
    writes = (
        " It changes something, so a person may have to approve it." if offer.is_writing else ""
    )
    name = builtins.model_name(offer.name)
    return ModelTool(name, f"{offer.description}{writes}", offer.parameters)


def _argument_errors(name: str, error: ValidationError) -> str:
    problems = "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    )
    known = ", ".join(builtins.ARGUMENTS[name].model_fields)
    return f"{name} cannot take these arguments: {problems}. Its arguments are: {known}."

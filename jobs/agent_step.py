"""A step solved by an agent with a model: the loop's ports, made durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import JsonValue

from agents.briefing import Briefing, opening, peers
from agents.corrections import corrected
from agents.discovery import MANY_TOOLS
from agents.domain import Evidence, JsonObject
from agents.fencing import nonce_of
from agents.findings import OUTPUTS, AnswerOut, as_json
from agents.longterm import tools_of
from agents.loop import HandedOff, Offer, RejectedError, Solved, Task, reserve_of, solve
from agents.memory import WINDOW, reaches
from agents.models.port import (
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    NoModelError,
    Role,
)
from agents.outcome import CallOutcome
from agents.redact import redact
from agents.review import Review
from agents.submission import Form
from agents.tool import Effect
from config.specs import PERSON
from jobs import commands as c
from jobs.asking import ANSWER_WITHIN_S, Denied, Suspended, why_not
from jobs.briefing import team_of_reviewer
from jobs.calling import OutOfTime, own_key
from jobs.commands import Refusal, Refused
from jobs.filling import MAX_OUTPUT_BYTES, StepError, instruction_of
from jobs.gathering import Gathered, gathered
from jobs.journal import leg_of
from jobs.patience import patiently
from jobs.remembering import remembered, with_earlier
from jobs.run import MAX_SENTENCE_CHARS, objection_to_hop
from jobs.state import ApprovalStatus, CallStatus, Question
from jobs.workbench import Workbench

TIME_IS_UP = "the step's time is up"


class GaveUpError(StepError):
    """Every model refused the request or gave no good reply: another try would not help."""


@dataclass(frozen=True, slots=True)
class Worked:
    """A step's output, and what people should know of how it came about."""

    output: JsonValue
    remark: str = ""


async def solve_step(bench: Workbench) -> Worked:
    """Return the agent's output for the step.

    Raises NoModelError when no model answers, Suspended when a person has to decide or the step
    is handed on; UnsolvedError when the agent gave nothing that may be passed on, GaveUpError and
    other StepErrors when another try would not help either.
    """
    ports = StepPorts(bench)
    try:
        known = await gathered(bench)
        task = await _task(bench, known)
        solved = await solve(task, ports)
    except HandedOff as handed:
        reason = redact(handed.reason)[:MAX_SENTENCE_CHARS]
        command = c.HandOff(bench.step.id, bench.lease.attempt, handed.to, reason)
        raise Suspended(command) from None
    except RejectedError as error:
        raise StepError(str(error)) from error
    except NoModelError:
        raise
    except ModelError as error:
        raise GaveUpError(f"{bench.agent.title} could not go on: {error}") from error
    remark = f"stopped early, {solved.partial}" if solved.partial else ""
    return Worked(_completed(bench, solved, known), remark)


async def _task(bench: Workbench, known: Gathered) -> Task:
    schema = _schema(bench)
    offers = _offers(bench)
    return Task(
        agent=bench.agent,
        opening=await _opening(
            bench, known, has_form=bool(schema), has_many=len(offers) > MANY_TOOLS
        ),
        nonce=nonce_of(bench.run.id, bench.step.id),
        offers=offers,
        handoffs=peers(bench.agent, bench.agents),
        form=Form(schema, MAX_OUTPUT_BYTES) if schema else None,
        review=_review(bench),
        reserve_s=reserve_of(bench.step.timeout_s),
    )


def _offers(bench: Workbench) -> tuple[Offer, ...]:
    tools = [bench.toolbox[name] for name in tools_of(bench.agent) if name in bench.toolbox]
    return tuple(
        Offer(
            name=tool.name,
            description=tool.description,
            parameters=tool.arguments.model_json_schema(),
            is_writing=tool.effect is Effect.WRITES,
            is_trusted=tool.is_trusted,
        )
        for tool in tools
    )


def _schema(bench: Workbench) -> Mapping[str, Any] | None:
    """Return what the output must look like; the answer of a run is an answer if nothing else."""
    step, agent = bench.step, bench.agent
    if step.output_schema or agent.output:
        return step.output_schema or agent.output
    if agent.report_function in OUTPUTS:
        return OUTPUTS[agent.report_function].model_json_schema()
    return AnswerOut.model_json_schema() if bench.run.gives_answer(step.id) else None


def _completed(bench: Workbench, solved: Solved, known: Gathered) -> JsonValue:
    """Return the output with the defaults that later steps count on, and what rules know."""
    model = OUTPUTS.get(bench.agent.report_function)
    if model is None or bench.step.output_schema or bench.agent.output:
        return solved.output
    output = as_json(model.model_validate(solved.output))
    return corrected(bench.agent.report_function, bench.step.inputs, known.rules, output)


def _review(bench: Workbench) -> Review | None:
    spec = bench.step.review
    if spec is None:
        return None
    reviewer = bench.agents.get(spec.by)
    if reviewer is None:
        raise StepError(f"its output is to be reviewed by {spec.by!r}, and there is no such agent")
    has_model = bool(reviewer.model) and bench.thinking.model.offers(reviewer.model or "")
    return Review(
        criteria=spec.criteria,
        by=reviewer,
        alias=(reviewer.model if has_model else bench.agent.model) or "",
        retries=spec.retries,
        title=bench.step.title,
        instruction=instruction_of(bench.run, bench.step.id),
        team=team_of_reviewer(bench, reviewer),
    )


async def _opening(
    bench: Workbench, known: Gathered, *, has_form: bool, has_many: bool
) -> tuple[Message, ...]:
    """Return the first messages; after a takeover the same ones, whatever is remembered by then."""

    async def make() -> JsonValue:
        services = bench.rules.world.services
        messages = opening(
            Briefing(
                agent=bench.agent,
                step=replace(bench.step, instruction=instruction_of(bench.run, bench.step.id)),
                goal=bench.run.goal,
                now=bench.clock(),
                nonce=nonce_of(bench.run.id, bench.step.id),
                memory=await remembered(bench),
                services={name: spec.environment for name, spec in services.items()},
                gathered=known.shown,
                has_form=has_form,
                has_many_tools=has_many,
            )
        )
        return [{"role": message.role.value, "text": message.text} for message in messages]

    stored = cast("list[dict[str, str]]", await bench.thinking.once("opening", make))
    return tuple(Message(Role(one["role"]), one["text"]) for one in stored)


class StepPorts:
    """`agents.loop.Ports` of one attempt at a step."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._state = bench.run.steps[bench.step.id]
        self._evidence: Mapping[str, Evidence] = {}

    async def think(self, key: str, request: ModelRequest) -> ModelReply:
        """See `Ports.think`."""
        return await self._bench.thinking.call(key, request)

    async def once(self, key: str, make: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """See `Ports.once`."""
        return await self._bench.thinking.once(key, make)

    async def call_tool(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        """See `Ports.call_tool`."""
        call_id = self._in_this_try(call_id)
        try:
            known = await self._earlier(call_id, tool, args)
            outcome = known or await self._bench.call_tool(call_id, tool, args)
        except Denied as denied:
            return _no_result(f"{denied}. Do not ask for it again: go on without it.")
        except OutOfTime:
            return _no_result(TIME_IS_UP)
        await self._require_going(tool)
        return outcome

    async def _require_going(self, tool: str) -> None:
        """End a step that a stopped run left alone only because it was in a write.

        What only reads is cancelled by the stop itself.
        """
        bench = self._bench
        if bench.toolbox[tool].effect is Effect.WRITES:
            run = await patiently(lambda: bench.runs.get(bench.run.id))
            if run.stopped_by:
                raise Refused(Refusal.RUN_OVER, f"The run was stopped by {run.stopped_by}.")

    async def ask(self, call_id: str, text: str, options: Sequence[str], kind: str) -> str:
        """See `Ports.ask`; suspends the step until somebody has answered."""
        bench, now = self._bench, self._bench.clock()
        question_id = (
            f"q-{bench.run.id}-{bench.step.id}-{leg_of(self._state)}-{self._in_this_try(call_id)}"
        )
        known = bench.run.questions.get(question_id)
        if known is not None and known.answer is not None:
            return f"{known.answer} ({known.answered_by})" if kind == "input" else known.answer
        question = Question(
            id=question_id,
            step_id=bench.step.id,
            text=redact(text),
            options=tuple(options),
            asked_at=now,
            expires_at=now + ANSWER_WITHIN_S,
            kind=kind,
        )
        raise Suspended(c.AskQuestion(bench.step.id, bench.lease.attempt, question))

    async def evidence(self) -> Mapping[str, Evidence]:
        """See `Ports.evidence`; an agent that remembers the thread may read its evidence too."""
        bench, store = self._bench, self._bench.runs.store
        own = await patiently(lambda: store.evidence(bench.run.id))
        if not reaches(bench.agent.memory, "thread"):
            return own
        return await with_earlier(store, bench.run, own, bench.run.goal.earlier[-WINDOW:])

    def objection_to_hand_off(self, to: str) -> str:
        """See `Ports.objection_to_hand_off`."""
        if to == PERSON:
            return ""
        if to not in self._bench.agents:
            return f"There is no agent {to}."
        return objection_to_hop(self._bench.run, self._bench.step.id, to)

    def seconds_left(self) -> float:
        """See `Ports.seconds_left`."""
        return self._bench.deadline - asyncio.get_running_loop().time()

    def _in_this_try(self, call_id: str) -> str:
        """Tell the calls of this try from those of earlier ones: they need not be the same."""
        tries = self._state.tries
        return f"try{tries + 1}-{call_id}" if tries else call_id

    async def _earlier(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome | None:
        """Return what became of the same write in an earlier try, or with an earlier agent.

        A new try, or a new agent, may well want the same thing done: it is not done twice, and
        who said no is not asked again.
        """
        bench = self._bench
        if bench.toolbox[tool].effect is not Effect.WRITES:
            return None
        own = own_key(bench.step, self._state, call_id)
        for call in bench.run.calls.values():
            is_same = call.step_id == bench.step.id and call.is_for(tool, args)
            if not is_same or call.key == own:
                continue
            if call.status is CallStatus.SUCCEEDED:
                text = "It was done already, earlier in this step: it is not done twice."
                ran = None if call.args == args else call.args
                done = cast(JsonObject, call.result)
                return CallOutcome(done, call.evidence_id, text, "", args=ran)
            if call.status is CallStatus.SKIPPED:
                return _no_result(f"{call.error}. Do not ask for it again: go on without it.")
        for approval in bench.run.approvals.values():
            if approval.step_id != bench.step.id or approval.status is not ApprovalStatus.DENIED:
                continue
            for asked in approval.calls:
                if asked.is_for(tool, args) and asked.key != own:
                    return _no_result(f"{why_not(approval)}. Do not ask for it again.")
        return None


def _no_result(error: str) -> CallOutcome:
    return CallOutcome(output=None, evidence_id="", text="", error=error)

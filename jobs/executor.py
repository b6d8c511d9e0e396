"""What a worker does with a ticket: take the step, do its work, tell the run how it went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError

from agents import claims
from agents.domain import Answer, JsonObject, Step
from agents.policy import Query, Ruling, rule
from agents.redact import redact
from agents.reports import CallOutcome
from agents.runbook import RunbookCallError, follow
from agents.tool import Effect, Toolbox, ToolError
from config.expressions import ExpressionError, fill
from config.specs import AgentSpec, Verdict
from jobs import commands as c
from jobs.broker import Ticket
from jobs.calling import (
    Denied,
    FencedOff,
    Rules,
    StepCalls,
    Suspended,
    approval_id,
    call_key,
    proposed,
    ruling_of,
    terms_of,
    why_not,
)
from jobs.commands import Refusal, Refused
from jobs.observe import report_error
from jobs.service import Runs, UnknownRunError
from jobs.state import Approval, ApprovalStatus, ProposedCall, Run
from jobs.store import ConflictError, Lease, StoreUnavailableError
from jobs.summary import variables
from jobs.worker import StopReason, StopSignal

log = structlog.get_logger(__name__)

RENEW_S = 3.0
TIMEOUT_GRACE_S = 3.0
"""Tools end by themselves at the step's timeout; this much later the whole step is cut off."""
MAX_OUTPUT_BYTES = 32_768
STORE_RETRY_S = 1.0
ANSWER = TypeAdapter(Answer)
JSON = TypeAdapter(JsonValue)


class StepError(Exception):
    """The step's work is wrong in a way that trying again cannot mend."""


class Executor:
    """Carries out tickets for one worker. `worker` names it in leases and events.

    `renew_s` must be well below how long a lease of the store lasts.
    """

    def __init__(
        self,
        runs: Runs,
        agents: Mapping[str, AgentSpec],
        toolbox: Toolbox,
        rules: Rules,
        clock: Callable[[], float],
        worker: str,
        renew_s: float = RENEW_S,
    ) -> None:
        self._runs = runs
        self._agents = agents
        self._toolbox = toolbox
        self._rules = rules
        self._clock = clock
        self._worker = worker
        self._renew_s = renew_s
        self._held: dict[Lease, asyncio.Task[None]] = {}

    async def run_ticket(self, ticket: Ticket, stop: StopSignal) -> None:
        """Do the ticket's work; returns when the run knows the outcome, or no longer cares.

        Cancelled because the worker drains, it gives the step back at once.
        """
        lease = Lease(ticket.run_id, ticket.step_id, ticket.attempt, self._worker)
        try:
            run = await self._patiently(
                ticket.run_id, c.StartStep(ticket.step_id, ticket.attempt, self._worker)
            )
        except (Refused, UnknownRunError) as refusal:
            log.debug("ticket_dropped", run_id=ticket.run_id, reason=str(refusal))
            return
        task = asyncio.create_task(self._work(run, lease), name=ticket.job_id)
        self._held[lease] = task
        try:
            await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if stop.reason is StopReason.DRAINED:
                await self._give_back(lease)
            raise
        finally:
            self._held.pop(lease, None)

    async def keep_leases(self) -> None:
        """Renew the leases of what runs here, and cancel what was fenced off, until cancelled."""
        while True:
            await asyncio.sleep(self._renew_s)
            held = list(self._held)
            if not held:
                continue
            try:
                lost = await self._runs.store.renew_leases(held)
            except StoreUnavailableError as error:
                log.warning("leases_not_renewed", count=len(held), reason=str(error))
                continue
            for lease in lost:
                task = self._held.get(lease)
                if task is not None:
                    log.warning("lease_lost", run_id=lease.run_id, step_id=lease.step_id)
                    task.cancel()

    async def _work(self, run: Run, lease: Lease) -> None:
        """Turn what the step's work comes to into a command."""
        with structlog.contextvars.bound_contextvars(run_id=run.id, step_id=lease.step_id):
            command = await self._attempt(run, lease)
            if command is None:
                return
            try:
                await self._patiently(run.id, command)
            except Refused as refusal:
                log.info("outcome_refused", refusal=refusal.refusal, sentence=refusal.sentence)
                if refusal.refusal is Refusal.RUN_OVER:
                    await self._give_up(run, lease, refusal.sentence)

    async def _give_back(self, lease: Lease) -> None:
        """Let another worker take the step over now, instead of when the lease runs out."""
        with contextlib.suppress(Refused, StoreUnavailableError, ConflictError):
            await self._runs.send(lease.run_id, c.LoseStep(lease.step_id, lease.attempt))

    async def _give_up(self, run: Run, lease: Lease, sentence: str) -> None:
        """End a step that a stopped run still waits for, because it was in a write."""
        with contextlib.suppress(Refused):
            await self._patiently(
                run.id, c.FailStep(lease.step_id, lease.attempt, sentence, may_retry=False)
            )

    async def _attempt(self, run: Run, lease: Lease) -> c.Command | None:
        step = run.step(lease.step_id)
        step_id, attempt = lease.step_id, lease.attempt
        try:
            async with asyncio.timeout(step.timeout_s + TIMEOUT_GRACE_S):
                output = await self._output(run, step, lease)
                if step.id == run.plan.answer:
                    output = await self._with_checked_claims(run, output)
            return c.FinishStep(step_id, attempt, self._checked(run, step, output))
        except Suspended as suspended:
            return suspended.command
        except Denied as denied:
            return c.SkipStep(step_id, attempt, str(denied))
        except FencedOff:
            return None
        except Refused as refusal:
            if refusal.refusal is Refusal.STALE:
                return None
            return c.FailStep(step_id, attempt, refusal.sentence, may_retry=False)
        except TimeoutError:
            error = f"took longer than its {step.timeout_s:g} s"
            return c.FailStep(step_id, attempt, error)
        except (StepError, ExpressionError) as error:
            return c.FailStep(step_id, attempt, redact(str(error)), may_retry=False)
        except (ToolError, RunbookCallError) as error:
            return c.FailStep(step_id, attempt, redact(str(error)))
        except (StoreUnavailableError, ConflictError) as error:
            return c.FailStep(step_id, attempt, str(error))
        except Exception as error:
            log.exception("step_crashed")
            report_error(error, run_id=run.id, step_id=step_id)
            text = f"a bug in Muster or a tool ({type(error).__name__}): {error}"
            return c.FailStep(step_id, attempt, redact(text), may_retry=False)

    async def _output(self, run: Run, step: Step, lease: Lease) -> JsonValue:
        known = variables(run, step)
        step = _filled(step, known)
        calls = StepCalls(self._runs, self._rules, run, step, lease, self._clock)
        if step.approval:
            self._ask_for_step(run, step, lease)
        if step.approves:
            return await self._gate(run, step, lease, calls)
        if step.tool:
            return await self._tool_step(step, calls)
        agent = self._agent(run.steps[step.id].agent)

        async def call_tool(call_id: str, tool: str, args: JsonObject) -> CallOutcome:
            if tool not in agent.tools:
                raise StepError(f"agent {agent.name} may not use {tool}")
            return await calls.call(call_id, self._toolbox[tool], args)

        return await follow(agent, step.inputs, call_tool)

    def _agent(self, name: str) -> AgentSpec:
        if name not in self._agents:
            raise StepError(f"there is no agent {name!r} any more; it was in the catalogue before")
        return self._agents[name]

    async def _tool_step(self, step: Step, calls: StepCalls) -> JsonValue:
        args = _given(step.inputs)
        outcome = await calls.call("call", self._toolbox[step.tool], args)
        if outcome.error:
            raise ToolError(outcome.error)
        return cast(JsonValue, {**(outcome.output or {}), "evidence_id": outcome.evidence_id})

    def _ask_for_step(self, run: Run, step: Step, lease: Lease) -> None:
        """Ask a person before the step starts, on the terms of policy for `muster.step`."""
        approval = run.approvals.get(approval_id(run.id, step.id))
        if approval is None:
            ruling = self._step_ruling(run, step)
            now = self._clock()
            raise Suspended(
                c.RequestApproval(
                    step_id=step.id,
                    attempt=lease.attempt,
                    approval=Approval(
                        id=approval_id(run.id, step.id),
                        step_id=step.id,
                        calls=(),
                        terms=terms_of(ruling, now),
                        requested_at=now,
                        title=step.title,
                        reason=redact(step.instruction),
                    ),
                )
            )
        if approval.status is not ApprovalStatus.APPROVED:
            raise Denied(why_not(approval))

    def _step_ruling(self, run: Run, step: Step) -> Ruling:
        query = Query(
            tool="muster.step",
            effect=Effect.WRITES,
            args={"step": step.id, "workflow": run.plan.workflow},
            agent=step.agent,
            requester=run.goal.requester_id,
        )
        ruling = rule(self._rules.policies, query)
        if ruling.verdict is not Verdict.ASK:
            raise StepError(
                "the step has approval: true, but no policy for muster.step says who decides; "
                "add one with verdict ask to policies.yaml"
            )
        return ruling

    async def _gate(self, run: Run, step: Step, lease: Lease, calls: StepCalls) -> JsonValue:
        """Ask once for the writing calls of several steps."""
        approval = run.approvals.get(approval_id(run.id, step.id))
        if approval is not None:
            if approval.status is not ApprovalStatus.APPROVED:
                raise Denied(why_not(approval))
            dropped = set(approval.dropped)
            approved = [call.key for call in approval.calls if call.key not in dropped]
            return cast(JsonValue, {"approved": approved, "dropped": sorted(dropped)})
        calls_asked: list[ProposedCall] = []
        rulings: dict[str, Ruling] = {}
        trusted = await calls.trusted_texts()
        for name in step.approves:
            target = _filled(run.step(name), variables(run, run.step(name)))
            tool = self._toolbox[target.tool]
            args = _given(target.inputs)
            ruling = ruling_of(self._rules, tool, args, run, target.agent, trusted)
            if ruling.verdict is Verdict.DENY:
                raise StepError(f"{target.title} is denied by policy ({ruling.policy})")
            if ruling.verdict is Verdict.ASK:
                key = call_key(name, "call")
                calls_asked.append(proposed(key, tool.name, args))
                rulings[ruling.policy] = ruling
        if not calls_asked:
            return {"approved": [], "dropped": []}
        if len(rulings) > 1:
            raise StepError(
                f"its calls fall under different policies ({', '.join(rulings)}), which may name "
                "different approvers: use one gate for each"
            )
        now = self._clock()
        raise Suspended(
            c.RequestApproval(
                step_id=step.id,
                attempt=lease.attempt,
                approval=Approval(
                    id=approval_id(run.id, step.id),
                    step_id=step.id,
                    calls=tuple(calls_asked),
                    terms=terms_of(next(iter(rulings.values())), now),
                    requested_at=now,
                    title=step.title,
                    reason=redact(step.instruction),
                ),
            )
        )

    def _checked(self, run: Run, step: Step, output: JsonValue) -> JsonValue:
        """Return the output as it may be stored; StepError says what is wrong with it."""
        size = len(JSON.dump_json(output))
        if size > MAX_OUTPUT_BYTES:
            raise StepError(
                f"its output is {size} bytes, {MAX_OUTPUT_BYTES} is the most: "
                "summarise, and leave the rest in evidence"
            )
        schema = step.output_schema or self._agent_schema(run, step)
        if schema:
            _validate(output, schema)
        return output

    def _agent_schema(self, run: Run, step: Step) -> dict[str, Any] | None:
        agent = self._agents.get(run.steps[step.id].agent)
        return agent.output if agent else None

    async def _patiently(self, run_id: str, command: c.Command) -> Run:
        """Send a command, waiting for a store that is away: an outcome must not be lost."""
        while True:
            try:
                return await self._runs.send(run_id, command)
            except StoreUnavailableError as error:
                log.warning("store_unavailable", reason=str(error))
                await asyncio.sleep(STORE_RETRY_S)

    async def _with_checked_claims(self, run: Run, output: JsonValue) -> JsonValue:
        """Strike what the run's answer claims without its evidence."""
        try:
            answer = ANSWER.validate_python(output)
        except ValidationError as error:
            raise StepError(f"its output is not an answer: {error.errors()[0]['msg']}") from error
        checked = claims.check(answer, await self._runs.store.evidence(run.id))
        return cast(JsonValue, ANSWER.dump_python(checked, mode="json"))


def _given(inputs: JsonObject) -> JsonObject:
    """Leave out the arguments whose expression found nothing, so that defaults hold."""
    return {key: value for key, value in inputs.items() if value is not None}


def _filled(step: Step, known: Mapping[str, Any]) -> Step:
    """Return the step with the expressions in its inputs and instruction worked out."""
    inputs = cast(JsonObject, fill(dict(step.inputs), known))
    instruction = fill(step.instruction, known)
    return replace(step, inputs=inputs, instruction=str(instruction or ""))


def _validate(output: JsonValue, schema: dict[str, Any]) -> None:
    import jsonschema

    try:
        jsonschema.validate(output, schema)
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the output"
        raise StepError(f"its output does not fit its schema: {where}: {error.message}") from error

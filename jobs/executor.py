"""What a worker does with a ticket: take the step, do its work, tell the run how it went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError

from agents import claims
from agents.domain import Answer, JsonObject, Step
from agents.longterm import tools_of
from agents.loop import UnsolvedError, reserve_of
from agents.models.port import NoModelError
from agents.redact import redact
from agents.reports import CallOutcome
from agents.runbook import CallTool, NoRunbookError, RunbookCallError, follow
from agents.tool import Effect, Toolbox, ToolError
from config.expressions import ExpressionError
from config.specs import AgentSpec, BudgetsSpec, WorkflowSpec
from jobs import commands as c
from jobs import gates, planning
from jobs.agent_step import GaveUpError, Worked, solve_step
from jobs.asking import about_unknown
from jobs.broker import Ticket
from jobs.calling import Denied, FencedOff, OutOfTime, Rules, StepCalls, Suspended
from jobs.commands import Refusal, Refused
from jobs.filling import StepError, checked, filled, given, tool_of
from jobs.journal import StepJournal
from jobs.modelling import NoModels
from jobs.observe import report_error
from jobs.patience import patiently
from jobs.remembering import cited_runs, with_earlier
from jobs.run import MAX_LOSSES
from jobs.service import Runs, UnknownRunError
from jobs.state import Run
from jobs.store import ConflictError, Lease, StoreUnavailableError
from jobs.summary import proposed, remarks, variables
from jobs.supervising import supervise_step
from jobs.thinking import Models, StoppedAtBudget, Thinking
from jobs.workbench import Workbench
from jobs.worker import StopReason, StopSignal

log = structlog.get_logger(__name__)

RENEW_S = 3.0
TIMEOUT_GRACE_S = 3.0
"""Tools end by themselves at the step's timeout; this much later the whole step is cut off."""
NOTE_AFTER_S = 1.0
"""A call that takes longer than this is named on the card; each note is one more commit."""
MAX_ANSWER_CHARS = 4_000
UNREVIEWED = "nobody reviewed what its runbook gave"
ANSWER = TypeAdapter(Answer)
NO_MODELS = NoModels()


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
        *,
        models: Models | None = None,
        workflows: Mapping[str, WorkflowSpec] | None = None,
        budgets: BudgetsSpec | None = None,
    ) -> None:
        self._runs = runs
        self._agents = agents
        self._toolbox = toolbox
        self._rules = rules
        self._clock = clock
        self._worker = worker
        self._renew_s = renew_s
        self._models = models or NO_MODELS
        self._workflows = workflows or {}
        self._budgets = budgets or BudgetsSpec()
        self._held: dict[Lease, asyncio.Task[None]] = {}
        self._taken: set[Lease] = set()

    async def run_ticket(self, ticket: Ticket, stop: StopSignal) -> None:
        """Do the ticket's work; returns when the run knows the outcome, or no longer cares.

        Cancelled because the worker drains, it gives the step back at once.
        """
        lease = Lease(ticket.run_id, ticket.step_id, ticket.attempt, self._worker)
        if lease in self._taken:
            log.debug("ticket_dropped", run_id=ticket.run_id, reason="it is being worked on here")
            return  # The run takes a second start by the same worker for the first one, re-sent.
        self._taken.add(lease)
        task: asyncio.Task[None] | None = None
        try:
            run = await self._send(
                ticket.run_id, c.StartStep(ticket.step_id, ticket.attempt, self._worker)
            )
            task = asyncio.create_task(self._work(run, lease), name=ticket.job_id)
            self._held[lease] = task
            await task
        except (Refused, UnknownRunError) as refusal:
            log.debug("ticket_dropped", run_id=ticket.run_id, reason=str(refusal))
        except asyncio.CancelledError:
            if not _is_being_cancelled():
                return  # Only the step was: it belongs to another worker now.
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await self._let_go(lease, stop)
            raise
        finally:
            self._held.pop(lease, None)
            self._taken.discard(lease)

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
            except Exception as error:  # Without this loop every step here would be lost.
                log.exception("leases_not_renewed", count=len(held))
                report_error(error)
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
                if isinstance(command, c.FailStep | c.SkipStep):
                    asking = await self._about_open_write(run, lease, "its step was cut off")
                    command = asking or command
                await self._send(run.id, command)
            except UnknownRunError as error:
                log.info("outcome_dropped", reason=str(error))
            except Refused as refusal:
                log.info("outcome_refused", refusal=refusal.refusal, sentence=refusal.sentence)
                if refusal.refusal is Refusal.RUN_OVER:
                    await self._give_up(run, lease, refusal.sentence)
                elif isinstance(command, c.RevisePlan | c.HandOff):
                    await self._look_again(lease, refusal.sentence)

    async def _let_go(self, lease: Lease, stop: StopSignal) -> None:
        """Say what becomes of a step whose ticket was cancelled on this worker."""
        run_id, step_id, attempt = lease.run_id, lease.step_id, lease.attempt
        command: c.Command = c.LoseStep(step_id, attempt)
        with contextlib.suppress(
            Refused, UnknownRunError, StoreUnavailableError, ConflictError
        ):  # Then the lease runs out, and the step goes to another worker a little later.
            if stop.reason is StopReason.STOPPED and not (
                (await self._runs.get(run_id)).open_writes(step_id)
            ):
                error = "it was stopped by a command to its worker"
                command = c.FailStep(step_id, attempt, error, may_retry=False)
            if stop.reason is not None:
                await self._runs.send(run_id, command)

    async def _look_again(self, lease: Lease, reason: str) -> None:
        """Queue a step again whose decision came too late for how the run is by now."""
        with contextlib.suppress(Refused, UnknownRunError):
            await self._send(lease.run_id, c.RequeueStep(lease.step_id, lease.attempt, reason))

    async def _give_up(self, run: Run, lease: Lease, sentence: str) -> None:
        """End a step that a stopped run still waits for, because it was in a write."""
        with contextlib.suppress(Refused, UnknownRunError):
            await self._send(
                run.id, c.FailStep(lease.step_id, lease.attempt, sentence, may_retry=False)
            )

    async def _require_survivable(self, run: Run, lease: Lease) -> None:
        """Ask about an open write, instead of trying it again, when it keeps killing workers."""
        losses = run.steps[lease.step_id].losses
        if losses > MAX_LOSSES:
            asking = await self._about_open_write(run, lease, f"its worker died {losses} times")
            if asking is not None:
                raise Suspended(asking)

    async def _about_open_write(self, run: Run, lease: Lease, why: str) -> c.AskQuestion | None:
        """Return what to ask when an ending step leaves a write of which nobody saw the end."""
        run = await patiently(lambda: self._runs.get(run.id))
        if run.stopped_by or planning.plan_has_ended(run, lease.step_id):
            return None  # The answer names the call and says to look.
        for call in run.open_writes(lease.step_id):
            return await about_unknown(
                self._runs.store,
                self._rules,
                run,
                call,
                lease.attempt,
                why,
                self._clock(),
            )
        return None

    async def _attempt(self, run: Run, lease: Lease) -> c.Command | None:
        step = run.step(lease.step_id)
        step_id, attempt = lease.step_id, lease.attempt
        deadline = asyncio.get_running_loop().time() + step.timeout_s
        limit = asyncio.timeout_at(deadline + TIMEOUT_GRACE_S)
        try:
            async with limit:
                await self._require_survivable(run, lease)
                worked = await self._output(run, step, lease, deadline)
                output = checked(worked.output, self._schema(run, step))
                if run.gives_answer(step.id):  # Its schema need not know what is added here.
                    output = checked(await self._with_checked_claims(run, worked), None)
            return c.FinishStep(step_id, attempt, output, redact(worked.remark))
        except Suspended as suspended:
            return suspended.command
        except Denied as denied:
            return c.SkipStep(step_id, attempt, redact(str(denied)))
        except FencedOff:
            return None
        except Refused as refusal:
            if refusal.refusal is Refusal.STALE:
                return None
            return c.FailStep(step_id, attempt, refusal.sentence, may_retry=False)
        except (StepError, ExpressionError, NoRunbookError, NoModelError, StoppedAtBudget) as error:
            return c.FailStep(step_id, attempt, redact(str(error)), may_retry=False)
        except (ToolError, RunbookCallError, UnsolvedError) as error:
            return c.FailStep(step_id, attempt, redact(str(error)))
        except Exception as error:
            if isinstance(error, OutOfTime) or limit.expired():
                text = f"took longer than its {step.timeout_s:g} s"
                return c.FailStep(step_id, attempt, text)
            log.exception("step_crashed")
            report_error(error, run_id=run.id, step_id=step_id)
            text = f"a bug in Muster or a tool ({type(error).__name__}): {error}"
            return c.FailStep(step_id, attempt, redact(text), may_retry=False)

    async def _output(self, run: Run, step: Step, lease: Lease, deadline: float) -> Worked:
        step = filled(step, variables(run, step))
        store, rules, now = self._runs.store, self._rules, self._clock()
        if step.approval:
            gates.ask_for_step(rules, run, step, lease, now)
        if step.approves:
            passed = await gates.pass_gate(store, rules, self._toolbox, run, step, lease, now)
            return Worked(passed)
        journal = StepJournal(store, lease)
        if step.tool:
            calls = StepCalls(self._runs, rules, run, step, lease, self._clock, deadline, journal)
            return Worked(await self._tool_step(step, calls, lease))
        agent = self._agent(run.steps[step.id].agent)
        has_model = agent.model is not None and self._models.offers(agent.model)

        def calling(until: float, *, is_retried: bool) -> CallTool:
            calls = StepCalls(self._runs, rules, run, step, lease, self._clock, until, journal)

            async def call_tool(call_id: str, tool: str, args: JsonObject) -> CallOutcome:
                if tool not in tools_of(agent):
                    raise StepError(f"agent {agent.name} may not use {tool}")
                found = tool_of(self._toolbox, tool)
                async with self._noted(lease, call_id, tool, args):
                    return await calls.call(call_id, found, args, is_retried=is_retried)

            return call_tool

        remark = ""
        if has_model or agent.supervises:
            clock, models = self._clock, self._models
            bench = Workbench(
                runs=self._runs,
                rules=rules,
                toolbox=self._toolbox,
                agents=self._agents,
                workflows=self._workflows,
                budgets=self._budgets,
                run=run,
                step=step,
                agent=agent,
                lease=lease,
                journal=journal,
                thinking=Thinking(
                    self._runs, run, lease, journal, models.for_run(run), clock, models.for_run
                ),
                # They end a little earlier, so that a model can still say what it has by then.
                call_tool=calling(deadline - reserve_of(step.timeout_s), is_retried=False),
                clock=clock,
                deadline=deadline,
            )
            if agent.supervises:
                return Worked(await supervise_step(bench))
            try:
                return await solve_step(bench)
            except (NoModelError, UnsolvedError, GaveUpError) as error:
                if agent.runbook is None or not await self._may_fall_back(run, step, error):
                    raise
                log.warning("model_gave_nothing", agent=agent.name, reason=str(error))
                why = "no model answered" if isinstance(error, NoModelError) else str(error)
                remark = f"{why}, so {agent.title} followed its runbook"
        call_tool = calling(deadline, is_retried=True)
        output = await follow(agent, step.inputs, call_tool)
        said = (remark, UNREVIEWED if step.review is not None else "")
        return Worked(output, "; ".join(one for one in said if one))

    async def _may_fall_back(self, run: Run, step: Step, error: Exception) -> bool:
        """Say whether a runbook may take over: no try is left, and nothing was changed yet."""
        if isinstance(error, UnsolvedError) and run.steps[step.id].tries < step.retries.times:
            return False  # The model is tried again first.
        run = await patiently(lambda: self._runs.get(run.id))
        return not any(call.step_id == step.id for call in run.calls.values())

    @contextlib.asynccontextmanager
    async def _noted(
        self, lease: Lease, call_id: str, tool: str, args: JsonObject
    ) -> AsyncIterator[None]:
        """Say on the step what it is doing when a call takes long."""

        async def note() -> None:
            await asyncio.sleep(NOTE_AFTER_S)
            command = c.NoteStep(lease.step_id, lease.attempt, proposed(call_id, tool, args).title)
            try:
                await self._runs.send(lease.run_id, command)
            except (Refused, UnknownRunError, StoreUnavailableError, ConflictError) as error:
                log.debug("note_dropped", reason=str(error))

        noting = asyncio.create_task(note())
        try:
            yield
        finally:
            noting.cancel()

    def _agent(self, name: str) -> AgentSpec:
        if name not in self._agents:
            raise StepError(f"there is no agent {name!r} any more; it was in the catalogue before")
        return self._agents[name]

    async def _tool_step(self, step: Step, calls: StepCalls, lease: Lease) -> JsonValue:
        tool = tool_of(self._toolbox, step.tool)
        args = given(step.inputs)
        async with self._noted(lease, "call", tool.name, args):
            outcome = await calls.call("call", tool, args)
        if outcome.error and tool.effect is Effect.WRITES:
            raise StepError(outcome.error)  # On record: another try would only read it again.
        if outcome.error:
            raise ToolError(outcome.error)
        return cast(JsonValue, {**(outcome.output or {}), "evidence_id": outcome.evidence_id})

    def _schema(self, run: Run, step: Step) -> Mapping[str, Any] | None:
        if step.output_schema:
            return step.output_schema
        agent = self._agents.get(run.steps[step.id].agent)
        return agent.output if agent else None

    async def _send(self, run_id: str, command: c.Command) -> Run:
        """Send a command, waiting for a store that is away: an outcome must not be lost."""
        return await patiently(lambda: self._runs.send(run_id, command))

    async def _with_checked_claims(self, run: Run, worked: Worked) -> JsonValue:
        """Strike what the run's answer claims without its evidence; say how it came about."""
        output = worked.output
        if isinstance(output, str):
            output = {"headline": output[:MAX_ANSWER_CHARS]}
        try:
            answer = ANSWER.validate_python(output)
        except ValidationError as error:
            raise StepError(f"its output is not an answer: {error.errors()[0]['msg']}") from error
        store = self._runs.store
        run = await patiently(lambda: self._runs.get(run.id))  # With what this step has spent.
        own = await patiently(lambda: store.evidence(run.id))
        evidence = await with_earlier(store, run, own, cited_runs(answer))
        answer = claims.check(answer, evidence)
        said = dict.fromkeys((*answer.missing, *remarks(run), worked.remark))
        answer = replace(
            answer, used_model=run.spent.calls > 0, missing=tuple(one for one in said if one)
        )
        return cast(JsonValue, ANSWER.dump_python(answer, mode="json"))


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

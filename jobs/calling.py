"""One step's tool calls, made durable: recalled after a takeover, asked for, intended, recorded.

Every call goes through policy, and waits for its approval if policy says so. A reading call is
journalled with its result. A writing call is recorded as intended before it runs and as finished
after; see `jobs.run`. What a write came to is recorded even when its step is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn, cast

import structlog
from pydantic import JsonValue, ValidationError

from agents import sandbox
from agents.domain import Evidence, JsonObject, Step
from agents.excerpt import is_cut
from agents.redact import redact
from agents.reports import CallOutcome
from agents.secret_args import refusal, secret_argument
from agents.tool import (
    Effect,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
    TransientError,
)
from config.specs import Verdict
from jobs import commands as c
from jobs.asking import (
    Denied,
    Rules,
    Suspended,
    about_unknown,
    approval_id,
    call_key,
    denial,
    has_taint,
    objection,
    request,
    ruling_of,
    why_not,
)
from jobs.filling import StepError
from jobs.journal import FencedOff, StepJournal, leg_of
from jobs.patience import patiently, to_the_end
from jobs.service import Runs
from jobs.state import Approval, ApprovalStatus, Call, CallStatus, ProposedCall, Run, StepState
from jobs.store import EvidenceFullError, Lease
from jobs.summary import proposed

__all__ = ["Denied", "FencedOff", "OutOfTime", "Rules", "StepCalls", "Suspended", "honours_key"]

log = structlog.get_logger(__name__)

MIN_MEMORY_MIB = 32
_ENDED = frozenset({CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.SKIPPED})


class OutOfTime(Exception):
    """The step's time was up before the call began."""


class StepCalls:
    """The `call_tool` of one attempt at one step, whose time is up at `deadline` (loop time)."""

    def __init__(
        self,
        runs: Runs,
        rules: Rules,
        run: Run,
        step: Step,
        lease: Lease,
        clock: Callable[[], float],
        deadline: float,
        journal: StepJournal,
    ) -> None:
        self._runs = runs
        self._rules = rules
        self._run = run
        self._step = step
        self._lease = lease
        self._clock = clock
        self._deadline = deadline
        self._state = run.steps[step.id]
        self._journal = journal

    async def call(
        self, call_id: str, tool: Tool, args: JsonObject, *, is_retried: bool = True
    ) -> CallOutcome:
        """Return the call's outcome, from the record if it already has one.

        Raises Suspended, Denied, FencedOff, OutOfTime and, as long as the step has tries left for
        it (and `is_retried`), TransientError. Other errors of the tool are part of the outcome.
        """
        if name := secret_argument(args, self._rules.secrets):
            return _failed(refusal(tool.name, name))
        if tool.effect is Effect.WRITES:
            return await self._write(call_id, tool, args)
        return await self._read(call_id, tool, args, is_retried=is_retried)

    async def _read(
        self, call_id: str, tool: Tool, wanted: JsonObject, *, is_retried: bool
    ) -> CallOutcome:
        key = f"{leg_of(self._state)}/{call_id}#{self._state.tries}"
        entry = await self._journal.get(key)
        if entry is not None:
            return _edited(await self._recall(entry), wanted, entry.get("args"))
        args = wanted
        try:
            args, _ = await self._permitted(self._key(call_id), tool, args)
            self._require_time()
            result = await self._run_tool(tool, args, "")
            outcome = await self._keep(call_id, tool, args, result)
        except TransientError as error:
            if is_retried and self._state.tries < self._step.retries.times:
                raise
            outcome = _failed(str(error))  # No try is left: whoever asked can go on without it.
        except (ToolError, EvidenceFullError) as error:
            outcome = _failed(str(error))
        await self._remember(key, tool, args, outcome)
        return _edited(outcome, wanted, args)

    async def _remember(self, key: str, tool: Tool, args: JsonObject, outcome: CallOutcome) -> None:
        entry: JsonObject = {
            "key": key,
            "tool": tool.name,
            "args": args,
            "output": outcome.output,
            "evidence_id": outcome.evidence_id,
            "error": outcome.error,
        }
        await self._journal.put(entry)

    async def _recall(self, entry: JsonObject) -> CallOutcome:
        evidence_id = str(entry.get("evidence_id", ""))
        return CallOutcome(
            output=cast("JsonObject | None", entry.get("output")),
            evidence_id=evidence_id,
            text=await self._text_of(evidence_id),
            error=str(entry.get("error", "")),
        )

    async def _text_of(self, evidence_id: str) -> str:
        if not evidence_id:
            return ""
        stored = await patiently(lambda: self._runs.store.evidence(self._run.id))
        evidence = stored.get(evidence_id)
        return evidence.text if evidence else ""

    async def _write(self, call_id: str, tool: Tool, wanted: JsonObject) -> CallOutcome:
        key, args = self._key(call_id), wanted
        known = self._run.calls.get(key)
        if known is not None and known.tool != tool.name:
            raise StepError(
                f"{key} is on record as a call of {known.tool}, not of {tool.name}: what its "
                "agent does was changed meanwhile, so start a new run"
            )
        if known is not None and known.status in _ENDED:
            outcome = _outcome_of(known, await self._text_of(known.evidence_id))
            return _edited(outcome, wanted, known.args)
        if known is not None and known.status is CallStatus.INTENDED:
            args, approved_by = known.args, known.approval_id
            if not honours_key(tool, self._context(self._tool_key(key)), args):
                await self._ask_what_happened(known, "its worker died")
        else:
            try:
                args, approved_by = await self._permitted(key, tool, args)
            except ToolError as error:
                return _failed(str(error))
        self._require_time()
        await self._send(
            c.IntendCall(
                step_id=self._step.id,
                attempt=self._lease.attempt,
                key=key,
                tool=tool.name,
                args=args,
                approval_id=approved_by,
                wanted=None if args == wanted else wanted,
            )
        )
        return _edited(await self._act(key, call_id, tool, args), wanted, args)

    async def _act(self, key: str, call_id: str, tool: Tool, args: JsonObject) -> CallOutcome:
        try:
            result = await self._run_tool(tool, args, self._tool_key(key))
        except OutcomeUnknownError as error:
            log.warning("write_outcome_unknown", tool=tool.name, reason=redact(str(error)))
            await self._ask_what_happened(self._run.calls[key], "it was cut off before it ended")
        except ToolError as error:
            return await to_the_end(self._record(key, _failed(str(error))))
        return await to_the_end(self._keep_and_record(key, call_id, tool, args, result))

    async def _keep_and_record(
        self, key: str, call_id: str, tool: Tool, args: JsonObject, result: ToolResult
    ) -> CallOutcome:
        try:
            outcome = await self._keep(call_id, tool, args, result)
        except EvidenceFullError as error:  # The write took effect all the same.
            log.warning("evidence_full", tool=tool.name, reason=str(error))
            output = cast(JsonObject, result.output.model_dump(mode="json"))
            outcome = CallOutcome(output=output, evidence_id="", text=result.text, error="")
        return await self._record(key, outcome)

    async def _record(self, key: str, outcome: CallOutcome) -> CallOutcome:
        command = c.FinishCall(
            step_id=self._step.id,
            attempt=self._lease.attempt,
            key=key,
            is_success=not outcome.error,
            evidence_id=outcome.evidence_id,
            result=outcome.output,
            error=outcome.error,
        )
        await self._send(command)
        return outcome

    async def _permitted(self, key: str, tool: Tool, args: JsonObject) -> tuple[JsonObject, str]:
        """Return the arguments that may run and the approval that says so, if one was needed."""
        approval, call = self._approval_of(key, tool)
        if approval is not None:
            if approval.status is not ApprovalStatus.APPROVED:
                raise Denied(why_not(approval))
            if call is None or key in approval.dropped:
                raise Denied(f"left out by {approval.decided_by or 'an approver'}")
            if why := await self._objection(approval, call, tool):
                raise Denied(why)
            return call.args, approval.id
        ruling = await ruling_of(
            self._runs.store,
            self._rules,
            self._run,
            self._step.id,
            tool.name,
            tool.effect,
            args,
        )
        if ruling.verdict is Verdict.DENY:
            raise Denied(denial(ruling))
        if ruling.verdict is Verdict.ALLOW:
            await self._require_person(tool, args)
            return args, ""
        # Nobody is asked about a call that cannot run.
        sandbox.check_arguments(tool, args, self._context(""))
        calls = (proposed(key, tool.name, args),)
        now = self._clock()
        raise Suspended(request(self._run, self._step, self._lease, key, calls, ruling, now))

    async def _require_person(self, tool: Tool, args: JsonObject) -> None:
        """Refuse what untrusted text shaped and nobody looked at, for tools that are like that."""
        if not needs_person(tool, self._context(""), args):
            return
        if await has_taint(self._runs.store, self._rules, self._run, args):
            listing = ", or list the place in services.yaml" if tool.effect is Effect.READS else ""
            raise Denied(
                f"untrusted text may reach {tool.name} only through a person: let policies.yaml "
                f"ask for it instead of allowing it{listing}"
            )

    async def _objection(self, approval: Approval, call: ProposedCall, tool: Tool) -> str:
        return await objection(
            self._runs.store,
            self._rules,
            self._run,
            approval,
            call,
            tool.effect,
            is_edited=bool(approval.editor_id),
        )

    def _approval_of(self, key: str, tool: Tool) -> tuple[Approval | None, ProposedCall | None]:
        """Return the approval asked for this call, or a gate's that covers it, with the call."""
        own = self._run.approvals.get(approval_id(self._run.id, key))
        known = [own] if own is not None else self._run.approvals.values()
        for approval in known:
            for call in approval.calls:
                if call.key == key and call.tool == tool.name:
                    return approval, call
        return own, None

    async def _ask_what_happened(self, call: Call, why: str) -> NoReturn:
        """Suspend the step until a person has said what became of the call."""
        raise Suspended(
            await about_unknown(
                self._runs.store,
                self._rules,
                self._run,
                call,
                self._lease.attempt,
                why,
                self._clock(),
            )
        )

    async def _send(self, command: c.Command) -> None:
        self._run = await patiently(lambda: self._runs.send(self._run.id, command))

    def _key(self, call_id: str) -> str:
        """Return the call's name in the run."""
        return own_key(self._step, self._state, call_id)

    def _tool_key(self, key: str) -> str:
        return f"{self._run.id}/{key}"

    def _context(self, key: str) -> ToolContext:
        return ToolContext(
            world=self._rules.world,
            now=self._clock(),
            idempotency_key=key,
            run_id=self._run.id,
            step_id=self._step.id,
        )

    def _time_left(self) -> float:
        return max(0.0, round(self._deadline - asyncio.get_running_loop().time(), 1))

    def _require_time(self) -> None:
        """Do not begin a call that would be cut off at once: of a write nobody knew the outcome."""
        if not self._time_left():
            raise OutOfTime

    async def _run_tool(self, tool: Tool, args: JsonObject, key: str) -> ToolResult:
        memory_mib = min(tool.limits.memory_mib, max(self._step.memory_mib, MIN_MEMORY_MIB))
        timeout_s = min(tool.limits.timeout_s, self._time_left())
        limits = replace(tool.limits, memory_mib=memory_mib, timeout_s=timeout_s)
        return await sandbox.call(
            replace(tool, limits=limits), args, self._context(key), secrets=self._rules.secrets
        )

    async def _keep(
        self, call_id: str, tool: Tool, args: JsonObject, result: ToolResult
    ) -> CallOutcome:
        evidence = Evidence(
            id="-".join(
                ("ev", self._step.id, *_in_place_of_first(self._step, self._state), call_id)
            ),
            run_id=self._run.id,
            step_id=self._step.id,
            tool=tool.name,
            title=result.title or tool.name,
            text=result.text,
            at=self._clock(),
            args=args,
            media_type=result.file.media_type if result.file else "text/plain",
            is_trusted=tool.is_trusted,
            is_truncated=is_cut(result.text),
        )
        data = result.file.data if result.file else None
        is_kept = await patiently(
            lambda: self._runs.store.put_evidence(evidence, data, lease=self._lease)
        )
        if not is_kept and tool.effect is Effect.READS:
            raise FencedOff
        return CallOutcome(
            output=cast(JsonObject, result.output.model_dump(mode="json")),
            evidence_id=evidence.id,
            text=evidence.text,
            error="",
        )


def own_key(step: Step, state: StepState, call_id: str) -> str:
    """Return a call's name in the run; a fallback agent's calls are not the first agent's."""
    return call_key(step.id, *_in_place_of_first(step, state), call_id)


def _in_place_of_first(step: Step, state: StepState) -> tuple[str, ...]:
    first, leg = step.agent, leg_of(state)
    return (leg,) if first and leg != first else ()


def _edited(outcome: CallOutcome, wanted: JsonObject, ran: JsonValue) -> CallOutcome:
    """Return the outcome with the arguments that ran, if they are not those that were wanted."""
    if not isinstance(ran, dict) or ran == wanted:
        return outcome
    return replace(outcome, args=ran)


def honours_key(tool: Tool, context: ToolContext, args: JsonObject) -> bool:
    """Whether the call, repeated with its key, acts once."""
    if not callable(tool.honours_key):
        return tool.honours_key
    try:
        return tool.honours_key(context, tool.arguments.model_validate(args))
    except (ValidationError, ToolError):
        return False  # The tool has changed since: a person has to look.


def needs_person(tool: Tool, context: ToolContext, args: JsonObject) -> bool:
    """Whether the call may not be shaped by untrusted text unless a person looked at it."""
    if not callable(tool.needs_person):
        return tool.needs_person
    try:
        return tool.needs_person(context, tool.arguments.model_validate(args))
    except (ValidationError, ToolError):
        return False  # It cannot run like this: the tool says why.


def _failed(error: str) -> CallOutcome:
    return CallOutcome(output=None, evidence_id="", text="", error=redact(error))


def _outcome_of(call: Call, text: str) -> CallOutcome:
    if call.status is CallStatus.SUCCEEDED:
        return CallOutcome(
            output=cast("JsonObject | None", call.result),
            evidence_id=call.evidence_id,
            text=text,
            error="",
        )
    return _failed(call.error or f"the call {call.status}")

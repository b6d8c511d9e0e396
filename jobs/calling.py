"""One step's tool calls, made durable: recalled after a takeover, asked for, intended, recorded.

A reading call is journalled with its result. A writing call goes through policy, waits for its
approval, is recorded as intended before it runs and as finished after; see `jobs.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NoReturn, cast

import structlog
from pydantic import JsonValue

from agents import sandbox
from agents.domain import Evidence, JsonObject, Step
from agents.excerpt import is_cut
from agents.policy import Query, Ruling, is_tainted, rule
from agents.redact import redact
from agents.reports import CallOutcome
from agents.tool import (
    Effect,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
    TransientError,
)
from config.specs import ApproversSpec, PolicySpec, ServicesFile, Verdict
from jobs import commands as c
from jobs.service import Runs
from jobs.state import (
    Approval,
    ApprovalStatus,
    Call,
    CallStatus,
    ProposedCall,
    Question,
    Run,
    Terms,
)
from jobs.store import Lease
from jobs.summary import call_text

log = structlog.get_logger(__name__)

UNKNOWN_OPTIONS = ("done", "retry", "skip")


class Suspended(Exception):
    """The step cannot go on before a person decides or answers; `command` says what to ask."""

    def __init__(self, command: c.RequestApproval | c.AskQuestion) -> None:
        self.command = command
        super().__init__("the step waits for a person")


class Denied(Exception):
    """A person or a policy said no; the message says who."""


class FencedOff(Exception):
    """Another attempt owns the step: stop without a word."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a worker knows of the world and of what is allowed in it."""

    world: ServicesFile
    policies: tuple[PolicySpec, ...]


def call_key(step_id: str, call_id: str) -> str:
    """Return the name of a call in its run; also its idempotency key, with the run's id."""
    return f"{step_id}/{call_id}"


def approval_id(run_id: str, key: str) -> str:
    """Return the id of the approval of a call (or, with a step's id, of a step)."""
    return f"ap-{run_id}-{key.replace('/', '-')}"


def terms_of(ruling: Ruling, now: float) -> Terms:
    """Return the terms of an approval that is asked now. The ruling must be `ask`."""
    spec = ruling.approval
    if spec is None:
        raise ValueError(f"policy {ruling.policy!r} does not say who may approve")
    escalation = spec.escalation
    return Terms(
        users=spec.approvers.users,
        groups=spec.approvers.groups,
        quorum=spec.quorum,
        requester_may_approve=spec.requester_may_approve,
        editor_may_approve=spec.editor_may_approve,
        expires_at=now + spec.expires_after_s,
        on_expiry=spec.on_expiry,
        escalate_at=now + escalation.after_s if escalation else None,
        escalate_users=escalation.to.users if escalation else (),
        escalate_groups=escalation.to.groups if escalation else (),
        policy=ruling.policy,
    )


def ruling_of(
    rules: Rules, tool: Tool, args: JsonObject, run: Run, agent: str, trusted: Iterable[str]
) -> Ruling:
    """Return what policy says of the call. The environment is that of the service it names."""
    service = rules.world.services.get(str(args.get("service", "")))
    return rule(
        rules.policies,
        Query(
            tool=tool.name,
            effect=tool.effect,
            args=args,
            agent=agent,
            environment=service.environment if service else "",
            requester=run.goal.requester_id,
            is_tainted=is_tainted(args, trusted),
        ),
    )


class StepCalls:
    """The `call_tool` of one attempt at one step."""

    def __init__(
        self,
        runs: Runs,
        rules: Rules,
        run: Run,
        step: Step,
        lease: Lease,
        clock: Callable[[], float],
    ) -> None:
        self._runs = runs
        self._rules = rules
        self._run = run
        self._step = step
        self._lease = lease
        self._clock = clock
        self._state = run.steps[step.id]

    async def call(self, call_id: str, tool: Tool, args: JsonObject) -> CallOutcome:
        """Return the call's outcome, from the record if it already has one.

        Raises Suspended, Denied, FencedOff, TransientError. Other errors of the tool are part of
        the outcome.
        """
        if tool.effect is Effect.WRITES:
            return await self._write(call_id, tool, args)
        key = f"{self._state.agent}/{call_id}#{self._state.tries}"
        for entry in await self._runs.store.journal(self._run.id, self._step.id):
            if entry.get("key") == key:
                return await self._recall(entry)
        try:
            result = await self._run_tool(tool, args, "")
        except TransientError:
            raise
        except ToolError as error:
            outcome = CallOutcome(output=None, evidence_id="", text="", error=redact(str(error)))
        else:
            outcome = await self._keep(call_id, tool, args, result)
        entry = {
            "key": key,
            "tool": tool.name,
            "args": args,
            "output": outcome.output,
            "evidence_id": outcome.evidence_id,
            "error": outcome.error,
        }
        if not await self._runs.store.append_journal(self._lease, entry):
            raise FencedOff
        return outcome

    async def _recall(self, entry: JsonObject) -> CallOutcome:
        evidence_id = str(entry.get("evidence_id", ""))
        evidence = (await self._runs.store.evidence(self._run.id)).get(evidence_id)
        return CallOutcome(
            output=cast("JsonObject | None", entry.get("output")),
            evidence_id=evidence_id,
            text=evidence.text if evidence else "",
            error=str(entry.get("error", "")),
        )

    async def _write(self, call_id: str, tool: Tool, args: JsonObject) -> CallOutcome:
        key = call_key(self._step.id, call_id)
        known = self._run.calls.get(key)
        approval = self._approval_of(key, tool, args)
        if known is not None and known.status in (
            CallStatus.SUCCEEDED,
            CallStatus.FAILED,
            CallStatus.SKIPPED,
        ):
            return self._outcome_of(known)
        if approval is not None and approval.status is ApprovalStatus.APPROVED:
            args = next(call.args for call in approval.calls if call.key == key)
        if known is not None and known.status is CallStatus.INTENDED:
            args = known.args
            if not honours_key(tool, self._context(key), args):
                await self._ask_what_happened(tool, known, "its worker died")
        elif approval is None:
            await self._ask_policy(key, tool, args)
        else:
            self._require_approved(approval)
        await self._send(
            c.IntendCall(
                step_id=self._step.id,
                attempt=self._lease.attempt,
                key=key,
                tool=tool.name,
                args=args,
                approval_id=approval.id if approval else "",
            )
        )
        return await self._act(key, call_id, tool, args)

    async def _act(self, key: str, call_id: str, tool: Tool, args: JsonObject) -> CallOutcome:
        try:
            result = await self._run_tool(tool, args, f"{self._run.id}/{key}")
        except OutcomeUnknownError as error:
            log.warning("write_outcome_unknown", tool=tool.name, reason=redact(str(error)))
            await self._ask_what_happened(
                tool, self._run.calls[key], "it was cut off before it ended"
            )
        except ToolError as error:
            outcome = CallOutcome(output=None, evidence_id="", text="", error=redact(str(error)))
        else:
            outcome = await self._keep(call_id, tool, args, result)
        await self._send(
            c.FinishCall(
                step_id=self._step.id,
                attempt=self._lease.attempt,
                key=key,
                is_success=not outcome.error,
                evidence_id=outcome.evidence_id,
                result=outcome.output,
                error=outcome.error,
            )
        )
        return outcome

    def _approval_of(self, key: str, tool: Tool, args: JsonObject) -> Approval | None:
        """Return the approval asked for this call, or a gate's that covers exactly it."""
        own = self._run.approvals.get(approval_id(self._run.id, key))
        if own is not None:
            return own
        for approval in self._run.approvals.values():
            if approval.status is ApprovalStatus.APPROVED and any(
                call.key == key and call.tool == tool.name and key not in approval.dropped
                for call in approval.calls
            ):
                return approval
        return None

    async def _ruling(self, tool: Tool, args: JsonObject) -> Ruling:
        trusted = await self.trusted_texts()
        return ruling_of(self._rules, tool, args, self._run, self._state.agent, trusted)

    async def _ask_policy(self, key: str, tool: Tool, args: JsonObject) -> None:
        ruling = await self._ruling(tool, args)
        if ruling.verdict is Verdict.DENY:
            raise Denied(f"denied by policy ({ruling.policy}): {ruling.reason}")
        if ruling.verdict is Verdict.ALLOW:
            return
        now = self._clock()
        call = proposed(key, tool.name, args)
        raise Suspended(
            c.RequestApproval(
                step_id=self._step.id,
                attempt=self._lease.attempt,
                approval=Approval(
                    id=approval_id(self._run.id, key),
                    step_id=self._step.id,
                    calls=(call,),
                    terms=terms_of(ruling, now),
                    requested_at=now,
                    title=self._step.title,
                    reason=redact(self._step.instruction or ruling.reason),
                ),
            )
        )

    def _require_approved(self, approval: Approval) -> None:
        if approval.status is ApprovalStatus.APPROVED:
            return
        raise Denied(why_not(approval))

    async def _ask_what_happened(self, tool: Tool, call: Call, why: str) -> NoReturn:
        """Ask those who may approve the call: "retry" is a decision to run it again."""
        ruling = await self._ruling(tool, call.args)
        approvers = ruling.approval.approvers if ruling.approval else ApproversSpec()
        text = (
            f"{call_text(call)} was begun, and then {why}: nobody saw "
            "whether it took effect. Look, then say: done (it did), retry (run it again) or "
            "skip (go on without it)."
        )
        raise Suspended(
            c.AskQuestion(
                step_id=self._step.id,
                attempt=self._lease.attempt,
                question=Question(
                    id=f"q-{self._run.id}-{call.key.replace('/', '-')}-{self._lease.attempt}",
                    step_id=self._step.id,
                    text=text,
                    options=UNKNOWN_OPTIONS,
                    call_key=call.key,
                    users=approvers.users,
                    groups=approvers.groups,
                    asked_at=self._clock(),
                ),
            )
        )

    def _outcome_of(self, call: Call) -> CallOutcome:
        if call.status is CallStatus.SUCCEEDED:
            return CallOutcome(
                output=cast("JsonObject | None", call.result),
                evidence_id=call.evidence_id,
                text="",
                error="",
            )
        return CallOutcome(
            output=None, evidence_id="", text="", error=call.error or f"the call {call.status}"
        )

    async def _send(self, command: c.Command) -> None:
        self._run = await self._runs.send(self._run.id, command)

    async def trusted_texts(self) -> list[str]:
        """Return the texts whose words may shape a writing call without making it tainted."""
        known = self._rules.world.services
        evidence = await self._runs.store.evidence(self._run.id)
        plan_words = [text for step in self._run.plan.steps for text in literals(step.inputs)]
        return [*known, *plan_words, *(e.text for e in evidence.values() if e.is_trusted)]

    def _context(self, key: str) -> ToolContext:
        return ToolContext(world=self._rules.world, now=self._clock(), idempotency_key=key)

    async def _run_tool(self, tool: Tool, args: JsonObject, key: str) -> ToolResult:
        memory_mib = min(tool.limits.memory_mib, max(self._step.memory_mib, 32))
        timeout_s = min(max(tool.limits.timeout_s, 1.0), self._step.timeout_s)
        limits = replace(tool.limits, memory_mib=memory_mib, timeout_s=timeout_s)
        return await sandbox.call(replace(tool, limits=limits), args, self._context(key))

    async def _keep(
        self, call_id: str, tool: Tool, args: JsonObject, result: ToolResult
    ) -> CallOutcome:
        evidence = Evidence(
            id=f"ev-{self._step.id}-{call_id}",
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
        await self._runs.store.put_evidence(evidence, result.file.data if result.file else None)
        return CallOutcome(
            output=cast(JsonObject, result.output.model_dump(mode="json")),
            evidence_id=evidence.id,
            text=evidence.text,
            error="",
        )


def proposed(key: str, tool: str, args: JsonObject) -> ProposedCall:
    """Return a call as it is proposed to approvers."""
    call = ProposedCall(key=key, tool=tool, args=args)
    return replace(call, title=call_text(call))


def honours_key(tool: Tool, context: ToolContext, args: JsonObject) -> bool:
    """Whether the call, repeated with its key, acts once."""
    if callable(tool.honours_key):
        return tool.honours_key(context, tool.arguments.model_validate(args))
    return tool.honours_key


def why_not(approval: Approval) -> str:
    """Return in a sentence why an approval does not let its step go on."""
    if approval.status is ApprovalStatus.DENIED:
        because = f": {approval.comment}" if approval.comment else ""
        return f"denied by {approval.decided_by}{because}"
    if approval.status is ApprovalStatus.EXPIRED:
        return "nobody decided in time, so it was not done"
    return f"the approval is {approval.status}"


def literals(value: JsonValue) -> list[str]:
    """Return the texts that a plan's author wrote themselves, not filled in at run time."""
    if isinstance(value, str):
        return [] if "{{" in value or "{%" in value else [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in literals(item)]
    if isinstance(value, list):
        return [text for item in value for text in literals(item)]
    return []

"""What a person is asked before a call runs, and after one whose outcome nobody saw."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agents.domain import JsonObject, Origin, Step
from agents.policy import Query, Ruling, is_tainted, rule, speaks_of_taint
from agents.redact import redact
from agents.tool import Effect
from agents.trust import trusted_part
from config.specs import PolicySpec, ServicesFile, Verdict
from jobs import commands as c
from jobs.patience import patiently
from jobs.state import Approval, ApprovalStatus, Call, ProposedCall, Question, Run, Terms
from jobs.store import Lease, Store
from jobs.summary import call_text

ANSWER_WITHIN_S = 86_400.0
"""How long a question about a write waits that nobody had to approve."""
UNKNOWN_OPTIONS = ("done", "retry", "skip")
TRUSTED_ORIGINS = frozenset({Origin.MESSAGE, Origin.API})
"""Goals that a person typed. What an alert or a form says may come from anybody."""


class Suspended(Exception):
    """The step goes on later: a person decides or answers, or others work; `command` says what."""

    def __init__(
        self, command: c.RequestApproval | c.AskQuestion | c.HandOff | c.RevisePlan
    ) -> None:
        self.command = command
        super().__init__("the step goes on with others")


class Denied(Exception):
    """A person or a policy said no; the message says who."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a worker knows of the world and of what is allowed in it."""

    world: ServicesFile
    policies: tuple[PolicySpec, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What the process was given and nobody may read in outputs and arguments."""


def call_key(step_id: str, *path: str) -> str:
    """Return the name of a call in its run; also its idempotency key, with the run's id.

    The path is the call's id, after the agent's name if it is the step's fallback agent.
    """
    return "/".join((step_id, *path))


def approval_id(run_id: str, key: str) -> str:
    """Return the id of the approval of a call (or, with a step's id, of a step).

    Names are in lower case, so the capital tells `a/b-c` from `a-b/c` and from the step `a-b-c`.
    """
    return f"ap-{run_id}-{key.replace('/', '_C_')}"


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


async def ruling_of(
    store: Store,
    rules: Rules,
    run: Run,
    step_id: str,
    tool: str,
    effect: Effect,
    args: JsonObject,
) -> Ruling:
    """Return what policy says of a step's call. The environment is that of the service it names."""
    tainted = False
    if speaks_of_taint(rules.policies, effect):  # Else nobody needs to read all the evidence.
        tainted = await has_taint(store, rules, run, args)
    return _rule(rules, run, step_id, tool, effect, args, tainted=tainted)


async def has_taint(store: Store, rules: Rules, run: Run, args: JsonObject) -> bool:
    """Return whether untrusted text shaped the arguments of a call."""
    return is_tainted(args, await trusted_texts(store, rules, run))


def _rule(
    rules: Rules,
    run: Run,
    step_id: str,
    tool: str,
    effect: Effect,
    args: JsonObject,
    *,
    tainted: bool,
) -> Ruling:
    state = run.steps.get(step_id)
    step = run.step(step_id) if state else None
    service = rules.world.services.get(str(args.get("service", "")))
    return rule(
        rules.policies,
        Query(
            tool=tool,
            effect=effect,
            args=args,
            agent=state.agent if state else "",
            environment=service.environment if service else "",
            requester=run.goal.requester_id,
            is_tainted=tainted,
            is_reviewed=step is not None and bool(step.tool) and _is_as_reviewed(run, step),
        ),
    )


def _is_as_reviewed(run: Run, step: Step) -> bool:
    """Say whether people wrote the step into a workflow, and all steps that it can build on.

    A supervisor may put a step of its own in the place of one that has not begun; what a step
    after it does is then no longer what people read.
    """
    waiting, seen = [step], {step.id}
    while waiting:
        one = waiting.pop()
        if not one.is_reviewed:
            return False
        new = {*one.needs, *one.after} - seen
        seen |= new
        waiting += map(run.step, new)
    return True


async def objection(
    store: Store,
    rules: Rules,
    run: Run,
    approval: Approval,
    call: ProposedCall,
    effect: Effect,
    *,
    is_edited: bool,
) -> str:
    """Return why policy does not let a call of this approval run as it is now; empty: it does.

    Whoever may edit a call could make of it one that policy denies, or puts to other people.
    What was approved as proposed keeps the terms that it was asked on.
    """
    step_id = call.key.partition("/")[0]
    ruling = await ruling_of(store, rules, run, step_id, call.tool, effect, call.args)
    if ruling.verdict is Verdict.DENY:
        return denial(ruling)
    if ruling.verdict is Verdict.ALLOW or not is_edited:
        return ""
    asked_on = approval.terms.policy
    if ruling.policy == asked_on:
        return ""
    # An edit may also take the untrusted text out: the terms for tainted calls still do.
    strict = _rule(rules, run, step_id, call.tool, effect, call.args, tainted=True)
    if strict.policy == asked_on:
        return ""
    return (
        f"as edited, policy puts it to others ({ruling.policy}) than those who were asked "
        f"({asked_on}): deny it and ask for that call by itself"
    )


def denial(ruling: Ruling) -> str:
    """Return in a sentence that policy denies a call, and why."""
    return f"denied by policy ({ruling.policy}): {ruling.reason}".rstrip(": ")


async def trusted_texts(store: Store, rules: Rules, run: Run) -> list[str]:
    """Return the texts whose words may shape a writing call without making it tainted."""
    evidence = await patiently(lambda: store.evidence(run.id))
    plan_words = [
        text for step in run.all_steps() if step.is_reviewed for text in literals(step.inputs)
    ]
    if run.goal.origin in TRUSTED_ORIGINS:
        plan_words.append(run.goal.text)  # What the requester wrote is theirs to say.
    plan_words += [
        question.answer
        for question in run.questions.values()
        if question.answer and not question.options  # Options are an agent's words, not theirs.
    ]
    trusted = [part for one in evidence.values() if (part := trusted_part(one))]
    world = rules.world
    names = (*world.services, *world.databases, *world.outlets)
    return [*names, *plan_words, *trusted]


def request(
    run: Run,
    step: Step,
    lease: Lease,
    key: str,
    calls: Iterable[ProposedCall],
    ruling: Ruling,
    now: float,
) -> c.RequestApproval:
    """Return the command that asks for an approval, in the step's words and on policy's terms."""
    return c.RequestApproval(
        step_id=step.id,
        attempt=lease.attempt,
        approval=Approval(
            id=approval_id(run.id, key),
            step_id=step.id,
            calls=tuple(calls),
            terms=terms_of(ruling, now),
            requested_at=now,
            title=step.title,
            reason=redact(step.instruction or ruling.reason),
        ),
    )


async def about_unknown(
    store: Store, rules: Rules, run: Run, call: Call, attempt: int, why: str, now: float
) -> c.AskQuestion:
    """Return the question about a write whose outcome nobody saw.

    It goes to those who may approve the call, because "retry" is a decision to run it again, and
    it expires and escalates like its approval.
    """
    approval = run.approvals.get(call.approval_id)
    if approval is not None:
        terms = _asked_again(approval, now)
    else:
        ruling = await ruling_of(
            store, rules, run, call.step_id, call.tool, Effect.WRITES, call.args
        )
        is_asked = ruling.approval is not None
        terms = terms_of(ruling, now) if is_asked else Terms(expires_at=now + ANSWER_WITHIN_S)
    text = (
        f"{redact(call_text(call))} was begun, and then {why}: nobody saw "
        "whether it took effect. Look, then say: done (it did), retry (run it again) or "
        "skip (go on without it)."
    )
    return c.AskQuestion(
        step_id=call.step_id,
        attempt=attempt,
        question=Question(
            id=f"q-{run.id}-{call.key.replace('/', '_C_')}-{attempt}",
            step_id=call.step_id,
            text=text,
            options=UNKNOWN_OPTIONS,
            call_key=call.key,
            users=terms.users,
            groups=terms.groups,
            asked_at=now,
            expires_at=terms.expires_at,
            escalate_at=terms.escalate_at,
            escalate_users=terms.escalate_users,
            escalate_groups=terms.escalate_groups,
        ),
    )


def _asked_again(approval: Approval, now: float) -> Terms:
    """Return the terms of an approval as of now; whom it was escalated to may still decide."""
    terms = approval.terms
    users, groups = terms.users, terms.groups
    if approval.escalated_at is not None:
        users = tuple(dict.fromkeys((*users, *terms.escalate_users)))
        groups = tuple(dict.fromkeys((*groups, *terms.escalate_groups)))
    later = now - approval.requested_at
    return replace(
        terms,
        users=users,
        groups=groups,
        expires_at=None if terms.expires_at is None else terms.expires_at + later,
        escalate_at=None if terms.escalate_at is None else terms.escalate_at + later,
    )


def why_not(approval: Approval) -> str:
    """Return in a sentence why an approval does not let its step go on."""
    if approval.status is ApprovalStatus.DENIED:
        because = f": {approval.comment}" if approval.comment else ""
        return redact(f"denied by {approval.decided_by}{because}")
    if approval.status is ApprovalStatus.EXPIRED:
        return "nobody decided in time, so it was not done"
    return f"the approval is {approval.status}"


def literals(value: JsonValue) -> list[str]:
    """Return what a plan's author wrote themselves, not filled in at run time, as texts."""
    if isinstance(value, str):
        return [] if "{{" in value or "{%" in value else [value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [json.dumps(value)]
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in literals(item))]
    if isinstance(value, list):
        return [text for item in value for text in literals(item)]
    return []

"""The one object through which web, API and CLI act: every click ends here and gets an answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import time
from typing import Protocol

import structlog
from pydantic import ValidationError

from agents.domain import Evidence, JsonObject, Moment, ThreadRef
from agents.redact import redact
from agents.sandbox import check_arguments
from agents.secret_args import secret_argument
from agents.tool import Tool, Toolbox, ToolContext, ToolRetry, UnknownToolError
from agents.wording import duration
from bot.forms import Delivery, Forms, Ticket
from bot.intake import NOTHING_ENCLOSED, Enclosed, Receipt, Submission
from bot.present import Presenter
from bot.views import AnswerView, IncidentView
from jobs.approvals import ALREADY_COUNTED, may_decide
from jobs.asking import Rules, objection
from jobs.commands import (
    AnswerQuestion,
    Command,
    Decide,
    EditCall,
    NoteRefusal,
    RateAnswer,
    Refusal,
    Refused,
    Signal,
    StopRun,
)
from jobs.incident_store import IncidentStore
from jobs.incidents import Incident, acknowledged, muted, taken_over
from jobs.service import Runs, UnknownRunError
from jobs.state import TERMINAL, Approval, ApprovalStatus, Person, Run, Status
from jobs.store import ConflictError, EvidenceFullError, StoredEvent, StoreUnavailableError

log = structlog.get_logger(__name__)

NOT_VALID = "Some arguments are not valid: mend them and save again."
NOT_TO_BE_SHOWN = "It looks like a secret, and arguments are stored and shown: leave it out."
MAX_GOAL_CHARS = 2_000
MAX_COMMENT_CHARS = 1_000
MAX_REASON_CHARS = 500
MAX_ANSWER_CHARS = 2_000
MUTE_S = 3_600.0
MAX_RUNS_LISTED = 200
MAX_RUNS_SEARCHED = 1_000
MAX_TRIES = 20
LOADS_AT_ONCE = 16


class Takes(Protocol):
    """What Desk needs of `bot.intake.Intake`."""

    async def submit(
        self,
        text: str,
        person: Person,
        channel: str,
        key: str,
        thread: ThreadRef | None = None,
        enclosed: Enclosed = NOTHING_ENCLOSED,
    ) -> Submission:
        """Turn a typed goal into a run (in a thread of its own); the same key gives the same."""

    async def deliver(self, source_name: str, body: bytes) -> Receipt:
        """Take in one webhook delivery; BadDeliveryError when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a click led to.

    `kind` is approved, recorded, denied, edited, answered, stopping, acknowledged, taken, muted,
    rated (of a message also heard, noted and started), or the value of a Refusal;
    `field_errors` says which arguments of an edit are wrong, by field (`""`: the whole).
    """

    kind: str
    sentence: str
    run: Run | None = None
    field_errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_refusal(self) -> bool:
        """Whether the click changed nothing."""
        return self.kind in {refusal.value for refusal in Refusal}


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """An approval that waits; `obstacle` says why this person may not decide it (empty: may)."""

    run: Run
    approval: Approval
    obstacle: str


class Desk:
    """Acts for people on goals, runs, approvals, questions and incidents."""

    def __init__(
        self,
        *,
        runs: Runs,
        intake: Takes,
        forms: Forms,
        incidents: IncidentStore,
        presenter: Presenter,
        toolbox: Toolbox,
        rules: Rules,
    ) -> None:
        self._runs = runs
        self._intake = intake
        self._forms = forms
        self._incidents = incidents
        self._toolbox = toolbox
        self._rules = rules
        self.present = presenter
        self.store = runs.store

    async def goal(
        self,
        text: str,
        person: Person,
        channel: str,
        key: str = "",
        thread: ThreadRef | None = None,
        enclosed: Enclosed = NOTHING_ENCLOSED,
    ) -> Submission:
        """Take a typed goal; the same key (made unique to the person) gives the same run."""
        key = goal_key(person, key or uuid.uuid4().hex)
        text = text.strip()[:MAX_GOAL_CHARS]
        return await self._intake.submit(text, person, channel, key, thread, enclosed)

    def clean(self, text: str) -> str:
        """Return what a person wrote without its secrets, to be kept and shown."""
        return redact(text.strip(), self._rules.secrets)

    async def tell(self, run_id: str, moment: Moment) -> Run | None:
        """Tell a run what was said or happened; None when there is no such run."""
        try:
            return await self._runs.send(run_id, Signal(moment))
        except (UnknownRunError, Refused):
            return None

    async def runs_in(self, thread: ThreadRef) -> list[Run]:
        """Return the newest runs of a thread, the newest first."""
        ids = await self.store.runs_of_thread(thread)
        return (await self._load_all(ids))[::-1]

    async def deliver(self, source: str, body: bytes) -> Receipt:
        """Take in one delivery of an alert source."""
        return await self._intake.deliver(source, body)

    async def take_form(self, source: str, delivery: Delivery) -> Ticket:
        """Take in one delivery of a form source; see `bot.forms.Forms.take`."""
        return await self._forms.take(source, delivery)

    async def decide(
        self,
        approval_id: str,
        person: Person,
        *,
        is_approval: bool,
        revision: int,
        digest: str,
        comment: str = "",
        dropped: Sequence[str] = (),
    ) -> Outcome:
        """Count a person's yes or no to exactly what they saw."""
        command = Decide(
            approval_id=approval_id,
            person=person,
            is_approval=is_approval,
            revision=revision,
            digest=digest,
            comment=comment.strip()[:MAX_COMMENT_CHARS],
            dropped=tuple(dropped),
        )
        return await self._click(approval_id, person, command)

    async def edit(
        self, approval_id: str, person: Person, *, revision: int, call_key: str, args: JsonObject
    ) -> Outcome:
        """Change a call's arguments, checked against its tool; it must be approved again."""
        run = await self._run_of_approval(approval_id)
        if run is None:
            return _unknown(f"There is no approval {approval_id}.")
        approval = run.approvals[approval_id]
        call = next((call for call in approval.calls if call.key == call_key), None)
        if call is None or may_decide(approval, person, run.goal.requester_id):
            command = EditCall(approval_id, person, revision, call_key, args)
            return await self._click(approval_id, person, command)
        try:
            tool = self._toolbox[call.tool]
            checked = self._checked(tool, args)
        except UnknownToolError as error:
            return Outcome(Refusal.INVALID, f"{error}.", run)
        except ValidationError as error:
            return Outcome(Refusal.INVALID, NOT_VALID, run, _field_errors(error))
        except ToolRetry as error:
            return Outcome(Refusal.INVALID, NOT_VALID, run, {error.argument: str(error)})
        if checked == call.args:
            return Outcome(Refusal.INVALID, "Nothing was changed, so nothing was saved.", run)
        if name := secret_argument(checked, self._rules.secrets):
            return Outcome(Refusal.INVALID, NOT_VALID, run, {name: NOT_TO_BE_SHOWN})
        edited = replace(call, args=checked)
        if why := await objection(
            self.store, self._rules, run, approval, edited, tool.effect, is_edited=True
        ):
            return Outcome(Refusal.NOT_ALLOWED, f"Nothing was saved: {why}.", run)
        command = EditCall(approval_id, person, revision, call_key, checked)
        return await self._click(approval_id, person, command)

    def argument_errors(self, tool: str, args: JsonObject) -> Mapping[str, str]:
        """Return what the tool itself finds wrong, by argument; looks at no run."""
        try:
            self._checked(self._toolbox[tool], args)
        except UnknownToolError as error:
            return {"": f"{error}."}
        except ValidationError as error:
            return _field_errors(error)
        except ToolRetry as error:
            return {error.argument: str(error)}
        return {}

    def _checked(self, tool: Tool, args: JsonObject) -> JsonObject:
        """Return arguments as the tool's schema reads them; an error when it takes them not."""
        checked: JsonObject = tool.arguments.model_validate(args).model_dump(
            mode="json", exclude_unset=True
        )
        check_arguments(tool, checked, ToolContext(self._rules.world, time()))
        return checked

    async def answer_question(
        self, question_id: str, person: Person, answer: str, run_id: str = ""
    ) -> Outcome:
        """Answer what a step asks. Without `run_id` the runs that are going on are searched."""
        runs = [await self.run(run_id)] if run_id else await self.runs(active=True)
        run = next((run for run in runs if run is not None and question_id in run.questions), None)
        if run is None:
            return _unknown(f"There is no question {question_id} in a run that is going on.")
        answer = self.clean(answer)
        if problem := answer_objection(answer):
            return Outcome(Refusal.INVALID.value, problem, run)
        command = AnswerQuestion(question_id, person, answer)
        try:
            run = await self._runs.send(run.id, command)
        except Refused as refused:
            return Outcome(refused.refusal.value, refused.sentence, run)
        return Outcome("answered", "Your answer is recorded; the step goes on.", run)

    async def stop(self, run_id: str, person: Person, reason: str = "") -> Outcome:
        """End a run early; a write that has begun is let end."""
        try:
            command = StopRun(person, reason.strip()[:MAX_REASON_CHARS])
            run = await self._runs.send(run_id, command)
        except UnknownRunError as error:
            return _unknown(f"{error}.".capitalize())
        except Refused as refused:
            return Outcome(refused.refusal.value, refused.sentence, await self.run(run_id))
        log.info("run_stop_asked", run_id=run_id, person=person.id)
        return Outcome("stopping", "The run is being stopped.", run)

    async def run(self, run_id: str) -> Run | None:
        """Return the run, or None."""
        return await self.store.load(run_id)

    async def runs(
        self, limit: int = 50, *, active: bool = False, status: Status | None = None
    ) -> list[Run]:
        """Return runs, newest first; of one status, those among the newest MAX_RUNS_SEARCHED."""
        limit = min(limit, MAX_RUNS_LISTED)
        if status is None:
            return await self._load_all(await self.store.run_ids(limit, active=active))
        active = active or status not in TERMINAL
        ids = await self.store.run_ids(MAX_RUNS_SEARCHED, active=active)
        found: list[Run] = []
        for start in range(0, len(ids), MAX_RUNS_LISTED):
            page = await self._load_all(ids[start : start + MAX_RUNS_LISTED])
            found += [run for run in page if run.status is status]
            if len(found) >= limit:
                break
        return found[:limit]

    async def events(self, run_id: str, after_seq: int = 0) -> list[StoredEvent]:
        """Return the run's log after `after_seq`."""
        return await self.store.events(run_id, after_seq)

    async def evidence(self, run_id: str) -> Mapping[str, Evidence]:
        """Return the run's evidence by id."""
        return await self.store.evidence(run_id)

    async def keep_evidence(self, evidence: Evidence) -> bool:
        """Keep what a person gave to a run, without secrets; False when the run has no room."""
        text = await asyncio.to_thread(self.clean, evidence.text)  # it may be long
        clean = replace(evidence, text=text, title=self.clean(evidence.title))
        try:
            return await self.store.put_evidence(clean)
        except EvidenceFullError:
            return False

    async def evidence_data(self, run_id: str, evidence_id: str) -> bytes | None:
        """Return the file stored with the evidence, or None."""
        return await self.store.evidence_data(run_id, evidence_id)

    async def open_approvals(self) -> list[tuple[Run, Approval]]:
        """Return what waits for a decision, oldest first."""
        pairs = await self.store.open_approvals()
        runs = {run.id: run for run in await self._load_all({run_id for run_id, _ in pairs})}
        return [
            (run, approval)
            for run_id, approval_id in pairs
            if (run := runs.get(run_id)) and (approval := run.approvals.get(approval_id))
        ]

    async def approvals(self, person: Person) -> list[OpenApproval]:
        """Return what waits for a decision, oldest first, with whether this person may decide."""
        return [
            OpenApproval(run, approval, obstacle(run, approval, person))
            for run, approval in await self.open_approvals()
        ]

    async def incidents(self, limit: int = 50) -> list[IncidentView]:
        """Return incidents, newest first."""
        found = await self._incidents.list(limit)
        return [self.present.incident_view(incident) for incident in found]

    async def incident(self, incident_id: str) -> IncidentView | None:
        """Return the incident, or None."""
        incident = await self._incidents.get(incident_id)
        return None if incident is None else self.present.incident_view(incident)

    async def acknowledge(self, incident_id: str, person: Person) -> Outcome:
        """Note that a person has seen an open incident; the first to say so stays noted."""

        def see(before: Incident) -> tuple[Incident, str]:
            if before.acknowledged_by:
                return before, f"{before.acknowledged_by} has acknowledged it."
            return acknowledged(before, person.name), "You have acknowledged it."

        return await self._change(incident_id, person, "acknowledged", see)

    async def take_over(self, incident_id: str, person: Person) -> Outcome:
        """Note that a person works on an open incident themselves, and stop what runs for it."""

        def take(before: Incident) -> tuple[Incident, str]:
            if before.taken_by:
                return before, f"{before.taken_by} has taken it over."
            return taken_over(before, person.name), "It is yours now; what ran for it is stopped."

        outcome = await self._change(incident_id, person, "taken", take)
        incident = await self._incidents.get(incident_id)
        if incident is not None and incident.taken_by == person.name:
            for run_id in incident.run_ids[-1:]:
                await self.stop(run_id, person, "taken over")
        return outcome

    async def mute(self, incident_id: str, person: Person, for_s: float = MUTE_S) -> Outcome:
        """Let an open incident's alerts start nothing for a while; its card goes on counting."""
        until = time() + for_s

        def mute(before: Incident) -> tuple[Incident, str]:
            for_how_long = duration(for_s)
            return muted(before, until), f"Muted for {for_how_long}: its alerts start nothing."

        return await self._change(incident_id, person, "muted", mute)

    async def _change(
        self,
        incident_id: str,
        person: Person,
        kind: str,
        change: Callable[[Incident], tuple[Incident, str]],
    ) -> Outcome:
        """Change an open incident as a person wants; `change` gives it and what to say."""
        for _ in range(MAX_TRIES):
            before = await self._incidents.get(incident_id)
            if before is None:
                return _unknown(f"There is no incident {incident_id[:80]}.")
            if before.is_resolved:
                sentence = "It is resolved already; there is nothing to be done about it."
                return Outcome(Refusal.ALREADY_DECIDED.value, sentence)
            after, sentence = change(before)
            if after == before:
                return Outcome(kind, sentence)
            try:
                await self._incidents.update(before, after)
            except ConflictError:  # an alert came in between
                continue
            log.info("incident_changed", incident_id=incident_id, person=person.id, change=kind)
            return Outcome(kind, sentence)
        raise StoreUnavailableError(f"incident {incident_id} changes too often; send it again")

    async def rate(self, run_id: str, person: Person, *, is_helpful: bool) -> Outcome:
        """Keep whether an answer helped; what a person says last counts."""
        try:
            run = await self._runs.send(run_id, RateAnswer(person, is_helpful))
        except UnknownRunError as error:
            return _unknown(f"{error}.".capitalize())
        except Refused as refused:
            return Outcome(refused.refusal.value, refused.sentence, await self.run(run_id))
        log.info("answer_rated", run_id=run_id, person=person.id, is_helpful=is_helpful)
        return Outcome("rated", "Thank you, that is noted with the run.", run)

    async def answer(self, run: Run) -> AnswerView | None:
        """Return the run's answer with its evidence, or None while it has none."""
        if run.answer is None:
            return None
        return self.present.answer_view(run, await self.evidence(run.id))

    async def _load_all(self, run_ids: Sequence[str] | set[str]) -> list[Run]:
        gate = asyncio.Semaphore(LOADS_AT_ONCE)

        async def load(run_id: str) -> Run | None:
            async with gate:
                return await self.store.load(run_id)

        loaded = await asyncio.gather(*(load(run_id) for run_id in run_ids))
        return [run for run in loaded if run is not None]

    async def _run_of_approval(self, approval_id: str) -> Run | None:
        run_id = await self.store.run_of_approval(approval_id)
        run = await self.run(run_id) if run_id else None
        return run if run and approval_id in run.approvals else None

    async def _click(self, approval_id: str, person: Person, command: Decide | EditCall) -> Outcome:
        run_id = await self.store.run_of_approval(approval_id)
        if run_id is None:
            return _unknown(f"There is no approval {approval_id}.")
        try:
            run = await self._runs.send(run_id, command)
        except UnknownRunError as error:
            return _unknown(f"{error}.".capitalize())
        except Refused as refused:
            log.info(
                "click_refused",
                run_id=run_id,
                approval_id=approval_id,
                person=person.id,
                outcome=refused.refusal.value,
            )
            note = NoteRefusal(approval_id, person, refused.refusal.value)
            noted = await self._note(run_id, note)
            return Outcome(refused.refusal.value, refused.sentence, noted)
        log.info("click_counted", run_id=run_id, approval_id=approval_id, person=person.id)
        return _counted(run, run.approvals[approval_id], command)

    async def _note(self, run_id: str, command: Command) -> Run | None:
        try:
            return await self._runs.send(run_id, command)
        except Refused:
            return await self.run(run_id)


def goal_key(person: Person, key: str) -> str:
    """Return what tells a person's goal from every other."""
    return f"goal:{person.id}:{key}"


def answer_objection(answer: str) -> str:
    """Return why a text cannot be taken as an answer; empty when it can."""
    if not answer:
        return "Write an answer first."
    if len(answer) > MAX_ANSWER_CHARS:
        return f"An answer has at most {MAX_ANSWER_CHARS:,} characters; this has {len(answer):,}."
    return ""


def obstacle(run: Run, approval: Approval, person: Person) -> str:
    """Return why the person may not decide this, as a sentence; empty when they may."""
    if sentence := may_decide(approval, person, run.goal.requester_id):
        return sentence
    if any(vote.person_id == person.id for vote in approval.votes):
        return ALREADY_COUNTED
    return ""


def _counted(run: Run, approval: Approval, command: Decide | EditCall) -> Outcome:
    if isinstance(command, EditCall):
        sentence = f"Saved as revision {approval.revision}; it has to be approved as it is now."
        return Outcome("edited", sentence, run)
    if approval.status is ApprovalStatus.APPROVED:
        return Outcome("approved", f"Approved by {approval.decided_by}; it runs now.", run)
    if approval.status is ApprovalStatus.DENIED:
        return Outcome("denied", f"Denied by {approval.decided_by}; nothing runs.", run)
    given, asked = len(approval.votes), approval.terms.quorum
    return Outcome("recorded", f"Your approval counts: {given} of {asked} given.", run)


def _unknown(sentence: str) -> Outcome:
    return Outcome(Refusal.UNKNOWN.value, sentence)


def _field_errors(error: ValidationError) -> dict[str, str]:
    """Return one sentence per top-level field."""
    sentences: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        name, *rest = [str(part) for part in item["loc"]] or [""]
        where = f"{'.'.join(rest)}: " if rest else ""
        sentences.setdefault(name, f"{where}{item['msg']}")
    return sentences

"""Shows in chat what runs and incidents do, as it happens; one leader does this.

It reads the feeds of the stores from a remembered place. A crash anywhere repeats looks and
idempotent posts, so no card and no answer appears twice, and none is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

import structlog

from agents.wording import duration
from bot.live.card import Board, Card, Frame
from bot.live.outbox import Outbox
from bot.live.progress_store import Cursors, ProgressStore
from bot.platforms.port import Platform
from bot.present import Presenter
from bot.views import NoteView
from jobs.approvals import approvers_text
from jobs.incident_store import IncidentStore
from jobs.state import Approval, ApprovalStatus, Lateness, Question, Run, Terms
from jobs.store import Store, StoreUnavailableError

log = structlog.get_logger(__name__)

SAVE_EVERY_S = 0.25
STORE_PAUSE_S = 1.0
MAX_REPAIRED = 1_000
RUN = "run:"
INCIDENT = "incident:"


class Progress:
    """Follows the feeds and keeps the cards. `run` is for the leader with its fencing token."""

    def __init__(
        self,
        *,
        store: Store,
        incidents: IncidentStore,
        platforms: Mapping[str, Platform],
        outbox: Outbox,
        presenter: Presenter,
        memory: ProgressStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.incidents = incidents
        self.platforms = platforms
        self._outbox = outbox
        self._present = presenter
        self.memory = memory
        self.clock = clock
        self._told: dict[str, int] = {}
        """How many messages of each run that goes on are in the outbox for certain."""

    async def run(self, token: int) -> None:
        """Show everything until cancelled; SupersededError when another leader took over."""
        session = _Session(self, token)
        await session.run()

    async def look_at_run(self, run_id: str) -> Frame | None:
        """Return what the run's card should show."""
        run = await self.store.load(run_id)
        if run is None:
            return None
        now = self.clock()
        return Frame(
            thread=run.goal.thread,
            view=self._present.run_view(run),
            is_settled=run.is_over,
            is_over=run.is_over,
            age_s=now - run.started_at,
            before=lambda: self._show_incident_first(run),
            after=lambda: self._post_what_follows(run),
        )

    async def look_at_incident(self, incident_id: str) -> Frame | None:
        """Return what the incident's card should show; None before it has a thread."""
        incident = await self.incidents.get(incident_id)
        if incident is None or incident.thread is None:
            return None
        return Frame(
            thread=incident.thread,
            view=self._present.incident_view(incident),
            is_settled=True,
            is_over=incident.is_resolved,
            age_s=self.clock() - incident.opened_at,
        )

    async def _show_incident_first(self, run: Run) -> None:
        """See to it that the thread of an incident begins with the incident's own card."""
        if not run.goal.incident_id:
            return
        incident = await self.incidents.get(run.goal.incident_id)
        if incident is not None:
            # The run may be seen before its incident notes the thread: it is the run's own.
            platform = self.platforms[run.goal.thread.platform]
            view = self._present.incident_view(incident)
            await platform.post(run.goal.thread, view, incident_card_key(incident.id))

    async def _post_what_follows(self, run: Run) -> None:
        await self._post_messages(run)
        for approval in run.approvals.values():
            if approval.status is ApprovalStatus.PENDING and approval.escalated_at is not None:
                key = f"{run.id}:escalation:{approval.id}"
                await self._outbox.enqueue(run.goal.thread, escalation_note(approval), key)
        for question in run.questions.values():
            if question.is_open and question.escalated_at is not None:
                key = f"{run.id}:escalation:{question.id}"
                await self._outbox.enqueue(run.goal.thread, question_note(question), key)
        if not run.is_over:
            return
        self._told.pop(run.id, None)
        answer = self._present.answer_view(run, await self.store.evidence(run.id))
        if answer is not None:
            await self._outbox.enqueue(run.goal.thread, answer, answer_key(run.id))

    async def _post_messages(self, run: Run) -> None:
        """Put what steps said, and that the run is late, into the thread, each once."""
        if run.late is not None:
            await self._outbox.enqueue(run.goal.thread, late_note(run.late), f"{run.id}:late")
        for post in run.posts[self._told.get(run.id, 0) :]:
            note = NoteView(text=post.text, mentions=post.mentions)
            await self._outbox.enqueue(run.goal.thread, note, post_key(run.id, post.key))
        self._told[run.id] = len(run.posts)


def run_card_key(run_id: str) -> str:
    """Return the key under which a run's card is posted."""
    return f"{run_id}:card"


def answer_key(run_id: str) -> str:
    """Return the key under which a run's answer is posted."""
    return f"{run_id}:answer"


def post_key(run_id: str, key: str) -> str:
    """Return the key under which a message of a run's step is posted."""
    return f"{run_id}:post:{key}"


def incident_card_key(incident_id: str) -> str:
    """Return the key under which an incident's card is posted."""
    return f"incident:{incident_id}:card"


def escalation_note(approval: Approval) -> NoteView:
    """Return the message that pings the next people when nobody decided."""
    terms = approval.terms
    next_people = approvers_text(Terms(users=terms.escalate_users, groups=terms.escalate_groups))
    return NoteView(
        text=f"Still undecided: {approval.title or approval.step_id}. Now {next_people} may too.",
        tone="warning",
        mentions=(*terms.escalate_users, *(f"group:{group}" for group in terms.escalate_groups)),
    )


def question_note(question: Question) -> NoteView:
    """Return the message that pings the next people when nobody answered."""
    users, groups = question.escalate_users, question.escalate_groups
    next_people = approvers_text(Terms(users=users, groups=groups))
    return NoteView(
        text=f"Still unanswered: {question.text} Now {next_people} may answer too.",
        tone="warning",
        mentions=(*users, *(f"group:{group}" for group in groups)),
    )


def late_note(late: Lateness) -> NoteView:
    """Return the message that pings the next people when a run is late."""
    text = f"Late: this should have taken {duration(late.within_s)} at most."
    if late.users or late.groups:
        people = approvers_text(Terms(users=late.users, groups=late.groups))
        text += f" Now {people} may decide what waits."
    return NoteView(
        text=text,
        tone="warning",
        mentions=(*late.users, *(f"group:{group}" for group in late.groups)),
    )


class _Session:
    """One leader's time: its cards, and how far it has read."""

    def __init__(self, progress: Progress, token: int) -> None:
        self._progress = progress
        self._token = token
        self._board = Board(progress.platforms, progress.clock)
        self._cards: dict[str, Card] = {}
        self._runs_cursor = "0"
        self._incidents_cursor = "0"
        self._changed: set[str] = set()
        self._saved_at = float("-inf")
        self._lock = asyncio.Lock()
        """Between "nothing more to show" and forgetting the subject nothing may change."""

    async def run(self) -> None:
        """Repair what the last leader left, then follow both feeds."""
        memory = self._progress.memory
        cursors = await memory.cursors()
        self._runs_cursor, self._incidents_cursor = cursors.runs, cursors.incidents
        await memory.save(self._token, cursors, ())
        open_subjects = await memory.open()
        active = await self._progress.store.run_ids(MAX_REPAIRED, active=True)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for subject in open_subjects | {f"{RUN}{run_id}" for run_id in active}:
                self._touch(subject, is_known=True)
            tasks.create_task(self._insist(self._follow_runs))
            tasks.create_task(self._insist(self._follow_incidents))

    async def _insist(self, follow: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await follow()
            except StoreUnavailableError as error:
                log.warning("progress_waits_for_store", reason=str(error))
                await asyncio.sleep(STORE_PAUSE_S)

    async def _follow_runs(self) -> None:
        async for batch in self._progress.store.changes(self._runs_cursor):
            firsts: dict[str, int] = {}
            for change in batch:
                firsts.setdefault(change.run_id, change.first_seq)
                self._runs_cursor = change.cursor
            await self._note({f"{RUN}{run_id}": first > 1 for run_id, first in firsts.items()})

    async def _follow_incidents(self) -> None:
        async for part in self._progress.incidents.changes(self._incidents_cursor):
            self._incidents_cursor = part.cursor
            await self._note({f"{INCIDENT}{key}": True for key in part.incident_ids})

    async def _note(self, subjects: Mapping[str, bool]) -> None:
        """Touch the cards; remember subjects and cursors now and then, always together."""
        for subject, is_known in subjects.items():
            self._touch(subject, is_known=is_known)
        self._changed |= set(subjects)
        now = self._progress.clock()
        if self._changed and now - self._saved_at >= SAVE_EVERY_S:
            await self._save(now)

    async def _save(self, now: float) -> None:
        async with self._lock:
            changed, self._changed = self._changed, set()
            cursors = Cursors(self._runs_cursor, self._incidents_cursor)
            try:
                await self._progress.memory.save(self._token, cursors, self._unsettled(changed))
            except StoreUnavailableError:
                self._changed |= changed
                raise
            self._saved_at = now

    def _unsettled(self, subjects: Iterable[str]) -> list[str]:
        """Leave out what was shown to the end in the meantime."""
        return [subject for subject in subjects if subject in self._cards]

    def _touch(self, subject: str, *, is_known: bool) -> None:
        card = self._cards.get(subject)
        if card is None:
            card = self._make(subject, is_known=is_known)
            self._cards[subject] = card
            self._tasks.create_task(self._keep(subject, card))
        card.touch()

    def _make(self, subject: str, *, is_known: bool) -> Card:
        progress = self._progress

        async def settle(card: Card) -> None:
            async with self._lock:
                if not card.is_dirty:
                    await progress.memory.close(self._token, subject)

        if subject.startswith(RUN):
            run_id = subject.removeprefix(RUN)
            look = partial(progress.look_at_run, run_id)
            key = run_card_key(run_id)
        else:
            incident_id = subject.removeprefix(INCIDENT)
            look = partial(progress.look_at_incident, incident_id)
            key = incident_card_key(incident_id)
        return Card(key, self._board, look, settle, is_known=is_known)

    async def _keep(self, subject: str, card: Card) -> None:
        is_live = subject.startswith(RUN)
        self._board.live += is_live
        try:
            await card.run()
        finally:
            self._board.live -= is_live
            if self._cards.get(subject) is card:
                del self._cards[subject]

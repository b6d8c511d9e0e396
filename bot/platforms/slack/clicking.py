"""Buttons and dialogs: each click ends at the desk, and whoever clicked hears what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from bot.desk import Outcome, answer_objection, obstacle
from bot.platforms.port import PlatformError
from bot.platforms.slack import clicks, composing, modals, words
from bot.platforms.slack.blocks import Block
from bot.platforms.slack.clicks import Click, read_click
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.heard import Heard
from bot.platforms.slack.homepage import publish_home
from bot.platforms.slack.reach import Reach
from bot.views import ApprovalView, CallView
from jobs.commands import Refusal
from jobs.questions import may_answer
from jobs.state import Person, Run

log = structlog.get_logger(__name__)

NO_SUCH_CALL = "That is not to be decided any more."
TRIGGER_GONE = frozenset(
    {"expired_trigger_id", "trigger_expired", "exchanged_trigger_id", "trigger_exchanged"}
)

Act = Callable[[Heard, Click, Person], Awaitable[Outcome | None]]


@dataclass(frozen=True, slots=True)
class _Found:
    run: Run
    approval: ApprovalView
    call: CallView


class Clicking:
    """Acts on clicks and on dialogs that were sent."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._acts: Mapping[str, Act] = {
            clicks.APPROVE: self._decide,
            clicks.DENY: self._decide,
            clicks.EDIT: self._open_edit,
            clicks.ANSWER: self._answer,
            clicks.REPLY: self._open_reply,
            clicks.STOP: self._stop,
            clicks.ACKNOWLEDGE: self._acknowledge,
            clicks.TAKE: self._take_over,
            clicks.MUTE: self._mute,
            clicks.FEEDBACK: self._rate,
        }

    async def clicked(self, heard: Heard) -> None:
        """Act on a click; one that nobody knows gets a sentence too."""
        click = read_click(heard.value)
        if click is not None and click.action == clicks.OPEN:
            return
        act = self._acts.get(click.action) if click is not None else None
        if act is None or click is None:
            log.info("slack_click_unknown", action_id=heard.action_id[:80])
            await self._reach.tell(heard, words.NOT_KNOWN)
            return
        # Who may decide may have changed since the card was posted.
        member = await self._reach.who(heard, fresh=True)
        if member is None:
            return
        outcome = await act(heard, click, member.person)
        if outcome is not None:
            await self._reach.tell_outcome(heard, outcome)
        if heard.is_in_view:
            await publish_home(self._reach, heard.team, member)

    async def submitted(self, heard: Heard) -> None:
        """Act on a dialog that was sent; what could be seen to be wrong was said in it."""
        member = await self._reach.who(heard, fresh=True)
        if member is None:
            return
        if heard.callback_id == composing.GOAL:
            await self._ask(heard, member.person)
            return
        click = read_click(heard.value)
        if click is None or heard.callback_id not in {modals.EDIT, modals.REPLY}:
            await self._reach.tell(heard, words.NOT_KNOWN)
            return
        save = self._save if heard.callback_id == modals.EDIT else self._reply
        await self._reach.tell_outcome(heard, await save(heard, click, member.person))

    async def errors(self, heard: Heard) -> Mapping[str, str]:
        """Return what is wrong with a dialog, by block, as far as it can be seen at once."""
        if heard.callback_id == modals.REPLY:
            problem = answer_objection(modals.read_reply(heard.state))
            return {modals.ANSWER_BLOCK: problem} if problem else {}
        if heard.callback_id == composing.GOAL:
            goal, channel = composing.read_goal(heard.state)
            given = {composing.GOAL_BLOCK: goal, composing.CHANNEL_BLOCK: channel}
            return {block: words.SAY_WHAT for block, value in given.items() if not value}
        click = read_click(heard.value) if heard.callback_id == modals.EDIT else None
        found = await self._find(click) if click is not None else None
        if found is None:
            return {}
        filled = modals.read_edit(found.call, heard.state)
        if filled.errors:
            return filled.errors
        wrong = self._reach.desk.argument_errors(found.call.tool, filled.args)
        return modals.field_errors(found.call, wrong)

    async def compose(self, heard: Heard) -> None:
        """Open the dialog in which a goal is written."""
        if await self._reach.who(heard) is not None:
            await self._open(heard, composing.goal_modal())

    async def _decide(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        return await self._reach.desk.decide(
            click.id,
            person,
            is_approval=click.action == clicks.APPROVE,
            revision=click.revision,
            digest=click.digest,
        )

    async def _open_edit(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        found = await self._find(click)
        if found is None:
            return Outcome(Refusal.UNKNOWN.value, NO_SUCH_CALL)
        approval = found.run.approvals[click.id]
        if approval.revision != click.revision or found.approval.status != "pending":
            # The desk says why, in the words that every click gets.
            return await self._reach.desk.edit(
                click.id, person, revision=click.revision, call_key=click.call_key, args={}
            )
        if problem := obstacle(found.run, approval, person):
            return Outcome(Refusal.NOT_ALLOWED.value, problem, found.run)
        await self._open(heard, modals.edit_modal(found.approval, found.call))
        return None

    async def _open_reply(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        run = await self._reach.desk.run(click.run_id)
        question = run.questions.get(click.id) if run is not None else None
        if run is None or question is None:
            return Outcome(Refusal.UNKNOWN.value, "That is not asked any more.")
        if not question.is_open:
            said = f"{question.answered_by} has answered it." if question.answered_by else ""
            sentence = said or "That is not asked any more."
            return Outcome(Refusal.ALREADY_DECIDED.value, sentence, run)
        if problem := may_answer(question, person):
            return Outcome(Refusal.NOT_ALLOWED.value, problem, run)
        views = self._reach.desk.present.run_view(run).questions
        view = next(one for one in views if one.id == click.id)
        await self._open(heard, modals.reply_modal(view))
        return None

    async def _answer(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        desk = self._reach.desk
        return await desk.answer_question(click.id, person, click.choice, click.run_id)

    async def _stop(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        return await self._reach.desk.stop(click.run_id or click.id, person, "asked in Slack")

    async def _acknowledge(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        return await self._reach.desk.acknowledge(click.id, person)

    async def _take_over(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        return await self._reach.desk.take_over(click.id, person)

    async def _mute(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        return await self._reach.desk.mute(click.id, person)

    async def _rate(self, heard: Heard, click: Click, person: Person) -> Outcome | None:
        run_id = click.run_id or click.id
        return await self._reach.desk.rate(run_id, person, is_helpful=click.choice == "up")

    async def _save(self, heard: Heard, click: Click, person: Person) -> Outcome:
        found = await self._find(click)
        if found is None:
            return Outcome(Refusal.UNKNOWN.value, NO_SUCH_CALL)
        outcome = await self._reach.desk.edit(
            click.id,
            person,
            revision=click.revision,
            call_key=click.call_key,
            args=modals.read_edit(found.call, heard.state).args,
        )
        if outcome.field_errors:
            wrong = "; ".join(
                f"{name}: {text}" if name else text for name, text in outcome.field_errors.items()
            )
            return Outcome(outcome.kind, f"Nothing was saved: {wrong}", outcome.run)
        return outcome

    async def _reply(self, heard: Heard, click: Click, person: Person) -> Outcome:
        text = modals.read_reply(heard.state)
        return await self._reach.desk.answer_question(click.id, person, text, click.run_id)

    async def _ask(self, heard: Heard, person: Person) -> None:
        reach = self._reach
        goal, channel = composing.read_goal(heard.state)
        where = reach.place(Heard(heard.key, heard.kind, heard.team, heard.user, channel=channel))
        submitted = await reach.desk.goal(goal, person, where.text, heard.key)
        if submitted.run_id is None:
            sentence = words.said(submitted.sentence, submitted.choices)
            await reach.answering.tell(heard, sentence)

    async def _find(self, click: Click) -> _Found | None:
        """Return what a click on a call is about; None when it is gone."""
        desk = self._reach.desk
        run_id = await desk.store.run_of_approval(click.id)
        run = await desk.run(run_id) if run_id else None
        if run is None or click.id not in run.approvals:
            return None
        views = desk.present.run_view(run).approvals
        approval = next(one for one in views if one.id == click.id)
        call = next((one for one in approval.calls if one.key == click.call_key), None)
        return _Found(run, approval, call) if call is not None else None

    async def _open(self, heard: Heard, view: Block) -> None:
        try:
            await self._reach.clients.call(
                heard.team, "views.open", trigger_id=heard.trigger_id, view=view
            )
        except SlackRefusedError as refused:
            if refused.code not in TRIGGER_GONE:
                raise
            await self._reach.tell(heard, words.TOO_LATE)
        except PlatformError as error:
            await self._reach.tell(heard, str(error))

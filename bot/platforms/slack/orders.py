"""The slash command: a goal, or one of a few words."""

from __future__ import annotations

from typing import Final

from agents.domain import Origin, ThreadRef
from bot.platforms.slack import words
from bot.platforms.slack.heard import Heard
from bot.platforms.slack.reach import Reach
from bot.platforms.slack.words import Order, Verb
from jobs.state import Person, Run

MAX_RUNS: Final = 10
MAX_OPEN: Final = 50
MAX_LOOKED_AT: Final = 200


class Orders:
    """Carries out `/muster …`; the answer is seen by who asked, a run by the channel."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def given(self, heard: Heard) -> None:
        """Act on a slash command."""
        reach = self._reach
        member = await reach.who(heard)
        if member is None:
            return
        order = words.order(words.plain(heard.text))
        if order.verb is None:
            await self._goal(heard, order.text, member.person)
        elif order.verb is Verb.STOP:
            await self._stop(heard, order, member.person)
        else:
            await reach.answering.tell(heard, await self._told(heard, order.verb, member.person))

    async def _goal(self, heard: Heard, text: str, person: Person) -> None:
        reach = self._reach
        submitted = await reach.desk.goal(text, person, reach.place(heard).text, heard.key)
        sentence = words.said(submitted.sentence, submitted.choices)
        await reach.answering.tell(heard, sentence)

    async def _stop(self, heard: Heard, order: Order, person: Person) -> None:
        reach = self._reach
        run_ids = [run.id for run in await self._going(heard)]
        if order.text:
            run_ids = [run.id for run in await self._seen(heard, person) if run.id == order.text]
        if not run_ids:
            await reach.tell(heard, words.NO_RUN_HERE)
        elif len(run_ids) == 1:
            outcome = await reach.desk.stop(run_ids[0], person, "asked in Slack")
            await reach.tell_outcome(heard, outcome)
        else:
            views = [reach.desk.present.run_view(run) for run in await self._going(heard)]
            text = words.which_run(views, await reach.style(heard.team))
            await reach.answering.tell(heard, text)

    async def _told(self, heard: Heard, verb: Verb, person: Person) -> str:
        reach = self._reach
        desk = reach.desk
        match verb:
            case Verb.STATUS:
                return await self._status(heard)
            case Verb.RUNS:
                seen = (await self._seen(heard, person))[:MAX_RUNS]
                views = [desk.present.run_view(run) for run in seen]
                return words.runs_text(views, await reach.style(heard.team))
            case Verb.INCIDENTS:
                found = await desk.incidents(MAX_OPEN)
                is_open = [view for view in found if view.resolved_at is None]
                return words.incidents_text(is_open, await reach.style(heard.team))
            case Verb.WORKFLOWS:
                return words.workflows_text(desk.present.workflows())
            case _:
                return words.help_text(desk.present.examples(), reach.emoji)

    async def _status(self, heard: Heard) -> str:
        reach = self._reach
        incidents = await reach.desk.incidents(MAX_OPEN)
        return words.status_text(
            running=len(await reach.desk.runs(MAX_OPEN, active=True)),
            waiting=len(await reach.desk.open_approvals()),
            incidents=sum(view.resolved_at is None for view in incidents),
            health=await reach.health(),
            console=(await reach.style(heard.team)).public_url,
        )

    async def _seen(self, heard: Heard, person: Person) -> list[Run]:
        """Return the runs that a person may hear of here, newest first."""
        channel = self._reach.place(heard).text
        runs = await self._reach.desk.runs(MAX_LOOKED_AT)
        return [run for run in runs if _is_in(run.goal.thread, channel) or is_shared(run, person)]

    async def _going(self, heard: Heard) -> list[Run]:
        """Return the runs that go on in the channel in which the command was given."""
        channel = self._reach.place(heard).text
        runs = await self._reach.desk.runs(MAX_OPEN, active=True)
        return [run for run in runs if _is_in(run.goal.thread, channel) and not run.stopped_by]


def is_shared(run: Run, person: Person) -> bool:
    """Say whether a person may hear of a run anywhere: their own, and what alerts began.

    What others asked for in a private channel or a direct message stays there.
    """
    return run.goal.origin is Origin.ALERT or run.goal.requester_id == person.id


def _is_in(thread: ThreadRef, channel: str) -> bool:
    return (thread.platform, thread.channel) == ("slack", channel)

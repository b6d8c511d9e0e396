"""A whole bot in memory that hears a workspace: what people do there reaches runs, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from agents.domain import ThreadRef
from bot.conversation import Conversation
from bot.desk import Desk
from bot.forms import Forms
from bot.intake import Intake
from bot.live.outbox import MemoryOutboxStore, Outbox
from bot.live.progress import Progress
from bot.live.progress_store import MemoryProgressStore
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import Platform
from bot.platforms.slack.answering import Answering
from bot.platforms.slack.assembly import Inward, listen
from bot.platforms.slack.attachments import Attachments
from bot.platforms.slack.inbox import Inbox, MemoryInbox
from bot.platforms.slack.people import SlackPeople
from bot.platforms.slack.places import Place
from bot.platforms.slack.reach import Reach
from bot.platforms.slack.style import Style
from bot.present import Presenter
from config.contents import Catalogue
from config.settings import Settings
from config.specs import ApprovalSpec, ApproversSpec, PersonSpec, PolicySpec, Verdict
from jobs import commands as c
from jobs.assembly import rules_of
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Approval, ProposedCall, Question, Run, Terms
from tests.bot.platforms.slack.stage import Stage, on_stage
from tests.bot.samples import CATALOGUE, INCIDENT, TOOLBOX
from tests.slack_server import Message, SlackServer

SECRET = "hunter2-hunter2"
ONCALL = Terms(groups=("soncall",), policy="writes")
SLACK_CATALOGUE = replace(
    CATALOGUE,
    routes=(CATALOGUE.routes[0].model_copy(update={"platform": "slack"}),),
    policies=(
        PolicySpec(
            name="writes",
            verdict=Verdict.ASK,
            approval=ApprovalSpec(approvers=ApproversSpec(groups=("soncall",))),
        ),
    ),
)


@dataclass
class House:
    """One bot process. `inward` hears the workspace, `stage` speaks to it."""

    server: SlackServer
    stage: Stage
    store: MemoryStore
    incidents: MemoryIncidentStore
    desk: Desk
    intake: Intake
    runs: Runs
    reach: Reach
    inward: Inward
    progress: Progress
    outbox: Outbox
    gone: list[str] = field(default_factory=list)

    async def run_ids(self) -> list[str]:
        """Return the ids of all runs."""
        return await self.store.run_ids()

    async def only_run(self) -> Run:
        """Return the one run that there is."""
        (run_id,) = await self.run_ids()
        return await self.runs.get(run_id)

    async def ask_approval(self, run: Run, *, calls: int = 1) -> Approval:
        """Let the run's first step ask for an approval."""
        step = run.plan.steps[0]
        approval = Approval(
            id=f"ap-{run.id}-{step.id}",
            step_id=step.id,
            calls=tuple(
                ProposedCall(
                    f"{step.id}/call{n}",
                    "service.rollback",
                    {"service": "checkout", "release": f"a{n}"},
                )
                for n in range(calls)
            ),
            terms=ONCALL,
            requested_at=time.time(),
            title="Roll back checkout",
        )
        await self.runs.send(run.id, c.StartStep(step.id, run.steps[step.id].attempt, "w"))
        attempt = (await self.runs.get(run.id)).steps[step.id].attempt
        after = await self.runs.send(run.id, c.RequestApproval(step.id, attempt, approval))
        return after.approvals[approval.id]

    async def ask(self, run: Run, *options: str, for_groups: tuple[str, ...] = ()) -> Question:
        """Let the run's first step ask something, of everybody or of some groups."""
        step = run.plan.steps[0]
        question = Question(
            id=f"q-{run.id}",
            step_id=step.id,
            text="Which region?",
            options=options,
            kind="input",
            groups=for_groups,
        )
        await self.runs.send(run.id, c.StartStep(step.id, run.steps[step.id].attempt, "w"))
        attempt = (await self.runs.get(run.id)).steps[step.id].attempt
        after = await self.runs.send(run.id, c.AskQuestion(step.id, attempt, question))
        return after.questions[question.id]

    async def show(self, run_id: str) -> Message:
        """Post or update the run's card; return it as people see it."""
        run = await self.runs.get(run_id)
        view = self.desk.present.run_view(run)
        ref = await self.stage.platform.post(run.goal.thread, view, f"{run_id}:card")
        await self.stage.platform.edit(ref, view)
        return self.server.message(ref.id)

    def said(self, user: str = "U1") -> list[str]:
        """Return the sentences that only one person saw, oldest first."""
        return [one.text for one in self.server.ephemerals(user)]

    async def settled(self) -> None:
        """Wait until everything was delivered and done."""
        await self.server.settled()
        await self.server.until(lambda: not self.inward.worker.is_busy)
        await self.server.settled()


@asynccontextmanager
async def at_home(
    server: SlackServer,
    *,
    inbox: Inbox | None = None,
    store: MemoryStore | None = None,
    people: dict[str, PersonSpec] | None = None,
    catalogue: Catalogue = SLACK_CATALOGUE,
    chores: Callable[[Inward], tuple[Callable[[], Coroutine[Any, Any, None]], ...]] | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """Run one bot process: worker and socket; another one may run beside it."""
    async with on_stage(server) as stage:
        house = _house(server, stage, inbox or MemoryInbox(), store, people, catalogue, settings)
        wanted = chores(house.inward) if chores else house.inward.chores
        tasks = [asyncio.create_task(chore()) for chore in wanted]
        try:
            if house.inward.socket is not None and house.inward.socket.run in wanted:
                await server.until(lambda: house.inward.socket.is_open)  # type: ignore[union-attr]
            yield house
        finally:
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _house(
    server: SlackServer,
    stage: Stage,
    inbox: Inbox,
    store: MemoryStore | None,
    people: dict[str, PersonSpec] | None,
    catalogue: Catalogue,
    settings: dict[str, Any],
) -> House:
    kept = store or MemoryStore(time.time)
    runs = Runs(kept, time.time)
    incidents = MemoryIncidentStore()
    platforms: dict[str, Platform] = {
        "console": MemoryPlatform("console"),
        "slack": stage.platform,
    }
    presenter = Presenter(catalogue, TOOLBOX)
    intake = Intake(
        catalogue=catalogue,
        runs=runs,
        incidents=incidents,
        platforms=platforms,
        secrets=(SECRET,),
    )
    desk = Desk(
        runs=runs,
        intake=intake,
        forms=Forms(catalogue=catalogue, runs=runs, incidents=incidents, platforms=platforms),
        incidents=incidents,
        presenter=presenter,
        toolbox=TOOLBOX,
        rules=rules_of(catalogue, (SECRET,)),
    )
    outbox = Outbox(MemoryOutboxStore(), platforms)
    progress = Progress(
        store=kept,
        incidents=incidents,
        platforms=platforms,
        outbox=outbox,
        presenter=presenter,
        memory=MemoryProgressStore(),
    )
    gone: list[str] = []

    async def style(team: str) -> Style:
        return Style(workspace_url=(await stage.clients.identity(team)).url)

    async def health() -> str:
        return "redis: ok, workers: 2 alive"

    async def forget(team: str, at: float) -> None:
        gone.append(team)

    given = {
        "slack_bot_token": SecretStr(server.bot_token),
        "slack_app_token": SecretStr(server.app_token),
        "slack_api_url": server.api_url,
        **settings,
    }
    made = Settings(**{name: value for name, value in given.items() if value is not None})
    reach = Reach(
        desk=desk,
        conversation=Conversation(desk, time.time),
        people=SlackPeople(stage.clients, people),
        clients=stage.clients,
        attachments=Attachments(stage.clients),
        answering=Answering(stage.clients),
        style=style,
        clock=time.time,
        health=health,
        forget=forget,
        emoji=made.slack_emoji,
        is_many=made.slack_client_id is not None,
    )
    inward = listen(made, reach, inbox)
    return House(
        server, stage, kept, incidents, desk, intake, runs, reach, inward, progress, outbox, gone
    )


def thread_of(message: Message) -> ThreadRef:
    """Return the thread that a message begins or stands in."""
    return Place("", message.channel).thread(message.root_ts)


FIRST_STEP = INCIDENT.steps[0].id

"""The Home tab of one person: made from the desk, put where Slack shows it."""

from __future__ import annotations

from typing import Final

from bot.platforms.slack.home import home
from bot.platforms.slack.orders import is_shared
from bot.platforms.slack.people import Member
from bot.platforms.slack.reach import Reach
from bot.views import ApprovalView, HomeView, QuestionView
from jobs.questions import may_answer
from jobs.state import Person

MAX_RUNS_SHOWN: Final = 30
MAX_INCIDENTS_SHOWN: Final = 50


async def home_view(reach: Reach, person: Person) -> HomeView:
    """Return what concerns one person now."""
    desk = reach.desk
    approvals: list[ApprovalView] = []
    for_others = 0
    for one in await desk.approvals(person):
        if one.obstacle:
            for_others += 1
            continue
        views = desk.present.run_view(one.run).approvals
        approvals += [view for view in views if view.id == one.approval.id]
    runs = await desk.runs(MAX_RUNS_SHOWN, active=True)
    questions: list[QuestionView] = []
    for run in runs:
        mine = {
            key for key, one in run.questions.items() if one.is_open and not may_answer(one, person)
        }
        questions += [view for view in desk.present.run_view(run).questions if view.id in mine]
    incidents = await desk.incidents(MAX_INCIDENTS_SHOWN)
    return HomeView(
        person=person.name,
        at=reach.clock(),
        approvals=tuple(approvals),
        questions=tuple(sorted(questions, key=lambda view: view.asked_at)),
        runs=tuple(desk.present.run_view(run) for run in runs if is_shared(run, person)),
        incidents=tuple(view for view in incidents if view.resolved_at is None),
        waiting_for_others=for_others,
    )


async def publish_home(reach: Reach, team: str, member: Member) -> None:
    """Show a person's Home tab as it is now."""
    view = home(await home_view(reach, member.person), await reach.style(team))
    await reach.clients.call(team, "views.publish", user_id=member.user, view=view)

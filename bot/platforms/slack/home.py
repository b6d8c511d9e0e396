"""The Home tab: what waits for one person, what runs, what is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.platforms.slack.asking import open_approval, open_question
from bot.platforms.slack.blocks import Block, context, date, divider, header, link, section
from bot.platforms.slack.card import SIGNS
from bot.platforms.slack.escape import bold, mrkdwn, one_line, unstarred
from bot.platforms.slack.incident import sign, standing
from bot.platforms.slack.style import ROOMS, Style
from bot.views import HomeView, IncidentView, RunView

MAX_APPROVALS: Final = 6
MAX_QUESTIONS: Final = 3
MAX_RUNS: Final = 10
MAX_INCIDENTS: Final = 10
ROOM: Final = ROOMS[2]


def home(view: HomeView, style: Style) -> Block:
    """Return the Home tab as `views.publish` takes it."""
    return {"type": "home", "blocks": home_blocks(view, style)}


def home_blocks(view: HomeView, style: Style) -> list[Block]:
    """Return the tab's blocks: decisions first, then what goes on."""
    where = f" · more in {link(style.public_url, 'the console')}" if style.public_url else ""
    as_of = f"As of {date(view.at)}{where}"
    return [
        context(as_of),
        *_waiting(view, style),
        header("Running"),
        *_runs(view.runs, style),
        header("Open incidents"),
        *_incidents(view.incidents, style),
    ]


def _waiting(view: HomeView, style: Style) -> list[Block]:
    blocks = [header("Waiting for you")]
    for place, approval in enumerate(view.approvals[:MAX_APPROVALS]):
        blocks += ([divider()] if place else []) + open_approval(approval, style, ROOM)
    for question in view.questions[:MAX_QUESTIONS]:
        blocks += [divider(), *open_question(question, ROOM)]
    if not view.approvals and not view.questions:
        blocks.append(section("Nothing waits for you. :sunny:"))
    more = len(view.approvals[MAX_APPROVALS:]) + len(view.questions[MAX_QUESTIONS:])
    parts = [f"{more} more of yours are {_in_console(style)}"] if more else []
    if view.waiting_for_others:
        count = view.waiting_for_others
        parts.append(f"{count} {'waits' if count == 1 else 'wait'} for others")
    return [*blocks, context(" · ".join(parts))] if parts else blocks


def _in_console(style: Style) -> str:
    return link(style.approvals_url(), "in the console")


def _runs(runs: Sequence[RunView], style: Style) -> list[Block]:
    if not runs:
        return [section("Nothing runs. Mention me in a channel, or write to me here.")]
    blocks = [section(_run(run, style)) for run in runs[:MAX_RUNS]]
    return blocks + _more(len(runs) - MAX_RUNS, "run", "runs")


def _run(run: RunView, style: Style) -> str:
    url = style.thread_url(run.thread) or style.run_url(run.run_id)
    title = link(url, unstarred(run.title), ROOM.title)
    asked = one_line(run.requester, 60, mrkdwn)
    head = f"{SIGNS[run.status]} *{title}*"
    return f"{head}\n{one_line(run.headline, 200, mrkdwn)} · {asked}, {date(run.started_at)}"


def _incidents(incidents: Sequence[IncidentView], style: Style) -> list[Block]:
    if not incidents:
        return [section("No incident is open. :sunny:")]
    blocks = [section(_incident(one, style)) for one in incidents[:MAX_INCIDENTS]]
    return blocks + _more(len(incidents) - MAX_INCIDENTS, "incident", "incidents")


def _incident(view: IncidentView, style: Style) -> str:
    url = style.thread_url(view.thread)
    title = f"*{link(url, unstarred(view.title), ROOM.title)}*" if url else ""
    folded = f" · {view.folded} folded" if view.folded else ""
    return f"{sign(view)} {title or bold(view.title, ROOM.title)}\n{standing(view)}{folded}"


def _more(count: int, one: str, many: str) -> list[Block]:
    return [context(f"and {count} more {one if count == 1 else many}")] if count > 0 else []

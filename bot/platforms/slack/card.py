"""The live card of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.wording import duration
from bot.platforms.slack import clicks
from bot.platforms.slack.asking import approvals, questions
from bot.platforms.slack.blocks import (
    MAX_SECTION,
    Block,
    actions,
    button,
    confirm,
    context,
    date,
    link,
    section,
)
from bot.platforms.slack.clicks import Click
from bot.platforms.slack.escape import bold, clip, mrkdwn, one_line, unstarred, width
from bot.platforms.slack.steps import plan_blocks, text_blocks
from bot.platforms.slack.style import Room, Style
from bot.views import DiagnosisView, LateView, RevisionView, RunView
from jobs.state import Status

MAX_SYMPTOMS: Final = 2
MAX_SUSPECTS: Final = 3
MAX_NAME_CHARS: Final = 80
MAX_CHANGES: Final = 4
FINDINGS: Final[Mapping[str, str]] = {
    "cause_found": "Cause found",
    "inconclusive": "Inconclusive",
    "healthy": "Nothing is wrong",
}
SIGNS: Final[Mapping[Status, str]] = {
    Status.PENDING: ":hourglass_flowing_sand:",
    Status.QUEUED: ":hourglass_flowing_sand:",
    Status.RUNNING: ":hourglass_flowing_sand:",
    Status.WAITING: ":raised_hand:",
    Status.SUCCEEDED: ":white_check_mark:",
    Status.FAILED: ":x:",
    Status.SKIPPED: ":heavy_minus_sign:",
    Status.CANCELLED: ":black_square_for_stop:",
}


def card(view: RunView, style: Style, room: Room) -> list[Block]:
    """Return the card: what is going on, the steps, what was found, what waits for people."""
    is_over = view.ended_at is not None
    return [
        section(_head(view, style, room)),
        context(_asked(view, room)),
        *_late(view.late, is_over=is_over),
        *(plan_blocks(view, room) if style.is_native else text_blocks(view, room)),
        *_plan_reason(view, room),
        *(_diagnosis(view, view.diagnosis, style, room) if view.diagnosis else []),
        *approvals(view.approvals, style, room, is_over=is_over),
        *questions(view.questions, style, room, is_over=is_over),
        *_foot(view, style),
        *_buttons(view, style),
    ]


def card_text(view: RunView) -> str:
    """Return the card in one line, for notifications."""
    title = one_line(view.title, 200, mrkdwn)
    return f"{SIGNS[view.status]} {title}: {one_line(view.headline, 400, mrkdwn)}"


def _head(view: RunView, style: Style, room: Room) -> str:
    title = link(style.run_url(view.run_id), unstarred(view.title), 2 * room.title)
    head = f"{SIGNS[view.status]} *{title}*"
    is_said = style.is_native and bool(view.steps) and view.ended_at is None
    return head if is_said else f"{head}\n{one_line(view.headline, room.prose, mrkdwn)}"


def _asked(view: RunView, room: Room) -> str:
    parts = [f"Asked by {one_line(view.requester, MAX_NAME_CHARS, mrkdwn)} {date(view.started_at)}"]
    parts.append(
        one_line(view.workflow, MAX_NAME_CHARS, mrkdwn) if view.workflow else "planned as it goes"
    )
    line = " · ".join(parts)
    if view.goal != view.title and view.goal.strip():
        line += f"\n{one_line(view.goal, max(room.note, 80), mrkdwn)}"
    return line


def _late(late: LateView | None, *, is_over: bool) -> list[Block]:
    if late is None:
        return []
    limit = duration(late.within_s)
    text = f":warning: *Late* since {date(late.at)}: it should have taken {limit} at most."
    if late.people and not is_over:
        people = one_line(late.people, MAX_NAME_CHARS, mrkdwn)
        text += f" {people[0].upper()}{people[1:]} may decide what waits."
    return [context(text)]


def _plan_reason(view: RunView, room: Room) -> list[Block]:
    """Return why the plan is as it is, and how it was changed."""
    changes = [one for one in view.revisions if one.number > 1]
    if not changes:
        note = view.planner.note if view.planner is not None else ""
        return [context(f":compass: {one_line(note, room.prose, mrkdwn)}")] if note else []
    shown = changes[-1]
    times = "once" if len(changes) == 1 else f"{len(changes)} times"
    text = f":compass: *The plan was changed {times}.* {one_line(shown.reason, room.prose, mrkdwn)}"
    return [context("\n".join([text, *_changes(shown, room)]))]


def _changes(revision: RevisionView, room: Room) -> list[str]:
    if not room.note:
        return []
    signed = [("+", title) for title in revision.added]
    signed += [("\u2212", title) for title in revision.dropped]
    parts = [f"{sign} {one_line(title, room.note, mrkdwn)}" for sign, title in signed[:MAX_CHANGES]]
    more = len(signed) - MAX_CHANGES
    parts += [f"and {more} more"] if more > 0 else []
    return [" · ".join(parts)] if parts else []


def _diagnosis(view: RunView, found: DiagnosisView, style: Style, room: Room) -> list[Block]:
    status = FINDINGS.get(found.status, one_line(found.status, MAX_NAME_CHARS, mrkdwn))
    lines = [f":mag: *{status}* · confidence {round(found.confidence * 100)} %"]
    symptoms = found.symptoms[: MAX_SYMPTOMS if room.note else 0]
    lines += [f"• {one_line(symptom.text, max(room.note, 40), mrkdwn)}" for symptom in symptoms]
    for place, suspect in enumerate(found.suspects[:MAX_SUSPECTS], 1):
        lines.append(f"{place}. {bold(suspect.title, room.title)} ({suspect.score:.2f})")
        if place == 1 and suspect.reasons and room.note:
            reason = suspect.reasons[0]
            text = one_line(reason.text, room.note, mrkdwn)
            if reason.cites:
                cite = reason.cites[0]
                url = style.evidence_url(view.run_id, cite.evidence_id, cite.quote)
                text += f" ({link(url, f'“{cite.quote}”', MAX_NAME_CHARS)})"
            lines.append(f"\u2003{text}")
    return [section(clip_lines(lines))]


def clip_lines(lines: list[str]) -> str:
    """Return as many of the lines as a section has room for; they are escaped already."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += width(line) + 1
        if used > MAX_SECTION - 2:
            break
        kept.append(line)
    return "\n".join(kept)


def _foot(view: RunView, style: Style) -> list[Block]:
    parts = []
    if view.ended_at is not None:
        parts.append(f"Took {duration(view.ended_at - view.started_at)}")
    if view.spent is not None:
        parts.append(clip(view.spent.text, 200, mrkdwn))
    return [context(" · ".join(parts))] if parts else []


def _buttons(view: RunView, style: Style) -> list[Block]:
    url = style.run_url(view.run_id)
    page = Click(clicks.OPEN, view.run_id)
    open_page = button("Open in the console", page.action_id, url=url) if url else None
    if view.ended_at is not None:
        return actions(open_page)
    click = Click(clicks.STOP, view.run_id, view.run_id)
    dialog = confirm(
        "Stop this run?",
        "What is running now is cancelled, except a change that has begun: that is let end.",
        "Yes, stop it",
        "Let it go on",
        is_grave=True,
    )
    return actions(button("Stop", click.action_id, click.value, confirm=dialog), open_page)

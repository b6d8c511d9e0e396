"""What waits for people: approvals and questions with their buttons, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.platforms.slack import clicks
from bot.platforms.slack.blocks import (
    MAX_OPTION,
    Block,
    Element,
    actions,
    button,
    code,
    confirm,
    context,
    date,
    link,
    rich_section,
    rich_text,
    section,
    words,
)
from bot.platforms.slack.clicks import Click
from bot.platforms.slack.escape import bold, clip, exact, mrkdwn, one_line, width
from bot.platforms.slack.style import Room, Style
from bot.views import ApprovalView, CallView, QuestionView

MAX_NAME_CHARS: Final = 80
MAX_WHO_CHARS: Final = 300
MAX_COMMENT_CHARS: Final = 300
MAX_CALLS: Final = 4
"""Calls of one approval that are shown; all of them are in the console."""
MAX_VOTES: Final = 5
MAX_OPTIONS: Final = 10
MAX_DIALOG_CALLS: Final = 3
WRITES: Final = "writes"
PENDING: Final = "pending"

DECIDED: Final = {
    "pending": ":black_square_for_stop: *Not decided* before the run ended",
    "approved": ":white_check_mark: *Approved*",
    "denied": ":no_entry: *Denied*",
    "expired": ":hourglass: *Expired*, nobody decided in time",
    "cancelled": ":black_square_for_stop: *Cancelled*, no decision is needed any more",
}
KINDS: Final = {
    "outcome": "unknown outcome",
    "budget": "budget",
    "plan": "before it starts",
    "review": "review",
}


def approvals(
    views: Sequence[ApprovalView], style: Style, room: Room, *, is_over: bool = False
) -> list[Block]:
    """Return a run's approvals, those that wait in full and first in line for the room."""
    waiting = [view for view in views if view.status == PENDING and not is_over]
    decided = [view for view in views if view not in waiting]
    blocks: list[Block] = []
    for view in decided[-room.lines :]:
        blocks += decided_approval(view, room)
    for view in waiting[: room.asks]:
        blocks += open_approval(view, style, room)
    more = len(waiting) - room.asks
    if more > 0:
        where = link(style.approvals_url(), "in the console")
        waits = "approval waits" if more == 1 else "approvals wait"
        blocks.append(context(f":raised_hand: {more} more {waits}: decide {where}."))
    return blocks


def open_approval(view: ApprovalView, style: Style, room: Room) -> list[Block]:
    """Return an approval to decide on: what would run exactly, why, by whom, until when."""
    kept = [call for call in view.calls if not call.is_dropped]
    shown = kept[:MAX_CALLS]
    share = max(120, room.arguments // max(1, len(shown)))
    blocks = [section(_asked(view, room))]
    is_cut = len(shown) < len(kept)
    for call in shown:
        text = exact(call.args)
        is_cut = is_cut or width(text) > share
        blocks.append(_call(call, clip(text, share)))
        if len(kept) > 1:
            blocks += actions(_edit(view, call, f"Edit {call.tool}…"))
    if is_cut:
        page = link(style.run_url(view.run_id), "look at all of it in the console")
        blocks.append(context(f":warning: *There is more than Slack has room for*: {page} first."))
    dropped = len(view.calls) - len(kept)
    blocks.append(context(_terms(view), *([f"{dropped} left out"] if dropped else [])))
    return [*blocks, *_decision(view, kept)]


def decided_approval(view: ApprovalView, room: Room) -> list[Block]:
    """Return how an approval ended, in two lines without buttons."""
    said = DECIDED.get(view.status, f"*{one_line(view.status, MAX_NAME_CHARS, mrkdwn)}*")
    line = f"{said}: {one_line(view.title, room.title, mrkdwn)}"
    if view.decided_by:
        line += f"\nby {bold(view.decided_by, MAX_NAME_CHARS)}"
        line += f" {date(view.decided_at)}" if view.decided_at is not None else ""
        line += f": “{one_line(view.comment, MAX_COMMENT_CHARS, mrkdwn)}”" if view.comment else ""
    blocks = [section(line)]
    calls = [_in_short(call, room) for call in view.calls[:MAX_CALLS]]
    if calls and room.note:
        blocks.append(context("\n".join(calls)))
    return blocks


def questions(
    views: Sequence[QuestionView], style: Style, room: Room, *, is_over: bool = False
) -> list[Block]:
    """Return a run's questions, those that wait with their buttons."""
    waiting = [view for view in views if view.is_open and not is_over]
    settled = [view for view in views if view not in waiting]
    blocks = [section(_answered(view, room)) for view in settled[-room.lines :]]
    for view in waiting[: room.asks]:
        blocks += open_question(view, room)
    more = len(waiting) - room.asks
    if more > 0:
        where = link(style.run_url(waiting[0].run_id), "in the console")
        blocks.append(context(f":speech_balloon: {more} more to answer: look {where}."))
    return blocks


def open_question(view: QuestionView, room: Room) -> list[Block]:
    """Return a question with a button for each option, or one that opens a dialog."""
    kind = f" ({KINDS[view.kind]})" if view.kind in KINDS else ""
    blocks = [
        section(f":speech_balloon: *Question{kind}*\n{clip(view.text, room.prose, mrkdwn)}"),
        context(_who_answers(view)),
    ]
    if not view.options:
        click = Click(clicks.REPLY, view.id, view.run_id)
        return blocks + actions(button("Answer…", click.action_id, click.value, style="primary"))
    return blocks + actions(*(element for _, element in _options(view) if element))


def _asked(view: ApprovalView, room: Room) -> str:
    head = f":raised_hand: *Needs approval:* {bold(view.title, room.title)}"
    return f"{head}\n{clip(view.reason, room.prose, mrkdwn)}" if view.reason.strip() else head


def _call(call: CallView, text: str) -> Block:
    effect = "changes something" if call.effect == WRITES else "only looks"
    return rich_text(
        rich_section(
            words("If approved, this runs: "),
            words(one_line(call.tool, MAX_NAME_CHARS), code=True),
            words(f" ({effect})"),
        ),
        code(text),
    )


def _in_short(call: CallView, room: Room) -> str:
    dropped = " (left out)" if call.is_dropped else ""
    title = call.title.removeprefix(call.tool).strip()
    tool = one_line(call.tool, MAX_NAME_CHARS, mrkdwn).replace("`", "'")
    said = one_line(title, max(room.note, 40), mrkdwn) if title else ""
    return f"`{tool}` {said}{dropped}".strip()


def _terms(view: ApprovalView) -> str:
    """Return who may decide, by which rule, until when, and how far it is."""
    parts = [f"To be decided by {one_line(view.approvers, MAX_WHO_CHARS, mrkdwn)}"]
    if view.quorum > 1:
        parts.append(f"{view.quorum} approvals are needed")
    if view.policy:
        parts.append(f"policy: {one_line(view.policy, MAX_NAME_CHARS, mrkdwn)}")
    if view.expires_at is not None:
        parts.append(f"expires {date(view.expires_at)}")
    if view.escalated_at is not None:
        parts.append(f":rotating_light: escalated {date(view.escalated_at)}")
    if view.editor:
        name = one_line(view.editor, MAX_NAME_CHARS, mrkdwn)
        parts.append(f"revision {view.revision}, edited by {name}")
    votes = [one_line(vote, MAX_NAME_CHARS, mrkdwn) for vote in view.votes[-MAX_VOTES:]]
    return " · ".join([*parts, *votes])


def _decision(view: ApprovalView, kept: Sequence[CallView]) -> list[Block]:
    approve = _click(clicks.APPROVE, view)
    deny = _click(clicks.DENY, view)
    is_grave = any(call.effect == WRITES for call in kept)
    only = kept[0] if len(kept) == 1 else None
    edit = _edit(view, only, "Edit…") if only is not None else None
    yes = button(
        "Approve" if len(kept) < 2 else f"Approve all {len(kept)}",
        approve.action_id,
        approve.value,
        style="primary",
        confirm=_sure(kept) if is_grave else None,
    )
    no = button("Deny", deny.action_id, deny.value, style="danger")
    return actions(yes, edit if yes else None, no) if yes and no else []


def _sure(kept: Sequence[CallView]) -> Element:
    """Return the dialog before something is changed: it names what runs at once."""
    shown = [one_line(call.title or call.tool, MAX_NAME_CHARS) for call in kept]
    more = len(shown) - MAX_DIALOG_CALLS
    text = "; ".join(shown[:MAX_DIALOG_CALLS]) + (f"; and {more} more" if more > 0 else "")
    return confirm("Run this now?", f"This runs at once: {text}.", "Yes, run it", is_grave=True)


def _edit(view: ApprovalView, call: CallView, text: str) -> Element | None:
    click = Click(clicks.EDIT, view.id, view.run_id, view.revision, view.digest, call_key=call.key)
    return button(text, click.action_id, click.value)


def _click(action: str, view: ApprovalView) -> Click:
    return Click(action, view.id, view.run_id, view.revision, view.digest)


def _answered(view: QuestionView, room: Room) -> str:
    asked = one_line(view.text, room.title, mrkdwn)
    if view.answer is None:
        return f":heavy_minus_sign: *Not answered:* {asked}"
    name = bold(view.answered_by, MAX_NAME_CHARS)
    said = clip(view.answer, room.title, mrkdwn)
    return f":white_check_mark: *Answered:* {asked}\n“{said}” — {name}"


def _who_answers(view: QuestionView) -> str:
    hint = "Click one" if view.options else "Click to answer, or reply in this thread"
    if others := [text for text, element in _options(view) if element is None]:
        rest = one_line(", ".join(others), MAX_WHO_CHARS, mrkdwn)
        hint = f"Click one, or reply with one of: {rest}"
    parts = [hint]
    if view.answerers:
        parts.append(f"to be answered by {one_line(view.answerers, MAX_WHO_CHARS, mrkdwn)}")
    if view.asked_by:
        parts.append(f"asked by {one_line(view.asked_by, MAX_NAME_CHARS, mrkdwn)}")
    if view.expires_at is not None:
        parts.append(f"expires {date(view.expires_at)}")
    if view.escalated_at is not None:
        parts.append(f":rotating_light: escalated {date(view.escalated_at)}")
    return " · ".join(parts)


def _options(view: QuestionView) -> list[tuple[str, Element | None]]:
    """Return the options with their buttons; there is no room for many, or for very long ones."""
    pairs: list[tuple[str, Element | None]] = []
    for place, text in enumerate(dict.fromkeys(view.options)):
        click = Click(clicks.ANSWER, view.id, view.run_id, choice=text)
        shown = button(one_line(text, MAX_OPTION), f"{click.action_id}:{place}", click.value)
        pairs.append((text, shown if place < MAX_OPTIONS else None))
    return pairs

"""The card of an incident, and short messages."""

from __future__ import annotations

from typing import Final

from agents.wording import duration
from bot.platforms.slack import clicks
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
from bot.platforms.slack.escape import bold, clip, mrkdwn, one_line
from bot.platforms.slack.steps import packed
from bot.platforms.slack.style import Room, Style
from bot.views import IncidentView, NoteView

MAX_NAME_CHARS: Final = 80
MAX_PINGS: Final = 20
MAX_PINGS_CHARS: Final = 800
MAX_RUNS: Final = 5
MAX_NOTICE_CHARS: Final = 800
KINDS: Final = {"alert": ":red_circle:", "recovery": ":large_green_circle:"}
TONES: Final = {"warning": ":warning: ", "error": ":x: "}


def sign(view: IncidentView) -> str:
    """Return the sign of where an incident stands."""
    if view.resolved_at is not None:
        return ":white_check_mark:"
    return ":eyes:" if view.acknowledged_by or view.taken_by else ":rotating_light:"


def incident(view: IncidentView, style: Style, room: Room) -> list[Block]:
    """Return an incident: how it stands, its alerts, what was folded, who has it."""
    head = f"{sign(view)} {bold(view.title, 2 * room.title)}"
    blocks = [section(f"{head}\n{_standing(view)}"), context(_about(view))]
    lines = _alerts(view, room)
    blocks += [section(text) for text in packed(lines)]
    if links := _runs(view, style):
        blocks.append(context(links))
    return blocks + _buttons(view)


def incident_text(view: IncidentView) -> str:
    """Return an incident in one line, for notifications."""
    title = one_line(view.title, 300, mrkdwn)
    return f"{sign(view)} {title}: {_standing(view)}"


def standing(view: IncidentView) -> str:
    """Return how an incident stands, in one line of Slack's markup."""
    return _standing(view)


def note(view: NoteView, style: Style, room: Room) -> list[Block]:
    """Return a short message; only `mentions` ping."""
    return [
        section(
            _note(view, style, min(MAX_SECTION - MAX_PINGS_CHARS - MAX_NAME_CHARS - 20, room.full))
        )
    ]


def note_text(view: NoteView, style: Style) -> str:
    """Return the message for notifications: pings count there as well."""
    return _note(view, style, MAX_NOTICE_CHARS)


def _note(view: NoteView, style: Style, limit: int) -> str:
    pings = " ".join(style.ping(mention) for mention in view.mentions[:MAX_PINGS])
    author = f"{bold(view.author, MAX_NAME_CHARS)}: " if view.author else ""
    text = clip(view.text, limit, mrkdwn)
    start = _fitting(pings)
    return f"{start}{TONES.get(view.tone, '')}{author}{text}"


def _fitting(pings: str) -> str:
    """Return the pings that fit: a message is more than a list of people."""
    kept = ""
    for ping in pings.split(" "):
        if len(kept) + len(ping) > MAX_PINGS_CHARS:
            break
        kept += f"{ping} " if ping else ""
    return kept


def _standing(view: IncidentView) -> str:
    if view.resolved_at is not None:
        took = duration(view.resolved_at - view.opened_at)
        return f"Resolved {date(view.resolved_at)} after {took}"
    parts = [f"Open since {date(view.opened_at)}"]
    if view.taken_by:
        parts.append(f"taken over by {bold(view.taken_by, MAX_NAME_CHARS)}")
    elif view.acknowledged_by:
        parts.append(f"acknowledged by {bold(view.acknowledged_by, MAX_NAME_CHARS)}")
    if view.muted_until is not None:
        parts.append(f":no_bell: muted until {date(view.muted_until, '{time}')}")
    return " · ".join(parts)


def _about(view: IncidentView) -> str:
    listed = sum(alert.kind != "note" for alert in view.alerts)
    parts = [one_line(view.service, MAX_NAME_CHARS, mrkdwn)] if view.service else []
    if view.severity and view.severity != "unknown":
        parts.append(f"severity {one_line(view.severity, MAX_NAME_CHARS, mrkdwn)}")
    parts.append(f"{listed} {'alert' if listed == 1 else 'alerts'}")
    if view.folded:
        parts.append(f"*{view.folded} folded*: counted here, no run was started for them")
    return " · ".join(parts)


def _alerts(view: IncidentView, room: Room) -> list[str]:
    """Return the newest alerts and every count, so that nothing is left out silently."""
    alerts = [alert for alert in view.alerts if alert.kind != "note"]
    notes = [alert for alert in view.alerts if alert.kind == "note"]
    lines = []
    limit = 60 + room.note
    for alert in alerts[-room.lines :]:
        mark = KINDS.get(alert.kind, ":white_circle:")
        lines.append(f"{mark} {date(alert.at, '{time}')}  {one_line(alert.text, limit, mrkdwn)}")
    more = len(alerts) - room.lines
    if more > 0:
        lines.append(f":heavy_plus_sign: {more} earlier {'alert' if more == 1 else 'alerts'}")
    lines += [f":heavy_plus_sign: {one_line(one.text, limit, mrkdwn)}" for one in notes[:6]]
    return lines


def _runs(view: IncidentView, style: Style) -> str:
    pairs = [(place, style.run_url(run)) for place, run in enumerate(view.run_ids, 1)]
    links = [link(url, f"run {place}") for place, url in pairs[-MAX_RUNS:] if url]
    return " · ".join(links)


def _buttons(view: IncidentView) -> list[Block]:
    if view.resolved_at is not None:
        return []
    see, take, mute = (
        Click(action, view.id) for action in (clicks.ACKNOWLEDGE, clicks.TAKE, clicks.MUTE)
    )
    dialog = confirm(
        "Take this over?",
        "You work on it yourself: Muster stops what it runs for it and only goes on telling of "
        "its alerts.",
        "Yes, it is mine",
        is_grave=False,
    )
    is_seen = bool(view.acknowledged_by or view.taken_by)
    return actions(
        None if is_seen else button("Acknowledge", see.action_id, see.value, style="primary"),
        None if view.taken_by else button("Take over", take.action_id, take.value, confirm=dialog),
        button("Mute 1 h", mute.action_id, mute.value),
    )

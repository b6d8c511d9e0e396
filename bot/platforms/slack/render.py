"""Views as Slack shows them: pure functions, within Slack's limits whatever a view holds."""

from __future__ import annotations

from bot.platforms.slack.answer import answer, answer_text
from bot.platforms.slack.blocks import (
    MAX_BLOCKS,
    MAX_MESSAGE_BYTES,
    Block,
    size,
)
from bot.platforms.slack.card import card, card_text
from bot.platforms.slack.incident import incident, incident_text, note, note_text
from bot.platforms.slack.steps import fits
from bot.platforms.slack.style import ROOMS, Rendered, Room, Style
from bot.views import AnswerView, IncidentView, RunView, View

NATIVE = Style()
PLAIN = Style(is_native=False)


def render(view: View, style: Style = NATIVE) -> Rendered:
    """Return the message for a view: as much of it as Slack takes."""
    for room in ROOMS:
        blocks = _blocks(view, style, room)
        is_small = size(blocks) <= MAX_MESSAGE_BYTES and len(blocks) <= MAX_BLOCKS
        if is_small and fits(blocks):
            break
    return Rendered(text=_text(view, style), blocks=blocks, facts=_facts(view))


def _blocks(view: View, style: Style, room: Room) -> list[Block]:
    if isinstance(view, RunView):
        return card(view, style, room)
    if isinstance(view, AnswerView):
        return answer(view, style, room)
    if isinstance(view, IncidentView):
        return incident(view, style, room)
    return note(view, style, room)


def _text(view: View, style: Style) -> str:
    if isinstance(view, RunView):
        return card_text(view)
    if isinstance(view, AnswerView):
        return answer_text(view)
    if isinstance(view, IncidentView):
        return incident_text(view)
    return note_text(view, style)


def _facts(view: View) -> dict[str, str | int]:
    if isinstance(view, RunView):
        return {"view": "run", "run_id": view.run_id, "version": view.version}
    if isinstance(view, AnswerView):
        return {"view": "answer", "run_id": view.run_id}
    if isinstance(view, IncidentView):
        return {"view": "incident", "incident_id": view.id}
    return {"view": "note"}

"""The dialog in which a goal is written from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.desk import MAX_GOAL_CHARS
from bot.platforms.slack.blocks import Block, plain_text

GOAL: Final = "muster_goal"
GOAL_BLOCK: Final = "goal"
CHANNEL_BLOCK: Final = "channel"
FIELD: Final = "given"


def goal_modal() -> Block:
    """Return the dialog: what is wanted, and where it is reported."""
    return {
        "type": "modal",
        "callback_id": GOAL,
        "title": plain_text("Ask Muster", 24),
        "submit": plain_text("Start", 24),
        "close": plain_text("Cancel", 24),
        "blocks": [
            {
                "type": "input",
                "block_id": GOAL_BLOCK,
                "label": plain_text("What do you want to know or have done?", 150),
                "element": {
                    "type": "plain_text_input",
                    "action_id": FIELD,
                    "multiline": True,
                    "max_length": MAX_GOAL_CHARS,
                    "focus_on_load": True,
                },
            },
            {
                "type": "input",
                "block_id": CHANNEL_BLOCK,
                "label": plain_text("Where shall I report?", 150),
                "hint": plain_text("I have to be a member of the channel.", 150),
                "element": {
                    "type": "conversations_select",
                    "action_id": FIELD,
                    "default_to_current_conversation": True,
                    "filter": {"include": ["public", "private", "im"], "exclude_bot_users": False},
                },
            },
        ],
    }


def read_goal(state: Mapping[str, Any]) -> tuple[str, str]:
    """Return the goal and the channel that were given."""
    goal = _field(state, GOAL_BLOCK).get("value")
    channel = _field(state, CHANNEL_BLOCK).get("selected_conversation")
    return (str(goal).strip() if goal else "", str(channel or ""))


def _field(state: Mapping[str, Any], block: str) -> Mapping[str, Any]:
    values = state.get("values")
    found = values.get(block, {}).get(FIELD, {}) if isinstance(values, dict) else {}
    return found if isinstance(found, dict) else {}

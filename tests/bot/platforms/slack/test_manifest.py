"""The shipped manifest is what the code needs: no scope, event or name too many or too few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bot.platforms.slack.reading import COMMAND, COMPOSE, EVENTS, INVESTIGATE
from bot.platforms.slack.scopes import SCOPES
from bot.platforms.slack.words import Verb
from tests.slack_server import manifest_problems

PATH = Path(__file__).parents[4] / "deploy" / "slack-manifest.yaml"
MANIFEST: dict[str, Any] = yaml.safe_load(PATH.read_text())
FEATURES = MANIFEST["features"]


def test_slack_takes_it() -> None:
    """It is what the settings page accepts."""
    assert manifest_problems(MANIFEST) == []


def test_it_asks_for_what_is_used() -> None:
    """Each scope has its reason in the code, and each event somebody who hears it."""
    assert MANIFEST["oauth_config"]["scopes"]["bot"] == sorted(SCOPES)
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == EVENTS


def test_it_offers_what_is_heard() -> None:
    """The command, with all its words, and both shortcuts."""
    (command,) = FEATURES["slash_commands"]
    assert command["command"] == COMMAND
    assert {verb.value for verb in Verb} <= set(command["usage_hint"].replace("|", " ").split())
    offered = {one["callback_id"]: one["type"] for one in FEATURES["shortcuts"]}
    assert offered == {INVESTIGATE: "message", COMPOSE: "global"}


def test_it_is_an_agent_with_a_home() -> None:
    """The view that does not retire, Socket Mode, and people may write to it directly."""
    assert "agent_view" in FEATURES
    assert "assistant_view" not in FEATURES
    assert FEATURES["app_home"]["messages_tab_enabled"]
    assert MANIFEST["settings"]["socket_mode_enabled"]

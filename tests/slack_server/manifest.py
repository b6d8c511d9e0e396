"""An app's manifest, checked as the settings page does when someone pastes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.slack_server.rules import EVENT_SCOPES
from tests.slack_server.state import App

NAME_CHARS = 35
SHORTCUT_CHARS = 24
SHORTCUT_TEXT_CHARS = 150
COMMAND_CHARS = 32
RETIRED = "assistant_view"


def manifest_problems(manifest: Mapping[str, Any]) -> list[str]:
    """Return why Slack would not take a manifest; nothing when it does."""
    found: list[str] = []
    name = str(_at(manifest, "display_information", "name") or "")
    if not 0 < len(name) <= NAME_CHARS:
        found.append(f"display_information.name needs 1 to {NAME_CHARS} characters")
    features = _at(manifest, "features") or {}
    if not _at(features, "bot_user", "display_name"):
        found.append("features.bot_user.display_name is missing")
    if RETIRED in features:
        found.append("features.assistant_view retires: use agent_view")
    for command in features.get("slash_commands") or []:
        text = str(command.get("command", ""))
        if not text.startswith("/") or len(text) > COMMAND_CHARS or not command.get("description"):
            found.append(f"slash command {text!r} needs a /name and a description")
    for shortcut in features.get("shortcuts") or []:
        found += _shortcut_problems(shortcut)
    scopes = set(bot_scopes(manifest))
    if not scopes:
        found.append("oauth_config.scopes.bot is empty")
    if features.get("slash_commands") and "commands" not in scopes:
        found.append("slash commands need the scope commands")
    for event in bot_events(manifest):
        needed = EVENT_SCOPES.get(event, ())
        if needed and not scopes.intersection(needed):
            found.append(f"the event {event} needs one of the scopes {', '.join(needed)}")
    interactive = _at(manifest, "settings", "interactivity", "is_enabled")
    if features.get("shortcuts") and not interactive:
        found.append("shortcuts need settings.interactivity.is_enabled")
    return found


def bot_scopes(manifest: Mapping[str, Any]) -> list[str]:
    """Return the scopes a manifest asks for."""
    return list(_at(manifest, "oauth_config", "scopes", "bot") or [])


def bot_events(manifest: Mapping[str, Any]) -> list[str]:
    """Return the events a manifest subscribes to."""
    return list(_at(manifest, "settings", "event_subscriptions", "bot_events") or [])


def apply_manifest(app: App, manifest: Mapping[str, Any]) -> None:
    """Let the app be as the manifest describes it."""
    features = _at(manifest, "features") or {}
    app.events = set(bot_events(manifest))
    app.commands = {str(item["command"]) for item in features.get("slash_commands") or []}
    app.shortcuts = {str(item["callback_id"]) for item in features.get("shortcuts") or []}


def _shortcut_problems(shortcut: Mapping[str, Any]) -> list[str]:
    name = str(shortcut.get("name", ""))
    found = []
    if not 0 < len(name) <= SHORTCUT_CHARS:
        found.append(f"shortcut {name!r} needs a name of 1 to {SHORTCUT_CHARS} characters")
    if shortcut.get("type") not in {"message", "global"} or not shortcut.get("callback_id"):
        found.append(f"shortcut {name!r} needs a type and a callback_id")
    if not 0 < len(str(shortcut.get("description", ""))) <= SHORTCUT_TEXT_CHARS:
        found.append(f"shortcut {name!r} needs a description")
    return found


def _at(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node

"""Modals and Home tabs: views.*."""

from __future__ import annotations

from typing import Any

from tests.slack_server.ask import Ask, numbered
from tests.slack_server.blockkit import view_problems
from tests.slack_server.core import Core
from tests.slack_server.errors import Refused
from tests.slack_server.limits import VIEW_STACK
from tests.slack_server.payloads import view_json
from tests.slack_server.state import Json, Team, View


def open_modal(ask: Ask) -> Json:
    """Open a modal for who triggered it."""
    trigger = ask.core.tickets.use_trigger(
        ask.need("trigger_id"), ask.team.id, ask.core.clock.age()
    )
    view = new_view(ask.core, ask.team, trigger.user, ask.json("view"))
    ask.team.stacks[trigger.user] = [view.id]
    return {"view": view_json(ask.team, ask.core.app, view)}


def push(ask: Ask) -> Json:
    """Put another modal on top of the one the trigger came from."""
    trigger = ask.core.tickets.use_trigger(
        ask.need("trigger_id"), ask.team.id, ask.core.clock.age()
    )
    stack = ask.team.stacks.get(trigger.user, [])
    if not trigger.view or trigger.view not in stack:
        raise Refused("not_found")
    view = push_view(ask.core, ask.team, trigger.user, ask.json("view"))
    return {"view": view_json(ask.team, ask.core.app, view)}


def update(ask: Ask) -> Json:
    """Change a view that is still open."""
    view = _named(ask)
    if ask.text("hash") and ask.text("hash") != view.hash:
        raise Refused("hash_conflict")
    kind = str(view.payload["type"])
    change_view(ask.core, ask.team, view, ask.json("view"), (kind,))
    return {"view": view_json(ask.team, ask.core.app, view)}


def publish(ask: Ask) -> Json:
    """Set what a person's Home tab shows."""
    user = ask.user("user_id")
    payload = ask.json("view")
    before = ask.team.homes.get(user.id)
    if ask.text("hash") and (before is None or ask.text("hash") != before.hash):
        raise Refused("hash_conflict")
    if before is not None:
        change_view(ask.core, ask.team, before, payload, ("home",))
        view = before
    else:
        _accept(ask.team, payload, ("home",))
        view = _made(ask.core, user.id, payload)
        ask.team.views[view.id] = view
        ask.team.homes[user.id] = view
    return {"view": view_json(ask.team, ask.core.app, view)}


def new_view(core: Core, team: Team, user: str, payload: Any, previous: str = "") -> View:
    """Return a new modal, accepted."""
    _accept(team, payload, ("modal",))
    external = payload.get("external_id")
    taken = {view.payload.get("external_id") for view in team.views.values()} - {None, ""}
    if external and external in taken:
        raise Refused("invalid_arguments", ["external_id already exists"])
    view = _made(core, user, payload)
    if previous:
        view.previous_id = previous
        view.root_id = team.views[previous].root_id
    team.views[view.id] = view
    core.touched += 1
    return view


def push_view(core: Core, team: Team, user: str, payload: Any) -> View:
    """Return a new modal on top of the open ones."""
    stack = team.stacks[user]
    if len(stack) >= VIEW_STACK:
        raise Refused("push_limit_reached")
    view = new_view(core, team, user, payload, stack[-1])
    stack.append(view.id)
    return view


def change_view(core: Core, team: Team, view: View, payload: Any, kinds: tuple[str, ...]) -> None:
    """Replace what a view shows."""
    _accept(team, payload, kinds)
    view.payload = {**payload, "blocks": numbered(payload["blocks"])}
    view.hash = core.new_id("hash.")
    core.touched += 1


def _named(ask: Ask) -> View:
    key, external = ask.text("view_id"), ask.text("external_id")
    open_ids = {name for stack in ask.team.stacks.values() for name in stack}
    open_ids |= {view.id for view in ask.team.homes.values()}
    for view in ask.team.views.values():
        is_named = (
            view.id == key
            if key
            else bool(external) and (view.payload.get("external_id") == external)
        )
        if is_named and view.id in open_ids:
            return view
    raise Refused("not_found")


def _accept(team: Team, payload: Any, kinds: tuple[str, ...]) -> None:
    problems = view_problems(payload, kinds, files=team.files.keys())
    if problems:
        raise Refused("invalid_arguments", problems)


def _made(core: Core, user: str, payload: Json) -> View:
    key = core.new_id("V")
    blocks = numbered(payload["blocks"])
    return View(key, user, {**payload, "blocks": blocks}, core.new_id("hash."), key)


METHODS = {
    "views.open": open_modal,
    "views.push": push,
    "views.update": update,
    "views.publish": publish,
}

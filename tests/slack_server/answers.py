"""What an acknowledgement's body means: errors in a modal, the next modal, a command's reply."""

from __future__ import annotations

from tests.slack_server.core import Core
from tests.slack_server.deliveries import Delivery
from tests.slack_server.errors import Refused
from tests.slack_server.hooks import answer_in
from tests.slack_server.methods.views import change_view, push_view
from tests.slack_server.state import Json, Team, View

ERROR_CHARS = 2_000


def take_answer(core: Core, delivery: Delivery, answer: Json) -> None:
    """Do what the app answered. What it may not answer is noted and shown as a problem."""
    try:
        if delivery.kind == "slash_commands" and answer:
            key = delivery.response_url.rpartition("/")[2]
            answer_in(core, core.tickets.response_urls[key], answer)
        elif delivery.payload.get("type") == "view_submission":
            _submitted(core, delivery, answer)
    except Refused as refused:
        delivery.problem = "the app answered with something Slack does not understand"
        core.ledger.refuse("ack", refused.error, *refused.problems, answer=answer)


def _submitted(core: Core, delivery: Delivery, answer: Json) -> None:
    team = core.teams[delivery.team]
    user = delivery.user
    stack = team.stacks.get(user, [])
    view = team.views.get(str(delivery.payload["view"]["id"]))
    if view is None or view.id not in stack:
        return
    action = answer.get("response_action")
    if action is None:
        if answer:
            raise Refused("invalid_response", ["response_action is missing"])
        stack.remove(view.id)
    elif action == "clear":
        stack.clear()
    elif action == "errors":
        _errors(delivery, view, answer)
    elif action == "update":
        change_view(core, team, view, answer.get("view"), ("modal",))
    elif action == "push":
        _push(core, team, user, answer)
    else:
        raise Refused("invalid_response", [f"response_action {action} is unknown"])


def _push(core: Core, team: Team, user: str, answer: Json) -> None:
    push_view(core, team, user, answer.get("view"))


def _errors(delivery: Delivery, view: View, answer: Json) -> None:
    """Show errors under inputs: each has to name an input of the modal."""
    errors = answer.get("errors")
    if not isinstance(errors, dict) or not errors:
        raise Refused("invalid_response", ["errors is missing"])
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    for block_id, sentence in errors.items():
        if block_id not in inputs:
            raise Refused("invalid_response", [f"{block_id} is not an input of the view"])
        if not isinstance(sentence, str) or not 0 < len(sentence) <= ERROR_CHARS:
            raise Refused("invalid_response", [f"the error of {block_id} is not a sentence"])
    delivery.problem = "; ".join(str(sentence) for sentence in errors.values())

"""A scripted analyst: looks at metrics, logs and deploys, and says what the lines show.

It shows that the way through models works. It is no model, and its rows are called `scripted`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from agents.models.port import Finish, Message, Model, ModelReply, ModelRequest, Role
from agents.models.scripted import NAME, ScriptedModel, calls, output
from bot.evals.runner import MODEL
from bot.evals.trial import Thinker
from jobs.state import Run

LOOKS = ("metrics__onset", "deploys__recent", "logs__patterns")
SERVICE = "checkout"
SERVICES = (SERVICE, "payments", "reports", "search")
RULES = "What our rules make of it"
USD_PER_TOKEN = 0.000_001
RISE, DEPLOY = " rose from ", " deployed "


class ScriptedModels:
    """`jobs.thinking.Models` that are one scripted model, for agents that name an alias."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model

    def for_run(self, run: Run) -> Model:
        """See `Models.for_run`."""
        return self.model

    def offers(self, alias: str) -> bool:
        """See `Models.offers`."""
        return bool(alias)


def scripted_analyst() -> Thinker:
    """Return the analyst as a row of the report."""
    model = ScriptedModel(_say, usd_per_token=USD_PER_TOKEN)
    return Thinker(MODEL, NAME, ScriptedModels(model), frozenset({"smart", "fast"}))


def _say(request: ModelRequest) -> ModelReply:
    """Answer as whoever is asked: the supervisor, an agent that was given rules, or a looker."""
    asked = str((request.output_schema or {}).get("title", ""))
    text = request.messages[-1].text
    if asked == "PlanDraft":
        return output(_plan(text))
    if asked == "ReviewDraft":
        return output({"decision": "go_on", "reason": "Nothing speaks against the plan."})
    if RULES in text:
        return calls(("submit", _rules(text)))
    return _turn(request)


def _plan(text: str) -> JsonValue:
    """Choose the reviewed workflow for the service that the goal names."""
    goal = text.partition("## Goal")[2].partition("\n\n")[2] or text
    service = next((name for name in SERVICES if name in goal), SERVICE)
    return {
        "decision": "workflow",
        "reason": "It is about a service in trouble.",
        "workflow": "incident",
        "inputs": [{"name": "service", "value": service}],
    }


def _rules(text: str) -> dict[str, JsonValue]:
    """Return what the rules made of what was gathered: the last fenced text of the opening."""
    fenced = text.rpartition(RULES)[2].partition("<<data ")[2].partition(">>\n")[2]
    found: dict[str, JsonValue] = json.loads(fenced.partition("\n<<end ")[0])
    return found


def _turn(request: ModelRequest) -> ModelReply:
    """Look at everything first, then hand in what it shows."""
    results = [message for message in request.messages if message.role is Role.TOOL]
    offered = {tool.name for tool in request.tools}
    if not results:
        service: dict[str, JsonValue] = {"service": SERVICE}
        return calls(*((look, service) for look in LOOKS if look in offered))
    answer = _answer(request, results)
    if "submit" in offered:
        return calls(("submit", answer))
    return ModelReply(NAME, json.dumps(answer), finish=Finish.STOP)


def _answer(request: ModelRequest, results: list[Message]) -> dict[str, JsonValue]:
    asked = [one for message in request.messages for one in message.requests]
    by_id = {one.id: one.name for one in asked}
    found = {by_id[message.call_id]: message.text for message in results}
    rise = next(_lines(found.get(LOOKS[0], ""), f"{SERVICE} error_ratio:{RISE}"), "")
    deploy = next(_lines(found.get(LOOKS[1], ""), f"{SERVICE}{DEPLOY}"), "")
    if not rise:
        return {
            "headline": f"Nothing is wrong with {SERVICE}.",
            "finding": "healthy",
            "confidence": 0.9,
        }
    cites: list[JsonValue] = [
        {"evidence_id": f"ev-look-t1-{index}", "quote": line}
        for index, line in ((0, rise), (1, deploy))
        if line
    ]
    release = deploy.partition(DEPLOY)[2].split(" ", 1)[0]
    return {
        "headline": f"Release {release} of {SERVICE} is at fault." if release else "Unclear.",
        "finding": "cause_found" if release else "inconclusive",
        "claims": [{"text": "Errors rose right after the deploy.", "cites": cites}],
        "confidence": 0.8 if release else 0.3,
    }


def _lines(text: str, words: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if words in line)

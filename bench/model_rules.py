"""What the model of the benchmarks answers: rules for `python -m tests.model_server --rules`.

Each agent of `bench.models` is told by its title. How long an answer takes is the server's to say,
but for the sleeper's.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from tests.model_server import Asked, Reply, call, output, say

SLEEP_S = 1.0
STEPS = 10
TURNS = 20
_GIVEN = re.compile(r"What you are given:\n<<data \w+>>\n(.*?)\n<<end", re.DOTALL)
_TITLE = re.compile(r"You are ([\w ]+),")


def answer(asked: Asked) -> Reply:
    """Answer one call."""
    found = _TITLE.match(asked.system)
    match found[1] if found else "":
        case "Bench planner":
            return _plan(asked)
        case "Bench sleeper":
            return replace(_hand_in(asked), latency_s=SLEEP_S)
        case "Bench turner" if asked.turn + 1 < TURNS:
            return call("alerts__related", service="checkout", last_s=100 + asked.turn)
        case "Bench clerk" if not asked.turn:
            sql = "SELECT name, plan FROM customers LIMIT 3"
            return call("sql__query", database="customers", sql=sql)
        case "Triager":
            return call("submit", **_CLASSIFIED)
        case "Reply writer":
            return call("submit", **_reply(asked))
    return _hand_in(asked)


def _hand_in(asked: Asked) -> Reply:
    """Give an output in the form that is wanted: an answer, findings, or any text."""
    functions = [tool["function"] for tool in asked.body.get("tools") or []]
    form = next((one["parameters"] for one in functions if one["name"] == "submit"), None)
    if form is None:
        return say("Done.")
    name = "headline" if "headline" in form["properties"] else "summary"
    return call("submit", **{name: "Done."})


def _plan(asked: Asked) -> Reply:
    properties = (asked.schema or {}).get("properties", {})
    if "include" in properties:
        return output({"headline": "All slept.", "summary": "All of them."})
    if "workflow" not in properties:
        return output({"decision": "go_on", "reason": "All is well."})
    step = {"agent": "bench-sleeper", "instruction": "Sleep."}
    steps: list[Any] = [{"id": f"s{n}", "title": f"Sleep {n}", **step} for n in range(STEPS)]
    return output({"decision": "plan", "reason": "They are independent.", "steps": steps})


_CLASSIFIED: dict[str, Any] = {
    "category": "question",
    "urgency": "normal",
    "confidence": 0.97,
    "reasons": [{"text": "They ask how something is done.", "quote": "How do I export"}],
    "summary": "They want their orders as CSV.",
}


def _reply(asked: Asked) -> dict[str, Any]:
    """Quote the first help article, as a careful writer would."""
    found = _GIVEN.search(asked.transcript)
    routing = json.loads(found[1])["routing"] if found else {}
    article = routing["articles"][0]
    text = f"Hello {routing['name']},\n\n{article['text']}\n\nKind regards\nYour support team"
    return {"subject": "Your question", "text": text, "article": article["id"]}

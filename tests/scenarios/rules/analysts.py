"""The agents of the demo shop: they look with their tools, and say what the lines show."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from tests.model_server import Asked, Reply, call
from tests.scenarios.rules import planner, reading

SETTLE_S = 3
"""How old a rise must be to be told from a blip; the tool waits that long at most."""
READING_S = 6.0
"""The log analyst of the first plan is slow, so that a finding can still change what follows."""
WATCHING_S = 30.0
"""Long enough for somebody to say stop."""
READERS = ("All customers", "Enterprise customers")
_ROSE = re.compile(r"(?P<service>\w+) latency_p95: rose from (.+?) to (.+?) at (\S+Z)")
_LOGGED = re.compile(r"payments (?:ERROR|WARN) new, (\d+) times .*?first (\S+Z): (.+)")
_NOW = re.compile(r"payments now: .*?errors (\S+ %), p95 (\S+ m?s)")
_PLACEHOLDER = re.compile(r"\s*\S*<\S+>\S*")


def researcher(asked: Asked) -> Reply:
    """Do the step that the plan gives, with the tool that is found for it."""
    return _RESEARCH[reading.step_title(asked)](asked)


def _latency(asked: Asked) -> Reply:
    seen = reading.found(asked, "metrics.onset")
    if seen is None:
        args: dict[str, JsonValue] = {"service": "checkout", "settle_s": SETTLE_S}
        return _use(asked, "metrics.onset", "since when is a metric bad", args)
    own, other = (_ROSE.search(seen.line(f"{name} latency_p95: ")) for name in planner.SERVICES)
    if own is None:
        return reading.submit({"summary": "p95 of checkout did not rise lately.", "claims": []})
    said = _rose(own)
    value: dict[str, JsonValue] = {
        "summary": said,
        "claims": [reading.claim(said, seen.evidence_id, own[0])],
    }
    if other is not None:
        claims: list[JsonValue] = [
            *value["claims"],  # type: ignore[misc]
            reading.claim(_rose(other), seen.evidence_id, other[0]),
        ]
        value |= {
            "claims": claims,
            "replan": f"checkout waits for payments, whose p95 rose to {other[3]} as well.",
        }
    return reading.submit(value)


def _rose(rise: re.Match[str]) -> str:
    return f"p95 of {rise['service']} rose from {rise[2]} to {rise[3]} at {_clock(rise[4])} UTC."


def _cause(asked: Asked) -> Reply:
    seen = reading.found(asked, "logs.patterns")
    if seen is None:
        args: dict[str, JsonValue] = {"service": "payments", "with_dependencies": False}
        return _use(asked, "logs.patterns", "kinds of log lines that are new", args)
    logged = max(_LOGGED.finditer(seen.text), key=lambda one: int(one[1]), default=None)
    if logged is None:
        return reading.submit({"summary": "Its logs say nothing new.", "claims": []})
    said = (
        f"payments has logged “{_words(logged[3])}” {logged[1]} times"
        f" since {_clock(logged[2])} UTC, and never before."
    )
    claims: list[JsonValue] = [reading.claim(said, seen.evidence_id, logged[0])]
    return reading.submit({"summary": said, "claims": claims})


def _words(pattern: str) -> str:
    """Return a pattern's words, without what differs from line to line."""
    return _PLACEHOLDER.sub("", pattern).strip().removeprefix("payments ")


def _now(asked: Asked) -> Reply:
    seen = reading.found(asked, "metrics.current")
    if seen is None:
        return _use(asked, "metrics.current", "the values of metrics now", {"service": "payments"})
    measured = _NOW.search(seen.text)
    if measured is None:
        return reading.submit({"summary": "payments gives no numbers.", "claims": []})
    said = f"payments still takes {measured[2]} (p95), and {measured[1]} of its requests fail."
    claims: list[JsonValue] = [reading.claim(said, seen.evidence_id, measured[0])]
    return reading.submit({"summary": said, "claims": claims})


def _compare(asked: Asked) -> Reply:
    said = "The releases differ in wording only."
    return reading.submit({"summary": said, "claims": []})


def _watch(asked: Asked) -> Reply:
    seen = reading.found(asked, "metrics.current")
    if seen is None:
        return _use(asked, "metrics.current", "the values of metrics now", {"service": "checkout"})
    value: dict[str, JsonValue] = {"summary": f"It is over: {seen.line('checkout')}", "claims": []}
    return replace(reading.submit(value), latency_s=WATCHING_S)


def _use(asked: Asked, tool: str, query: str, args: dict[str, JsonValue]) -> Reply:
    """Call a tool; one that is not on offer is looked for first, by what it can do."""
    name = tool.replace(".", "__")
    if name in asked.tools or reading.found(asked, "find_tools") is not None:
        return call(name, **args)
    return call("find_tools", query=query)


def writer(asked: Asked) -> Reply:
    """Write for customers: of what was found, only what concerns them."""
    if reading.step_title(asked) == planner.FIT:
        return _fitted(asked)
    since = re.search(r"at (\d\d:\d\d):\d\d UTC", str(reading.given(asked).get("latency", "")))
    when = f"Since {since[1]} UTC" if since else "At the moment"
    text = (
        f"{when} paying takes longer than usual, and some payments do not go through. We know"
        " where it comes from and are working on it. We will say more by [time]."
    )
    return reading.submit({"summary": text, "claims": []})


def _fitted(asked: Asked) -> Reply:
    answered = reading.found(asked, "ask_person")
    if answered is None:
        options = list[JsonValue](READERS)
        return call("ask_person", question="who is the update for?", options=options)
    readers = next((one for one in READERS if one in answered.text), READERS[0])
    opening = "Dear partners" if readers == READERS[1] else "Hello"
    text = (
        f"{opening}, paying takes longer than usual at the moment. We have found the cause and are"
        " working on it."
    )
    return reading.submit({"summary": f"For {readers.lower()}: {text}", "claims": []})


def log_analyst(asked: Asked) -> Reply:
    """Agree with the rules; reading everything of a service takes its time."""
    is_long = reading.step_title(asked) == planner.LOGS
    return replace(by_the_rules(asked), latency_s=READING_S if is_long else 0.0)


def by_the_rules(asked: Asked) -> Reply:
    """Agree with what code measured and ranked, which a model may not change anyway."""
    return reading.submit(reading.rules(asked))


def reporter(asked: Asked) -> Reply:
    """Agree with the rules, and add what the log says in a claim of its own."""
    value = reading.rules(asked)
    suspect = _first(reading.given(asked).get("ranking"))
    reason = next((one for one in suspect.get("reasons", []) if one.get("quote")), None)
    if reason is not None:
        own = reading.claim(str(reason["text"]), str(reason["evidence_id"]), str(reason["quote"]))
        value = value | {"claims": [*value.get("claims", []), own]}
    return reading.submit(value)


def _first(ranking: Any) -> dict[str, Any]:
    suspects = ranking.get("suspects") if isinstance(ranking, dict) else None
    return dict(suspects[0]) if suspects else {}


def _clock(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%H:%M:%S}"


_RESEARCH: dict[str, Callable[[Asked], Reply]] = {
    planner.LATENCY: _latency,
    planner.CAUSE: _cause,
    planner.COMPARE: _compare,
    planner.NOW: _now,
    planner.WATCH: _watch,
}
AGENTS: dict[str, Callable[[Asked], Reply]] = {
    "Researcher": researcher,
    "Writer": writer,
    "Metrics analyst": by_the_rules,
    "Log analyst": log_analyst,
    "Change analyst": by_the_rules,
    "Communicator": by_the_rules,
    "Diagnostician": by_the_rules,
    "Reporter": reporter,
}
"""By the title of the agent."""

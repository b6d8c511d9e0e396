"""The supervisor of the demo shop: its first plan, its later looks, and its answers."""

from __future__ import annotations

from collections.abc import Container, Sequence

from pydantic import JsonValue

from tests.model_server import Asked, Reply, output
from tests.scenarios.rules import reading
from tests.scenarios.rules.reading import Quoted

SERVICES = ("checkout", "payments")
LATENCY = "Measure p95 of checkout"
RELEASES = "List the releases of checkout"
LOGS = "Read the logs of checkout"
COMPARE = "Compare the two latest releases"
CAUSE = "Find what payments waits for"
DRAFT = "Draft the update for customers"
NOW = "Measure payments now"
FIT = "Fit the update to its readers"
WATCH = "Watch checkout until it is over"
DEPLOYS = "List what was deployed"

Row = dict[str, JsonValue]


def plan(asked: Asked) -> Reply:
    """Decide what to do about a goal."""
    goal = reading.goal(asked)
    words = goal.lower()
    if "p95" in words:
        return output(
            {
                "decision": "plan",
                "reason": "No workflow drafts updates: three looks at once, then the draft.",
                "steps": _first_steps(),
            }
        )
    if reading.earlier(asked) and "update" in words:
        return output(
            {
                "decision": "plan",
                "reason": "The cause is known from before; the numbers and the readers are not.",
                "steps": _follow_up_steps(),
            }
        )
    if "keep an eye" in words:
        only = step("watch", WATCH, "researcher", "Say when p95 of checkout is normal again.")
        return output({"decision": "single", "reason": "One agent can watch.", "steps": [only]})
    service = next((name for name in SERVICES if name in words), SERVICES[0])
    if "deployed" in words:
        only = step("deploys", DEPLOYS, "change-analyst", "List them.", service=service)
        return output({"decision": "single", "reason": "One look tells.", "steps": [only]})
    return output(
        {
            "decision": "workflow",
            "reason": f"It is about {service}, and people have reviewed what to do then.",
            "workflow": "incident",
            "inputs": [{"name": "service", "value": service}],
        }
    )


def _first_steps() -> list[JsonValue]:
    draft = step(
        "draft",
        DRAFT,
        "writer",
        "Two or three plain sentences for customers: what they notice, and since when.",
        needs=("latency", "compare"),
        latency="{{ steps.latency.summary }}",
        cause="{{ steps.compare.summary }}",
    )
    compare = step(
        "compare",
        COMPARE,
        "researcher",
        "Say which change between them could make checkout slower.",
        needs=("releases", "logs"),
    )
    ask = "Since when and by how much did p95 of checkout rise? Look at what it depends on, too."
    return [
        step("latency", LATENCY, "researcher", ask),
        step("releases", RELEASES, "change-analyst", "What changed?", service="checkout"),
        step("logs", LOGS, "log-analyst", "What is new in them?", service="checkout"),
        compare,
        draft,
    ]


def _follow_up_steps() -> list[JsonValue]:
    return [
        step("now", NOW, "researcher", "How slow is payments at this moment?"),
        step("fit", FIT, "writer", "Ask who reads it, then write it for them."),
    ]


def review(asked: Asked) -> Reply:
    """Change the plan when something was found that calls for it, and only then."""
    known = {one.name: one for one in reading.steps(asked)}
    finding = next(
        (
            line.partition("plan should change: ")[2]
            for line in asked.text.splitlines()
            if "plan should change: " in line
        ),
        "",
    )
    if not finding or "cause" in known or "draft" not in known:
        return output({"decision": "go_on", "reason": "Nothing speaks against the plan."})
    ask = "What do its logs say that they did not say before?"
    draft = step(
        "draft-2" if known["draft"].has_begun else "draft",
        DRAFT,
        "writer",
        "Two or three plain sentences for customers: what they notice, and since when.",
        needs=("latency", "cause"),
        latency="{{ steps.latency.summary }}",
        cause="{{ steps.cause.summary }}",
    )
    needless = [name for name in ("compare",) if name in known and not known[name].has_begun]
    return output(
        {
            "decision": "revise",
            "reason": f"{finding[:1].upper()}{finding[1:]} So look at payments instead.",
            "steps": [step("cause", CAUSE, "researcher", ask), draft],
            "dropped": list[JsonValue](needless),
        }
    )


def answer(asked: Asked) -> Reply:
    """Sum up what the steps concluded, each sentence with its quote."""
    known = {one.name: one for one in reading.steps(asked)}
    if "draft" in known:
        return output(_cause_found(asked, known))
    if "fit" in known:
        return output(_followed_up(asked))
    cites = reading.quoted(asked.text)
    return output(
        {
            "headline": cites[0].text if cites else "Nothing was found.",
            "finding": "report",
            "claims": _claims(cites),
        }
    )


def _cause_found(asked: Asked, known: Container[str]) -> Row:
    latency = reading.quoted(reading.block(asked, "latency"))
    cause = reading.quoted(reading.block(asked, "cause"))
    if not latency:
        return {"headline": "p95 of checkout did not rise.", "finding": "healthy", "claims": []}
    if not cause:
        headline, finding = "p95 of checkout rose; why cannot be told yet.", "inconclusive"
    else:
        headline, finding = "Checkout is slow because it waits for payments.", "cause_found"
    return {
        "headline": headline,
        "finding": finding,
        "summary": " ".join(one.text for one in (*latency, *cause)),
        "claims": _claims([*latency, *cause]),
        "confidence": 0.85 if cause else 0.4,
        "recommendations": ["Free what payments holds; a restart of payments does."],
        "include": ["draft-2" if "draft-2" in known else "draft"],
    }


def _followed_up(asked: Asked) -> Row:
    before = reading.quoted(reading.earlier(asked))[-1:]
    now = reading.quoted(reading.block(asked, "now"))
    return {
        "headline": " ".join(one.text for one in now) or "It cannot be told how payments is now.",
        "finding": "report",
        "summary": "The cause is still the one that was found before.",
        "claims": _claims([*now, *before]),
        "confidence": 0.8,
        "include": ["fit"],
    }


def _claims(cites: Sequence[Quoted]) -> list[JsonValue]:
    return [one.claim for one in cites]


def step(
    name: str, title: str, agent: str, instruction: str, needs: Sequence[str] = (), **inputs: str
) -> JsonValue:
    """Return a drafted step."""
    return {
        "id": name,
        "title": title,
        "agent": agent,
        "instruction": instruction,
        "needs": list[JsonValue](needs),
        "inputs": [{"name": key, "value": value} for key, value in inputs.items()],
    }

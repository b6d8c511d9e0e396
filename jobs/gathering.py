"""What an agent with a model begins with: what its runbook gathers, and what rules make of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import JsonValue

from agents.domain import JsonObject
from agents.fencing import fence, nonce_of
from agents.outcome import CallOutcome
from agents.paging import excerpt
from agents.prompting import render
from agents.runbook import gather, is_not_needed, report
from jobs.calling import Denied
from jobs.workbench import Workbench

MAX_RULES_CHARS = 12_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """`shown` is what the model is told, `rules` the output that the runbook would give."""

    shown: str = ""
    rules: JsonValue = None


async def gathered(bench: Workbench) -> Gathered:
    """Carry out the runbook's calls for an agent that starts with them; recalled if made before.

    They cost no model call, and a model cannot forget one of them.
    """
    agent, inputs = bench.agent, bench.step.inputs
    if not agent.start_with_runbook:
        return Gathered()

    async def call_tool(call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        try:
            return await bench.call_tool(call_id, tool, args)
        except Denied as denied:
            return CallOutcome(output=None, evidence_id="", text="", error=str(denied))

    outcomes = await gather(agent, inputs, call_tool)
    rules = report(agent, inputs, outcomes)
    nonce = nonce_of(bench.run.id, bench.step.id)
    written = json.dumps(rules, ensure_ascii=False)
    shown = render(
        "gathered",
        calls=[
            {
                "tool": call.tool,
                "evidence_id": outcomes[call.id].evidence_id,
                "text": _shown(outcomes[call.id], nonce),
            }
            for call in agent.calls
            if not is_not_needed(outcomes[call.id])
        ],
        rules=fence(excerpt(written, "", MAX_RULES_CHARS), nonce),
    )
    return Gathered(shown, rules)


def _shown(outcome: CallOutcome, nonce: str) -> str:
    if outcome.error:
        return f"It failed:\n{fence(outcome.error, nonce)}"
    return fence(excerpt(outcome.text, outcome.evidence_id), nonce)

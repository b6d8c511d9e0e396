"""The first messages of an agent: who it is and how it works, then its step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.domain import Goal, JsonObject, Origin, Step
from agents.fencing import closing_mark, fence, opening_mark
from agents.memory import Memory
from agents.models.port import Message, Role
from agents.prompting import render
from agents.wording import utc
from config.specs import PERSON, AgentSpec

MAX_INPUT_CHARS = 16_000
MAX_SERVICES = 50
OUTSIDE = frozenset({Origin.ALERT, Origin.FORM, Origin.SHARED})
"""Where goals come from whose words are data."""
TO_PERSON = "People: for what nobody here may decide or can find out."


@dataclass(frozen=True, slots=True)
class Briefing:
    """All that the first messages are made of. `services` maps names to environments."""

    agent: AgentSpec
    step: Step
    goal: Goal
    now: float
    nonce: str
    memory: Memory = field(default_factory=Memory)
    services: Mapping[str, str] = field(default_factory=dict)
    gathered: str = ""
    """What was looked at for the agent already, fenced where it is not to be trusted."""
    has_form: bool = False
    has_many_tools: bool = False


def opening(briefing: Briefing) -> tuple[Message, Message]:
    """Return the agent's message and the step's; what all its steps share comes first."""
    system = render(
        "agent_system",
        agent=briefing.agent,
        has_form=briefing.has_form,
        has_many_tools=briefing.has_many_tools,
        opening_mark=opening_mark(briefing.nonce),
        closing_mark=closing_mark(briefing.nonce),
    )
    return Message(Role.SYSTEM, system), Message(Role.USER, _step_text(briefing))


def _step_text(briefing: Briefing) -> str:
    goal, nonce, memory = briefing.goal, briefing.nonce, briefing.memory
    is_from_outside = goal.origin in OUTSIDE
    return render(
        "agent_step",
        step=briefing.step,
        goal=fence(goal.text, nonce) if is_from_outside else goal.text,
        inputs=_data(briefing.step.inputs, nonce),
        gathered=briefing.gathered,
        now=utc(briefing.now),
        unix=round(briefing.now),
        services=dict(list(briefing.services.items())[:MAX_SERVICES]),
        memory=memory,
        last_error=fence(memory.last_error, nonce),
        because=fence(memory.handed_because, nonce),
        conversation=fence(memory.conversation, nonce) if memory.conversation else "",
        findings=fence(render("memory", memory=memory), nonce) if _remembers(memory) else "",
    )


def _remembers(memory: Memory) -> bool:
    return bool(memory.siblings or memory.earlier or memory.older)


def _data(value: JsonObject, nonce: str) -> str:
    """Return inputs behind a fence: other steps, alerts and forms filled them."""
    if not value:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    if len(text) > MAX_INPUT_CHARS:
        text = f"{text[:MAX_INPUT_CHARS]}\n… {len(text) - MAX_INPUT_CHARS} characters left out"
    return fence(text, nonce)


def peers(agent: AgentSpec, agents: Mapping[str, AgentSpec]) -> dict[str, str]:
    """Return to whom the agent may pass its conversation, with what they can do."""
    known = {name: agents[name].description for name in agent.handoffs if name in agents}
    return known | ({PERSON: TO_PERSON} if PERSON in agent.handoffs else {})

"""What a plan is likely to cost before it starts: a rule of thumb over steps, turns and prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agents.domain import Step
from config.specs import AgentSpec

Price = Callable[[str, int, int], float | None]
"""`agents.models.port.Model.price_usd`: what a call of so many tokens costs; None: unknown."""

FIRST_TURN_TOKENS = 2_500
"""Instructions, tools and inputs of an agent's first turn."""
TURN_GROWTH_TOKENS = 1_500
"""What each turn adds to the next one's input: a request and its result, cut to a budget."""
TURN_OUTPUT_TOKENS = 400
LOOK_INPUT_TOKENS = 5_000
LOOK_OUTPUT_TOKENS = 1_200
EXPECTED_SHARE = 1 / 3
"""Agents need about a third of the turns that they are allowed."""
EXPECTED_ITEMS = 5
"""How many items a list is taken to have that is found at run time."""
NESTED_AGENTS = 3
"""How many steps a supervisor below is taken to plan, each as dear as its own looks."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected and highest cost in dollars; `is_partial` when a model's price is unknown."""

    usd: float = 0.0
    most_usd: float = 0.0
    calls: int = 0
    is_partial: bool = False

    def __add__(self, other: Estimate) -> Estimate:
        """Return both together."""
        return Estimate(
            self.usd + other.usd,
            self.most_usd + other.most_usd,
            self.calls + other.calls,
            self.is_partial or other.is_partial,
        )

    def times(self, count: int) -> Estimate:
        """Return as much for each of so many."""
        return Estimate(
            self.usd * count, self.most_usd * count, self.calls * count, self.is_partial
        )


def estimate(
    steps: Iterable[Step], agents: Mapping[str, AgentSpec], supervisor: AgentSpec, price: Price
) -> Estimate:
    """Return what the steps will cost, with the look of the supervisor that sums them up."""
    total = _look(supervisor, price)
    for step in steps:
        agent = agents.get(step.agent)
        if agent is not None and agent.model is not None:
            one = _agent(agent, price)
            if step.review is not None:
                one += _look(agents.get(step.review.by, agent), price)
            total += one.times(EXPECTED_ITEMS if step.for_each else 1)
    return total


def _agent(agent: AgentSpec, price: Price) -> Estimate:
    if agent.supervises:
        return _look(agent, price).times(2 + NESTED_AGENTS)
    expected = max(1, math.ceil(agent.max_turns * EXPECTED_SHARE)) if agent.tools else 1
    most = agent.max_turns if agent.tools else 1
    likely = _price(agent, _conversation_tokens(expected, agent), expected, price)
    worst = _price(agent, _conversation_tokens(most, agent), most, price)
    return Estimate(likely or 0.0, worst or 0.0, expected, likely is None)


def _conversation_tokens(turns: int, agent: AgentSpec) -> int:
    """Return the input tokens of all turns: each reads all that came before it."""
    return sum(
        min(FIRST_TURN_TOKENS + turn * TURN_GROWTH_TOKENS, agent.context_tokens)
        for turn in range(turns)
    )


def _price(agent: AgentSpec, input_tokens: int, turns: int, price: Price) -> float | None:
    return price(agent.model or "", input_tokens, turns * TURN_OUTPUT_TOKENS)


def _look(agent: AgentSpec, price: Price) -> Estimate:
    cost = price(agent.model or "", LOOK_INPUT_TOKENS, LOOK_OUTPUT_TOKENS)
    return Estimate(cost or 0.0, cost or 0.0, 1, cost is None)

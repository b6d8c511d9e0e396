"""What a plan is likely to cost."""

from __future__ import annotations

from agents.domain import Step
from agents.estimate import EXPECTED_ITEMS, Estimate, estimate
from config.specs import AgentSpec, ReviewSpec

BOSS = AgentSpec(name="boss", title="Boss", description="x", model="smart", supervises=True)
WRITER = AgentSpec(name="writer", title="Writer", description="x", model="fast")
READER = AgentSpec(
    name="reader", title="Reader", description="x", model="fast", tools=("a.b",), max_turns=12
)
AGENTS = {"boss": BOSS, "writer": WRITER, "reader": READER}


def price(alias: str, input_tokens: int, output_tokens: int) -> float | None:
    """Charge a dollar for a million tokens, three times as much for what is smart."""
    return (input_tokens + output_tokens) / 1e6 * (3 if alias == "smart" else 1)


def step(agent: str, **fields: object) -> Step:
    """Return a step of an agent."""
    return Step(id="goal.x", title="x", agent=agent, **fields)  # type: ignore[arg-type]


def cost(*steps: Step) -> Estimate:
    """Return what the steps cost besides the supervisor's own look."""
    own, whole = estimate((), AGENTS, BOSS, price), estimate(steps, AGENTS, BOSS, price)
    return Estimate(whole.usd - own.usd, whole.most_usd - own.most_usd, whole.calls - own.calls)


def test_the_supervisor_is_paid_too() -> None:
    """A plan whose steps need no model still costs the look that sums them up."""
    nothing = estimate((step(""), step("gone")), AGENTS, BOSS, price)

    assert nothing == estimate((), AGENTS, BOSS, price)
    assert nothing.calls == 1
    assert nothing.usd > 0


def test_tools_make_turns() -> None:
    """An agent with tools is expected to take some of its turns, at most all of them."""
    one, several = cost(step("writer")), cost(step("reader"))

    assert one.calls == 1
    assert one.usd == one.most_usd
    assert several.calls == 4
    assert one.usd < several.usd < several.most_usd


def test_lists_reviews_and_levels_cost_more() -> None:
    """What multiplies calls multiplies the estimate."""
    plain = cost(step("writer")).usd

    assert cost(step("writer", for_each="[1]")).usd > plain * (EXPECTED_ITEMS - 0.01)
    assert cost(step("writer", review=ReviewSpec(criteria="x", by="boss"))).usd > plain
    assert cost(step("boss")).usd > plain


def test_unknown_prices_are_said() -> None:
    """Without a price the estimate says that it is only a part."""
    found = estimate((step("writer"),), AGENTS, BOSS, lambda *_: None)

    assert found == Estimate(0.0, 0.0, 2, is_partial=True)

"""Agents with a long-term memory: what they find, what gets in, and by whom."""

from __future__ import annotations

from typing import Any

from agents.longterm import Fact
from agents.models.scripted import ScriptedModel, call, say
from agents.tools.memory import memory_tools
from config.specs import AgentSpec, PolicySpec, Verdict
from jobs.memory_book import MemoryFacts
from jobs.past import StoredRuns
from jobs.state import Status
from tests.jobs.plans import NOW
from tests.jobs.world import ONCALL, World, agent_step, plan, policy

STEP = agent_step("s", "thinker")
ASK_ONCALL = policy("keep", Verdict.ASK, ONCALL, tool="memory.*")
FACT = "checkout times out when payments is slow"


def house(book: MemoryFacts, script: Any, *policies: PolicySpec, long_term: bool = True) -> World:
    """Return a house whose one agent has that memory."""
    thinker = AgentSpec(
        name="thinker",
        title="Thinker",
        description="Thinks.",
        model="smart",
        tools=("look.at",),
        long_term=long_term,
    )
    world = World(agents=(thinker,), model=ScriptedModel(script), policies=policies)
    world.tools |= {tool.name: tool for tool in memory_tools(book, StoredRuns(world.store))}
    return world


def told(world: World) -> str:
    """Return what the model was told last."""
    assert isinstance(world.model, ScriptedModel)
    return world.model.requests[-1].messages[-1].text


KEEPING = [
    call("look__at", text="x"),
    call("memory__keep", fact=FACT, source_evidence="ev-s-t1-0"),
    say("done"),
]


async def test_fact_is_kept_once_a_person_agreed() -> None:
    """It stands there with its source, its run and its time."""
    book = MemoryFacts()
    world = house(book, KEEPING, ASK_ONCALL)

    await world.start(plan(STEP))
    assert await book.facts() == []
    await world.decide()

    (fact,) = await book.facts()
    assert (fact.text, fact.source, fact.at) == (FACT, "run-1/ev-s-t1-0", NOW)


async def test_untrusted_text_gets_in_only_through_a_person() -> None:
    """A policy that allows every write does not let it in: code says no."""
    book = MemoryFacts()
    world = house(book, KEEPING, policy("all", Verdict.ALLOW))

    run = await world.start(plan(STEP))

    assert await book.facts() == []
    assert run.steps["s"].status is Status.SUCCEEDED
    assert "may reach memory.keep only through a person" in told(world)


async def test_fact_without_its_evidence_is_not_kept() -> None:
    """The agent is told to name one."""
    book = MemoryFacts()
    script = [call("memory__keep", fact=FACT, source_evidence="ev-nope"), say("no")]
    world = house(book, script, ASK_ONCALL)
    await world.start(plan(STEP))

    await world.decide()

    assert await book.facts() == []
    assert "no evidence 'ev-nope'" in told(world)


async def test_kept_facts_are_found_with_source_and_age() -> None:
    """What is found is untrusted like everything that was once read somewhere."""
    book = MemoryFacts()
    await book.keep(Fact("fact-1", FACT, "run-0/ev-a", "run-0", NOW - 3 * 86_400))
    world = house(book, [call("memory__search", query="checkout slow payments"), say("ok")])

    await world.start(plan(STEP))

    assert "<<data" in told(world)
    assert f"fact-1: {FACT} (a kept fact, 72 h ago, from run-0/ev-a" in told(world)


async def test_doubt_lowers_a_fact() -> None:
    """Once a person agreed; the fact stays, with what speaks against it."""
    book = MemoryFacts()
    await book.keep(Fact("fact-1", FACT, "run-0/ev-a", "run-0", NOW))
    script = [call("memory__doubt", fact_id="fact-1", why="payments was fine"), say("ok")]
    world = house(book, script, ASK_ONCALL)
    await world.start(plan(STEP))

    await world.decide()

    (fact,) = await book.facts()
    assert [doubt.why for doubt in fact.doubts] == ["payments was fine"]


async def test_agent_without_long_term_memory_has_no_such_tools() -> None:
    """It is the agent's YAML that gives them."""
    world = house(MemoryFacts(), [call("memory__search", query="x"), say("ok")], long_term=False)

    await world.start(plan(STEP))

    assert "There is no tool 'memory__search'" in told(world)

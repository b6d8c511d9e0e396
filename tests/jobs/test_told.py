"""What a run keeps to tell people: how its plan changed, which models answered, whom it trusts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.domain import Moment, Origin
from config.specs import ServicesFile
from jobs import commands as c
from jobs.asking import Rules, trusted_texts
from jobs.memory_store import MemoryStore
from jobs.state import Revision
from tests.jobs.plans import GOAL, NOW, plan, send, started, step, take

PLANNED = tuple(
    step(f"goal.{name}", tool="", agent="scout", parent="goal") for name in ("one", "two")
)


def test_each_change_of_a_plan_is_kept_with_its_reason() -> None:
    """What was added and dropped, by which step; a look that changed nothing is not kept."""
    run = take(started(plan(step("goal", tool="", agent="lead"))), "goal")

    run = send(run, c.RevisePlan("goal", 1, "look first", steps=PLANNED, workflow="w"), NOW + 1)
    run = send(run, c.Signal(_said("not two")), NOW + 2)
    run = take(run, "goal")
    run = send(run, c.RevisePlan("goal", 2, "as asked", dropped=("goal.two",), heard_at=NOW + 9))
    run = send(run, c.Signal(_said("thanks", NOW + 10)))
    run = take(run, "goal")
    run = send(run, c.RevisePlan("goal", 3, "nothing to change", heard_at=NOW + 11))

    assert run.revisions == (
        Revision("goal", 1, "look first", NOW + 1, ("goal.one", "goal.two"), workflow="w"),
        Revision("goal", 2, "as asked", NOW, dropped=("goal.two",)),
    )


def test_models_are_named_once_in_the_order_of_their_first_call() -> None:
    """The answer can say which models were used."""
    run = take(started(plan(step("goal", tool="", agent="lead"))), "goal")

    for key, model in (("a", "big"), ("b", "small"), ("c", "big")):
        run = send(run, c.NoteTurn("goal", 1, key, "lead", model))

    assert run.models == ("big", "small")


@pytest.mark.parametrize(
    ("origin", "is_trusted"),
    [(Origin.MESSAGE, True), (Origin.API, True), (Origin.ALERT, False), (Origin.FORM, False)],
)
async def test_only_what_a_person_typed_is_trusted(origin: Origin, is_trusted: bool) -> None:
    """An alert or a form may have been written by anybody."""
    run = replace(started(plan(step("goal"))), goal=replace(GOAL, origin=origin))
    rules = Rules(world=ServicesFile(), policies=())

    texts = await trusted_texts(MemoryStore(), rules, run)

    assert (GOAL.text in texts) is is_trusted


def _said(text: str, at: float = NOW + 2) -> Moment:
    return Moment(at, text, "message")

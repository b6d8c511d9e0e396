"""Supervising steps under models that say anything: whatever they decide, the run ends."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.domain import Moment
from agents.models.port import ModelReply, ModelRequest, ModelRequestError, NoModelError
from agents.models.scripted import ScriptedModel, output, refuse
from agents.tool import ToolContext, ToolFailed
from config.specs import BudgetsSpec
from jobs import commands as c
from jobs import planning
from jobs.state import TERMINAL
from tests.jobs.plans import ALICE, NOW
from tests.jobs.test_supervising import (
    BELOW,
    CHECK,
    DONE,
    HELPER,
    LOOKER,
    PLAN,
    SUPERVISOR,
    WRITER,
)
from tests.jobs.world import Args, World

MAX_WAKES = 60
NAMES = ("a", "b", "c", "d", "part")


class Whims:
    """A model that decides by dice, in shapes that are right and plans that often are not."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def __call__(self, request: ModelRequest) -> ModelReply | Exception:
        """Say something."""
        luck = self.dice.random()
        if luck < 0.05:
            return NoModelError("smart", {"m": "down"})
        if luck < 0.08:
            return ModelRequestError("too long")
        if luck < 0.1:
            return refuse()
        if request.purpose != "plan":
            return output(DONE)
        is_first = "workflow" in str((request.output_schema or {}).get("properties", {}).keys())
        return output(self.first() if is_first else self.later())

    def first(self) -> dict[str, Any]:
        """Decide what to do."""
        decision = self.dice.choice(["workflow", "single", "plan", "plan", "plan", "answer", "ask"])
        return {
            "decision": decision,
            "reason": "because",
            "workflow": "check",
            "inputs": [{"name": "service", "value": self.dice.choice(["checkout", "nowhere"])}],
            "steps": self.steps(1 if decision == "single" else 3),
            "answer": DONE if decision == "answer" else None,
            "question": "Which?",
        }

    def later(self) -> dict[str, Any]:
        """Decide how it goes on."""
        return {
            "decision": self.dice.choice(["go_on", "revise", "revise", "finish", "ask"]),
            "reason": "because",
            "steps": self.steps(2),
            "dropped": self.dice.sample(NAMES, self.dice.randint(0, 1)),
            "question": "Which?",
        }

    def steps(self, most: int) -> list[dict[str, Any]]:
        """Draft some steps."""
        names = self.dice.sample(NAMES, self.dice.randint(min(1, most), most))
        return [self.step(name, names[:index]) for index, name in enumerate(names)]

    def step(self, name: str, earlier: list[str]) -> dict[str, Any]:
        """Draft a step."""
        kind = self.dice.choice(["looker", "looker", "helper", "writer", "below"])
        text = self.dice.choice(["bad", "good", "{{ goal.text }}"])
        return {
            "id": name,
            "title": name,
            "agent": kind,
            "instruction": "Do it.",
            "inputs": [{"name": "text", "value": text}],
            "needs": self.dice.sample(earlier, self.dice.randint(0, len(earlier))),
        }


async def fails(_: ToolContext, args: Args) -> str:
    """Be a tool that cannot look at some things."""
    if args.text == "bad":
        raise ToolFailed("cannot look at that")
    return f"saw {args.text}"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_run_of_a_whimsical_supervisor_ends(seed: int) -> None:
    """Decisions at random, failures, questions and messages: nothing hangs, nothing crashes."""

    async def story() -> None:
        whims = Whims(seed)
        house = World(
            agents=(SUPERVISOR, LOOKER, HELPER, WRITER, BELOW),
            workflows=(CHECK,),
            model=ScriptedModel(whims, usd_per_token=0.0001),
            budgets=BudgetsSpec(ask_above_usd=whims.dice.choice([None, 1.0, 2.0])),
        )
        house.behaviours["look.at"] = fails
        run = await house.start(PLAN)
        for wake in range(MAX_WAKES):
            if run.is_over:
                break
            for question in [one for one in run.questions.values() if one.is_open]:
                answer = whims.dice.choice(question.options or ("this",))
                run = await house.send(c.AnswerQuestion(question.id, ALICE, answer))
            if wake < 3 and not run.is_over and whims.dice.random() < 1 / 3:
                said = Moment(NOW + wake, f"Rae: {wake}", planning.MESSAGE)
                run = await house.send(c.Signal(said))
            run = await house.later(20)

        assert run.is_over
        assert run.answer is not None
        assert all(state.status in TERMINAL for state in run.steps.values())
        errors = " ".join(state.error for state in run.steps.values())
        assert "a bug in Muster" not in errors
        assert "its worker died" not in errors
        assert len(run.steps) < 100

    asyncio.run(story())

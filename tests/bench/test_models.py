"""What the model-driven benchmarks measure: their graph, their catalogue, their model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.drafts import PlanDraft
from bench.graph import CRITICAL_PATH_S, STEP_S
from bench.model_rules import STEPS, TURNS, answer
from bench.models import catalogue, triage, twelve_steps
from config.settings import Settings
from jobs.assembly import read_catalogue
from tests.model_server import Asked


def asked(title: str, *, turn: int = 0, form: dict[str, Any] | None = None) -> Asked:
    """Return a call of the agent of that title; `form` is what it may submit."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"You are {title}, one agent of a team"},
        {"role": "user", "content": "Do your part."},
        *({"role": "assistant", "content": "..."} for _ in range(turn)),
    ]
    function = {"name": "submit", "parameters": {"properties": form or {}}}
    tools = [{"type": "function", "function": function}] if form is not None else []
    return Asked({"model": "m", "messages": messages, "tools": tools}, 0, "")


def test_each_of_twelve_steps_is_one_call_on_the_same_critical_path() -> None:
    """The graph is that of the engine's figures, with an agent in each place."""
    ends: dict[str, float] = {}
    for step in twelve_steps().steps:
        assert step.agent
        ends[step.id] = STEP_S + max((ends[need] for need in step.needs), default=0.0)

    assert len(ends) == 12
    assert max(ends.values()) == pytest.approx(CRITICAL_PATH_S)


def test_four_agents_triage() -> None:
    """Two of them begin at the same time."""
    steps = triage().steps

    assert len({step.agent for step in steps}) == len(steps) == 4
    assert [step.id for step in steps if not step.needs] == ["sort", "account"]


def test_its_catalogue_is_valid(tmp_path: Path) -> None:
    """Its agents use tools that there are, and a model that it declares."""
    for name, text in catalogue("http://127.0.0.1:1/v1").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = read_catalogue(Settings(config_dir=tmp_path))

    used = {step.agent for plan in (twelve_steps(), triage()) for step in plan.steps}
    assert used <= set(found.agents)
    assert set(found.models.models) == {"smart", "fast"}


@pytest.mark.parametrize(
    ("form", "given"), [({"headline": {}}, "headline"), ({"summary": {}}, "summary")]
)
def test_model_hands_in_the_form_that_is_wanted(form: dict[str, Any], given: str) -> None:
    """Answers have headlines, findings have summaries."""
    (wanted,) = answer(asked("Bench thinker", form=form)).calls

    assert (wanted.name, set(wanted.args)) == ("submit", {given})
    assert answer(asked("Bench thinker")).text == "Done."


def test_model_plans_independent_steps() -> None:
    """As many as there are slots; none waits for another."""
    schema = {"type": "object", "properties": {"workflow": {}, "decision": {}}}
    body = asked("Bench planner").body
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}

    draft = PlanDraft.model_validate(
        answer(Asked({**body, "response_format": wanted}, 0, "")).value
    )

    assert len(draft.steps) == STEPS
    assert not any(step.needs for step in draft.steps)


def test_model_takes_many_turns_and_then_hands_in() -> None:
    """No two of its calls are the same: a repeated one would not be made."""
    form: dict[str, Any] = {"headline": {}}
    calls = [answer(asked("Bench turner", turn=turn, form=form)).calls[0] for turn in range(TURNS)]

    assert [call.name for call in calls] == ["alerts__related"] * (TURNS - 1) + ["submit"]
    assert len({str(call.args) for call in calls}) == TURNS

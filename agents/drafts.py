"""What the model of a supervisor says, as shapes: a first plan, a later look at it, an answer.

The shapes are kept wide on purpose: what a plan may be is checked by `agents.planning`, whose
errors go back to the model in full.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

REPLAN = "replan"
"""A key of a step's output: why the finding changes the picture, in words."""
FindingWord = Literal["fixed", "cause_found", "healthy", "inconclusive", "report"]


class Draft(BaseModel):
    """A frozen value that a model wrote; it has no keys of its own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DraftInput(Draft):
    """One named input of a step or workflow."""

    name: str
    value: str | int | float | bool | list[str] | None = Field(
        description="A value, or a text with {{ expressions }} such as {{ steps.look.summary }}."
    )


class DraftStep(Draft):
    """One step. Exactly one of agent, tool and approves says who works."""

    id: str = Field(description="Short name in lower case: letters, digits, - and _.")
    title: str = Field(description="What people read on the card, at most 80 characters.")
    agent: str = ""
    tool: str = Field("", description="A direct tool call instead of an agent.")
    approves: list[str] = Field(
        default_factory=list, description="A gate: asks once for the writes of these tool steps."
    )
    instruction: str = Field("", description="What the agent is to find out or make.")
    inputs: list[DraftInput] = Field(default_factory=list)
    needs: list[str] = Field(default_factory=list, description="Steps that must succeed first.")
    after: list[str] = Field(default_factory=list, description="Steps that must end, however.")
    when: str = Field("", description="A bare expression; the step is skipped unless it holds.")
    for_each: str = Field("", description="A bare expression that gives a list: one child each.")
    approval: bool = Field(False, description="Ask a person before the step starts.")
    acceptance: str = Field(
        "", description="Only where a second pair of eyes is worth a call: what a reviewer checks."
    )


class CiteDraft(Draft):
    """Words or a number, copied exactly from a piece of evidence."""

    evidence_id: str
    quote: str


class ClaimDraft(Draft):
    """One sentence and the evidence it rests on."""

    text: str
    cites: list[CiteDraft] = Field(default_factory=list)


class AnswerDraft(Draft):
    """What the run says in the end."""

    headline: str = Field(description="The answer in one sentence.")
    finding: FindingWord = "report"
    summary: str = Field("", description="The answer in full, as the requester wants to read it.")
    claims: list[ClaimDraft] = Field(default_factory=list)
    confidence: float | None = Field(None, description="0 to 1; null when nothing was judged.")
    recommendations: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list, description="What could not be found out.")


class SynthesisDraft(AnswerDraft):
    """The answer that a supervisor makes of what its steps concluded."""

    include: list[str] = Field(
        default_factory=list,
        description="Steps whose whole text people asked for, such as a draft: it is added as is.",
    )


class FindingsDraft(Draft):
    """What an agent hands in for a planned step, unless it has an output of its own."""

    summary: str = Field(description="The result itself: what was found or made.")
    claims: list[ClaimDraft] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list, description="What could not be found out.")
    replan: str = Field(
        "", description="Only when the finding changes the picture: why the plan should change."
    )


class PlanDraft(Draft):
    """The first look: what to do about the goal, and why."""

    decision: Literal["workflow", "single", "plan", "answer", "ask"]
    reason: str = Field(description="Why, in one sentence; people read it on the card.")
    workflow: str = Field("", description="decision workflow: its name.")
    inputs: list[DraftInput] = Field(
        default_factory=list, description="decision workflow: its inputs, from the goal's words."
    )
    steps: list[DraftStep] = Field(
        default_factory=list, description="decision single: one step; decision plan: several."
    )
    answer: AnswerDraft | None = Field(None, description="decision answer: it is known already.")
    question: str = Field("", description="decision ask: what only the requester can say.")
    options: list[str] = Field(default_factory=list, description="Answers to choose from, if few.")


class ReviewDraft(Draft):
    """A later look: whether the plan still fits what is known."""

    decision: Literal["go_on", "revise", "finish", "ask"]
    reason: str = Field(description="Why, in one sentence; people read it on the card.")
    steps: list[DraftStep] = Field(
        default_factory=list,
        description="decision revise: new steps, or new versions of steps that have not begun.",
    )
    dropped: list[str] = Field(
        default_factory=list, description="decision revise: steps not begun that are needless now."
    )
    question: str = ""
    options: list[str] = Field(default_factory=list)


def _opened(schema: Any) -> Any:
    """Return the schema with room for keys that code adds, such as which claims were struck."""
    if isinstance(schema, dict):
        return {
            key: _opened(value) for key, value in schema.items() if key != "additionalProperties"
        }
    return [_opened(item) for item in schema] if isinstance(schema, list) else schema


PLAN_SCHEMA: dict[str, Any] = PlanDraft.model_json_schema()
REVIEW_SCHEMA: dict[str, Any] = ReviewDraft.model_json_schema()
ANSWER_SCHEMA: dict[str, Any] = _opened(AnswerDraft.model_json_schema())
SYNTHESIS_SCHEMA: dict[str, Any] = SynthesisDraft.model_json_schema()
FINDINGS_SCHEMA: dict[str, Any] = _opened(FindingsDraft.model_json_schema())

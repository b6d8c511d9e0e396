"""Judging an output against the step's criteria: the request, and the verdict that comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agents.fencing import fence
from agents.models.port import Message, ModelReply, ModelRequest, Role
from agents.prompting import render
from config.specs import AgentSpec

MAX_FEEDBACK_CHARS = 2_000
REVIEW_TOKENS = 1_024


@dataclass(frozen=True, slots=True)
class Review:
    """Who judges (`by`), against what, how often it may be sent back, to whom it may go instead."""

    criteria: str
    by: AgentSpec
    alias: str
    retries: int
    title: str
    instruction: str = ""
    team: tuple[str, ...] = ()


class Verdict(BaseModel):
    """What the reviewer says; `to` names an agent when it is to be done by another one."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["accept", "retry", "reassign", "escalate"]
    feedback: str = Field("", max_length=MAX_FEEDBACK_CHARS)
    to: str = ""

    def escalated(self, why: str) -> Verdict:
        """Return the verdict as one for a person to decide, with the reason added."""
        return Verdict(verdict="escalate", feedback=f"{self.feedback} ({why})"[:MAX_FEEDBACK_CHARS])


def verdict_request(review: Review, nonce: str, output: JsonValue, partial: str) -> ModelRequest:
    """Return the call that judges an output."""
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=1)
    return ModelRequest(
        alias=review.alias,
        messages=(
            Message(Role.SYSTEM, render("review_system", review=review)),
            Message(
                Role.USER,
                render("review", review=review, output=fence(text, nonce), partial=partial),
            ),
        ),
        output_schema=Verdict.model_json_schema(),
        max_output_tokens=REVIEW_TOKENS,
        purpose="review",
    )


def read_verdict(reply: ModelReply) -> Verdict:
    """Return the verdict; what cannot be read is for a person to decide."""
    try:
        return Verdict.model_validate(reply.output)
    except ValidationError:
        return Verdict(verdict="escalate", feedback="the review cannot be read")

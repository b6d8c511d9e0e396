"""The shapes of the API's requests and answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bot.conversation import MAX_MESSAGE_CHARS
from bot.desk import MAX_ANSWER_CHARS, MAX_COMMENT_CHARS, MAX_GOAL_CHARS, MAX_REASON_CHARS
from bot.views import AnswerView, ApprovalView, IncidentView, RunView
from config.specs import Name

MAX_DROPPED = 50
MAX_ID_CHARS = 200


class Request(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorBody(BaseModel):
    """What went wrong, and what to do next."""

    error: str
    hint: str = ""


ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "No token, or an unknown one."},
    403: {"model": ErrorBody, "description": "This person may not do that."},
    404: {"model": ErrorBody, "description": "There is no such thing."},
    409: {"model": ErrorBody, "description": "It was decided or has ended meanwhile."},
    410: {"model": ErrorBody, "description": "It has expired."},
    503: {"model": ErrorBody, "description": "Redis cannot be reached: send it again."},
}
"""What any endpoint of the API may answer besides its result."""


class GoalRequest(Request):
    """What is wanted, and the channel to report in."""

    text: str = Field(min_length=1, max_length=MAX_GOAL_CHARS)
    channel: Name | None = None


class GoalAccepted(BaseModel):
    """The run that the goal started, or had started before under the same key."""

    run_id: str
    sentence: str
    url: str


class MessageRequest(Request):
    """What somebody writes in a thread."""

    text: str = Field(min_length=1, max_length=MAX_MESSAGE_CHARS)


class MessageTaken(BaseModel):
    """What a message led to, and the run that it is about: stopped, answered, told or started."""

    outcome: str
    sentence: str
    run_id: str
    url: str


class DecisionRequest(Request):
    """A decision on exactly what was seen: its revision and, to decide, its digest."""

    decision: Literal["approve", "deny", "edit"]
    revision: int = Field(ge=1)
    digest: str = Field("", max_length=128)
    comment: str = Field("", max_length=MAX_COMMENT_CHARS)
    dropped: tuple[str, ...] = Field((), max_length=MAX_DROPPED)
    call_key: str = Field("", max_length=MAX_ID_CHARS)
    args: dict[str, JsonValue] = Field(default_factory=dict)


class AnswerRequest(Request):
    """A person's answer to a question."""

    answer: str = Field(min_length=1, max_length=MAX_ANSWER_CHARS)
    run_id: str = Field("", max_length=MAX_ID_CHARS)


class StopRequest(Request):
    """Why a run is stopped."""

    reason: str = Field("", max_length=MAX_REASON_CHARS)


class OutcomeBody(BaseModel):
    """What a decision led to."""

    outcome: str
    sentence: str


class RunDetail(BaseModel):
    """A run as its card shows it, and its answer once it has one."""

    run: RunView
    answer: AnswerView | None


class RunList(BaseModel):
    """Runs, newest first."""

    runs: list[RunView]


class WaitingApproval(BaseModel):
    """An approval that waits, and why the caller may not decide it (empty: may)."""

    approval: ApprovalView
    run_title: str
    obstacle: str


class ApprovalList(BaseModel):
    """Approvals that wait, oldest first."""

    approvals: list[WaitingApproval]


class IncidentList(BaseModel):
    """Incidents, newest first."""

    incidents: list[IncidentView]


class EventBody(BaseModel):
    """One entry of a run's event log; `event` is described in docs/wire-formats.md."""

    seq: int
    event: dict[str, JsonValue]


class EventList(BaseModel):
    """A run's log, oldest first."""

    events: list[EventBody]

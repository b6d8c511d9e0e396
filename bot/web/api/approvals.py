"""`/api/approvals` and `/api/questions`: what waits for people, and their decisions."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from bot.web.api.models import (
    ERRORS,
    AnswerRequest,
    ApprovalList,
    DecisionRequest,
    OutcomeBody,
    WaitingApproval,
)
from bot.web.api.outcomes import outcome_json
from bot.web.context import Web
from bot.web.guards import Guards
from jobs.state import Person


def router(web: Web) -> APIRouter:
    """Return the routes of approvals and questions."""
    routes = APIRouter(prefix="/api", tags=["approvals"], responses=ERRORS)
    guards = Guards(web)
    desk = web.deps.desk

    @routes.get("/approvals")
    async def approvals(person: Person = Depends(guards.reader)) -> ApprovalList:
        """List what waits for a decision, oldest first."""
        waiting = []
        for item in await desk.approvals(person):
            card = desk.present.run_view(item.run)
            waiting += [
                WaitingApproval(approval=view, run_title=card.title, obstacle=item.obstacle)
                for view in card.approvals
                if view.id == item.approval.id
            ]
        return ApprovalList(approvals=waiting)

    @routes.post("/approvals/{approval_id}", response_model=OutcomeBody)
    async def decide(
        approval_id: str, body: DecisionRequest, person: Person = Depends(guards.writer)
    ) -> JSONResponse:
        """Approve, deny or edit exactly what was seen."""
        if body.decision == "edit":
            outcome = await desk.edit(
                approval_id,
                person,
                revision=body.revision,
                call_key=body.call_key,
                args=body.args,
            )
        else:
            outcome = await desk.decide(
                approval_id,
                person,
                is_approval=body.decision == "approve",
                revision=body.revision,
                digest=body.digest,
                comment=body.comment,
                dropped=body.dropped,
            )
        return outcome_json(outcome)

    @routes.post("/questions/{question_id}", response_model=OutcomeBody)
    async def answer(
        question_id: str, body: AnswerRequest, person: Person = Depends(guards.writer)
    ) -> JSONResponse:
        """Answer what a step asks."""
        outcome = await desk.answer_question(question_id, person, body.answer, body.run_id)
        return outcome_json(outcome)

    return routes

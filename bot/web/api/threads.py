"""`POST /api/threads/{thread_id}/messages`: write into the conversation of a run."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Header
from starlette.responses import JSONResponse

from bot.web.api.models import ERRORS, MessageRequest, MessageTaken
from bot.web.api.outcomes import outcome_json
from bot.web.context import Web
from bot.web.guards import Guards
from bot.web.limits import MAX_IDEMPOTENCY_KEY_CHARS
from bot.web.talk import say
from jobs.state import Person

STARTED = "started"


def router(web: Web) -> APIRouter:
    """Return the routes of threads."""
    routes = APIRouter(prefix="/api", tags=["threads"], responses=ERRORS)
    guards = Guards(web)

    @routes.post(
        "/threads/{thread_id}/messages",
        response_model=MessageTaken,
        responses={202: {"model": MessageTaken, "description": "It started a run."}},
    )
    async def message(
        thread_id: str,
        body: MessageRequest,
        person: Person = Depends(guards.writer),
        idempotency_key: str = Header("", max_length=MAX_IDEMPOTENCY_KEY_CHARS),
    ) -> JSONResponse:
        """Stop, answer or tell the run that goes on there, or start the next one."""
        key = f"api:{idempotency_key}" if idempotency_key else ""
        said = await say(web, thread_id, body.text, person, key)
        outcome = said.outcome
        if outcome.is_refusal and said.choices:
            error = {
                "error": outcome.sentence,
                "hint": "Say it like one of the choices.",
                "choices": list(said.choices),
            }
            return JSONResponse(error, status_code=422)
        if outcome.is_refusal:
            return outcome_json(outcome)
        run_id = outcome.run.id if outcome.run else ""
        url = f"{web.deps.public_url.rstrip('/')}/runs/{run_id}" if run_id else ""
        taken = MessageTaken(
            outcome=outcome.kind, sentence=outcome.sentence, run_id=run_id, url=url
        )
        status = 202 if outcome.kind == STARTED else 200
        return JSONResponse(taken.model_dump(), status_code=status)

    return routes

"""`POST /api/goals`: start a run by saying what is wanted."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Header
from starlette.responses import JSONResponse

from bot.web.api.models import ERRORS, GoalAccepted, GoalRequest
from bot.web.context import Web
from bot.web.guards import Guards
from bot.web.limits import MAX_IDEMPOTENCY_KEY_CHARS
from jobs.state import Person


def router(web: Web) -> APIRouter:
    """Return the routes of goals."""
    routes = APIRouter(prefix="/api", tags=["goals"], responses=ERRORS)
    guards = Guards(web)

    @routes.post("/goals", status_code=202, response_model=GoalAccepted)
    async def goal(
        body: GoalRequest,
        person: Person = Depends(guards.writer),
        idempotency_key: str = Header("", max_length=MAX_IDEMPOTENCY_KEY_CHARS),
    ) -> JSONResponse:
        """Start the workflow that fits. The same Idempotency-Key gives the same run."""
        channel = body.channel or web.deps.channels[0]
        key = f"api:{idempotency_key}" if idempotency_key else ""
        submitted = await web.deps.desk.goal(body.text, person, channel, key)
        if submitted.run_id is None:
            return JSONResponse(
                {
                    "error": submitted.sentence,
                    "hint": "Say it like one of the choices.",
                    "choices": list(submitted.choices),
                },
                status_code=422,
            )
        url = f"{web.deps.public_url.rstrip('/')}/runs/{submitted.run_id}"
        accepted = GoalAccepted(run_id=submitted.run_id, sentence=submitted.sentence, url=url)
        return JSONResponse(accepted.model_dump(), status_code=202)

    return routes

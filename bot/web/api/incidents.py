"""`/api/incidents`: disruptions, the alerts they group, and who has seen them."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from bot.views import IncidentView
from bot.web.api.models import ERRORS, IncidentList, OutcomeBody
from bot.web.api.outcomes import outcome_json
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards
from bot.web.limits import INCIDENTS_LISTED
from jobs.state import Person

MAX_LISTED = 200
NO_INCIDENT = "List incidents with GET /api/incidents."


def router(web: Web) -> APIRouter:
    """Return the routes of incidents."""
    guards = Guards(web)
    routes = APIRouter(
        prefix="/api",
        tags=["incidents"],
        dependencies=[Depends(guards.reader)],
        responses=ERRORS,
    )

    @routes.get("/incidents")
    async def incidents(
        limit: int = Query(INCIDENTS_LISTED, ge=1, le=MAX_LISTED),
    ) -> IncidentList:
        """List incidents, newest first."""
        return IncidentList(incidents=await web.deps.desk.incidents(limit))

    @routes.get("/incidents/{incident_id}")
    async def incident(incident_id: str) -> IncidentView:
        """Show one incident."""
        found = await web.deps.desk.incident(incident_id)
        if found is None:
            raise WebError(404, f"There is no incident {incident_id[:80]}.", NO_INCIDENT)
        return found

    @routes.post("/incidents/{incident_id}/acknowledge", response_model=OutcomeBody)
    async def acknowledge(
        incident_id: str, person: Person = Depends(guards.writer)
    ) -> JSONResponse:
        """Note that you have seen it. Sent again it changes nothing."""
        return outcome_json(await web.deps.desk.acknowledge(incident_id, person), NO_INCIDENT)

    @routes.post("/incidents/{incident_id}/take-over", response_model=OutcomeBody)
    async def take_over(incident_id: str, person: Person = Depends(guards.writer)) -> JSONResponse:
        """Work on it yourself: what runs for it is stopped. Sent again it changes nothing."""
        return outcome_json(await web.deps.desk.take_over(incident_id, person), NO_INCIDENT)

    @routes.post("/incidents/{incident_id}/mute", response_model=OutcomeBody)
    async def mute(incident_id: str, person: Person = Depends(guards.writer)) -> JSONResponse:
        """Let its alerts start nothing for an hour; they are still counted."""
        return outcome_json(await web.deps.desk.mute(incident_id, person), NO_INCIDENT)

    return routes

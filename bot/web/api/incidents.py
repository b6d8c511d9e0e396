"""`GET /api/incidents`: disruptions and the alerts they group."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query

from bot.views import IncidentView
from bot.web.api.models import ERRORS, IncidentList
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards
from bot.web.limits import INCIDENTS_LISTED

MAX_LISTED = 200


def router(web: Web) -> APIRouter:
    """Return the routes of incidents."""
    routes = APIRouter(
        prefix="/api",
        tags=["incidents"],
        dependencies=[Depends(Guards(web).reader)],
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
            raise WebError(
                404,
                f"There is no incident {incident_id[:80]}.",
                "List incidents with GET /api/incidents.",
            )
        return found

    return routes

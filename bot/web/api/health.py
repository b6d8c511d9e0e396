"""`/healthz`, `/readyz` and `/metrics`: for whoever keeps Muster running."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from bot.web.context import Web


def router(web: Web) -> APIRouter:
    """Return the operators' routes."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Say whether work is being done: the store answers and a worker is alive."""
        found = await web.deps.readiness()
        body = {"ready": found.is_ready, "checks": dict(found.checks)}
        return JSONResponse(body, status_code=200 if found.is_ready else 503)

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return Muster's own metrics in Prometheus' text format."""
        text = await web.metrics.render(web.deps.desk, await web.deps.laid_aside())
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes

"""`/api/runs`: what runs do, their event logs, their evidence, and stopping them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.desk import MAX_RUNS_LISTED
from bot.web.api.models import (
    ERRORS,
    EventBody,
    EventList,
    OutcomeBody,
    RunDetail,
    RunList,
    StopRequest,
)
from bot.web.api.outcomes import outcome_json
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards, bearer
from bot.web.limits import KEEPALIVE_S
from jobs.events import EVENT
from jobs.state import Person, Run, Status

NO_RUN = "List runs with GET /api/runs."
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_EVIDENCE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}, "image/png": {}}, "description": "Text, or the chart."}
}


def router(web: Web) -> APIRouter:
    """Return the routes of runs."""
    routes = APIRouter(prefix="/api/runs", tags=["runs"], responses=ERRORS)
    guards = Guards(web)
    desk = web.deps.desk

    async def known(run_id: str) -> Run:
        run = await desk.run(run_id)
        if run is None:
            raise WebError(404, f"There is no run {run_id[:80]}.", NO_RUN)
        return run

    @routes.get("", dependencies=[Depends(guards.reader)])
    async def runs(
        limit: int = Query(50, ge=1, le=MAX_RUNS_LISTED),
        active: bool = False,
        status: Status | None = None,
    ) -> RunList:
        """List runs, newest first; those of one status before the limit counts."""
        found = await desk.runs(limit, active=active, status=status)
        return RunList(runs=[desk.present.run_view(run) for run in found])

    @routes.get("/{run_id}", dependencies=[Depends(guards.reader)])
    async def run(run_id: str) -> RunDetail:
        """Show one run as its card does, with its answer once it has one."""
        found = await known(run_id)
        return RunDetail(run=desk.present.run_view(found), answer=await desk.answer(found))

    @routes.get("/{run_id}/events", response_model=EventList)
    async def events(
        run_id: str,
        request: Request,
        after: int = Query(0, ge=0),
        last_event_id: str = Header(""),
        person: Person = Depends(guards.reader),
    ) -> Response:
        """Return the log after `after` (or Last-Event-ID), as JSON or as an event stream."""
        await known(run_id)
        seq = int(last_event_id) if last_event_id.isdigit() else after
        if "text/event-stream" in request.headers.get("accept", ""):
            web.live.require_room(person.id)
            session = None if bearer(request) else web.sessions.read(request)
            mark = session.mark if session else ""
            return EventSourceResponse(
                _follow(web, run_id, seq, person.id, mark), ping=int(KEEPALIVE_S)
            )
        log = await desk.events(run_id, seq)
        bodies = [
            EventBody(seq=item.seq, event=EVENT.dump_python(item.event, mode="json"))
            for item in log
        ]
        return JSONResponse(EventList(events=bodies).model_dump())

    @routes.post("/{run_id}/stop", response_model=OutcomeBody)
    async def stop(
        run_id: str, body: StopRequest | None = None, person: Person = Depends(guards.writer)
    ) -> JSONResponse:
        """End a run early. A write that has begun is let end."""
        reason = body.reason if body else ""
        return outcome_json(await desk.stop(run_id, person, reason))

    @routes.get(
        "/{run_id}/evidence/{evidence_id}",
        responses=_EVIDENCE,
        response_class=PlainTextResponse,
        dependencies=[Depends(guards.reader)],
    )
    async def evidence(run_id: str, evidence_id: str) -> Response:
        """Return a piece of evidence: its text, or the chart itself."""
        return await evidence_response(web, run_id, evidence_id)

    return routes


async def evidence_response(web: Web, run_id: str, evidence_id: str) -> Response:
    """Return evidence so that a browser never takes it for a page of ours."""
    found = (await web.deps.desk.evidence(run_id)).get(evidence_id)
    if found is None:
        raise WebError(404, f"Run {run_id[:80]} has no evidence {evidence_id[:80]}.", NO_RUN)
    if found.media_type in IMAGE_TYPES:
        data = await web.deps.desk.evidence_data(run_id, evidence_id)
        if data is not None:
            return Response(
                data,
                media_type=found.media_type,
                headers={"Cache-Control": "private, max-age=3600"},
            )
    return PlainTextResponse(found.text)


async def _follow(
    web: Web, run_id: str, seq: int, person_id: str, session: str
) -> AsyncIterator[ServerSentEvent]:
    """Yield the run's events after `seq` as they happen, and `end` after the last."""
    desk = web.deps.desk
    with web.live.stream(person_id, "", session) as stream:
        while not stream.is_closed:
            for item in await desk.events(run_id, seq):
                seq = item.seq
                data = EVENT.dump_json(item.event).decode()
                yield ServerSentEvent(data, id=str(seq), event=item.event.type)
            run = await desk.run(run_id)
            if run is None or (run.is_over and seq >= run.version):
                yield ServerSentEvent("", id=str(seq), event="end")
                return
            await stream.next(KEEPALIVE_S)

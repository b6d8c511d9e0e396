"""The console's pages, their live updates, and the evidence viewer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.platforms.console.store import Thread
from bot.web.api.runs import IMAGE_TYPES, evidence_response
from bot.web.console.frame import page
from bot.web.console.render import Templates
from bot.web.console.screens import (
    ApprovalsScreen,
    IncidentsScreen,
    Parts,
    RunScreen,
    RunsScreen,
    Screen,
    ThreadScreen,
    is_everything,
)
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards
from bot.web.limits import KEEPALIVE_S
from bot.web.live import EVERYTHING, Stream
from bot.web.sessions import Session

MAX_QUOTE_CHARS = 2_000
MAX_CURSOR_CHARS = 64


def router(web: Web, templates: Templates) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(include_in_schema=False)
    guards = Guards(web)

    async def show(request: Request, session: Session, screen: Screen, nav: str) -> HTMLResponse:
        cursor = await web.live.cursor()
        parts = Parts(web, templates, session)
        blocks = await screen.blocks({})
        live = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return await page(
            request,
            parts,
            screen.template,
            title=screen.title,
            nav=nav,
            live={"page": live, "cursor": cursor},
            blocks=blocks,
            **screen.context(),
        )

    @routes.get("/")
    async def home(session: Session = Depends(guards.page)) -> Response:
        channels = [*web.deps.channels, *await web.deps.console.channels()]
        newest = await _newest(web, channels)
        return _to_thread(newest) if newest else _to_channel(channels[0])

    @routes.get("/c/{channel}")
    async def channel(
        channel: str,
        request: Request,
        is_list: bool = Query(False, alias="list"),
        session: Session = Depends(guards.page),
    ) -> Response:
        newest = None if is_list else await _newest(web, [channel])
        if newest is not None:
            return _to_thread(newest)
        screen = ThreadScreen(Parts(web, templates, session), channel)
        return await show(request, session, screen, "threads")

    @routes.get("/c/{channel}/{thread_id}")
    async def thread(
        channel: str,
        thread_id: str,
        request: Request,
        session: Session = Depends(guards.page),
    ) -> Response:
        screen = ThreadScreen(Parts(web, templates, session), channel, thread_id)
        return await show(request, session, screen, "threads")

    @routes.get("/runs")
    async def runs(
        request: Request, status: str = "", session: Session = Depends(guards.page)
    ) -> Response:
        screen = RunsScreen(Parts(web, templates, session), status)
        return await show(request, session, screen, "runs")

    @routes.get("/runs/{run_id}")
    async def run(
        run_id: str, request: Request, session: Session = Depends(guards.page)
    ) -> Response:
        screen = RunScreen(Parts(web, templates, session), run_id)
        return await show(request, session, screen, "runs")

    @routes.get("/approvals")
    async def approvals(request: Request, session: Session = Depends(guards.page)) -> Response:
        screen = ApprovalsScreen(Parts(web, templates, session))
        return await show(request, session, screen, "approvals")

    @routes.get("/incidents")
    async def incidents(request: Request, session: Session = Depends(guards.page)) -> Response:
        screen = IncidentsScreen(Parts(web, templates, session))
        return await show(request, session, screen, "incidents")

    @routes.get("/runs/{run_id}/evidence/{evidence_id}")
    async def evidence(
        run_id: str,
        evidence_id: str,
        request: Request,
        quote: str = Query("", max_length=MAX_QUOTE_CHARS),
        session: Session = Depends(guards.page),
    ) -> Response:
        found = (await web.deps.desk.evidence(run_id)).get(evidence_id)
        if found is None:
            raise WebError(404, "There is no such evidence.", "Look at the run's own page.")
        return await page(
            request,
            Parts(web, templates, session),
            "evidence.html",
            title=found.title or evidence_id,
            nav="runs",
            evidence=found,
            quote=quote,
            is_image=found.media_type in IMAGE_TYPES,
        )

    @routes.get("/runs/{run_id}/evidence/{evidence_id}/file")
    async def evidence_file(
        run_id: str, evidence_id: str, session: Session = Depends(guards.page)
    ) -> Response:
        return await evidence_response(web, run_id, evidence_id)

    @routes.get("/console/events")
    async def events(
        request: Request,
        page: str = Query(max_length=500),
        cursor: str = Query("", max_length=MAX_CURSOR_CHARS),
        session: Session = Depends(guards.page),
    ) -> Response:
        screen = screen_of(Parts(web, templates, session), page)
        web.live.require_room(session.person.id)
        seen = request.headers.get("last-event-id") or cursor
        return EventSourceResponse(
            _updates(web, Parts(web, templates, session), screen, seen), ping=int(KEEPALIVE_S)
        )

    return routes


async def _newest(web: Web, channels: Iterable[str]) -> Thread | None:
    """Return the thread in which something happened last."""
    found = [await web.deps.console.threads(name, 1) for name in dict.fromkeys(channels)]
    return max((threads[0] for threads in found if threads), key=_moved_at, default=None)


def _moved_at(thread: Thread) -> float:
    return thread.updated_at


def _to_thread(thread: Thread) -> Response:
    channel, thread_id = quote(thread.channel, safe=""), quote(thread.id, safe="")
    return RedirectResponse(f"/c/{channel}/{thread_id}", 303)


def _to_channel(channel: str) -> Response:
    return RedirectResponse(f"/c/{quote(channel, safe='')}", 303)


def screen_of(parts: Parts, address: str) -> Screen:
    """Return the screen shown at one of our addresses; WebError 404 when it has no updates."""
    path, _, query = address.partition("?")
    match path.strip("/").split("/"):
        case ["c", channel]:
            return ThreadScreen(parts, channel)
        case ["c", channel, thread_id]:
            return ThreadScreen(parts, channel, thread_id)
        case ["runs"]:
            return RunsScreen(parts, query.removeprefix("status="))
        case ["runs", run_id]:
            return RunScreen(parts, run_id)
        case ["approvals"]:
            return ApprovalsScreen(parts)
        case ["incidents"]:
            return IncidentsScreen(parts)
        case _:
            raise WebError(404, "That page has no live updates.", "Reload it instead.")


async def _updates(
    web: Web, parts: Parts, screen: Screen, seen: str
) -> AsyncIterator[ServerSentEvent]:
    """Yield the blocks that changed, as often as the screen bears; first what was missed."""
    sent = _Sent()
    with web.live.stream(parts.person.id, await web.live.cursor(), parts.session.mark) as stream:
        if not seen or seen != stream.cursor or not isinstance(screen, ThreadScreen):
            stream.tell({EVERYTHING})
        yield ServerSentEvent(comment="open")
        while not stream.is_closed:
            html = await _frame(parts, screen, stream, sent)
            if html:
                yield ServerSentEvent(html, id=stream.cursor or None)
                await stream.pause(screen.gap_s)


class _Sent:
    """What a browser was sent last, so that it is not sent again."""

    def __init__(self) -> None:
        self.marks: Mapping[str, str] = {}
        self._digests: dict[str, bytes] = {}

    def is_new(self, block: str, html: str) -> bool:
        """Whether this block differs from what was sent; remembers it."""
        digest = hashlib.sha256(html.encode()).digest()
        is_new = self._digests.get(block) != digest
        self._digests[block] = digest
        return is_new


async def _frame(parts: Parts, screen: Screen, stream: Stream, sent: _Sent) -> str:
    """Wait for a change, and return the blocks that it changed."""
    things = await stream.next(KEEPALIVE_S)
    blocks: dict[str, str] = {}
    if is_everything(things) or screen.concerns(things):
        blocks |= await screen.blocks(sent.marks)
        sent.marks = screen.marks()
    if things:
        mine = sum(not item.obstacle for item in await parts.waiting())
        blocks["nav-approvals"] = parts.render("_nav_approvals.html", waiting=mine)
    fresh = {block: html for block, html in blocks.items() if sent.is_new(block, html)}
    return parts.render("_frame.html", blocks=fresh) if fresh else ""

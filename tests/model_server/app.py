"""The HTTP side: chat completions, whole or streamed, and the list of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.model_server.answers import Answer, chunks, error, settle, whole
from tests.model_server.asked import Asked
from tests.model_server.checks import Refused, check
from tests.model_server.counting import Ledger
from tests.model_server.replies import Cut, Reply
from tests.model_server.rules import Rule

STALL_S = 600.0
HOLD_S = 60.0
BROKEN = "{'this is': not JSON"
MODELS = ("test-model",)


class Torn(Exception):
    """Raised on purpose in the middle of an answer: the server then drops the connection."""


def make_app(rule: Rule, current: Callable[[], Ledger], key: str = "") -> Starlette:
    """Return the server's application; with a key, calls must bring it."""

    async def complete(request: Request) -> Response:
        ledger = current()
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if key and given != key:
            return _error(
                Reply(status=HTTPStatus.UNAUTHORIZED, error_code="invalid_api_key"), given
            )
        try:
            body = check(json.loads(await request.body()))
        except (ValueError, Refused) as refused:
            ledger.refuse(str(refused))
            return _error(Reply(status=HTTPStatus.BAD_REQUEST, error_text=str(refused)), given)
        asked = ledger.begin(body, given)
        is_finished, is_handed_on = False, False
        reply = Reply()
        try:
            reply = rule(asked)
            await _wait(reply)
            if reply.status != HTTPStatus.OK:
                return _error(reply, given)
            answer = settle(asked, reply)
            if asked.is_streamed:
                is_handed_on = True
                return StreamingResponse(
                    _stream(asked, answer, reply, ledger), media_type="text/event-stream"
                )
            response = _whole(asked, answer, reply, ledger)
            is_finished = reply.cut is Cut.NONE
            return response
        finally:
            if not is_handed_on:
                ledger.end(asked, reply.status, is_finished=is_finished)

    async def models(_: Request) -> Response:
        return JSONResponse(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]}
        )

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
        ]
    )


async def _wait(reply: Reply) -> None:
    if reply.latency_s:
        await asyncio.sleep(reply.latency_s)
    if reply.until is not None:
        await asyncio.to_thread(reply.until.wait, HOLD_S)


def _error(reply: Reply, given: str) -> Response:
    text = reply.error_text
    if reply.status == HTTPStatus.UNAUTHORIZED:
        text = text or f"Incorrect API key provided: {given}"
    headers = {"retry-after": reply.retry_after} if reply.retry_after else None
    return JSONResponse(
        error(reply.status, text or "The server had an error", reply.error_code),
        status_code=reply.status,
        headers=headers,
    )


def _whole(asked: Asked, answer: Answer, reply: Reply, ledger: Ledger) -> Response:
    usage = ledger.usage(asked, answer.chars) if reply.has_usage else None
    body = json.dumps(whole(answer, usage))
    match reply.cut:
        case Cut.BROKEN_JSON:
            return Response(BROKEN, media_type="application/json")
        case Cut.NONE:
            return Response(body, media_type="application/json")
        case _:
            return StreamingResponse(_torn(body, reply.cut), media_type="application/json")


async def _torn(body: str, cut: Cut) -> AsyncIterator[str]:
    yield body[: len(body) // 2]
    if cut is Cut.STALLED:
        await asyncio.sleep(STALL_S)
    if cut is Cut.DROPPED:
        raise Torn


async def _stream(asked: Asked, answer: Answer, reply: Reply, ledger: Ledger) -> AsyncIterator[str]:
    wants_usage = (asked.body.get("stream_options") or {}).get("include_usage")
    usage = ledger.usage(asked, answer.chars) if wants_usage and reply.has_usage else None
    pieces = list(chunks(answer, usage))
    sent = len(pieces) if reply.cut is Cut.NONE else max(2, len(pieces) // 2)
    is_finished = False
    try:
        for piece in pieces[:sent]:
            yield f"data: {json.dumps(piece)}\n\n"
        match reply.cut:
            case Cut.NONE:
                is_finished = True
                yield "data: [DONE]\n\n"
            case Cut.BROKEN_JSON:
                yield f"data: {BROKEN}\n\n"
            case Cut.DROPPED:
                raise Torn
            case Cut.STALLED:
                await asyncio.sleep(STALL_S)
            case Cut.ENDED:
                pass
    finally:
        ledger.end(asked, reply.status, is_finished=is_finished)

"""The Web API over HTTP: who asks, whether it may, whether it is too much, and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from tests.slack_server.ask import Ask
from tests.slack_server.core import Core
from tests.slack_server.errors import Refused
from tests.slack_server.faults import Fault
from tests.slack_server.ledger import Call, Refusal
from tests.slack_server.methods import METHODS
from tests.slack_server.rules import RULES, Rule, a_minute
from tests.slack_server.state import Json, Team, Token

RATE_LIMITED = "ratelimited"
NOBODY = Token("", "bot", "", set())
NOWHERE = Team("", "", "", "", "")
PAGE = "<html><body>Something went wrong</body></html>"


class Api:
    """Answers `/api/METHOD`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one call."""
        self._core.in_flight += 1
        self._core.touched += 1
        try:
            return await self._take(request)
        finally:
            self._core.in_flight -= 1
            self._core.touched += 1

    async def _take(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        rule = RULES.get(method)
        args, given = await read_args(request, rule)
        fault = self._core.faults.take(method, args)
        if fault is not None and not fault.after_write:
            response = await self._before(request, method, args, fault)
            if response is not None:
                return response
        answer, status, headers = self._answer(method, rule, args, given)
        if fault is not None and fault.after_write:
            response = await self._after(request, fault)
            if response is not None:
                return response
        return web.json_response(answer, status=status, headers=headers)

    async def _before(
        self, request: web.Request, method: str, args: Json, fault: Fault
    ) -> web.StreamResponse | None:
        """Let a call go wrong before it does anything; None: it only took its time."""
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return None
        error = {"error": fault.error, "ratelimited": RATE_LIMITED}.get(fault.kind, fault.kind)
        answer: Json = {"ok": False, "error": error}
        is_limit = fault.kind == "ratelimited" and not fault.in_body
        status = fault.status if fault.kind == "status" else 429 if is_limit else 200
        call = Call(method, args, "", self._core.clock.wall(), status, answer, is_injected=True)
        self._core.ledger.calls[method].append(call)
        if fault.kind in {"cut", "status"}:
            return _broken(request, fault)
        headers = {"Retry-After": f"{fault.seconds:g}"} if is_limit else {}
        return web.json_response(answer, status=status, headers=headers)

    async def _after(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return None
        return _broken(request, fault)

    def _answer(
        self, method: str, rule: Rule | None, args: Json, given: str
    ) -> tuple[Json, int, CIMultiDict[str]]:
        """Do what is asked, all at once, and note it."""
        core = self._core
        headers: CIMultiDict[str] = CIMultiDict({"x-slack-req-id": core.new_id("req")})
        token, team, status = NOBODY, NOWHERE, 200
        try:
            if rule is None or method not in METHODS:
                raise Refused("unknown_method", req_method=method)
            if rule.token != "none":
                token = self._token(rule, given)
                team = core.teams.get(token.team, NOWHERE)
                headers["x-oauth-scopes"] = ",".join(sorted(token.scopes))
                headers["x-accepted-oauth-scopes"] = ",".join(rule.scopes)
            wait_s = self._over_budget(method, rule, team, args)
            if wait_s:
                status = 200 if core.limits_in_body else 429
                if status == 429:
                    headers["Retry-After"] = str(wait_s)
                raise Refused(RATE_LIMITED)
            ask = Ask(core, method, dict(args), team, token)
            if rule.scopes:
                ask.need_scope(*rule.scopes)
            answer: Json = {"ok": True, **METHODS[method](ask)}
        except Refused as refused:
            answer = refused.answer()
            book = core.ledger
            kept = book.rate_limited if refused.error == RATE_LIMITED else book.refused
            kept.append(Refusal(method, refused.error, refused.problems, args))
        call = Call(method, args, team.id, core.clock.wall(), status, answer)
        core.ledger.calls[method].append(call)
        return answer, status, headers

    def _token(self, rule: Rule, given: str) -> Token:
        if not given:
            raise Refused("not_authed")
        token = self._core.tokens.get(given)
        if token is None:
            raise Refused("invalid_auth")
        if token.is_revoked:
            raise Refused("token_revoked")
        if token.kind != rule.token:
            raise Refused("not_allowed_token_type")
        return token

    def _over_budget(self, method: str, rule: Rule, team: Team, args: Json) -> int:
        core = self._core
        channel = _place(team, str(args.get("channel", ""))) if rule.tier == "posts" else ""
        most = a_minute(core.limits, rule.tier)
        return core.budgets.take(team.id, method, most, channel, core.clock.age())


def _place(team: Team, wanted: str) -> str:
    """Return the id of where a post goes, however it is named."""
    for channel in team.channels.values():
        if channel.name and channel.name == wanted.removeprefix("#"):
            return channel.id
    return wanted


def _broken(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Cut the connection, or answer with a page where JSON is expected."""
    if fault.kind == "cut":
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    return web.Response(status=fault.status, text=PAGE, content_type="text/html")


async def read_args(request: web.Request, rule: Rule | None) -> tuple[Json, str]:
    """Return a call's arguments and its token. Some methods do not look at JSON at all."""
    args: dict[str, Any] = dict(request.query)
    if request.can_read_body:
        if request.content_type == "application/json":
            body = await request.json()
            if isinstance(body, dict) and (rule is None or rule.takes_json):
                args |= body
        else:
            args |= dict((await request.post()).items())
    given = str(args.pop("token", ""))
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        given = header.removeprefix("Bearer ")
    elif header.startswith("Basic "):
        pair = base64.b64decode(header.removeprefix("Basic ")).decode()
        args["client_id"], _, args["client_secret"] = pair.partition(":")
    return args, given

"""The addresses Slack hands out: answers to interactions, uploads, downloads, installs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.slack_server.ask import numbered
from tests.slack_server.content import Content, read_content
from tests.slack_server.core import Core
from tests.slack_server.errors import Refused
from tests.slack_server.happenings import changed, deleted, posted
from tests.slack_server.payloads import message_json
from tests.slack_server.state import File, Json, Message, Team
from tests.slack_server.tickets import ResponseUrl

SIGN_IN = "<!DOCTYPE html><html><body>Sign in to your workspace</body></html>"


class Hooks:
    """Handlers of everything that is not `/api` and not a socket."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def respond(self, request: web.Request) -> web.Response:
        """Take an answer to an interaction: 5 of them, for 30 minutes."""
        core = self._core
        key = request.match_info["key"]
        core.touched += 1
        body: Any = await request.json()
        try:
            if not isinstance(body, dict):
                raise Refused("invalid_payload")
            place = core.tickets.use_response_url(key, core.clock.age())
            answer_in(core, place, body)
        except Refused as refused:
            core.ledger.refuse("response_url", refused.error, *refused.problems, **_named(body))
            is_gone = refused.error in {"invalid_url", "expired_url", "used_url"}
            return web.json_response(refused.answer(), status=404 if is_gone else 400)
        return web.Response(text="ok")

    async def upload(self, request: web.Request) -> web.Response:
        """Take a file's bytes, raw or as a form."""
        file = self._file(request)
        if file is None or file.is_complete:
            self._core.ledger.refuse("upload", "file_not_found")
            return web.Response(status=404, text="file_not_found")
        if request.content_type == "multipart/form-data":
            form = await request.post()
            part = next(iter(form.values()), b"")
            content = part.file.read() if isinstance(part, web.FileField) else part
        else:
            content = await request.read()
        file.content = content.encode() if isinstance(content, str) else bytes(content)
        if len(file.content) != file.size:
            found = f"{len(file.content)} bytes came, {file.size} were announced"
            self._core.ledger.refuse("upload", "wrong_size", found)
            return web.Response(status=400, text="wrong_size")
        return web.Response(text=f"OK - {file.size}")

    async def download(self, request: web.Request) -> web.Response:
        """Give out a file to who may read it; anyone else gets a page to sign in, as in Slack."""
        file = self._file(request)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = self._core.tokens.get(given)
        is_good = token is not None and not token.is_revoked and "files:read" in token.scopes
        if not is_good or token is None or token.team != request.match_info["team"]:
            self._core.ledger.refuse("download", "not_allowed")
            return web.Response(text=SIGN_IN, content_type="text/html")
        if file is None or file.content is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.mimetype)

    async def authorize(self, request: web.Request) -> web.Response:
        """Approve an install at once and send the browser back with a code."""
        core, query = self._core, request.query
        if query.get("client_id") != core.app.client_id or not core.installing:
            core.ledger.refuse("authorize", "invalid_client_id")
            return web.Response(status=400, text="invalid_client_id")
        scopes = tuple(filter(None, query.get("scope", "").split(",")))
        redirect = query.get("redirect_uri", "")
        user = next(iter(core.teams[core.installing].users))
        now = core.clock.age()
        code = core.tickets.code(core.installing, scopes, redirect, user, now)
        answer = urlencode({"code": code, "state": query.get("state", "")})
        raise web.HTTPFound(f"{redirect}?{answer}")

    def _file(self, request: web.Request) -> File | None:
        team = self._core.teams.get(request.match_info["team"])
        return None if team is None else team.files.get(request.match_info["file"])


def answer_in(core: Core, place: ResponseUrl, body: Json) -> None:
    """Do what an answer says: replace or delete the message it came from, or post another."""
    team = core.teams[place.team]
    is_deleting = body.get("delete_original") is True
    content = read_content(
        body,
        files=team.files.keys(),
        refused_blocks=team.refused_blocks,
        may_be_empty=is_deleting,
    )
    if is_deleting or body.get("replace_original") is True:
        _replace(core, team, place, None if is_deleting else content)
        return
    message = Message(
        team.id,
        place.channel,
        core.clock.stamp(),
        team.bot_user,
        content.text,
        numbered(content.blocks),
        str(body.get("thread_ts") or place.thread_ts),
        content.metadata or {},
        team.bot_id,
        core.app.id,
    )
    if body.get("response_type") == "in_channel":
        team.put(message)
        posted(core, team, message)
    else:
        message.ephemeral_to = place.user
        team.ephemerals.append(message)


def _replace(core: Core, team: Team, place: ResponseUrl, content: Content | None) -> None:
    """Change or delete the message that an interaction came from."""
    for message in team.ephemerals:
        if place.is_ephemeral and message.ts == place.ts:
            _change(message, content)
            return
    found = team.find(place.channel, place.ts)
    if found is None:
        raise Refused("message_not_found")
    before = message_json(team, found)
    _change(found, content)
    if content is None:
        deleted(core, team, found, before)
    else:
        found.edited_ts = core.clock.stamp()
        changed(core, team, found, before)


def _change(message: Message, content: Content | None) -> None:
    if content is None:
        message.is_deleted = True
        return
    message.versions.append((message.text, message.blocks))
    message.text, message.blocks = content.text, numbered(content.blocks)


def _named(body: Any) -> Json:
    return {"body": body}

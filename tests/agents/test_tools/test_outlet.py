"""What is sent outside goes to the declared place, once, and says what became of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agents.sandbox import call, check_arguments
from agents.tool import (
    OutcomeUnknownError,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from agents.tools import outlet
from agents.tools.outlet import MAX_ANSWER_BYTES, TOOLS, ListOutput, SendArguments, SendOutput, body
from config.specs import OutletSpec, ServicesFile
from tests.agents.test_tools.conftest import NOW

TOOL, LIST = TOOLS
MESSAGE: dict[str, Any] = {
    "outlet": "mail",
    "text": "It works again.",
    "subject": "Checkout",
    "to": "ada@lumen.example",
    "fields": {"ticket": "tic-7"},
}
BODY = {"to": "{{ args.to }}", "text": "{{ args.text }}", "re": "{{ args.fields.ticket }}"}
LOST = -1
"""A status that stands for a connection that breaks before the answer."""


@dataclass(slots=True)
class Desk:
    """A place that takes messages: what it shall answer in turn, and what it got."""

    url: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    def answering(self, *statuses: int, said: bytes = b"taken") -> None:
        """Answer with these statuses, one after the other."""
        self.answers = [(status, {"Location": "/elsewhere"}, said) for status in statuses]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Run one for a test."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            found.got.append((dict(self.headers), json.loads(self.rfile.read(length))))
            status, headers, said = found.answers.pop(0) if found.answers else (201, {}, b"taken")
            if status == LOST:
                return
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Desk(f"http://127.0.0.1:{server.server_port}/mail")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def world(url: str, **more: Any) -> ToolContext:
    """Return a world with one outlet."""
    spec = OutletSpec.model_validate({"url": url, "body": BODY, **more})
    return ToolContext(ServicesFile(outlets={"mail": spec}), NOW, "run/reply/send")


async def send(context: ToolContext) -> ToolResult:
    """Send the message without the cost of a child process."""
    return await outlet.send(context, SendArguments.model_validate(MESSAGE))


async def test_message_is_sent_as_declared(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is the declared one, key and token go along, and no secret comes back."""
    monkeypatch.setenv("MAIL_TOKEN", "opensesame-7")
    desk.answering(201, said=b"taken, by Bearer of opensesame-7")

    result = await call(TOOL, MESSAGE, world(desk.url, token_env="MAIL_TOKEN"))

    ((headers, sent),) = desk.got
    assert sent == {"to": "ada@lumen.example", "text": "It works again.", "re": "tic-7"}
    assert headers["Idempotency-Key"] == "run/reply/send"
    assert headers["Authorization"] == "Bearer opensesame-7"
    assert headers["Content-Type"] == "application/json"
    assert isinstance(result.output, SendOutput)
    assert (result.output.outlet, result.output.status) == ("mail", 201)
    assert result.text.startswith("sent to mail for ada@lumen.example: it answered 201\ntaken")
    assert "opensesame-7" not in result.text + result.output.model_dump_json()


async def test_without_a_body_the_arguments_are_sent(desk: Desk) -> None:
    """An outlet that declares no body gets what was given, and nothing meant for policy."""
    await send(world(desk.url, body={}))

    assert desk.got[0][1] == {name: MESSAGE[name] for name in ("to", "subject", "text", "fields")}


async def test_lost_answer_is_asked_for_again_where_the_key_is_honoured(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same request with the same key is harmless there."""
    monkeypatch.setattr(outlet, "PAUSES_S", (0.0, 0.0))
    desk.answering(LOST, 502, 200)

    result = await send(world(desk.url, honours_key=True))

    assert isinstance(result.output, SendOutput)
    assert result.output.status == 200
    assert {headers["Idempotency-Key"] for headers, _ in desk.got} == {"run/reply/send"}
    assert len(desk.got) == 3


@pytest.mark.parametrize("status", [LOST, 500])
async def test_lost_answer_is_unknown_elsewhere(desk: Desk, status: int) -> None:
    """Without such a promise it is sent once, and a person has to look."""
    desk.answering(status)

    with pytest.raises(OutcomeUnknownError, match="unknown, so look"):
        await send(world(desk.url))
    assert len(desk.got) == 1


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (302, ToolFailed, "points elsewhere"),
        (422, ToolFailed, "refused the message with 422: taken"),
        (503, TransientError, "not now"),
        (429, TransientError, "not now"),
    ],
)
async def test_refusals_are_told_apart(
    desk: Desk, status: int, error: type[Exception], words: str
) -> None:
    """A redirect is never followed; a refusal had no effect and is not repeated."""
    desk.answering(status)

    with pytest.raises(error, match=words) as caught:
        await send(world(desk.url, honours_key=True))
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert len(desk.got) == 1


async def test_nobody_there_means_nothing_was_sent() -> None:
    """A connection that was never made had no effect."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(TransientError, match="nothing was sent"):
        await send(world(f"http://127.0.0.1:{port}/"))


async def test_long_answer_is_bounded(desk: Desk) -> None:
    """However much is answered, little of it is kept."""
    desk.answering(200, said=b"x" * (2 * MAX_ANSWER_BYTES))

    output = (await send(world(desk.url))).output

    assert isinstance(output, SendOutput)
    assert len(output.answer) <= 500


def test_unknown_outlet_is_refused_before_people_are_asked() -> None:
    """The declared ones are named; so is a body that cannot be made."""
    with pytest.raises(ToolRetry, match="no outlet 'post'; known outlets: mail"):
        check_arguments(TOOL, {**MESSAGE, "outlet": "post"}, world("http://x"))
    with pytest.raises(ToolRetry, match="correct the outlet's body"):
        check_arguments(TOOL, MESSAGE, world("http://x", body={"a": "{{ 1 / 0 }}"}))


def test_outlets_say_whether_they_honour_the_key() -> None:
    """It is the outlet's promise, not the tool's."""
    message = SendArguments.model_validate(MESSAGE)

    assert callable(TOOL.honours_key)
    assert TOOL.honours_key(world("http://x", honours_key=True), message)
    assert not TOOL.honours_key(world("http://x"), message)


def test_a_field_that_is_not_given_is_null() -> None:
    """Expressions over missing fields break nothing."""
    message = SendArguments(outlet="mail", text="x")

    assert body(OutletSpec(url="http://x", body=dict(BODY)), message) == {
        "to": "",
        "text": "x",
        "re": None,
    }


async def test_outlets_are_listed_by_name() -> None:
    """A plan can know whether there is a place before anybody is asked about a message."""
    world = ServicesFile(
        outlets={
            "mail": OutletSpec(url="http://127.0.0.1:9/mail"),
            "board": OutletSpec(url="http://127.0.0.1:9/status", description="Public status page"),
        }
    )

    found = await call(LIST, {}, ToolContext(world=world, now=NOW))

    assert isinstance(found.output, ListOutput)
    assert found.output.names == ["board", "mail"]
    assert found.text == "2 outlets are declared\nboard: Public status page\nmail"

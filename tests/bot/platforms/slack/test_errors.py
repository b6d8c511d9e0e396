"""What Slack says, in words that tell somebody what to do."""

from __future__ import annotations

import pytest

from bot.platforms.port import MessageGoneError, PlatformBusyError, PlatformError
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import (
    DEFAULT_RETRY_S,
    MAX_RETRY_S,
    OF_CHANNEL,
    OF_TOKEN,
    SlackAwayError,
    SlackRefusedError,
    SlackUnsureError,
    retry_after_s,
    translate,
)
from bot.platforms.slack.places import Place, is_stamp, named, person_id
from tests.bot.platforms.slack.stage import Stage
from tests.slack_server import Fault, cutting, failing, limiting, refusing


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (limiting(3.0), PlatformBusyError),
        (limiting(in_body=True), PlatformBusyError),
        (failing(500), SlackUnsureError),
        (failing(503), SlackUnsureError),
        (cutting(), SlackUnsureError),
        (cutting(after_write=True), SlackUnsureError),
        (refusing("internal_error"), SlackUnsureError),
        (refusing("fatal_error"), SlackUnsureError),
        (refusing("message_not_found"), MessageGoneError),
        (refusing("cant_update_message"), MessageGoneError),
        (refusing("edit_window_closed"), MessageGoneError),
        (refusing("is_archived"), SlackRefusedError),
        (refusing("something_new"), SlackRefusedError),
    ],
    ids=str,
)
async def test_answers_become_our_errors(
    stage: Stage, fault: Fault, kind: type[PlatformError]
) -> None:
    """The real client meets each fault over the wire, and tries nothing again by itself."""
    stage.server.fault("auth.test", fault)

    with pytest.raises(kind) as met:
        await stage.clients.call("", "auth.test")

    assert type(met.value) is kind
    assert len(stage.server.calls["auth.test"]) == 1


async def test_no_connection_means_that_nothing_was_sent() -> None:
    """Where nobody listens nothing can have been done."""
    clients = SlackClients(bot_token="xoxb-1", api_url="http://127.0.0.1:9/api/")

    try:
        with pytest.raises(SlackAwayError, match="tried again"):
            await clients.call("", "auth.test")
    finally:
        await clients.aclose()


async def test_a_missing_scope_is_named(stage: Stage) -> None:
    """The sentence says which scope to add."""
    stage.server.take_scope("users:read")

    with pytest.raises(SlackRefusedError, match="lacks the scope users:read"):
        await stage.clients.call("", "users.info", user="U1")


async def test_refused_blocks_say_what_is_wrong(stage: Stage) -> None:
    """Slack's own words are kept for the log."""
    with pytest.raises(SlackRefusedError) as refused:
        await stage.clients.call(
            "", "chat.postMessage", channel="C1", text="x", blocks=[{"type": "nonsense"}]
        )

    assert refused.value.code == "invalid_blocks"
    assert any("nonsense" in problem for problem in refused.value.problems)


@pytest.mark.parametrize("code", [*OF_TOKEN, *OF_CHANNEL])
def test_every_known_state_has_a_sentence(code: str) -> None:
    """It names what to do or whom to ask, and the code to search for."""
    refused = SlackRefusedError(code)

    assert refused.is_known
    assert len(str(refused)) > len(code) + 20
    assert SlackRefusedError(code).code in str(refused)


def test_how_long_to_wait() -> None:
    """Slack's own number, within reason; nonsense counts as none."""
    assert retry_after_s({"retry-after": "12"}) == 12.0
    assert retry_after_s({"Retry-After": "0"}) == 0.0
    assert retry_after_s({}) == DEFAULT_RETRY_S
    for nonsense in ("soon", "nan", ""):
        assert retry_after_s({"Retry-After": nonsense}) == DEFAULT_RETRY_S
    assert retry_after_s({"Retry-After": "1e9"}) == MAX_RETRY_S
    assert retry_after_s({"Retry-After": "-4"}) == 0.0


def test_bugs_stay_bugs() -> None:
    """What is no answer of Slack's is not made to look like one."""
    bug = KeyError("x")

    assert translate(bug) is bug


def test_places() -> None:
    """Channels with and without their workspace, by name or id."""
    assert Place.of("T1/C1") == Place("T1", "C1")
    assert Place.of("#incidents") == Place("", "incidents")
    assert Place("T1", "C1").text == "T1/C1"
    assert Place("", "C1").thread("1.2").channel == "C1"
    assert Place.of("U1").is_person
    assert not Place.of("incidents").is_id
    assert is_stamp("1700000000.000100")
    assert not is_stamp("t-nothing")
    assert named(person_id("T1", "U1")) == ("T1", "U1")
    assert named("console:alice") is None

"""The strict Slack server delivers as Slack does: sockets, HTTP, interactions, answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.bot.platforms.slack_cases import (
    BUTTON,
    CARD,
    MODAL,
    QUICK,
    app_of,
    client_of,
    connected,
    peopled,
    posted_by_app,
    refused,
)
from tests.slack_server import CannotError, Delivery, Message, SlackServer

Json = dict[str, Any]


@pytest.fixture
def server() -> Iterator[SlackServer]:
    """Run a server with people in it and short waits."""
    with SlackServer(QUICK) as running:
        yield peopled(running)


class Heard:
    """An app that acknowledges everything and keeps what it heard."""

    def __init__(self, server: SlackServer) -> None:
        self.app: AsyncApp = app_of(server)
        self.bodies: list[Json] = []
        self.headers: list[dict[str, Any]] = []
        self.answer: Any = None
        self.app.use(self._keep)
        for kind in ("app_mention", "message", "reaction_added", "app_home_opened"):
            self.app.event(kind)(self._nothing)
        for kind in ("agent_session_stopped", "channel_left", "app_uninstalled", "tokens_revoked"):
            self.app.event(kind)(self._nothing)
        self.app.command("/muster")(self._acknowledge)
        self.app.action({"type": "block_actions", "action_id": "approve"})(self._acknowledge)
        self.app.action("thumbs")(self._acknowledge)
        self.app.action("menu")(self._acknowledge)
        self.app.shortcut("look")(self._acknowledge)
        self.app.view("edit")(self._acknowledge)
        self.app.view_closed("edit")(self._acknowledge)

    def kinds(self) -> list[str]:
        """Return what was heard, in short."""
        return [body.get("event", body).get("type", "command") for body in self.bodies]

    async def _keep(self, body: Json, request: Any, next: Any) -> None:  # noqa: A002 - Bolt's name
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        await next()

    async def _nothing(self) -> None:
        return None

    async def _acknowledge(self, ack: Any) -> None:
        await (ack() if self.answer is None else ack(**self.answer))


@pytest.fixture
async def heard(server: SlackServer) -> AsyncIterator[Heard]:
    """Connect an app through a socket."""
    made = Heard(server)
    async with connected(server, made.app):
        yield made


async def card(server: SlackServer, blocks: list[Json] | None = None) -> Message:
    """Let the app post a card, and return it when the app has heard of it."""
    client = client_of(server)
    answer = await client.chat_postMessage(channel="C1", text="card", blocks=blocks or CARD)
    await server.settled()
    return server.message(str(answer["ts"]))


# Events


async def test_a_mention_fires_two_events(server: SlackServer, heard: Heard) -> None:
    """A mention comes as app_mention and as message, with ids of their own, retry number 0."""
    said = server.mention("C1", "U1", "@muster why is checkout slow?")
    await server.settled()

    assert sorted(heard.kinds()) == ["app_mention", "message"]
    assert {body["event"]["ts"] for body in heard.bodies} == {said.ts}
    assert len({body["event_id"] for body in heard.bodies}) == 2
    assert said.text == f"<@{server.bot_user}> why is checkout slow?"
    assert [headers["x-slack-retry-num"] for headers in heard.headers] == [["0"], ["0"]]
    assert all(delivery.is_acked for delivery in server.deliveries)
    assert server.refused == []


async def test_direct_messages_are_no_mentions(server: SlackServer, heard: Heard) -> None:
    """A direct message comes once, as message.im, even if it names the app."""
    server.dm("U1", "@muster hello")
    await server.settled()

    assert heard.kinds() == ["message"]
    assert heard.bodies[0]["event"]["channel_type"] == "im"


async def test_replies_name_their_thread(server: SlackServer, heard: Heard) -> None:
    """A reply's event says which thread it stands in and who began it."""
    root = server.say("C1", "U1", "why?")
    answer = server.reply(server.reply(root, "U2", "no idea"), "U1", "thanks")
    await server.settled()

    event = next(body["event"] for body in heard.bodies if body["event"]["ts"] == answer.ts)
    assert (event["thread_ts"], event["parent_user_id"]) == (root.ts, "U1")
    assert [item.text for item in server.thread(answer)] == ["why?", "no idea", "thanks"]
    with pytest.raises(CannotError, match="no message 1"):
        server.thread("1")


async def test_people_are_held_to_what_is_possible(server: SlackServer) -> None:
    """Nobody writes in an archive or a private channel they are not in, or is unknown."""
    server.channel("G1", kind="private", members=["U1"])
    server.archive("C2")

    with pytest.raises(CannotError, match="C2 is archived"):
        server.say("C2", "U1", "hi")
    with pytest.raises(CannotError, match="U2 is not in G1"):
        server.say("G1", "U2", "hi")
    with pytest.raises(CannotError, match="no user U0"):
        server.say("C1", "U0", "hi")
    server.invite("G1", "U2")
    assert server.say("G1", "U2", "hi").text == "hi"


async def test_the_app_hears_of_itself(server: SlackServer, heard: Heard) -> None:
    """Own posts, edits and deletions come back as events too, as they do from Slack."""
    message = await card(server)
    await client_of(server).chat_update(channel="C1", ts=message.ts, text="done")
    await client_of(server).chat_delete(channel="C1", ts=message.ts)
    await server.settled()

    events = [delivery.event for delivery in server.deliveries]
    assert [event.get("subtype") for event in events] == [
        None,
        "message_changed",
        "message_deleted",
    ]
    assert events[0]["bot_id"]


async def test_what_is_not_subscribed_is_not_sent(server: SlackServer, heard: Heard) -> None:
    """No subscription, no scope, no membership or no token: no event."""
    server.mention("C2", "U1", "hello")
    server.app.events.discard("message.channels")
    server.take_scope("app_mentions:read")
    server.mention("C1", "U1", "hello")
    server.grant("app_mentions:read")
    server.revoke()
    server.mention("C1", "U1", "hello")
    await server.settled()

    assert heard.bodies == []
    assert server.deliveries == []


async def test_edits_deletions_and_emoji_are_told(server: SlackServer, heard: Heard) -> None:
    """What people do to messages is told: an edit with both versions, an emoji with its place."""
    said = server.say("C1", "U1", "chekout")
    server.edit(said, "checkout")
    server.react(said, "U2", ":rotating_light:")
    server.react(said, "U2", "rotating_light")
    server.delete(said)
    await server.settled()

    edit = next(item for item in heard.bodies if item["event"].get("subtype") == "message_changed")
    emoji = next(item for item in heard.bodies if item["event"]["type"] == "reaction_added")
    assert edit["event"]["message"]["text"] == "checkout"
    assert edit["event"]["previous_message"]["text"] == "chekout"
    assert emoji["event"]["reaction"] == "rotating_light"
    assert emoji["event"]["item"] == {"type": "message", "channel": "C1", "ts": said.ts}
    assert len(heard.bodies) == 4


async def test_people_from_outside_are_marked(server: SlackServer, heard: Heard) -> None:
    """In a shared channel a stranger's message names their workspace."""
    server.user("U6", "Eve", team="T9")
    server.channel("C5", "shared", members=["U6"], is_shared=True)
    server.mention("C5", "U6", "hello")
    await server.settled()

    event = heard.bodies[0]
    assert event["is_ext_shared_channel"]
    assert event["event"]["user_team"] == "T9"


async def test_membership_and_installs_are_told(server: SlackServer, heard: Heard) -> None:
    """The app hears that it was removed from a channel, and that it was uninstalled."""
    server.kick("C1")
    await server.settled()
    server.uninstall()
    await server.settled()

    assert sorted(heard.kinds()) == ["app_uninstalled", "channel_left", "tokens_revoked"]
    assert await refused(client_of(server).auth_test()) == "token_revoked"


# Acknowledgements


async def test_what_is_not_acknowledged_comes_again(server: SlackServer) -> None:
    """An event comes again with the same id and body, its number and reason."""
    app = app_of(server)
    tries: list[tuple[str, str, str]] = []

    @app.use
    async def count(body: Json, request: Any, next: Any) -> None:  # noqa: A002 - Bolt's name
        headers = request.headers
        why = headers.get("x-slack-retry-reason", [""])[0]
        tries.append((body["event_id"], headers["x-slack-retry-num"][0], why))
        if len(tries) == 1:
            await asyncio.sleep(0.4)
        await next()

    @app.event("message")
    async def nothing() -> None:
        return None

    async with connected(server, app):
        server.say("C1", "U1", "hi")
        await server.settled()

    delivery = server.deliveries[0]
    assert [item[1:] for item in tries] == [("0", ""), ("1", "timeout")]
    assert len({item[0] for item in tries}) == 1
    assert [attempt.error for attempt in delivery.attempts] == ["timeout", ""]
    assert delivery.is_acked


async def test_without_a_socket_events_are_given_up_after_all_retries(
    server: SlackServer,
) -> None:
    """Each try fails at once when nobody is connected; then nothing more comes."""
    server.say("C1", "U1", "hi")
    await server.settled()

    delivery = server.deliveries[0]
    assert [attempt.error for attempt in delivery.attempts] == ["no_socket"] * 3
    assert not delivery.is_acked
    assert delivery.problem == "the app did not respond"


async def test_interactions_are_not_repeated(server: SlackServer, heard: Heard) -> None:
    """A click that nobody acknowledges is sent once, and the person sees a problem."""
    other = [{"type": "actions", "elements": [BUTTON | {"action_id": "unknown"}]}]
    message = await card(server, other)
    click = await server.done(server.click(message, "unknown", "U1"))

    assert [attempt.error for attempt in click.attempts] == ["timeout"]
    assert click.problem == "the app did not respond"


async def test_a_late_acknowledgement_is_late(server: SlackServer) -> None:
    """An acknowledgement after the time is kept as late: it does not count."""
    app = app_of(server)

    @app.command("/muster")
    async def slow(ack: Any) -> None:
        await asyncio.sleep(0.25)
        await ack("too late")

    async with connected(server, app):
        command = await server.done(server.command("C1", "U1"))
        await server.until(lambda: command.attempts[0].took_s is not None)

    assert command.attempts[0].is_late
    assert not command.is_acked
    assert server.ephemerals() == []


async def test_events_take_no_answer(server: SlackServer) -> None:
    """An acknowledgement of an event with a body, and of nothing known, break the rules."""
    url = (
        await client_of(server, server.app_token).apps_connections_open(app_token=server.app_token)
    )["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(str(url)) as socket:
        hello = await socket.receive_json()
        server.say("C1", "U1", "hi")
        envelope = await socket.receive_json()
        await socket.send_json({"envelope_id": "envelope-0"})
        await socket.send_json({"oops": 1})
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "x"}})
        await server.settled()

    assert (hello["type"], hello["num_connections"]) == ("hello", 1)
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("events_api", False)
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (0, "")
    assert [item.error for item in server.refused] == [
        "unknown_envelope",
        "invalid_envelope",
        "payload_not_accepted",
    ]
    assert server.deliveries[0].is_acked


# Sockets


async def test_each_envelope_goes_to_one_socket(server: SlackServer) -> None:
    """Two processes on one app split the deliveries."""
    first, second = Heard(server), Heard(server)
    async with connected(server, first.app), connected(server, second.app):
        for _ in range(4):
            server.say("C1", "U1", "hi")
        await server.settled()

    assert (len(first.bodies), len(second.bodies)) == (2, 2)


async def test_a_ticket_opens_one_socket_and_there_are_ten(server: SlackServer) -> None:
    """A socket's address works once, and the eleventh socket is sent away."""
    client = client_of(server, server.app_token)

    async def address() -> str:
        answer = await client.apps_connections_open(app_token=server.app_token)
        return str(answer["url"])

    async with aiohttp.ClientSession() as session:
        url = await address()
        sockets = [await session.ws_connect(url)]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
        late = await address()
        server.advance(31)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(late)
        sockets += [await session.ws_connect(await address()) for _ in range(9)]
        one_more = await session.ws_connect(await address())
        goodbye = await one_more.receive_json()

        assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "too_many_websockets")
        assert len(server.open_sockets) == 10
        for socket in (*sockets, one_more):
            await socket.close()
    assert [item.error for item in server.refused] == [
        "invalid_ticket",
        "invalid_ticket",
        "too_many_websockets",
    ]


async def test_a_dismissed_socket_is_replaced(server: SlackServer, heard: Heard) -> None:
    """Told that its socket is refreshed, the real client opens another and goes on."""
    server.dismiss_sockets("refresh_requested")
    await server.until(lambda: server.sockets.opened == 2)
    server.say("C1", "U1", "hi")
    await server.settled()

    assert heard.kinds() == ["message"]
    assert len(server.deliveries[0].attempts) == 1


async def test_a_dropped_socket_loses_its_envelopes(server: SlackServer) -> None:
    """What was not acknowledged when the socket was cut comes again through the next one."""
    app = app_of(server)
    seen: list[str] = []

    @app.use
    async def drop_first(body: Json, next: Any) -> None:  # noqa: A002 - Bolt's name
        seen.append(body["event_id"])
        if len(seen) == 1:
            server.drop_sockets()
        await next()

    @app.event("message")
    async def nothing() -> None:
        return None

    async with connected(server, app), connected(server, app):
        server.say("C1", "U1", "hi")
        await server.until(lambda: server.deliveries[0].attempts[0].error)
        async with connected(server, app):
            await server.settled()

    errors = [attempt.error for attempt in server.deliveries[0].attempts]
    assert errors[0] == "socket_closed"
    assert (seen[0], errors[-1]) == (seen[-1], "")


async def test_a_silent_socket_swallows_and_pongs_no_more(server: SlackServer) -> None:
    """Nothing comes out of a silent socket: neither envelopes nor pongs, though it is open."""
    made = Heard(server)
    async with connected(server, made.app, ping_interval=0.05):
        await server.until(lambda: server.open_sockets[0].pings >= 2)
        silent = server.open_sockets[0]
        assert server.silence_sockets() == 1
        pings = silent.pings
        server.command("C1", "U1")
        await server.until(lambda: server.sockets.opened == 2)

        assert silent.pings == pings
        assert made.bodies == []
        assert server.deliveries[0].attempts[0].error in {"timeout", "socket_closed"}


async def test_a_silent_socket_may_still_pong(server: SlackServer) -> None:
    """The harder case: pings are answered, and still nothing is delivered."""
    made = Heard(server)
    async with connected(server, made.app, ping_interval=0.05):
        server.silence_sockets(is_ponging=True)
        before = server.open_sockets[0].pings
        await server.until(lambda: server.open_sockets[0].pings > before + 2)
        server.say("C1", "U1", "hi")
        await server.settled()

        assert server.sockets.opened == 1
        assert made.bodies == []


async def test_slack_pings_its_sockets(server: SlackServer) -> None:
    """An open socket is pinged, a silent one is not."""
    client = client_of(server, server.app_token)
    url = (await client.apps_connections_open(app_token=server.app_token))["url"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(str(url), autoping=False) as socket,
    ):
        await socket.receive_json()
        assert (await socket.receive(2)).type is aiohttp.WSMsgType.PING
        server.silence_sockets()
        with pytest.raises(TimeoutError):
            await socket.receive(0.2)


# Doing things twice, later, or again


async def test_deliveries_can_be_doubled(server: SlackServer, heard: Heard) -> None:
    """The same event id comes twice at the same time."""
    server.deliver_twice(1)
    server.say("C1", "U1", "hi")
    server.say("C1", "U1", "ho")
    await server.settled()

    ids = [body["event_id"] for body in heard.bodies]
    assert len(ids) == 3
    assert len(set(ids)) == 2


async def test_deliveries_can_be_repeated_and_held(server: SlackServer, heard: Heard) -> None:
    """A delivery can be sent again later, and all can be kept back for a while."""
    server.hold()
    server.say("C1", "U1", "hi")
    await asyncio.sleep(0.05)
    assert heard.bodies == []
    server.release()
    await server.settled()
    server.redeliver(server.deliveries[0])
    await server.settled()

    assert [body["event_id"] for body in heard.bodies] == [server.deliveries[0].id] * 2


async def test_waiting_that_does_not_end_says_so(server: SlackServer) -> None:
    """A wait for what never comes fails instead of hanging."""
    server.hold()
    with pytest.raises(TimeoutError, match="did not come true"):
        await server.until(lambda: False, timeout_s=0.05)
    server.release()
    server.say("C1", "U1", "hi")
    with pytest.raises(TimeoutError, match="1 deliveries"):
        await server.settled(timeout_s=0.01)


# Interactions


async def test_a_click_is_self_contained(server: SlackServer, heard: Heard) -> None:
    """A click carries the button's value, the message, the person and a fresh trigger."""
    message = await card(server)
    click = await server.done(server.click(message, "approve", "U2"))

    body = heard.bodies[-1]
    assert body["actions"][0]["value"] == "a1:1"
    assert body["actions"][0]["block_id"] == "decide"
    assert (body["user"]["id"], body["channel"]["id"]) == ("U2", "C1")
    assert body["container"]["message_ts"] == body["message"]["ts"] == message.ts
    assert body["trigger_id"] == click.trigger_id
    assert click.is_acked
    assert click.took_s < 3


async def test_a_stale_click_sends_what_the_person_saw(server: SlackServer, heard: Heard) -> None:
    """A click on an older copy sends the old value, and the message as it is now."""
    message = await card(server)
    await client_of(server).chat_update(channel="C1", ts=message.ts, text="decided")
    await server.done(server.click(message, "approve", "U1"))

    body = heard.bodies[-1]
    assert body["actions"][0]["value"] == "a1:1"
    assert "blocks" not in body["message"]
    with pytest.raises(CannotError, match="there are: none"):
        server.click(server.message(message.ts), "approve", "U1")


async def test_only_who_sees_a_message_clicks_in_it(server: SlackServer, heard: Heard) -> None:
    """Someone outside the channel, or beside an ephemeral, cannot click; a menu needs a choice."""
    server.user("U9", "Zoe")
    options = [{"text": {"type": "plain_text", "text": "one"}, "value": "1"}]
    menu = {"type": "static_select", "action_id": "menu", "options": options}
    message = await card(server, [{"type": "actions", "elements": [menu]}])

    with pytest.raises(CannotError, match="U9 is not in C1"):
        server.click(message, "menu", "U9")
    with pytest.raises(CannotError, match="say which option"):
        server.click(message, "menu", "U1")
    with pytest.raises(CannotError, match="does not offer 2"):
        server.click(message, "menu", "U1", choice="2")
    await server.done(server.click(message, "menu", "U1", choice="1"))
    assert heard.bodies[-1]["actions"][0]["selected_option"] == options[0]
    await client_of(server).chat_postEphemeral(channel="C1", user="U2", text="x", blocks=CARD)
    with pytest.raises(CannotError, match="only U2 sees"):
        server.click(server.ephemerals("U2")[0], "approve", "U1")


async def test_confirmations_are_known(server: SlackServer, heard: Heard) -> None:
    """A test can ask whether Slack asks before it sends a click."""
    text = {"type": "plain_text", "text": "Sure?"}
    confirm = {"title": text, "text": text, "confirm": text, "deny": text}
    elements = [BUTTON | {"confirm": confirm}, BUTTON | {"action_id": "deny"}]
    message = await card(server, [{"type": "actions", "elements": elements}])

    assert server.asks_confirmation(message, "approve")
    assert not server.asks_confirmation(message, "deny")


async def test_thumbs_send_their_value(server: SlackServer, heard: Heard) -> None:
    """Thumbs up and down are one element with two values."""

    def thumb(value: str) -> Json:
        return {"text": {"type": "plain_text", "text": value}, "value": value}

    thumbs = {
        "type": "feedback_buttons",
        "action_id": "thumbs",
        "positive_button": thumb("up"),
        "negative_button": thumb("down"),
    }
    message = await card(server, [{"type": "context_actions", "elements": [thumbs]}])
    for choice in ("positive", "negative"):
        await server.done(server.click(message, "thumbs", "U1", choice=choice))

    assert [body["actions"][0]["value"] for body in heard.bodies[-2:]] == ["up", "down"]


async def test_shortcuts_carry_their_message(server: SlackServer, heard: Heard) -> None:
    """A message shortcut carries the message, a global one nothing but the person."""
    said = server.say("C1", "U2", "ERROR boom")
    await server.done(server.shortcut("look", "U1", said))
    await server.done(server.shortcut("look", "U1"))

    on_message, anywhere = heard.bodies[-2:]
    assert on_message["type"] == "message_action"
    assert on_message["message"]["text"] == "ERROR boom"
    assert on_message["channel"]["id"] == "C1"
    assert (anywhere["type"], anywhere["callback_id"]) == ("shortcut", "look")
    assert "message" not in anywhere


async def test_stop_is_there_while_processing(server: SlackServer, heard: Heard) -> None:
    """Slack's Stop button shows only while a session is processing, and tells thread and person."""
    root = server.say("C1", "U1", "why?")
    with pytest.raises(CannotError, match="no Stop button"):
        server.press_stop(root, "U1")
    await client_of(server).agents_sessions_setStatus(
        channel_id="C1", thread_ts=root.ts, status="processing"
    )
    server.press_stop(root, "U2")
    await server.settled()

    event = heard.bodies[-1]["event"]
    assert (event["type"], event["thread_ts"]) == ("agent_session_stopped", root.ts)
    assert (event["channel"], event["user"]) == ("C1", "U2")


async def test_a_home_tab_is_opened(server: SlackServer, heard: Heard) -> None:
    """Opening the tab tells the app; clicks in it come with the view."""
    server.open_home("U1")
    await server.settled()
    await client_of(server).views_publish(user_id="U1", view={"type": "home", "blocks": CARD})
    home = server.home("U1")
    assert home is not None
    await server.done(server.click_view(home, "approve", "U1"))

    assert heard.bodies[0]["event"]["tab"] == "home"
    assert heard.bodies[-1]["view"]["id"] == home.id
    assert heard.bodies[-1]["container"]["type"] == "view"


# Modals


async def opened(server: SlackServer, view: Json | None = None) -> None:
    """Open the modal for Alice."""
    trigger = server.command("C1", "U1").trigger_id
    await client_of(server).views_open(trigger_id=trigger, view=view or MODAL)
    await server.settled()


async def test_a_modal_is_filled_in_and_closes(server: SlackServer, heard: Heard) -> None:
    """What was typed arrives as the view's state, and an empty answer closes the modal."""
    await opened(server)
    await server.done(server.submit("U1", {"service": "checkout"}))

    values = heard.bodies[-1]["view"]["state"]["values"]
    assert values == {"service": {"value": {"type": "plain_text_input", "value": "checkout"}}}
    assert server.view("U1") is None


async def test_the_client_checks_what_is_typed(server: SlackServer, heard: Heard) -> None:
    """A person cannot leave out what is required, nor type too much, nor fill what is not there."""
    await opened(server)

    with pytest.raises(CannotError, match="service is required"):
        server.submit("U1", {})
    with pytest.raises(CannotError, match="0 to 20 characters"):
        server.submit("U1", {"service": "x" * 21})
    with pytest.raises(CannotError, match="no input color"):
        server.submit("U1", {"service": "x", "color": "red"})
    with pytest.raises(CannotError, match="U2 sees no modal"):
        server.submit("U2", {})
    await opened(server, {key: MODAL[key] for key in ("type", "title")} | {"blocks": CARD})
    with pytest.raises(CannotError, match="no submit button"):
        server.submit("U1", {})


def modal_with(element: Json) -> Json:
    """Return the modal with another input."""
    block = MODAL["blocks"][0] | {"element": element | {"action_id": "value"}, "optional": True}
    return MODAL | {"blocks": [block]}


OPTIONS = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("eu", "us")]


@pytest.mark.parametrize(
    ("element", "given", "sent"),
    [
        ({"type": "number_input", "is_decimal_allowed": True}, "1.5", {"value": "1.5"}),
        ({"type": "static_select", "options": OPTIONS}, "us", {"selected_option": OPTIONS[1]}),
        ({"type": "checkboxes", "options": OPTIONS}, ["eu"], {"selected_options": [OPTIONS[0]]}),
        ({"type": "datepicker"}, "2026-11-21", {"selected_date": "2026-11-21"}),
        ({"type": "datetimepicker"}, 1_800_000_000, {"selected_date_time": 1_800_000_000}),
        ({"type": "users_select"}, "U2", {"selected_user": "U2"}),
        ({"type": "plain_text_input", "initial_value": "a"}, None, {"value": "a"}),
        (
            {"type": "radio_buttons", "options": OPTIONS, "initial_option": OPTIONS[0]},
            None,
            {"selected_option": OPTIONS[0]},
        ),
    ],
)
async def test_each_kind_of_input_has_its_state(
    server: SlackServer, heard: Heard, element: Json, given: Any, sent: Json
) -> None:
    """Inputs are sent in the shape of their kind; what is not touched keeps its first value."""
    await opened(server, modal_with(element))
    values = {} if given is None else {"value": given}
    await server.done(server.submit("U1", values))

    state = heard.bodies[-1]["view"]["state"]["values"]["service"]["value"]
    assert state == {"type": element["type"], **sent}


@pytest.mark.parametrize(
    ("element", "given", "problem"),
    [
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "whole numbers"),
        ({"type": "number_input", "is_decimal_allowed": False}, "many", "takes numbers"),
        (
            {"type": "number_input", "is_decimal_allowed": False, "max_value": "3"},
            "4",
            "out of range",
        ),
        ({"type": "static_select", "options": OPTIONS}, "asia", "does not offer asia"),
    ],
)
async def test_a_person_cannot_enter_nonsense(
    server: SlackServer, heard: Heard, element: Json, given: str, problem: str
) -> None:
    """Slack's client keeps to the input's own limits."""
    await opened(server, modal_with(element))
    with pytest.raises(CannotError, match=problem):
        server.submit("U1", {"service": given})


async def test_errors_keep_a_modal_open(server: SlackServer, heard: Heard) -> None:
    """Errors are shown under inputs; an error of what is no input is refused."""
    await opened(server)
    heard.answer = {"response_action": "errors", "errors": {"service": "no such service"}}
    wrong = await server.done(server.submit("U1", {"service": "x"}))
    assert wrong.problem == "no such service"
    assert server.view("U1") is not None
    assert server.refused == []

    for answer, problem in (
        ({"response_action": "errors", "errors": {"color": "what?"}}, "color is not an input"),
        ({"response_action": "errors", "errors": {"service": ""}}, "not a sentence"),
        ({"response_action": "errors", "errors": {"service": "x" * 2_001}}, "not a sentence"),
        ({"response_action": "errors", "errors": {}}, "errors is missing"),
        ({"text": "saved"}, "response_action is missing"),
    ):
        # As a whole body, which Bolt sends as it is.
        heard.answer = {"text": answer}
        odd = await server.done(server.submit("U1", {"service": "x"}))
        assert "does not understand" in odd.problem
        assert problem in str(server.refused[-1])
    assert server.view("U1") is not None


async def test_an_answer_changes_the_modals(server: SlackServer, heard: Heard) -> None:
    """An answer may change the modal, put others on top up to three, or close them all."""
    await opened(server)
    named = MODAL | {"title": {"type": "plain_text", "text": "Sure?"}}

    async def answer(**body: Any) -> Delivery:
        heard.answer = body
        return await server.done(server.submit("U1", {"service": "x"}))

    await answer(response_action="update", view=named)
    view = server.view("U1")
    assert view is not None
    assert view.payload["title"]["text"] == "Sure?"
    await answer(response_action="push", view=MODAL)
    await answer(response_action="push", view=MODAL)
    assert server.refused == []
    await answer(response_action="push", view=MODAL)
    assert server.refused[-1].error == "push_limit_reached"
    await answer(response_action="update", view=MODAL | {"title": {"type": "plain_text"}})
    assert server.refused[-1].error == "invalid_arguments"
    await answer(response_action="shake")
    assert server.refused[-1].error == "invalid_response"
    await answer(response_action="clear")
    assert server.view("U1") is None


async def test_a_modal_pushes_another(server: SlackServer, heard: Heard) -> None:
    """A click in a modal gives a trigger that puts another on top; any other trigger does not."""
    await opened(server, MODAL | {"blocks": [*MODAL["blocks"], CARD[1]]})
    first = server.view("U1")
    assert first is not None
    client = client_of(server)
    outside = server.command("C1", "U1").trigger_id
    assert await refused(client.views_push(trigger_id=outside, view=MODAL)) == "not_found"
    trigger = server.click_view(first, "approve", "U1").trigger_id
    await client.views_push(trigger_id=trigger, view=MODAL)

    second = server.view("U1")
    assert second is not None
    assert (second.previous_id, second.root_id) == (first.id, first.id)


async def test_a_closed_modal_tells_only_when_asked(server: SlackServer, heard: Heard) -> None:
    """view_closed comes only for modals that asked for it."""
    await opened(server)
    assert server.close("U1") is None
    await opened(server, MODAL | {"notify_on_close": True})
    closed = server.close("U1")

    assert closed is not None
    await server.done(closed)
    assert heard.bodies[-1]["type"] == "view_closed"


# Commands and response addresses


async def test_a_command_may_be_answered_at_once(server: SlackServer, heard: Heard) -> None:
    """An acknowledgement's text is shown to the person, or to the channel when it says so."""
    heard.answer = {"text": "working"}
    await server.done(server.command("C1", "U1", "status"))
    heard.answer = {"text": "all see", "response_type": "in_channel"}
    await server.done(server.command("C1", "U1", "status"))

    assert heard.bodies[0]["command"] == "/muster"
    assert heard.bodies[0]["text"] == "status"
    assert [item.text for item in server.ephemerals("U1")] == ["working"]
    assert [item.text for item in posted_by_app(server)] == ["all see"]


async def test_commands_need_an_install_with_their_scope(server: SlackServer) -> None:
    """Without the scope, or after the token was revoked, there is no command to use."""
    server.take_scope("commands")
    with pytest.raises(CannotError, match="not installed with the scope commands"):
        server.command("C1", "U1")
    server.grant("commands")
    server.revoke()
    with pytest.raises(CannotError, match="not installed with the scope commands"):
        server.command("C1", "U1")


async def test_a_bad_answer_to_a_command_is_refused(server: SlackServer, heard: Heard) -> None:
    """An acknowledgement's blocks keep the same rules as a message's."""
    heard.answer = {"text": "x", "blocks": [{"type": "banner"}]}
    command = await server.done(server.command("C1", "U1"))

    assert "does not understand" in command.problem
    assert server.refused[0].error == "invalid_blocks"


async def test_a_response_address_takes_five_answers(server: SlackServer, heard: Heard) -> None:
    """Five answers within half an hour, then no more."""
    hook = AsyncWebhookClient(server.command("C1", "U1").response_url, retry_handlers=[])
    statuses = [(await hook.send(text=str(number))).status_code for number in range(6)]

    assert statuses == [200] * 5 + [404]
    assert len(server.ephemerals("U1")) == 5
    late = AsyncWebhookClient(server.command("C1", "U1").response_url, retry_handlers=[])
    server.advance(1_801)
    answer = await late.send(text="late")
    assert (answer.status_code, "expired_url" in answer.body) == (404, True)
    nobody = AsyncWebhookClient(late.url + "0", retry_handlers=[])
    assert (await nobody.send(text="x")).status_code == 404
    await server.settled()
    assert [item.error for item in server.refused] == ["used_url", "expired_url", "invalid_url"]


async def test_an_answer_may_replace_or_delete(server: SlackServer, heard: Heard) -> None:
    """The address of a click changes the message it came from: posted or ephemeral."""
    message = await card(server)
    click = server.click(message, "approve", "U1")
    hook = AsyncWebhookClient(click.response_url, retry_handlers=[])
    await hook.send(text="approved", replace_original=True)
    assert server.message(message.ts).text == "approved"
    await hook.send(text="thanks", response_type="in_channel")
    assert (await hook.send(blocks=[{"type": "banner"}])).status_code == 400
    await hook.send(delete_original=True)
    assert server.message(message.ts).is_deleted
    gone = await hook.send(text="again", replace_original=True)
    assert (gone.status_code, "message_not_found" in gone.body) == (400, True)

    await client_of(server).chat_postEphemeral(channel="C1", user="U2", text="x", blocks=CARD)
    private = server.ephemerals("U2")[0]
    click = server.click(private, "approve", "U2")
    await AsyncWebhookClient(click.response_url).send(text="done", replace_original=True)
    await server.settled()
    assert server.ephemerals("U2")[0].text == "done"
    assert [item.text for item in posted_by_app(server)] == ["thanks"]


# HTTP mode


@asynccontextmanager
async def serving(app: AsyncApp) -> AsyncIterator[str]:
    """Serve the app on loopback and give its address."""

    async def handle(request: web.Request) -> web.Response:
        bolt = await app.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(bolt)

    served = web.Application()
    served.router.add_post("/slack/events", handle)
    async with TestServer(served, port=0) as running:
        yield str(running.make_url("/slack/events"))


async def test_http_requests_are_signed(server: SlackServer) -> None:
    """Events, clicks and commands reach the real app over HTTP, which checks the signature."""
    heard = Heard(server)
    async with serving(heard.app) as url:
        server.use_http(url)
        assert await server.verify_url()
        server.say("C1", "U1", "hi")
        await server.settled()
        message = await card(server)
        await server.done(server.click(message, "approve", "U1"))
        heard.answer = {"text": "working"}
        await server.done(server.command("C1", "U1", "status"))

    assert heard.kinds() == ["message", "block_actions", "command"]
    assert [item.text for item in server.ephemerals()] == ["working"]
    assert all(delivery.is_acked for delivery in server.deliveries)
    assert "x-slack-retry-num" not in heard.headers[0]


async def test_forged_and_old_signatures_are_refused(server: SlackServer) -> None:
    """The real app refuses another secret, and a clock that is more than 5 minutes off."""
    heard = Heard(server)
    async with serving(heard.app) as url:
        server.use_http(url)
        server.forge_signatures()
        server.say("C1", "U1", "hi")
        await server.settled()
        server.forge_signatures(is_on=False)
        server.skew(-301)
        server.say("C1", "U1", "hi")
        await server.settled()
        server.skew(-200)
        server.say("C1", "U1", "hi")
        await server.settled()

    assert [delivery.is_acked for delivery in server.deliveries] == [False, False, True]
    assert {item.error for item in server.deliveries[0].attempts} == {"http_error"}


async def test_http_events_come_again(server: SlackServer) -> None:
    """A failing app gets an event again with headers that say so, until it says to stop."""
    seen: list[tuple[str, str]] = []
    headers: dict[str, str] = {}

    async def handle(request: web.Request) -> web.Response:
        number = request.headers.get("X-Slack-Retry-Num", "")
        seen.append((number, request.headers.get("X-Slack-Retry-Reason", "")))
        return web.Response(status=500, headers=headers)

    served = web.Application()
    served.router.add_post("/", handle)
    async with TestServer(served, port=0) as running:
        server.use_http(str(running.make_url("/")))
        server.say("C1", "U1", "hi")
        await server.settled()
        assert seen == [("", ""), ("1", "http_error"), ("2", "http_error")]
        headers["X-Slack-No-Retry"] = "1"
        server.say("C1", "U1", "hi")
        await server.settled()
    assert len(seen) == 4
    server.use_http("http://127.0.0.1:9/")
    gone = server.say("C1", "U1", "hi")
    await server.settled()
    assert gone.ts
    assert server.deliveries[-1].attempts[0].error == "connection_failed"
    server.use_sockets()
    server.say("C1", "U1", "hi")
    await server.settled()
    assert server.deliveries[-1].attempts[0].error == "no_socket"


async def test_a_slow_app_times_out_over_http(server: SlackServer) -> None:
    """No answer in time is http_timeout."""
    heard = Heard(server)

    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    served = web.Application()
    served.router.add_post("/", handle)
    async with TestServer(served, port=0) as running:
        server.use_http(str(running.make_url("/")))
        command = await server.done(server.command("C1", "U1"))

    assert heard.bodies == []
    assert command.attempts[0].error == "http_timeout"


# Many at once


async def test_hundreds_of_clicks_are_told_apart() -> None:
    """Clicks that are each sent twice at once all arrive and are all acknowledged."""
    with SlackServer() as server:
        heard = Heard(peopled(server))
        async with connected(server, heard.app):
            message = await card(server)
            server.deliver_twice()
            clicks = [server.click(message, "approve", "U1") for _ in range(200)]
            await server.settled(timeout_s=30)

    assert all(len(click.attempts) == 2 for click in clicks)
    assert all(attempt.is_acked for click in clicks for attempt in click.attempts)
    assert heard.kinds().count("block_actions") == 400

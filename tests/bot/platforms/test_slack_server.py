"""The strict Slack server refuses what Slack refuses: the Web API through the real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.bot.platforms.slack_cases import CARD, MODAL, client_of, peopled, refused
from tests.slack_server import (
    BOT_SCOPES,
    CannotError,
    Limits,
    SlackServer,
    cutting,
    failing,
    limiting,
    manifest_problems,
    refusing,
    slowing,
)

KEY = {"event_type": "muster", "event_payload": {"key": "card-1"}}
NEVER = "1700000000.000100"


@pytest.fixture
def server() -> Iterator[SlackServer]:
    """Run a server with people in it."""
    with SlackServer() as running:
        yield peopled(running)


@pytest.fixture
def client(server: SlackServer) -> AsyncWebClient:
    """Return the app's client."""
    return client_of(server)


async def posted(client: AsyncWebClient, text: str = "hello", **more: Any) -> str:
    """Post a message and return its `ts`."""
    answer = await client.chat_postMessage(channel="C1", text=text, **more)
    return str(answer["ts"])


# Who may call


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
async def test_a_call_needs_a_known_token(server: SlackServer, token: str, error: str) -> None:
    """A call without a token and one with a wrong token are told apart."""
    assert await refused(client_of(server, token).auth_test()) == error


async def test_a_revoked_token_is_worth_nothing(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """After a revocation, by an admin or by the app itself, nothing works."""
    assert (await client.auth_test())["user_id"] == server.bot_user
    await client.auth_revoke()

    assert await refused(client.auth_test()) == "token_revoked"


async def test_tokens_have_their_kinds(server: SlackServer, client: AsyncWebClient) -> None:
    """An app token opens sockets and posts nothing; a bot token opens none."""
    app = client_of(server, server.app_token)

    assert await refused(app.chat_postMessage(channel="C1", text="x")) == "not_allowed_token_type"
    bot = client.apps_connections_open(app_token=server.bot_token)
    assert await refused(bot) == "not_allowed_token_type"


async def test_a_missing_scope_is_named(server: SlackServer, client: AsyncWebClient) -> None:
    """The answer says what is needed and what there is, in the body and in headers."""
    server.take_scope("chat:write")

    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C1", text="x")

    answer = caught.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert "chat:write" not in answer["provided"].split(",")
    assert answer.headers["x-oauth-scopes"] == answer["provided"]
    assert str(server.refused[0]).startswith("chat.postMessage: missing_scope")


async def test_an_unknown_method_is_refused(client: AsyncWebClient) -> None:
    """A method that Slack does not have is not silently accepted."""
    assert await refused(client.api_call("chat.shout", json={"channel": "C1"})) == "unknown_method"


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("views.open", "trigger_id"),
        ("chat.update", "ts"),
        ("users.info", "user"),
        ("reactions.add", "name"),
        ("files.info", "file"),
    ],
)
async def test_a_missing_argument_is_named(client: AsyncWebClient, method: str, key: str) -> None:
    """A call without a required argument says which."""
    ts = await posted(client)
    args = {"channel": "C1", "timestamp": ts, "text": "x"}

    with pytest.raises(SlackApiError, match=f"missing required field: {key}"):
        await client.api_call(method, data=args)


async def test_reading_methods_do_not_see_json(client: AsyncWebClient) -> None:
    """Methods that take only forms do not look at a JSON body."""
    ts = await posted(client)
    call = client.api_call("conversations.replies", json={"channel": "C1", "ts": ts})

    assert await refused(call) == "channel_not_found"


# Posting


async def test_what_is_posted_can_be_read_back(client: AsyncWebClient) -> None:
    """A thread is read back in order; metadata only when it is asked for."""
    root = await posted(client, metadata=KEY)
    first = await posted(client, "first", thread_ts=root)
    second = await posted(client, "second", thread_ts=root, blocks=CARD)

    plain = (await client.conversations_replies(channel="C1", ts=root))["messages"]
    full = await client.conversations_replies(channel="C1", ts=root, include_all_metadata=True)

    assert [item["ts"] for item in plain] == [root, first, second]
    assert plain[0]["reply_count"] == 2
    assert plain[2]["blocks"][1]["block_id"] == "decide"
    assert "metadata" not in plain[0]
    assert full["messages"][0]["metadata"] == KEY


async def test_stamps_are_unique_and_grow(server: SlackServer, client: AsyncWebClient) -> None:
    """No two messages share a `ts`, and a clock set back does not make them go back."""
    first = await posted(client)
    server.skew(-3_600)
    second = await posted(client)

    assert float(second) > float(first)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": "{}"}, "invalid_blocks_format"),
        ({"text": "x", "markdown_text": "**x**"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        (
            {"text": "x", "metadata": {"event_type": "", "event_payload": {}}},
            "invalid_metadata_format",
        ),
        (
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"a": "x" * 20_000}}},
            "metadata_too_large",
        ),
        (
            {"text": "x", "blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2},
            "msg_blocks_too_long",
        ),
        ({"text": "x", "thread_ts": "12"}, "invalid_thread_ts"),
        ({"text": "x", "thread_ts": NEVER}, "thread_not_found"),
        ({"text": "x", "username": "root"}, "missing_scope"),
    ],
)
async def test_a_bad_message_is_refused(
    client: AsyncWebClient, args: dict[str, Any], error: str
) -> None:
    """Each rule for a message's content has its own error."""
    call = client.api_call("chat.postMessage", json={"channel": "C1", **args})

    assert await refused(call) == error


async def test_a_long_text_is_only_advised_against(client: AsyncWebClient) -> None:
    """A post may hold up to 40,000 characters of text."""
    assert await posted(client, "x" * 40_000)


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ("C-none", "channel_not_found"),
        ("C2", "not_in_channel"),
        ("G-private", "channel_not_found"),
        ("C-old", "is_archived"),
    ],
)
async def test_the_app_posts_only_where_it_is(
    server: SlackServer, client: AsyncWebClient, channel: str, error: str
) -> None:
    """Posting needs membership; private channels the app is not in do not exist for it."""
    server.channel("G-private", kind="private", members=["U1"], has_bot=False)
    server.channel("C-old")
    server.archive("C-old")

    assert await refused(client.chat_postMessage(channel=channel, text="x")) == error


async def test_a_removed_app_posts_no_more(server: SlackServer, client: AsyncWebClient) -> None:
    """After being removed from a channel, the app cannot post there; with the scope it can."""
    server.kick("C1")
    assert await refused(client.chat_postMessage(channel="C1", text="x")) == "not_in_channel"
    server.grant("chat:write.public")
    assert await posted(client)


async def test_channels_have_names_and_people_have_direct_messages(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """A post may name a public channel, or a person when the app may write to people."""
    by_name = await client.chat_postMessage(channel="#incidents", text="x")
    to_alice = await client.chat_postMessage(channel="U1", text="x")
    server.take_scope("im:write")

    assert by_name["channel"] == "C1"
    assert to_alice["channel"] == server.direct("U1")
    assert await refused(client.chat_postMessage(channel="U2", text="x")) == "missing_scope"


async def test_a_thread_hangs_on_its_root(server: SlackServer, client: AsyncWebClient) -> None:
    """A reply is no root, and a deleted message without replies takes none."""
    root = await posted(client)
    reply = await posted(client, thread_ts=root)
    lonely = await posted(client)
    server.delete(server.message(lonely))
    server.delete(server.message(root))
    server.advance(60)

    below = client.chat_postMessage(channel="C1", text="x", thread_ts=reply)
    assert await refused(below) == "invalid_thread_ts"
    gone = client.chat_postMessage(channel="C1", text="x", thread_ts=lonely)
    assert await refused(gone) == "thread_not_found"
    assert await refused(client.conversations_replies(channel="C1", ts=lonely)) == (
        "thread_not_found"
    )
    assert await posted(client, thread_ts=root)
    thread = await client.conversations_replies(channel="C1", ts=root)
    assert thread["messages"][0]["subtype"] == "tombstone"


async def test_an_ephemeral_is_seen_by_one(server: SlackServer, client: AsyncWebClient) -> None:
    """An ephemeral goes to someone in the channel and is in nobody's history."""
    server.user("U9", "Zoe")
    await client.chat_postEphemeral(channel="C1", user="U2", text="only you")
    history = await client.conversations_history(channel="C1")
    outside = client.chat_postEphemeral(channel="C1", user="U9", text="x")

    assert [item.text for item in server.ephemerals("U2")] == ["only you"]
    assert server.ephemerals("U1") == []
    assert history["messages"] == []
    assert await refused(outside) == "user_not_in_channel"


# Editing


async def test_an_edit_replaces_text_and_blocks(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """An edit with only text takes the blocks away; metadata stays until it is emptied."""
    ts = await posted(client, blocks=CARD, metadata=KEY)

    await client.chat_update(channel="C1", ts=ts, text="done")
    message = server.message(ts)
    await client.chat_update(channel="C1", ts=ts, text="done", metadata={})

    assert (message.text, message.blocks, message.edits) == ("done", [], 1)
    assert message.metadata == KEY
    assert server.message(ts).metadata == {}


async def test_an_edit_takes_4000_bytes(client: AsyncWebClient) -> None:
    """The limit counts bytes after escaping; tokens and entities count as they are."""
    ts = await posted(client)

    async def edit(text: str) -> str:
        return await refused(client.chat_update(channel="C1", ts=ts, text=text))

    assert await edit("x" * 4_000) == ""
    assert await edit("x" * 4_001) == "msg_too_long"
    assert await edit("—" * 1_400) == "msg_too_long"
    assert await edit("&" * 801) == "msg_too_long"
    assert await edit("&amp;" * 800) == ""
    assert await edit("<@U1>" * 800) == ""


async def test_terminal_errors_of_edits(server: SlackServer, client: AsyncWebClient) -> None:
    """What is gone, not the app's own, too old or in an archive cannot be edited."""
    ts = await posted(client)
    theirs = server.say("C1", "U1", "hi").ts

    async def edit(stamp: str) -> str:
        return await refused(client.chat_update(channel="C1", ts=stamp, text="x"))

    assert await edit(NEVER) == "message_not_found"
    assert await edit(theirs) == "cant_update_message"
    server.close_edit_window()
    assert await edit(ts) == "edit_window_closed"
    server.close_edit_window(is_closed=False)
    server.archive("C1")
    assert await edit(ts) == "is_inactive"
    server.unarchive("C1")
    server.delete(server.message(ts))
    assert await edit(ts) == "message_not_found"


async def test_only_own_messages_are_deleted(server: SlackServer, client: AsyncWebClient) -> None:
    """The app deletes its own messages and nobody else's."""
    ts = await posted(client)
    theirs = server.say("C1", "U1", "hi").ts

    await client.chat_delete(channel="C1", ts=ts)

    assert server.message(ts).is_deleted
    assert await refused(client.chat_delete(channel="C1", ts=ts)) == "message_not_found"
    assert await refused(client.chat_delete(channel="C1", ts=theirs)) == "cant_delete_message"


async def test_a_message_has_an_address(client: AsyncWebClient) -> None:
    """A permalink leads to a message that exists."""
    ts = await posted(client)
    answer = await client.chat_getPermalink(channel="C1", message_ts=ts)

    assert answer["permalink"].endswith(f"/C1/p{ts.replace('.', '')}")
    missing = client.chat_getPermalink(channel="C1", message_ts=NEVER)
    assert await refused(missing) == "message_not_found"


# Reading


async def test_long_lists_come_in_pages(client: AsyncWebClient, server: SlackServer) -> None:
    """Replies come oldest first, history newest first, both in pages; bad cursors are refused."""
    root = server.say("C1", "U1", "root").ts
    stamps = [server.say("C1", "U2", str(number), thread=root).ts for number in range(5)]

    seen: list[str] = []
    cursor = ""
    while True:
        answer = await client.conversations_replies(
            channel="C1", ts=root, limit=2, cursor=cursor or None
        )
        seen += [item["ts"] for item in answer["messages"]]
        cursor = answer["response_metadata"]["next_cursor"]
        assert answer["has_more"] is bool(cursor)
        if not cursor:
            break

    assert seen == [root, *stamps]
    later = await client.conversations_replies(channel="C1", ts=stamps[0], oldest=stamps[3])
    assert [item["ts"] for item in later["messages"]] == [root, stamps[4]]
    top = server.say("C1", "U1", "later").ts
    history = await client.conversations_history(channel="C1")
    assert [item["ts"] for item in history["messages"]] == [top, root]
    bad = client.conversations_replies(channel="C1", ts=root, cursor="!!!")
    assert await refused(bad) == "invalid_cursor"
    assert await refused(client.conversations_history(channel="C1", limit=5_000)) == "invalid_limit"


async def test_reading_needs_membership_and_the_right_scope(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """A public channel is read by members only, each kind of channel with its own scope."""
    server.say("C2", "U1", "secret")
    assert await refused(client.conversations_history(channel="C2")) == "not_in_channel"
    server.take_scope("channels:history", "channels:read")
    assert await refused(client.conversations_history(channel="C1")) == "missing_scope"
    assert await refused(client.conversations_info(channel="C1")) == "missing_scope"
    assert await refused(client.conversations_list(types="public_channel")) == "missing_scope"


async def test_channels_are_listed_by_kind(server: SlackServer, client: AsyncWebClient) -> None:
    """The app sees public channels, and private ones it is in."""
    server.channel("G1", "secret", kind="private", members=["U1"])
    server.channel("G2", "hidden", kind="private", members=["U1"], has_bot=False)
    server.archive("C2")
    answer = await client.conversations_list(
        types="public_channel,private_channel", exclude_archived=True
    )

    assert [channel["id"] for channel in answer["channels"]] == ["C1", "G1"]
    assert (await client.conversations_info(channel="G1"))["channel"]["is_private"]
    members = (await client.conversations_members(channel="C1"))["members"]
    assert set(members) == {"U1", "U2", server.bot_user}
    assert await refused(client.conversations_list(types="dms")) == "invalid_types"


async def test_the_app_joins_public_channels_with_the_scope(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """Joining takes channels:join."""
    assert await refused(client.conversations_join(channel="C2")) == "missing_scope"
    server.grant("channels:join")
    await client.conversations_join(channel="C2")
    server.channel("G1", kind="private", members=["U1"])
    server.channel("C-old", has_bot=False)
    server.archive("C-old")
    private = client.conversations_join(channel="G1")
    assert await refused(private) == "method_not_supported_for_channel_type"
    assert await refused(client.conversations_join(channel="C-old")) == "is_archived"
    assert (await client.conversations_info(channel="C2"))["channel"]["is_member"]


async def test_direct_messages_are_opened(server: SlackServer, client: AsyncWebClient) -> None:
    """Opening the same direct message twice gives the same one; strangers have none."""
    first = await client.conversations_open(users="U1")
    again = await client.conversations_open(users=["U1"])

    assert first["channel"]["id"] == again["channel"]["id"] == server.direct("U1")
    assert await refused(client.conversations_open(users="U-none")) == "user_not_found"
    assert await refused(client.conversations_open(users="U1,U2")) == "missing_scope"
    server.grant("mpim:write")
    group = await client.conversations_open(users="U1,U2", return_im=True)
    assert group["channel"]["is_mpim"]
    crowd = client.conversations_open(users=",".join(["U1"] * 9))
    assert await refused(crowd) == "too_many_users"
    server.remove_user("U2")
    assert await refused(client.conversations_open(users="U2")) == "user_disabled"
    assert await refused(client.conversations_open(users="U1,U2")) == "user_disabled"


async def test_guests_and_strangers_are_marked(server: SlackServer, client: AsyncWebClient) -> None:
    """A guest is restricted, a stranger is of another workspace; e-mail takes its scope."""
    server.user("U5", "Gil", is_single_guest=True)
    server.user("U6", "Eve", team="T9")

    guest = (await client.users_info(user="U5"))["user"]
    stranger = (await client.users_info(user="U6"))["user"]
    alice = (await client.users_info(user="U1"))["user"]
    server.grant("users:read.email")

    assert guest["is_restricted"]
    assert guest["is_ultra_restricted"]
    assert stranger["is_stranger"]
    assert stranger["team_id"] == "T9"
    assert not alice["is_restricted"]
    assert "email" not in alice["profile"]
    assert (await client.users_info(user="U1"))["user"]["profile"]["email"] == "alice@acme.test"
    assert len((await client.users_list())["members"]) == 5
    assert await refused(client.users_info(user="U-none")) == "user_not_found"


async def test_user_groups_are_listed(server: SlackServer, client: AsyncWebClient) -> None:
    """Who is in a group is asked by its id, and changes when the group does."""
    assert (await client.usergroups_users_list(usergroup="S-oncall"))["users"] == ["U1"]
    server.group("S-oncall", "oncall", ["U2"])
    assert (await client.usergroups_users_list(usergroup="S-oncall"))["users"] == ["U2"]
    listed = (await client.usergroups_list(include_users=True))["usergroups"]
    assert [(item["handle"], item["users"]) for item in listed] == [("oncall", ["U2"])]
    assert await refused(client.usergroups_users_list(usergroup="S0")) == "no_such_subteam"


async def test_bots_and_teams_are_described(server: SlackServer, client: AsyncWebClient) -> None:
    """The app finds itself and its workspace."""
    me = await client.auth_test()
    assert (await client.bots_info(bot=me["bot_id"]))["bot"]["user_id"] == server.bot_user
    assert (await client.team_info())["team"]["id"] == server.team_id
    assert await refused(client.bots_info(bot="B0")) == "bot_not_found"


async def test_emoji_are_put_once(server: SlackServer, client: AsyncWebClient) -> None:
    """The same emoji twice, a bad name and a missing message are refused."""
    ts = server.say("C1", "U1", "hi").ts
    args: dict[str, Any] = {"channel": "C1", "timestamp": ts}
    await client.reactions_add(name="eyes", **args)

    assert server.message(ts).reactions == {"eyes": [server.bot_user]}
    assert await refused(client.reactions_add(name="eyes", **args)) == "already_reacted"
    assert await refused(client.reactions_add(name=":eyes:", **args)) == "invalid_name"
    missing = client.reactions_add(name="eyes", channel="C1", timestamp=NEVER)
    assert await refused(missing) == "message_not_found"
    found = (await client.reactions_get(**args))["message"]["reactions"]
    assert found == [{"name": "eyes", "users": [server.bot_user], "count": 1}]
    await client.reactions_remove(name="eyes", **args)
    assert await refused(client.reactions_remove(name="eyes", **args)) == "no_reaction"


# Files


async def test_a_file_is_uploaded_in_three_steps(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """The real upload works, shows in the thread, and its image may stand in a block."""
    root = await posted(client)
    done = await client.files_upload_v2(
        filename="chart.png", content=b"PNG", channel="C1", thread_ts=root, initial_comment="look"
    )
    key = done["file"]["id"]
    image = {"type": "image", "slack_file": {"id": key}, "alt_text": "chart"}

    assert server.file(key).content == b"PNG"
    assert [item.files for item in server.thread(root)] == [[], [key]]
    assert (await client.files_info(file=key))["file"]["size"] == 3
    assert await posted(client, blocks=[image])
    unknown = image | {"slack_file": {"id": "F0"}}
    wrong = client.chat_postMessage(channel="C1", text="x", blocks=[unknown])
    assert await refused(wrong) == "invalid_blocks"


async def test_an_incomplete_upload_is_refused(server: SlackServer, client: AsyncWebClient) -> None:
    """What is announced has to be sent, whole, once."""
    started = await client.files_getUploadURLExternal(filename="a.txt", length=4)
    listed: list[dict[str, str | None]] = [{"id": str(started["file_id"]), "title": "a"}]
    early = client.files_completeUploadExternal(files=listed, channel_id="C1")
    assert await refused(early) == "file_update_failed"
    async with aiohttp.ClientSession() as session:
        async with session.post(str(started["upload_url"]), data=b"abc") as response:
            assert response.status == 400
        async with session.post(str(started["upload_url"]), data=b"abcd") as response:
            assert response.status == 200
        await client.files_completeUploadExternal(files=listed, channel_id="C1")
        async with session.post(str(started["upload_url"]), data=b"abcd") as response:
            assert response.status == 404
    twice = client.files_completeUploadExternal(files=listed, channel_id="C1")
    assert await refused(twice) == "file_not_found"
    assert await refused(client.files_info(file="F0")) == "file_not_found"


async def test_uploads_name_what_exists(server: SlackServer, client: AsyncWebClient) -> None:
    """An empty file, no files at all and an unknown channel are refused; so is others' deletion."""
    empty = client.files_getUploadURLExternal(filename="a.txt", length=0)
    assert await refused(empty) == "invalid_arguments"
    assert await refused(client.files_completeUploadExternal(files=[])) == "invalid_arguments"
    nowhere = client.files_upload_v2(filename="a.txt", content="abc", channel="C0")
    assert await refused(nowhere) == "channel_not_found"
    theirs = server.upload("U1", "app.log", b"x")
    assert await refused(client.files_delete(file=theirs)) == "cant_delete_file"
    assert await refused(client.files_delete(file="F0")) == "file_not_found"
    mine = (await client.files_upload_v2(filename="a.txt", content="abc"))["file"]["id"]
    await client.files_delete(file=mine)
    assert await refused(client.files_info(file=mine)) == "file_not_found"


async def test_a_download_takes_the_token(server: SlackServer) -> None:
    """Without a good token Slack answers with a page to sign in, and status 200."""
    key = server.upload("U1", "app.log", b"ERROR boom")
    message = server.say("C1", "U1", "see", files=[key])
    info = (await client_of(server).files_info(file=key))["file"]

    async def fetch(token: str) -> tuple[str, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(info["url_private_download"]) as response,
        ):
            return response.content_type, await response.read()

    assert message.subtype == "file_share"
    assert await fetch(server.bot_token) == ("text/plain", b"ERROR boom")
    assert (await fetch("xoxb-wrong"))[0] == "text/html"
    server.take_scope("files:read")
    assert (await fetch(server.bot_token))[0] == "text/html"
    assert [item.what for item in server.refused] == ["download", "download"]


# Views


async def test_a_trigger_opens_one_modal_within_3_s(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """A trigger works once, for 3 s, and only if Slack handed it out."""
    first, second = (server.command("C1", "U1", "help").trigger_id for _ in range(2))
    await client.views_open(trigger_id=first, view=MODAL)
    view = server.view("U1")

    assert view is not None
    assert view.payload["callback_id"] == "edit"
    again = client.views_open(trigger_id=first, view=MODAL)
    assert await refused(again) == "exchanged_trigger_id"
    invented = client.views_open(trigger_id="1.2.3", view=MODAL)
    assert await refused(invented) == "invalid_trigger_id"
    server.advance(3.1)
    late = client.views_open(trigger_id=second, view=MODAL)
    assert await refused(late) == "expired_trigger_id"


async def test_a_bad_view_is_pointed_at(server: SlackServer, client: AsyncWebClient) -> None:
    """What is wrong with a view is told as invalid_arguments with pointers into the view."""
    trigger = server.command("C1", "U1").trigger_id
    view = MODAL | {"title": {"type": "plain_text", "text": "x" * 25}}

    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=trigger, view=view)

    answer = caught.value.response
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]


async def test_a_view_is_updated_by_its_hash(server: SlackServer, client: AsyncWebClient) -> None:
    """An old hash, and a view that is closed, are refused."""
    trigger = server.command("C1", "U1").trigger_id
    view = (await client.views_open(trigger_id=trigger, view=MODAL))["view"]
    other = MODAL | {"title": {"type": "plain_text", "text": "Changed"}}
    await client.views_update(view_id=view["id"], hash=view["hash"], view=other)

    shown = server.view("U1")
    assert shown is not None
    assert shown.payload["title"]["text"] == "Changed"
    old = client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)
    assert await refused(old) == "hash_conflict"
    server.close("U1")
    assert await refused(client.views_update(view_id=view["id"], view=MODAL)) == "not_found"


async def test_external_ids_are_unique(server: SlackServer, client: AsyncWebClient) -> None:
    """A view is found by its external id, which no second view may have."""
    view = MODAL | {"external_id": "approval-1"}
    await client.views_open(trigger_id=server.command("C1", "U1").trigger_id, view=view)
    await client.views_update(external_id="approval-1", view=view)
    twice = client.views_open(trigger_id=server.command("C1", "U2").trigger_id, view=view)

    assert await refused(twice) == "invalid_arguments"


async def test_a_home_tab_is_published(server: SlackServer, client: AsyncWebClient) -> None:
    """Each person has a Home tab, which holds no markdown block and no title."""
    home: dict[str, Any] = {"type": "home", "blocks": CARD}
    first = (await client.views_publish(user_id="U1", view=home))["view"]
    second = (await client.views_publish(user_id="U1", view=home, hash=first["hash"]))["view"]
    shown = server.home("U1")

    assert shown is not None
    assert shown.blocks[1]["block_id"] == "decide"
    assert first["id"] == second["id"]
    stale = client.views_publish(user_id="U1", view=home, hash=first["hash"])
    assert await refused(stale) == "hash_conflict"
    modal = client.views_publish(user_id="U1", view=MODAL)
    assert await refused(modal) == "invalid_arguments"


# Agent sessions


async def test_a_thread_has_a_status(server: SlackServer, client: AsyncWebClient) -> None:
    """A session's status is one of four, for a thread's root, and clears after an hour."""
    root = server.say("C1", "U1", "why?")
    reply = server.say("C1", "U1", "please", thread=root.ts)

    async def set_status(status: str, thread: str | None = root.ts) -> str:
        return await refused(
            client.agents_sessions_setStatus(channel_id="C1", status=status, thread_ts=thread)
        )

    assert await set_status("processing") == ""
    assert await set_status("thinking") == "invalid_arguments"
    assert await set_status("processing", None) == "invalid_thread_ts"
    assert await set_status("processing", reply.ts) == "invalid_thread_ts"
    session = server.session(root)
    assert session is not None
    assert (session.status, session.history) == ("processing", ["processing"])
    server.advance(3_601)
    later = server.session(root)
    assert later is not None
    assert later.status == "active"
    server.take_scope("assistant:write")
    assert await set_status("active") == "missing_scope"


async def test_without_the_stop_event_there_is_a_warning(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """An app that does not hear of Stop is warned, and so is one with a title too long."""
    root = server.say("C1", "U1", "why?").ts
    args = {"channel_id": "C1", "thread_ts": root, "status": "active"}
    assert "warning" not in await client.agents_sessions_setStatus(**args)
    server.app.events.discard("agent_session_stopped")
    answer = await client.agents_sessions_setStatus(**args)
    long = client.agents_sessions_setStatus(**args, title="x" * 201)

    server.user("U9", "Zoe")
    stranger = client.agents_sessions_setStatus(**args, initiator_user_id="U9")

    assert await refused(stranger) == "user_not_in_channel"
    assert answer["warning"] == "missing_agent_session_stopped_event_subscription"
    assert await refused(long) == "invalid_arguments"


async def test_a_session_is_renamed(server: SlackServer, client: AsyncWebClient) -> None:
    """Only a session that is there gets a new title, of at most 200 characters."""
    root = server.say("C1", "U1", "why?")
    args = {"channel_id": "C1", "thread_ts": root.ts}

    async def rename(title: str) -> str:
        return await refused(client.agents_sessions_rename(**args, title=title))

    assert await rename("Slow checkout") == "session_not_found"
    await client.agents_sessions_setStatus(**args, status="active", title="Looking")
    assert await rename("x" * 201) == "invalid_arguments"
    assert await rename("Slow checkout") == ""
    session = server.session(root)
    assert session is not None
    assert session.title == "Slow checkout"


# Installs


async def test_a_code_buys_one_token(server: SlackServer) -> None:
    """A code works once, with the app's own secret, and gives the other workspace's token."""
    beta = server.team("T2", "Beta")
    nobody = AsyncWebClient(base_url=server.api_url, retry_handlers=[])
    code = server.install_code("T2", ["chat:write"], "https://muster.test/back")

    async def exchange(secret: str, client_id: str = server.app.client_id) -> str:
        return await refused(
            nobody.oauth_v2_access(
                client_id=client_id,
                client_secret=secret,
                code=code,
                redirect_uri="https://muster.test/back",
            )
        )

    assert await exchange(server.app.client_secret, "1.2") == "invalid_client_id"
    assert await exchange("wrong") == "bad_client_secret"
    assert await exchange(server.app.client_secret) == ""
    assert await exchange(server.app.client_secret) == "invalid_code"
    mine = await client_of(server, beta.bot_token).auth_test()
    assert (mine["team_id"], mine["user_id"]) == ("T2", beta.bot_user)
    assert mine.headers["x-oauth-scopes"] == "chat:write"


async def test_a_code_is_for_its_own_redirect(server: SlackServer) -> None:
    """A code that was made for one address is not exchanged for another."""
    server.team("T2", "Beta")
    nobody = AsyncWebClient(base_url=server.api_url, retry_handlers=[])
    code = server.install_code("T2", ["chat:write"], "https://muster.test/back")
    call = nobody.oauth_v2_access(
        client_id=server.app.client_id,
        client_secret=server.app.client_secret,
        code=code,
        redirect_uri="https://elsewhere.test/back",
    )

    assert await refused(call) == "bad_redirect_uri"


async def test_an_install_goes_through_the_browser(server: SlackServer) -> None:
    """The authorize page sends back with a code and the state; codes expire."""
    server.team("T2", "Beta")
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.authorize_url, params={"client_id": "0"}) as response,
    ):
        assert response.status == 400
    server.approve_installs("T2")
    query = {
        "client_id": server.app.client_id,
        "scope": "chat:write,commands",
        "state": "s1",
        "redirect_uri": "http://127.0.0.1:1/slack/oauth_redirect",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.authorize_url, params=query, allow_redirects=False) as response,
    ):
        target = response.headers["Location"]
    code = target.partition("code=")[2].partition("&")[0]
    server.advance(601)
    nobody = AsyncWebClient(base_url=server.api_url, retry_handlers=[])
    late = nobody.oauth_v2_access(
        client_id=server.app.client_id, client_secret=server.app.client_secret, code=code
    )

    assert target.startswith(query["redirect_uri"])
    assert "state=s1" in target
    assert await refused(late) == "invalid_code"


async def test_workspaces_do_not_see_each_other(server: SlackServer) -> None:
    """A token of one workspace finds no channel of another."""
    beta = server.team("T2", "Beta")
    beta.channel("C-beta", "beta")
    beta.install(BOT_SCOPES)

    assert (
        await refused(client_of(server).chat_postMessage(channel="C-beta", text="x"))
        == "channel_not_found"
    )
    await client_of(server, beta.bot_token).chat_postMessage(channel="C-beta", text="x")
    assert len(beta.messages("C-beta")) == 1


# Budgets


async def test_edits_have_a_budget_per_workspace(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """50 edits a minute are taken, the next is told how long to wait, and then it works."""
    ts = await posted(client)
    for number in range(50):
        await client.chat_update(channel="C1", ts=ts, text=str(number))

    with pytest.raises(SlackApiError) as caught:
        await client.chat_update(channel="C1", ts=ts, text="too much")

    answer = caught.value.response
    assert (answer.status_code, answer["error"]) == (429, "ratelimited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert server.message(ts).text == "49"
    assert (len(server.rate_limited), server.refused) == (1, [])
    server.advance(int(answer.headers["Retry-After"]))
    await client.chat_update(channel="C1", ts=ts, text="in time")


async def test_posts_have_a_budget_per_channel(server: SlackServer, client: AsyncWebClient) -> None:
    """A small burst, then one a second, in each channel on its own."""
    server.channel("C3", "other")
    for _ in range(3):
        await posted(client)

    assert await refused(client.chat_postMessage(channel="C1", text="x")) == "ratelimited"
    assert await refused(client.chat_postMessage(channel="#incidents", text="x")) == "ratelimited"
    assert await refused(client.chat_postMessage(channel="C3", text="x")) == ""
    server.advance(1.0)
    assert await posted(client)
    assert await refused(client.chat_postMessage(channel="C1", text="x")) == "ratelimited"
    assert len(server.rate_limited) == 3


async def test_a_budget_may_be_told_in_the_body(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """The other form is HTTP 200 with the error and no header."""
    server.limit_in_body()
    for _ in range(3):
        await posted(client)

    with pytest.raises(SlackApiError) as caught:
        await posted(client)

    answer = caught.value.response
    assert (answer.status_code, answer["error"]) == (200, "ratelimited")
    assert "Retry-After" not in answer.headers


async def test_budgets_can_be_left_out() -> None:
    """A test that is not about budgets may run without them."""
    with SlackServer(Limits(has_budgets=False)) as server:
        client = client_of(peopled(server))
        for _ in range(10):
            await posted(client)

        assert server.rate_limited == []


# Faults


async def test_a_failing_server_does_nothing(server: SlackServer, client: AsyncWebClient) -> None:
    """A planned 500 answers with a page and stores nothing; the next call works."""
    server.fault("chat.postMessage", failing(500))

    with pytest.raises(SlackApiError) as caught:
        await posted(client)

    assert caught.value.response.status_code == 500
    assert server.messages("C1") == []
    assert await posted(client)
    assert (server.faults_left, server.refused) == (0, [])


async def test_a_500_may_come_after_the_write(server: SlackServer, client: AsyncWebClient) -> None:
    """The ambiguous failure: the message is there, the answer says 500."""
    server.fault("chat.postMessage", failing(503, after_write=True))

    with pytest.raises(SlackApiError):
        await posted(client)

    assert len(server.messages("C1")) == 1


@pytest.mark.parametrize(("is_after", "stored"), [(False, 0), (True, 1)])
async def test_a_connection_may_be_cut(
    server: SlackServer, client: AsyncWebClient, is_after: bool, stored: int
) -> None:
    """The connection is cut before anything is done, or when only the answer is missing."""
    server.fault("chat.postMessage", cutting(after_write=is_after))

    with pytest.raises(aiohttp.ClientError):
        await posted(client)

    assert len(server.messages("C1")) == stored
    assert len(server.calls["chat.postMessage"]) == 1


async def test_default_retries_post_twice(server: SlackServer) -> None:
    """Why clients are built without retry handlers: a cut after the write posts again."""
    careless = AsyncWebClient(server.bot_token, base_url=server.api_url)
    server.fault("chat.postMessage", cutting(after_write=True))

    await careless.chat_postMessage(channel="C1", text="x")

    assert len(server.messages("C1")) == 2


@pytest.mark.parametrize(("in_body", "status"), [(False, 429), (True, 200)])
async def test_a_planned_limit_has_both_forms(
    server: SlackServer, client: AsyncWebClient, in_body: bool, status: int
) -> None:
    """A planned rate limit is not one that the app earned."""
    server.fault("*", limiting(7, in_body=in_body))

    with pytest.raises(SlackApiError) as caught:
        await posted(client)

    answer = caught.value.response
    assert (answer.status_code, answer["error"]) == (status, "ratelimited")
    assert answer.headers.get("Retry-After") == (None if in_body else "7")
    assert server.rate_limited == []
    assert server.calls["chat.postMessage"][0].is_injected


async def test_faults_pick_their_calls(server: SlackServer, client: AsyncWebClient) -> None:
    """A fault may look at the arguments, happen several times, and be taken back."""
    server.fault("chat.postMessage", refusing("fatal_error"), 2, lambda args: args["text"] == "bad")

    assert await refused(client.chat_postMessage(channel="C1", text="good")) == ""
    for _ in range(2):
        assert await refused(client.chat_postMessage(channel="C1", text="bad")) == "fatal_error"
    assert await refused(client.chat_postMessage(channel="C1", text="bad")) == ""
    server.fault("*", refusing("fatal_error"))
    server.clear_faults()
    assert await refused(client.auth_test()) == ""


async def test_a_slow_answer_comes_after_the_write(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """A client that gives up on a slow answer has posted all the same; a slow start has not."""
    hasty = AsyncWebClient(server.bot_token, base_url=server.api_url, retry_handlers=[], timeout=1)
    hasty.timeout = 0.05  # type: ignore[assignment]
    server.fault("chat.postMessage", slowing(0.3))
    with pytest.raises(TimeoutError):
        await posted(hasty)
    assert len(server.messages("C1")) == 1
    server.fault("chat.postMessage", slowing(0.3, after_write=False))
    with pytest.raises(TimeoutError):
        await posted(hasty)
    assert len(server.messages("C1")) == 1


# The ledger and the manifest


async def test_calls_are_kept_until_forgotten(server: SlackServer, client: AsyncWebClient) -> None:
    """A call is kept with its arguments and answer; a fresh start forgets them."""
    ts = await posted(client)
    call = server.calls["chat.postMessage"][0]

    assert (call.args["text"], call.answer["ts"], call.is_ok) == ("hello", ts, True)
    assert await refused(client.chat_update(channel="C1", ts=NEVER, text="x"))
    assert json.dumps(server.refused[0].args)
    server.forget()
    assert (server.calls["chat.postMessage"], server.refused) == ([], [])


MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Muster"},
    "features": {
        "bot_user": {"display_name": "muster"},
        "slash_commands": [{"command": "/muster", "description": "Ask"}],
        "shortcuts": [
            {"name": "Look", "type": "message", "callback_id": "look", "description": "Look"}
        ],
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "app_mentions:read"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_mention"]},
        "interactivity": {"is_enabled": True},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the manifest with one thing changed."""
    made: dict[str, Any] = json.loads(json.dumps(MANIFEST))
    *keys, last = path.split(".")
    node: Any = made
    for key in keys:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[last] = value
    return made


def test_a_manifest_sets_up_the_app(server: SlackServer) -> None:
    """A good manifest decides scopes, events, commands and shortcuts."""
    server.apply_manifest(MANIFEST)
    message = server.say("C1", "U1", "hi")

    assert manifest_problems(MANIFEST) == []
    assert server.deliveries == []
    with pytest.raises(CannotError, match="no shortcut other"):
        server.shortcut("other", "U1", message)
    with pytest.raises(CannotError, match="no command /other"):
        server.command("C1", "U1", name="/other")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("display_information.name", "x" * 36, "1 to 35 characters"),
        ("features.bot_user", {}, "display_name is missing"),
        ("features.assistant_view", {}, "use agent_view"),
        ("features.slash_commands.0.command", "muster", "/name and a description"),
        ("features.shortcuts.0.name", "x" * 25, "1 to 24 characters"),
        ("features.shortcuts.0.type", "word", "a type and a callback_id"),
        ("features.shortcuts.0.description", "", "needs a description"),
        ("oauth_config.scopes.bot", [], "is empty"),
        ("oauth_config.scopes.bot", ["app_mentions:read"], "need the scope commands"),
        ("settings.event_subscriptions.bot_events", ["message.im"], "im:history"),
        ("settings.interactivity", {}, "is_enabled"),
    ],
)
def test_a_bad_manifest_is_refused(
    server: SlackServer, path: str, value: Any, problem: str
) -> None:
    """Each rule of the settings page is told in a sentence."""
    manifest = changed(path, value)

    assert problem in "; ".join(manifest_problems(manifest))
    with pytest.raises(CannotError, match="does not take this manifest"):
        server.apply_manifest(manifest)

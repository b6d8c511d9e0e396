"""What Slack delivers is read as what somebody did; what is none of our business is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack import heard as values
from bot.platforms.slack import words
from bot.platforms.slack.attachments import is_of_slack, objection
from bot.platforms.slack.heard import Attached, Heard, Kind
from bot.platforms.slack.messages import MAX_THREAD_CHARS, thread_lines
from bot.platforms.slack.reading import read, readable
from bot.platforms.slack.words import Verb

EMOJI = "rotating_light"


def event(**fields: Any) -> dict[str, Any]:
    """Return an event as it is delivered."""
    said = {"type": "message", "user": "U1", "channel": "C1", "ts": "5.0", "text": "hi", **fields}
    return {
        "type": "event_callback",
        "team_id": "T1",
        "event_id": "Ev1",
        "event": {"channel_type": "channel", **said},
        "authorizations": [{"user_id": "UBOT", "is_bot": True}],
    }


def test_both_events_of_a_mention_have_one_key() -> None:
    """So that the second is known."""
    one = read(event(type="app_mention", text="<@UBOT> hi"), EMOJI)
    other = read(event(text="<@UBOT> hi"), EMOJI)

    assert one is not None
    assert other is not None
    assert one.key == other.key
    assert one.kind is other.kind is Kind.MENTION


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"bot_id": "B1", "text": "<@UBOT> hi"},
        {"user": "UBOT", "text": "<@UBOT> hi"},
        {"subtype": "channel_join", "text": "<@UBOT> joined"},
        {"type": "reaction_added", "reaction": "tada", "item": {"type": "message"}},
        {"type": "app_home_opened", "tab": "messages"},
        {"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}},
        {
            "subtype": "message_changed",
            "message": {"user": "U1", "ts": "5.0", "text": "b"},
            "previous_message": {"text": "a"},
        },
        {
            "subtype": "message_changed",
            "message": {"user": "U1", "ts": "5.0", "text": "<@UBOT> a"},
            "previous_message": {"text": "<@UBOT> a"},
        },
        {"type": "something_new"},
    ],
)
def test_what_is_none_of_our_business(fields: dict[str, Any]) -> None:
    """It is acknowledged, and never kept."""
    assert read(event(**fields), EMOJI) is None


def test_skin_tones_are_the_same_emoji() -> None:
    """The name before them counts."""
    item = {"type": "message", "channel": "C1", "ts": "5.0"}
    told = read(event(type="reaction_added", reaction="wave::skin-tone-2", item=item), "wave")

    assert told is not None
    assert told.kind is Kind.POINT


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_strange_values_break_nothing(value: Any) -> None:
    """What Slack never sends is read as nothing, or as something that can be kept."""
    for name in ("user", "thread_ts", "files", "subtype", "text", "blocks"):
        told = read(event(channel_type="im", **{name: value}), EMOJI)
        if told is not None:
            assert values.load(values.dump(told)) == told


def test_what_an_older_version_kept_is_read() -> None:
    """New fields have defaults."""
    told = values.load(b'{"key": "k", "kind": "click", "team": "T1", "user": "U1"}')

    assert told == Heard("k", Kind.CLICK, "T1", "U1")


def test_monitoring_bots_write_in_attachments() -> None:
    """Their words are found where they are."""
    message = {
        "text": "",
        "attachments": [{"title": "High errors", "text": "5 %", "fallback": "x"}],
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "since noon"}}],
    }

    assert readable(message) == "High errors\n5 %\nsince noon"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<@UBOT> why is checkout failing?", "why is checkout failing?"),
        ("hey <@UBOT|muster>, look", "hey , look"),
        ("ask <@U2|bob> in <#C2|ops>", "ask @bob in #ops"),
        ("see <https://a.example/x|the graph>", "see the graph (https://a.example/x)"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("<!here> a &lt;b&gt; &amp; c", "@here a <b> & c"),
        ("<!subteam^S1|@oncall> look", "@oncall look"),
        ("", ""),
    ],
)
def test_markup_is_taken_out(text: str, plain: str) -> None:
    """What is left are the words that somebody wrote."""
    assert words.plain(text, "UBOT") == plain


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """However broken its markup is."""
    words.plain(text, "UBOT")
    words.order(text)
    assert all(one.startswith("http") for one in words.addresses(text))


@pytest.mark.parametrize(
    ("text", "verb", "rest"),
    [
        ("", Verb.HELP, ""),
        (" Status ", Verb.STATUS, ""),
        ("stop run-1a2b3c", Verb.STOP, "run-1a2b3c"),
        ("stop the rollout of payments", None, "stop the rollout of payments"),
        ("runs are slow", None, "runs are slow"),
        ("why is  checkout failing?", None, "why is checkout failing?"),
    ],
)
def test_orders(text: str, verb: Verb | None, rest: str) -> None:
    """A word stands alone; anything more is a goal."""
    order = words.order(text)

    assert (order.verb, order.text) == (verb, rest)


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.log", True),
        ("https://evil.example/files.slack.com", False),
        ("https://slack.com.evil.example/x", False),
        ("http://files.slack.com/x", False),
        ("https://notslack.com/x", False),
    ],
)
def test_the_token_goes_to_slack_alone(url: str, is_ours: bool) -> None:
    """Whatever an event says where a file is."""
    assert is_of_slack(url, "https://slack.com/api/") is is_ours


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (Attached("F", "a.log", "application/octet-stream", 5), ""),
        (Attached("F", "a", "text/plain; charset=utf-8", 5), ""),
        (Attached("F", "a.csv", "text/csv", 2 * 1_048_576), "larger"),
        (Attached("F", "a.png", "image/png", 5), "no text"),
    ],
)
def test_which_files_are_read(file: Attached, told: str) -> None:
    """Text, up to a size."""
    assert told in objection(file)
    assert bool(objection(file)) is bool(told)


@given(st.lists(st.integers(0, 3_000), max_size=60))
def test_a_thread_keeps_its_beginning_and_its_end(lengths: list[int]) -> None:
    """Within a size, in the order in which it was said."""
    around = [{"ts": f"{n}.0", "user": "U1", "text": "x" * size} for n, size in enumerate(lengths)]

    lines = thread_lines(around)

    times = [line["at"] for line in lines]
    assert times == sorted(times)  # type: ignore[type-var]
    assert sum(len(str(line["text"])) for line in lines) <= MAX_THREAD_CHARS
    if lengths and lengths[0]:
        assert times[0] == 0.0

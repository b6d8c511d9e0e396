"""The page that draws what a platform shows: whole, on its own, and safe to open."""

from __future__ import annotations

import re
import threading
import urllib.request
from pathlib import Path

import pytest

from bot.cli.preview import run_preview
from bot.platforms.slack.render import render
from bot.preview import markup, slack
from bot.preview.page import PLATFORMS, page_of, scenes_of
from bot.preview.samples import SAMPLES
from bot.preview.serve import server_of
from bot.views import NoteView


def no_emoji(name: str) -> str:
    """Draw no emoji."""
    return ""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_page_has_every_scene_once(platform: str) -> None:
    """Each scene has its place, and all ids of the page differ."""
    html = page_of(platform)
    ids = re.findall(r'\sid="([^"]+)"', html)

    assert {scene.name for scene in scenes_of(platform)} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_page_loads_nothing(platform: str) -> None:
    """It is one file: no script, and nothing from elsewhere."""
    html = page_of(platform)

    assert "<script" not in html
    assert not re.search(r"<(?:link|img|iframe)\b|@import|url\(|\ssrc=", html)


def test_every_emoji_is_drawn() -> None:
    """No name of an emoji is left standing in what is drawn."""
    drawn = "".join(scene.html for scene in slack.scenes())
    texts = re.sub(r"<[^>]*>", " ", drawn)

    assert re.findall(r":[a-z_]+:", texts) == []


def test_what_is_shown_cannot_break_the_page() -> None:
    """Hostile words are words, in both markups and in plain texts."""
    hostile = '<script>alert(1)</script> "><img src=x onerror=alert(1)> [x](javascript:alert(1))'
    html = slack.draw_message(render(NoteView(hostile)).blocks)

    assert "<script" not in html
    assert "<img" not in html
    for drawn in (
        markup.mrkdwn(hostile, no_emoji, {}),
        markup.markdown(hostile, no_emoji),
    ):
        assert "<script" not in drawn
        assert "<img" not in drawn
        assert 'href="javascript' not in drawn


def test_slack_markup_is_drawn() -> None:
    """Bold, links, dates, pings and code of Slack's own markup."""
    text = "*b* _i_ ~s~ `c*d*` <https://x.example|*l*> <!date^0^{date_short_pretty} {time}|f> <@U1>"
    drawn = markup.mrkdwn(text, no_emoji, {"U1": "Ann"})

    assert drawn == (
        "<b>b</b> <i>i</i> <s>s</s> <code>c*d*</code> "
        '<a href="https://x.example">*l*</a> <time title="f">Jan 1 12:00 AM</time> '
        '<span class="ping">@Ann</span>'
    )


def test_markdown_is_drawn() -> None:
    """Paragraphs, lists and links of a markdown block."""
    drawn = markup.markdown("**a**\n\n- one\n- [two](https://x.example) &lt;b&gt;", no_emoji)

    assert drawn == (
        '<p><b>a</b></p><ul><li>one</li><li><a href="https://x.example">two</a> &lt;b&gt;</li></ul>'
    )


def test_the_command_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`muster preview slack --out` says where it is."""
    assert run_preview("slack", tmp_path / "new", 0) == 0

    path = Path(capsys.readouterr().out.strip())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown platform is answered with the known ones."""
    assert run_preview("pigeon", None, 0) == 2
    assert "choose one of: slack" in capsys.readouterr().err


def test_the_page_is_served() -> None:
    """`--port` gives the same page over HTTP, which may load nothing."""
    server = server_of("slack", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(url) as answer:
            assert answer.read().decode() == page_of("slack")
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_samples_have_names_of_their_own() -> None:
    """A scene is found by its name."""
    names = [sample.name for sample in SAMPLES]

    assert len(names) == len(set(names))

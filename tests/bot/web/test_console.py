"""The web console over HTTP: signing in, pages, forms, and what keeps them safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest

from bot.web.console.forms import local_path
from bot.web.limits import LOGIN_FAILURES, LOGIN_WINDOW_S, SESSION_S
from bot.web.sessions import COOKIE
from jobs import commands as c
from jobs.state import Person, Question
from tests.bot.web.conftest import client_of, sign_in
from tests.bot.web.sample import (
    ALICE,
    APPROVAL_ID,
    DEMO_KEY,
    HOSTILE,
    RUN_ID,
    House,
    Story,
    delivery,
)

PAGES = ["/c/incidents", "/runs", "/runs?status=active", "/approvals", "/incidents"]
HTMX = {"HX-Request": "true"}
EVENTS = {"Accept": "text/event-stream"}


async def _asked(story: Story, calls: int = 1) -> str:
    await story.begin()
    await story.look()
    run = await story.ask(calls=calls)
    return run.approvals[APPROVAL_ID].digest


@pytest.mark.parametrize("path", ["/", *PAGES, f"/runs/{RUN_ID}", "/runs/x/evidence/y"])
async def test_pages_need_a_session(client: httpx.AsyncClient, path: str) -> None:
    """Somebody who is not signed in is sent to the sign-in page, and back afterwards."""
    answer = await client.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=%2F")


async def test_a_token_signs_in(client: httpx.AsyncClient) -> None:
    """The right token opens a session whose cookie scripts cannot read; signing out ends it."""
    answer = await client.post("/login", data={"token": "alice-secret", "next": "/approvals"})
    cookie = answer.headers["set-cookie"].lower()

    assert answer.headers["location"] == "/approvals"
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert f"max-age={SESSION_S}" in cookie
    assert "secure" not in cookie
    csrf = await sign_in(client)
    await client.post("/logout", data={"csrf": csrf})
    assert (await client.get("/runs")).status_code == 303


async def test_https_makes_the_cookie_secure() -> None:
    """Behind https the cookie is never sent in the clear, and browsers are told to stay there."""
    async with client_of(House(public_url="https://muster.test")) as client:
        answer = await client.post("/login", data={"token": "alice-secret"})

    assert "secure" in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" in answer.headers


async def test_wrong_tokens_are_slowed_down(house: House, client: httpx.AsyncClient) -> None:
    """After a number of wrong tokens the client has to wait; later it may try again."""
    for _ in range(LOGIN_FAILURES):
        assert (await client.post("/login", data={"token": "guess"})).status_code == 401
    blocked = await client.post("/login", data={"token": "alice-secret"})
    house.clock.now += LOGIN_WINDOW_S + 1
    later = await client.post("/login", data={"token": "alice-secret"})

    assert blocked.status_code == 429
    assert "Too many" in blocked.text
    assert later.status_code == 303


@pytest.mark.parametrize(
    "cookie", ["", "forged", "eyJwIjoiYWxpY2UiLCJjIjoieCIsInMiOiJ4In0.aaaaaa.bbbbbbbbbbbbbbbbbbbbb"]
)
async def test_a_forged_cookie_is_no_session(client: httpx.AsyncClient, cookie: str) -> None:
    """What we did not sign is nobody."""
    client.cookies.set(COOKIE, cookie)

    assert (await client.get("/runs")).status_code == 303


async def test_the_demo_link_offers_people(client: httpx.AsyncClient) -> None:
    """The demo's link offers its people, signs one in at once when it names them, and only so."""
    offered = await client.get(f"/login?key={DEMO_KEY}")
    guessed = await client.get("/login?key=guess&person=alice")
    stranger = await client.get(f"/login?key={DEMO_KEY}&person=eve")
    chosen = await client.post("/login", data={"key": DEMO_KEY, "person": "bob"})
    direct = await client.get(f"/login?key={DEMO_KEY}&person=alice")

    assert "Continue as Alice" in offered.text
    assert "Continue as Bob" in offered.text
    assert "Continue as" not in guessed.text
    assert guessed.status_code == stranger.status_code == 200
    assert chosen.status_code == direct.status_code == 303


async def test_a_login_from_another_site_is_refused(client: httpx.AsyncClient) -> None:
    """Another site cannot sign a browser in as somebody."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.test"}):
        answer = await client.post("/login", data={"token": "alice-secret"}, headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("/runs?status=failed", "", "/runs?status=failed"),
        ("//evil.test/x", "", "/"),
        ("/\\evil.test", "", "/"),
        ("https://evil.test/", "", "/"),
        ("javascript:alert(1)", "", "/"),
        ("/x\r\nSet-Cookie: a=b", "", "/"),
        ("http://muster.test/runs", "muster.test", "/runs"),
        ("http://muster.test.evil.test/runs", "muster.test", "/"),
    ],
)
def test_redirects_stay_here(address: str, host: str, path: str) -> None:
    """Only addresses of our own pages are followed."""
    assert local_path(address, host) == path


async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient) -> None:
    """Pages, API, errors and static files forbid what they never need."""
    await sign_in(client)
    for path in (*PAGES, "/login", "/api/runs", "/nothing", "/static/app.css"):
        headers = (await client.get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert "unsafe" not in headers["content-security-policy"], path


async def test_pages_hold_no_inline_code(client: httpx.AsyncClient, story: Story) -> None:
    """No script or style stands in a page: the policy would block it."""
    await _asked(story)
    await sign_in(client)
    assert story.thread is not None
    thread = f"/c/incidents/{story.thread.id}"
    for path in (*PAGES, thread, f"/runs/{RUN_ID}", "/login"):
        text = (await client.get(path)).text
        assert "<style" not in text, path
        assert " style=" not in text, path
        assert " onclick=" not in text, path
        assert text.count("<script") == text.count("<script src="), path


@pytest.mark.parametrize(
    "path", [f"/approvals/{APPROVAL_ID}", "/goals", f"/runs/{RUN_ID}/stop", "/theme", "/logout"]
)
async def test_forms_need_their_csrf_token(
    client: httpx.AsyncClient, story: Story, path: str
) -> None:
    """A form without the session's token changes nothing."""
    digest = await _asked(story)
    await sign_in(client)
    data = {"action": "approve", "revision": "1", "digest": digest, "csrf": "guess"}

    answer = await client.post(path, data=data)

    assert answer.status_code == 403
    run = await story.house.runs.get(RUN_ID)
    assert run.approvals[APPROVAL_ID].status == "pending"
    assert run.stopped_by == ""


async def test_a_decision_works_without_scripts(client: httpx.AsyncClient, story: Story) -> None:
    """A plain form approves and answers with a page that says so."""
    digest = await _asked(story, calls=2)
    csrf = await sign_in(client)

    answer = await client.post(
        f"/approvals/{APPROVAL_ID}",
        data={
            "csrf": csrf,
            "action": "approve",
            "revision": "1",
            "digest": digest,
            "call": ["rollback/call", "other/call"],
            "keep": "rollback/call",
        },
    )

    approval = (await story.house.runs.get(RUN_ID)).approvals[APPROVAL_ID]
    assert "Approved by Alice" in answer.text
    assert (approval.status, approval.dropped) == ("approved", ("other/call",))


async def test_htmx_gets_a_notice(client: httpx.AsyncClient, story: Story) -> None:
    """With scripts the answer is a fragment; a refusal says why."""
    digest = await _asked(story)
    csrf = await sign_in(client)
    data = {"action": "deny", "revision": "1", "digest": "0" * 64}
    headers = {**HTMX, "X-CSRF-Token": csrf}

    stale = await client.post(f"/approvals/{APPROVAL_ID}", data=data, headers=headers)
    denied = await client.post(
        f"/approvals/{APPROVAL_ID}", data={**data, "digest": digest}, headers=headers
    )

    assert "reload and look" in stale.text
    assert "<html" not in stale.text
    assert "Denied by Alice" in denied.text


async def test_edit_errors_stand_at_their_fields(client: httpx.AsyncClient, story: Story) -> None:
    """The form comes back with what was typed and what is wrong with it."""
    await _asked(story)
    csrf = await sign_in(client)
    data = {
        "action": "edit",
        "revision": "1",
        "call_key": "rollback/call",
        "arg:service": "checkout",
        "arg:release": HOSTILE,
        "arg:grace_s": "",
    }

    answer = await client.post(
        f"/approvals/{APPROVAL_ID}", data=data, headers={**HTMX, "X-CSRF-Token": csrf}
    )
    number = await client.post(
        f"/approvals/{APPROVAL_ID}",
        data={**data, "arg:grace_s": "soon"},
        headers={**HTMX, "X-CSRF-Token": csrf},
    )

    assert answer.headers["hx-reswap"] == "outerHTML"
    assert "pattern" in answer.text
    assert HOSTILE in unescape(answer.text)
    assert "<script>" not in answer.text
    assert "whole number" in number.text


async def test_a_goal_leads_to_its_thread(client: httpx.AsyncClient) -> None:
    """The form starts one run however often it is sent, and leads to where it reports."""
    csrf = await sign_in(client)
    data = {"csrf": csrf, "text": "why is checkout failing?", "channel": "incidents", "key": "1"}

    first = await client.post("/goals", data=data)
    again = await client.post("/goals", data=data)
    nothing = await client.post("/goals", data={**data, "text": "hello", "key": "2"}, headers=HTMX)

    assert first.headers["location"].startswith("/c/incidents/t")
    assert first.headers["location"] == again.headers["location"]
    assert "why is checkout failing?" in nothing.text
    assert "checkout" in (await client.get(first.headers["location"])).text


async def test_who_may_not_decide_sees_why(client: httpx.AsyncClient, story: Story) -> None:
    """An approval shows its buttons only to those who may use them."""
    await story.begin()
    await story.look()
    await story.ask()
    await sign_in(client, "bob")
    page = (await client.get("/approvals")).text
    assert "Yes, approve" in page

    run = await story.house.runs.get(RUN_ID)
    approval = run.approvals[APPROVAL_ID]
    body = {"decision": "deny", "revision": 1, "digest": approval.digest}
    await client.post(
        f"/api/approvals/{APPROVAL_ID}", json=body, headers={"Authorization": "Bearer bob-secret"}
    )

    assert "Yes, approve" not in (await client.get(f"/runs/{RUN_ID}")).text
    assert "Nothing waits for your decision" in (await client.get("/approvals")).text


async def test_the_diagnosis_stands_before_the_approval(
    client: httpx.AsyncClient, story: Story
) -> None:
    """Thread, run page and approvals show the goal, then the suspects, then what is asked."""
    await _asked(story)
    await sign_in(client)
    assert story.thread is not None

    for path in (f"/c/incidents/{story.thread.id}", f"/runs/{RUN_ID}", "/approvals"):
        text = unescape((await client.get(path)).text)
        places = [
            text.index(words)
            for words in (
                "Find out why checkout is failing",
                "What it looks like",
                "checkout's error ratio rose to 41 %",
                "release 9d81e02 of checkout",
                "it went live 2 s before; it is the newest release",
                "payments is slow",
                "If approved, this runs",
            )
        ]
        assert places == sorted(places), path
        assert f'href="/runs/{RUN_ID}/evidence/ev-deploys?quote=9d81e02%20%2021%3A30%3A02Z' in text


async def test_the_start_leads_to_the_newest_thread(
    client: httpx.AsyncClient, story: Story
) -> None:
    """Start page and channel go where something happened last; the list can still be seen."""
    csrf = await sign_in(client)
    empty = await client.get("/c/incidents")
    await story.begin()
    assert story.thread is not None
    thread = f"/c/incidents/{story.thread.id}"

    start, channel = await client.get("/"), await client.get("/c/incidents")
    listed = await client.get("/c/incidents?list=1")

    assert csrf
    assert "Nothing has happened in #incidents yet" in empty.text
    assert 'data-fill="goal">why is checkout failing?</button>' in empty.text
    assert start.headers["location"] == channel.headers["location"] == thread
    assert f'class="button primary" href="{thread}"' in listed.text


async def test_an_empty_channel_is_told_of_its_first_thread(address: str, story: Story) -> None:
    """Who waits on the empty page gets a link to the first thread; nothing jumps by itself."""
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        await sign_in(client)
        params = {"page": "/c/incidents", "cursor": await story.house.console.cursor()}
        async with client.stream("GET", "/console/events", params=params) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            await story.begin()
            event = await _next_event(lines)

    assert story.thread is not None
    assert 'id="welcome" hx-swap-oob="morph"' in event["data"]
    assert f'class="button primary" href="/c/incidents/{story.thread.id}"' in event["data"]


async def test_who_may_not_answer_sees_why(client: httpx.AsyncClient, story: Story) -> None:
    """A question says who may answer it, and shows its buttons only to them."""
    await story.begin()
    await story.send(c.StartStep("logs", 1, "w"))
    question = Question("q1", "logs", "Did it happen?", ("done", "retry"), groups=("oncall",))
    await story.send(c.AskQuestion("logs", 1, question))

    await sign_in(client, "bob")
    stranger = (await client.get(f"/runs/{RUN_ID}")).text
    await sign_in(client)
    page = (await client.get(f"/runs/{RUN_ID}")).text

    assert "To be answered by group oncall" in stranger
    assert "Only group oncall may answer this." in stranger
    assert 'value="retry"' not in stranger
    assert 'value="retry"' in page
    assert "Only group oncall" not in page


async def test_a_first_approver_sees_only_the_way_to_a_veto(
    client: httpx.AsyncClient, story: Story
) -> None:
    """Whose approval is counted may still deny; to approve or edit again is not offered."""
    await story.begin()
    await story.look()
    run = await story.ask(quorum=2)
    (approval,) = run.approvals.values()
    alice = Person("console:alice", "Alice", frozenset({"oncall"}))
    await story.send(c.Decide(approval.id, alice, True, approval.revision, approval.digest))

    await sign_in(client)
    page = (await client.get(f"/runs/{RUN_ID}")).text

    assert "Your approval is counted" in page
    assert 'name="action" value="deny"' in page
    assert 'name="action" value="approve"' not in page


async def test_an_incident_says_what_was_folded(house: House, client: httpx.AsyncClient) -> None:
    """The card says since when it is open, and what the count of folded alerts means."""
    await sign_in(client)
    hook = {"Authorization": "Bearer hook-secret"}
    for _ in range(2):
        await client.post("/webhooks/alertmanager", json=delivery(), headers=hook)

    text = (await client.get("/incidents")).text

    assert "Open since" in text
    assert "1 folded</abbr>" in text
    assert "1 more notification of this incident came in after the first" in text


async def test_an_incident_is_acknowledged_with_its_button(
    house: House, client: httpx.AsyncClient
) -> None:
    """The card names who has seen it, and offers the button to nobody any more."""
    csrf = await sign_in(client)
    hook = {"Authorization": "Bearer hook-secret"}
    await client.post("/webhooks/alertmanager", json=delivery(), headers=hook)
    (incident,) = await house.incidents.list()
    path = f"/incidents/{incident.id}/acknowledge"
    offered = (await client.get("/incidents")).text

    forged = await client.post(path, data={"csrf": "guess"})
    said = await client.post(path, data={"csrf": csrf})

    assert f'action="{path}"' in offered
    assert forged.status_code == 403
    assert "You have acknowledged it." in said.text
    text = (await client.get("/incidents")).text
    assert "acknowledged by Alice" in text
    assert path not in text


async def test_the_run_page_shows_everything(client: httpx.AsyncClient, story: Story) -> None:
    """Plan, time, inputs, outputs, evidence, decisions and log stand on one page."""
    await _asked(story)
    await story.decide(ALICE)
    await story.finish()
    await sign_in(client)

    text = (await client.get(f"/runs/{RUN_ID}")).text

    for words in (
        "Deploy 9d81e02 broke checkout",
        'class="graph"',
        'class="bar-wait"',
        "&#34;service&#34;: &#34;checkout&#34;",
        "New log patterns of checkout",
        "Approved by",
        "not borne out by its evidence",
        "Worker worker-1:3 was lost in attempt 1",
    ):
        assert words in text, words


async def test_evidence_marks_the_quote(client: httpx.AsyncClient, story: Story) -> None:
    """A claim's link leads to the line it rests on; a quote that is not there is said so."""
    await _asked(story)
    await sign_in(client)
    base = f"/runs/{RUN_ID}/evidence"

    good = await client.get(f"{base}/ev-logs", params={"quote": "KeyError: 'tax_region'"})
    bad = await client.get(f"{base}/ev-logs", params={"quote": "never said"})
    chart = await client.get(f"{base}/ev-chart/file")

    assert "<mark>KeyError: &#39;tax_region&#39;</mark>" in good.text
    assert "do not stand in this evidence" in bad.text
    assert chart.headers["content-type"] == "image/png"


async def test_the_theme_is_remembered(client: httpx.AsyncClient) -> None:
    """A chosen theme holds for the browser; nonsense is ignored."""
    csrf = await sign_in(client)
    await client.post("/theme", data={"csrf": csrf, "theme": "dark", "next": "/runs"})
    assert 'data-theme="dark"' in (await client.get("/runs")).text

    await client.post("/theme", data={"csrf": csrf, "theme": '"><script>', "next": "/runs"})
    assert 'data-theme="dark"' in (await client.get("/runs")).text


async def test_the_page_is_told_what_changed(address: str, story: Story) -> None:
    """An open thread gets the changed card as a fragment with the feed's place as its id."""
    await story.begin()
    assert story.thread is not None
    page = f"/c/incidents/{story.thread.id}"
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        await sign_in(client)
        cursor = await story.house.console.cursor()
        params = {"page": page, "cursor": cursor}
        async with client.stream("GET", "/console/events", params=params) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            await story.send(c.StartStep("metrics", 1, "w"))
            event = await _next_event(lines)
            while event["id"] == cursor:  # A slow start: what the page shows of time has moved on.
                event = await _next_event(lines)

        later = await story.send(c.StartStep("logs", 1, "w"))
        headers = {"Last-Event-ID": event["id"]}
        async with client.stream(
            "GET", "/console/events", params={"page": page}, headers=headers
        ) as stream:
            missed = await _next_event(stream.aiter_lines())

    assert event["id"] != cursor
    assert 'id="messages" hx-swap-oob="morph"' in event["data"]
    assert "s-row-running" in event["data"]
    assert missed["data"].count("s-row-running") == 2
    assert later.steps["logs"].status == "running"


async def test_unchanged_messages_are_not_sent_again(address: str, story: Story) -> None:
    """After the first frame a message that did not change is only a placeholder."""
    await story.begin()
    await story.note("a note that stays the same")
    assert story.thread is not None
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        await sign_in(client)
        params = {"page": f"/c/incidents/{story.thread.id}", "cursor": "0-0"}
        async with client.stream("GET", "/console/events", params=params) as stream:
            lines = stream.aiter_lines()
            first = await _next_event(lines)
            await story.send(c.StartStep("metrics", 1, "w"))
            second = await _next_event(lines)

    assert "a note that stays the same" in first["data"]
    assert "a note that stays the same" not in second["data"]
    assert second["data"].count("<article") == 2


async def test_signing_out_ends_the_streams_of_the_session(address: str, story: Story) -> None:
    """What is open in the browser that signed out is told nothing more; others stay."""
    await story.begin()
    params = {"page": "/runs"}
    async with (
        httpx.AsyncClient(base_url=address) as leaving,
        httpx.AsyncClient(base_url=address) as staying,
    ):
        csrf = await sign_in(leaving)
        await sign_in(staying)
        async with (
            leaving.stream("GET", "/console/events", params=params) as ending,
            leaving.stream("GET", f"/api/runs/{RUN_ID}/events", headers=EVENTS) as log,
            staying.stream("GET", "/console/events", params=params) as open_stream,
        ):
            lines = open_stream.aiter_lines()
            await _next_event(lines)
            await leaving.post("/logout", data={"csrf": csrf})
            async with asyncio.timeout(10):
                await ending.aread()
                await log.aread()
            await story.look()
            told = await _next_event(lines)

    assert log.text
    assert told["data"]


async def test_streams_have_a_limit(
    house: House, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream too many is refused, and the count of open ones is a metric."""
    monkeypatch.setattr("bot.web.live.MAX_STREAMS", 1)
    await sign_in(client)
    with house.app.state.live.stream("console:bob", ""):
        answer = await client.get("/console/events", params={"page": "/runs"})
        metrics = (await client.get("/metrics")).text

    assert answer.status_code == 503
    assert "muster_event_streams 1.0" in metrics


async def _next_event(lines: AsyncIterator[str]) -> dict[str, str]:
    """Return the next event that carries data."""
    event: dict[str, str] = {}
    async with asyncio.timeout(10):
        async for line in lines:
            name, _, value = line.partition(": ")
            if name in {"id", "data"}:
                event[name] = event.get(name, "") + value + "\n" * (name == "data")
            if not line and "data" in event:
                return event
    raise AssertionError("the stream ended")

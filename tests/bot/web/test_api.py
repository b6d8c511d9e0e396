"""The HTTP API: every endpoint, and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.desk import MAX_GOAL_CHARS
from bot.web import app as app_module
from bot.web.deps import Readiness
from bot.web.limits import MAX_WEBHOOK_BYTES
from jobs import commands as c
from jobs.state import Question
from jobs.store import StoreUnavailableError
from tests.bot.web.conftest import client_of, sign_in, token
from tests.bot.web.sample import (
    ALICE,
    APPROVAL_ID,
    BOB,
    HOSTILE,
    RUN_ID,
    House,
    Story,
    delivery,
)

HOOK = {"Authorization": "Bearer hook-secret"}


async def test_a_delivery_is_accepted_once(client: httpx.AsyncClient) -> None:
    """The first delivery is accepted and starts a run; its repetition is only acknowledged."""
    first = await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)
    again = await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)

    assert (first.status_code, first.json()["accepted"]) == (202, 1)
    assert (again.status_code, again.json()["repeated"]) == (200, 1)
    runs = (await client.get("/api/runs", headers=token())).json()["runs"]
    incidents = (await client.get("/api/incidents", headers=token())).json()["incidents"]
    assert len(runs) == len(incidents) == 1
    one = await client.get(f"/api/incidents/{incidents[0]['id']}", headers=token())
    assert one.json()["run_ids"] == [runs[0]["run_id"]]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "x"}])
async def test_a_delivery_needs_its_token(
    client: httpx.AsyncClient, header: dict[str, str]
) -> None:
    """A wrong or missing token is refused with a sentence, and stores nothing."""
    answer = await client.post("/webhooks/alertmanager", json=delivery(), headers=header)

    assert answer.status_code == 401
    assert "HOOK_TOKEN" in answer.json()["hint"]
    assert (await client.get("/api/incidents", headers=token())).json()["incidents"] == []


@pytest.mark.parametrize(
    ("header", "client_host", "status"),
    [
        ({}, "127.0.0.1", 202),
        ({}, "10.0.0.7", 401),
        ({"X-Forwarded-For": "10.0.0.7"}, "127.0.0.1", 401),
        ({"Origin": "http://evil.test"}, "127.0.0.1", 401),
    ],
)
async def test_without_a_token_only_this_machine_delivers(
    house: House, header: dict[str, str], client_host: str, status: int
) -> None:
    """A source without a token takes nothing from elsewhere, a proxy, or a page in a browser."""
    transport = httpx.ASGITransport(house.app, client=(client_host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        answer = await client.post("/webhooks/local", json=delivery(), headers=header)

    assert answer.status_code == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"version":"4"}'])
async def test_a_malformed_delivery_is_explained(client: httpx.AsyncClient, body: bytes) -> None:
    """What is not JSON or of the wrong shape gets a 400 with a sentence."""
    answer = await client.post("/webhooks/alertmanager", content=body, headers=HOOK)

    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_an_unknown_source_is_named(client: httpx.AsyncClient) -> None:
    """The answer lists the sources there are."""
    answer = await client.post("/webhooks/nagios", json={}, headers=HOOK)

    assert answer.status_code == 404
    assert "alertmanager" in answer.json()["hint"]


async def test_a_body_has_a_limit(client: httpx.AsyncClient) -> None:
    """Too much is refused whether it is declared or streamed, and counted."""

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(MAX_WEBHOOK_BYTES // 65_536 + 1):
            yield b"x" * 65_536

    declared = await client.post(
        "/webhooks/alertmanager", content=b"x" * (MAX_WEBHOOK_BYTES + 1), headers=HOOK
    )
    streamed = await client.post("/webhooks/alertmanager", content=stream(), headers=HOOK)
    goal = await client.post("/api/goals", content=b"x" * 70_000, headers=token())

    assert [declared.status_code, streamed.status_code, goal.status_code] == [413, 413, 413]
    metrics = (await client.get("/metrics")).text
    assert 'refused_total{reason="too_large",source="alertmanager"} 2.0' in metrics


async def test_an_unreachable_store_asks_to_try_again(
    house: House, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away senders are told to come back; pages say it, too."""

    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Redis cannot be reached")

    await sign_in(client)
    monkeypatch.setattr(house.incidents, "accept", fail)
    monkeypatch.setattr(house.store, "run_ids", fail)

    hook = await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)
    page = await client.get("/runs")

    assert (hook.status_code, hook.headers["retry-after"]) == (503, "5")
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "cannot reach its store" in page.text


async def test_a_goal_starts_one_run_per_key(client: httpx.AsyncClient) -> None:
    """The same Idempotency-Key gives the same run, for the same person only."""
    body = {"text": "why is checkout failing?"}
    first = await client.post("/api/goals", json=body, headers={**token(), "Idempotency-Key": "k1"})
    again = await client.post("/api/goals", json=body, headers={**token(), "Idempotency-Key": "k1"})
    other = await client.post(
        "/api/goals", json=body, headers={**token("bob"), "Idempotency-Key": "k1"}
    )

    assert [first.status_code, again.status_code, other.status_code] == [202, 202, 202]
    assert first.json()["run_id"] == again.json()["run_id"] != other.json()["run_id"]


async def test_a_goal_that_nothing_fits_lists_choices(client: httpx.AsyncClient) -> None:
    """The answer says what could be asked instead."""
    answer = await client.post("/api/goals", json={"text": "hello"}, headers=token())

    assert answer.status_code == 422
    assert answer.json()["choices"] == ["why is checkout failing?"]


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": "x" * (MAX_GOAL_CHARS + 1)}, {"text": "x", "y": 1}]
)
async def test_a_goal_of_the_wrong_shape_is_explained(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    """The answer names the field."""
    answer = await client.post("/api/goals", json=body, headers=token())

    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "hint"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs",
        f"/api/runs/{RUN_ID}",
        f"/api/runs/{RUN_ID}/events",
        f"/api/runs/{RUN_ID}/evidence/ev-logs",
        "/api/approvals",
        "/api/incidents",
    ],
)
async def test_reading_needs_a_person(client: httpx.AsyncClient, path: str) -> None:
    """Without a token, or with nobody's, nothing is told."""
    assert (await client.get(path)).status_code == 401
    answer = await client.get(path, headers=token("mallory"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_session_may_read_and_with_its_csrf_token_write(
    client: httpx.AsyncClient, story: Story
) -> None:
    """The console's cookie opens the API, but not to forms of other sites."""
    await story.begin()
    csrf = await sign_in(client)

    assert (await client.get("/api/runs")).status_code == 200
    assert (await client.post(f"/api/runs/{RUN_ID}/stop")).status_code == 403
    stopped = await client.post(f"/api/runs/{RUN_ID}/stop", headers={"X-CSRF-Token": csrf})
    assert stopped.json()["outcome"] == "stopping"


async def test_a_run_is_shown_with_its_answer(client: httpx.AsyncClient, story: Story) -> None:
    """The run, its answer, its log and its evidence can be read by machines."""
    await story.begin()
    await story.look()
    await story.ask()
    await story.decide(ALICE)
    await story.finish()

    run = (await client.get(f"/api/runs/{RUN_ID}", headers=token())).json()
    events = (await client.get(f"/api/runs/{RUN_ID}/events", headers=token())).json()["events"]
    rest = await client.get(f"/api/runs/{RUN_ID}/events?after=5", headers=token())
    text = await client.get(f"/api/runs/{RUN_ID}/evidence/ev-logs", headers=token())
    chart = await client.get(f"/api/runs/{RUN_ID}/evidence/ev-chart", headers=token())
    ended = await client.get("/api/runs?status=succeeded", headers=token())
    active = await client.get("/api/runs?active=true", headers=token())

    assert run["run"]["status"] == "succeeded"
    assert run["answer"]["answer"]["finding"] == "fixed"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["event"]["type"] == "run_ended"
    assert rest.json()["events"] == events[5:]
    assert text.headers["content-type"].startswith("text/plain")
    assert "tax_region" in text.text
    assert chart.headers["content-type"] == "image/png"
    assert chart.content.startswith(b"\x89PNG")
    assert len(ended.json()["runs"]) == 1
    assert active.json()["runs"] == []


@pytest.mark.parametrize(
    "path", ["/api/runs/none", "/api/runs/none/events", "/api/runs/none/evidence/x", "/api/nothing"]
)
async def test_what_does_not_exist_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    """The answer is JSON with a hint."""
    answer = await client.get(path, headers=token())

    assert answer.status_code == 404
    assert answer.json()["hint"]


async def test_an_approval_is_decided_once(client: httpx.AsyncClient, story: Story) -> None:
    """One click wins; late, stale, strange and tampered ones get their own answers."""
    await story.begin()
    await story.look()
    await story.ask()
    listed = (await client.get("/api/approvals", headers=token())).json()["approvals"]
    seen = listed[0]["approval"]
    address = f"/api/approvals/{seen['id']}"
    body = {"decision": "approve", "revision": seen["revision"], "digest": seen["digest"]}

    unknown = await client.post("/api/approvals/none", json=body, headers=token())
    tampered = await client.post(address, json={**body, "digest": "0" * 64}, headers=token())
    stale = await client.post(address, json={**body, "revision": 7}, headers=token())
    approved = await client.post(address, json=body, headers=token())
    late = await client.post(address, json={**body, "decision": "deny"}, headers=token("bob"))

    assert listed[0]["obstacle"] == ""
    assert (unknown.status_code, unknown.json()["outcome"]) == (404, "unknown")
    assert (tampered.status_code, tampered.json()["outcome"]) == (409, "stale_revision")
    assert (stale.status_code, stale.json()["outcome"]) == (409, "stale_revision")
    assert (approved.status_code, approved.json()["outcome"]) == (200, "approved")
    assert (late.status_code, late.json()["outcome"]) == (409, "already_decided")
    assert "Alice" in late.json()["error"]
    log = await story.house.store.events(RUN_ID)
    noted = [item.event for item in log if item.event.type == "approval_refused"]
    assert len(noted) == 3


async def test_a_requester_may_not_approve(client: httpx.AsyncClient, story: Story) -> None:
    """The refusal says why, and the list said so before."""
    await story.begin(ALICE)
    await story.look()
    run = await story.ask()
    approval = run.approvals[APPROVAL_ID]
    body = {"decision": "approve", "revision": 1, "digest": approval.digest}

    listed = (await client.get("/api/approvals", headers=token())).json()["approvals"]
    refused = await client.post(f"/api/approvals/{APPROVAL_ID}", json=body, headers=token())
    approved = await client.post(f"/api/approvals/{APPROVAL_ID}", json=body, headers=token("bob"))

    assert "somebody else" in listed[0]["obstacle"]
    assert (refused.status_code, refused.json()["outcome"]) == (403, "not_allowed")
    assert approved.json()["outcome"] == "approved"


async def test_a_quorum_counts_people(client: httpx.AsyncClient, story: Story) -> None:
    """The first approval is recorded, a second click of the same person is not."""
    await story.begin()
    await story.look()
    run = await story.ask(quorum=2, calls=2)
    digest = run.approvals[APPROVAL_ID].digest
    address = f"/api/approvals/{APPROVAL_ID}"
    body = {"decision": "approve", "revision": 1, "digest": digest, "dropped": ["other/call"]}

    first = await client.post(address, json=body, headers=token())
    twice = await client.post(address, json=body, headers=token())
    second = await client.post(address, json={**body, "dropped": []}, headers=token("bob"))

    outcomes = [answer.json()["outcome"] for answer in (first, twice, second)]
    assert outcomes == ["recorded", "already_voted", "approved"]
    approval = (await story.house.runs.get(RUN_ID)).approvals[APPROVAL_ID]
    assert approval.dropped == ("other/call",)


async def test_an_edit_is_checked_field_by_field(client: httpx.AsyncClient, story: Story) -> None:
    """Wrong arguments are named; right ones make a revision that the old click does not cover."""
    await story.begin()
    await story.look()
    run = await story.ask()
    digest = run.approvals[APPROVAL_ID].digest
    address = f"/api/approvals/{APPROVAL_ID}"
    edit = {"decision": "edit", "revision": 1, "call_key": "rollback/call"}
    args = {"service": "checkout", "release": "77b01aa"}

    wrong = await client.post(
        address, json={**edit, "args": {"service": "checkout", "release": "no"}}, headers=token()
    )
    same = await client.post(
        address, json={**edit, "args": {**args, "release": "3f2a1c9"}}, headers=token()
    )
    unknown = await client.post(
        address, json={**edit, "args": {**args, "release": "bad0000"}}, headers=token()
    )
    denied = await client.post(
        address, json={**edit, "args": {**args, "service": "payments"}}, headers=token()
    )
    secret = {**args, "release": "5ec2e75", "service": "checkout-5ec2e75"}
    shown = await client.post(address, json={**edit, "args": secret}, headers=token())
    edited = await client.post(address, json={**edit, "args": args}, headers=token())
    run = await story.house.runs.get(RUN_ID)
    old = await client.post(
        address, json={"decision": "approve", "revision": 1, "digest": digest}, headers=token()
    )

    assert wrong.status_code == 422
    assert "pattern" in wrong.json()["fields"]["release"]
    assert same.status_code == 422
    assert unknown.json()["fields"] == {"release": "there is no release bad0000"}
    assert "looks like a secret" in shown.json()["fields"]["service"]
    assert denied.json()["outcome"] == "not_allowed"
    assert "denied by policy (payments stays)" in denied.text
    assert edited.json()["outcome"] == "edited"
    assert args["release"] in run.approvals[APPROVAL_ID].calls[0].title
    assert old.json()["outcome"] == "stale_revision"


async def test_a_question_is_answered_once(client: httpx.AsyncClient, story: Story) -> None:
    """The answer must be one of the options; a second one is told whose came first."""
    await story.begin()
    await story.send(c.StartStep("metrics", 1, "w"))
    question = Question("q-1", "metrics", "Did it take effect?", ("yes", "no"))
    await story.send(c.AskQuestion("metrics", 1, question))

    odd = await client.post("/api/questions/q-1", json={"answer": "maybe"}, headers=token())
    good = await client.post(
        "/api/questions/q-1", json={"answer": "yes", "run_id": RUN_ID}, headers=token()
    )
    late = await client.post("/api/questions/q-1", json={"answer": "no"}, headers=token("bob"))
    unknown = await client.post("/api/questions/q-9", json={"answer": "no"}, headers=token())

    statuses = [answer.status_code for answer in (odd, good, late, unknown)]
    assert statuses == [422, 200, 409, 404]


async def test_stopping_is_answered(client: httpx.AsyncClient, story: Story) -> None:
    """A run that goes on is stopped; one that has ended, or never was, is not."""
    await story.begin()
    address = f"/api/runs/{RUN_ID}/stop"

    stopped = await client.post(address, json={"reason": "false alarm"}, headers=token())
    again = await client.post(address, headers=token())
    unknown = await client.post("/api/runs/none/stop", headers=token())

    assert [stopped.status_code, again.status_code, unknown.status_code] == [200, 409, 404]
    assert (await story.house.runs.get(RUN_ID)).stop_reason == "false alarm"


async def test_health(house: House, client: httpx.AsyncClient) -> None:
    """Alive is not ready: readiness says what is missing."""
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200

    house.readiness = Readiness(is_ready=False, checks={"workers": "none alive"})
    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"workers": "none alive"}


async def test_metrics_count(client: httpx.AsyncClient, story: Story) -> None:
    """Runs, approvals and deliveries can be watched."""
    await story.begin()
    await story.look()
    await story.ask()
    await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)
    await client.post("/webhooks/alertmanager", content=b"{", headers=HOOK)

    text = (await client.get("/metrics")).text

    assert 'muster_runs{status="waiting"} 1.0' in text
    assert "muster_open_approvals 1.0" in text
    assert "muster_posts_laid_aside 2.0" in text
    assert 'muster_alerts_total{outcome="accepted",source="alertmanager"} 1.0' in text
    assert 'refused_total{reason="malformed",source="alertmanager"} 1.0' in text
    assert 'muster_webhook_seconds_count{source="alertmanager"} 2.0' in text


async def test_openapi_describes_the_api_alone(client: httpx.AsyncClient) -> None:
    """The description lists the API's paths, not the console's pages."""
    described = (await client.get("/api/openapi.json")).json()

    assert "/api/approvals/{approval_id}" in described["paths"]
    assert "/webhooks/{source}" in described["paths"]
    assert not [path for path in described["paths"] if path.startswith(("/c/", "/login", "/runs"))]


async def test_events_stream_and_resume(address: str, story: Story) -> None:
    """The stream gives each event once, in order, goes on after Last-Event-ID, and ends."""
    await story.begin()
    await story.look()
    headers = {**token(), "Accept": "text/event-stream"}
    seen: list[int] = []
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        async with client.stream("GET", f"/api/runs/{RUN_ID}/events", headers=headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("id: "):
                    seen.append(int(line[4:]))
                if len(seen) == 5:
                    break
        await client.post(f"/api/runs/{RUN_ID}/stop", headers=token())
        again = await client.get(
            f"/api/runs/{RUN_ID}/events", headers={**headers, "Last-Event-ID": "5"}
        )

    log = await story.house.store.events(RUN_ID)
    rest = [int(line[4:]) for line in again.text.splitlines() if line.startswith("id: ")]
    assert seen == [1, 2, 3, 4, 5]
    assert rest[:-1] == list(range(6, len(log) + 1))
    assert "event: end" in again.text


async def test_hostile_text_stays_text(house: House, client: httpx.AsyncClient) -> None:
    """An alert's markup is shown, never run, wherever it turns up."""
    await client.post("/webhooks/alertmanager", json=delivery(HOSTILE), headers=HOOK)
    async with client_of(house) as browser:
        await sign_in(browser)
        runs = (await client.get("/api/runs", headers=token())).json()["runs"]
        pages = ["/c/incidents", "/incidents", "/runs", f"/runs/{runs[0]['run_id']}"]
        for path in pages:
            text = (await browser.get(path)).text
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path
    assert json.dumps(HOSTILE)[1:-1] in (await client.get("/api/incidents", headers=token())).text
    assert BOB.name not in runs[0]["requester"]


async def test_bug_in_a_request_is_reported(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets a sentence, and whoever keeps Muster gets the error with its route."""
    reported: list[tuple[str, str]] = []

    async def buggy(run_id: str) -> None:
        raise ZeroDivisionError(run_id)

    def report(error: BaseException, path: str) -> None:
        reported.append((str(error), path))

    monkeypatch.setattr(house.store, "load", buggy)
    monkeypatch.setattr(app_module, "report_error", report)
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        answer = await client.get("/api/runs/run-1", headers=token())

    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "hint"}
    assert reported == [("run-1", "/api/runs/{run_id}")]


async def test_an_incident_is_acknowledged_once(house: House, client: httpx.AsyncClient) -> None:
    """The first person is noted; the next, and a repetition, change nothing."""
    await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)
    (shown,) = (await client.get("/api/incidents", headers=token())).json()["incidents"]
    path = f"/api/incidents/{shown['id']}"

    first = await client.post(f"{path}/acknowledge", headers=token())
    known = await house.incidents.get(shown["id"])
    again = await client.post(f"{path}/acknowledge", headers=token())
    other = await client.post(f"{path}/acknowledge", headers=token("bob"))
    stranger = await client.post(f"{path}/acknowledge")

    assert (first.status_code, first.json()["outcome"]) == (200, "acknowledged")
    assert again.json()["outcome"] == other.json()["outcome"] == "acknowledged"
    assert other.json()["sentence"] == "Alice has acknowledged it."
    assert stranger.status_code == 401
    now = (await client.get(path, headers=token())).json()
    assert (now["status"], now["acknowledged_by"]) == ("acknowledged", "Alice")
    assert await house.incidents.get(shown["id"]) == known


async def test_an_incident_is_taken_over_and_muted(house: House, client: httpx.AsyncClient) -> None:
    """Taking it over stops what runs for it; the first person stays noted."""
    await client.post("/webhooks/alertmanager", json=delivery(), headers=HOOK)
    (shown,) = (await client.get("/api/incidents", headers=token())).json()["incidents"]
    path = f"/api/incidents/{shown['id']}"

    first = await client.post(f"{path}/take-over", headers=token())
    other = await client.post(f"{path}/take-over", headers=token("bob"))
    muted = await client.post(f"{path}/mute", headers=token())

    assert (first.json()["outcome"], muted.json()["outcome"]) == ("taken", "muted")
    assert other.json()["sentence"] == "Alice has taken it over."
    now = (await client.get(path, headers=token())).json()
    assert (now["taken_by"], now["muted_until"] is not None) == ("Alice", True)
    run = await house.store.load(now["run_ids"][0])
    assert run is not None
    assert run.stopped_by == "Alice"


async def test_an_incident_that_is_over_cannot_be_acknowledged(client: httpx.AsyncClient) -> None:
    """Nor can one that never was: each is refused with what to do instead."""
    for status in ("firing", "resolved"):
        await client.post("/webhooks/alertmanager", json=delivery(status=status), headers=HOOK)
    (shown,) = (await client.get("/api/incidents", headers=token())).json()["incidents"]

    over = await client.post(f"/api/incidents/{shown['id']}/acknowledge", headers=token())
    unknown = await client.post("/api/incidents/inc-none/acknowledge", headers=token())

    assert (over.status_code, over.json()["outcome"]) == (409, "already_decided")
    assert (unknown.status_code, unknown.json()["outcome"]) == (404, "unknown")
    assert "GET /api/incidents" in unknown.json()["hint"]


async def test_runs_of_one_status_are_found_behind_others(
    client: httpx.AsyncClient, house: House
) -> None:
    """The limit counts the runs that fit, not those that were looked at."""
    ids = []
    for number in range(4):
        goal = {"text": "why is checkout failing?"}
        key = {"Idempotency-Key": str(number)}
        ids.append((await client.post("/api/goals", json=goal, headers=token() | key)).json())
        house.clock.now += 1
    oldest = ids[0]["run_id"]
    await client.post(f"/api/runs/{oldest}/stop", headers=token())

    listed = await client.get("/api/runs?limit=1&status=cancelled", headers=token())
    going = await client.get("/api/runs?limit=2&status=running", headers=token())

    assert [run["run_id"] for run in listed.json()["runs"]] == [oldest]
    assert [run["run_id"] for run in going.json()["runs"]] == [
        ids[3]["run_id"],
        ids[2]["run_id"],
    ]

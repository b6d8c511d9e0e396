"""Slack: how soon clicks are acknowledged, beside a bare Bolt app, and live cards in its limits.

Slack is the strict local server of the tests, with Slack's budgets for the live cards.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from slack_sdk.web.async_client import AsyncWebClient

from bench.figures import Figure, at_least, at_most, percentile
from bench.rig import BenchError, UpStack, muster_up, program
from tests.slack_server import Limits, Message, SlackServer
from tests.slack_server.ledger import Call

RATE: Final = 100
ACK_SECONDS: Final = 10.0
WARM_CLICKS: Final = 20
RUNS: Final = 30
CHANNELS: Final = 10
STORM_CHANNELS: Final = 3
STORM_ROUNDS: Final = 4
STEPS: Final = 5
SECONDS: Final = float(os.environ.get("BENCH_SLACK_SECONDS", "60"))
"""How long the runs live; `BENCH_SLACK_SECONDS=120` for the two minutes that are promised."""
WAIT_S: Final = 120.0
LEADING_S: Final = 62.0
"""So long after its start a bot edits each new card once: another may have posted it before."""
USER, ONCALL = "U1", "U2"
_SIGN_IN: Final = "bench-person"

_WORKFLOW = """\
name: {name}
title: {title}
description: {title}.
match:
  keywords: [{keyword}]
  examples: [{keyword} now]
steps:
{steps}
  - id: answer
    title: Say what there is
    needs: [{last}]
    agent: speaker
answer: answer
"""
_AGENT = """\
name: speaker
title: Speaker
description: Says that it looked.
runbook:
  report:
    output: {headline: That was all.}
output:
  type: object
  properties:
    headline: {type: string}
  required: [headline]
"""
_POLICIES = """\
policies:
  - name: waiting is allowed
    match: {tool: service.restart}
    verdict: allow
  - name: mending needs a person
    match: {tool: service.rollback}
    verdict: ask
    reason: It changes a running service.
    approval:
      approvers: {groups: [oncall]}
      quorum: 1
      expires_after_s: 1800
      on_expiry: deny
"""


def _waiting(number: int) -> str:
    needs = f"    needs: [wait{number - 1}]\n" if number else ""
    return (
        f"  - id: wait{number}\n    title: Wait {number}\n    tool: service.restart\n"
        f"{needs}    inputs: {{service: checkout, reason: bench}}"
    )


_MENDING = (
    "  - id: mend\n    title: Mend it\n    tool: service.rollback\n"
    "    inputs: {service: checkout, release: abcdef0}"
)


def _config() -> dict[str, str]:
    steps = "\n".join(_waiting(number) for number in range(STEPS))
    watch = {"name": "watch", "title": "Watch it", "keyword": "watch", "last": f"wait{STEPS - 1}"}
    mend = {"name": "mend", "title": "Mend it", "keyword": "mend", "last": "mend"}
    pause_s = SECONDS / STEPS
    return {
        "workflows/watch.yaml": _WORKFLOW.format(steps=steps, **watch),
        "workflows/mend.yaml": _WORKFLOW.format(steps=_MENDING, **mend),
        "agents/speaker.yaml": _AGENT,
        "policies.yaml": _POLICIES,
        "people.yaml": "people:\n  bench:\n    name: Bench\n    groups: [oncall]\n"
        f"    token_sha256: {hashlib.sha256(_SIGN_IN.encode()).hexdigest()}\n",
        "services.yaml": (
            "services:\n  checkout:\n    description: Takes carts\n    commands:\n"
            f"      restart: {{argv: [sleep, '{pause_s:.1f}'], timeout_s: 120}}\n"
            "      rollback:\n        argv: ['true', '{release}']\n"
            "        arguments: {release: '[0-9a-f]{7,40}'}\n"
        ),
    }


async def measure() -> list[Figure]:
    """Return the figures of Slack."""
    return [*await _acks(), *await _live()]


# Acknowledgements


async def _acks() -> list[Figure]:
    """Click a hundred times a second; each click is kept, acted on, and told a sentence."""
    loose = Limits(has_budgets=False)
    with SlackServer(loose) as slack:
        button = await _workspace(slack)
        with program(("-m", "bench.bare_bolt", slack.api_url, slack.bot_token, slack.app_token)):
            bare = await _clicked(slack, button)
    with SlackServer(loose) as slack:
        button = await _workspace(slack)
        async with _muster(slack):
            ours = await _clicked(slack, button)
    p99, bare_p99 = percentile(ours, 99), percentile(bare, 99)
    return [
        Figure("slack_ack_p50", percentile(ours, 50), "ms"),
        Figure("slack_ack_p99", p99, "ms", at_most(50)),
        Figure("slack_ack_bare_p50", percentile(bare, 50), "ms"),
        Figure("slack_ack_bare_p99", bare_p99, "ms"),
        Figure("slack_ack_ratio_p50", percentile(ours, 50) / percentile(bare, 50), "x bare Bolt"),
    ]


async def _workspace(slack: SlackServer) -> Message:
    """Put people, channels and a message with a button into the workspace."""
    slack.user(USER, "Bob Brown")
    slack.user(ONCALL, "Alice Adams", groups=["oncall"])
    for number in range(CHANNELS):
        slack.channel(f"C{number}", f"team-{number}", members=[USER, ONCALL])
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    value = '{"do":"approve","id":"ap-gone","rev":1,"sha":"0"}'
    element: dict[str, Any] = {"type": "button", "action_id": "muster:approve", "value": value}
    element["text"] = {"type": "plain_text", "text": "Approve"}
    blocks = [{"type": "actions", "elements": [element]}]
    said = await client.chat_postMessage(channel="C0", text="Approve?", blocks=blocks)
    return slack.message(str(said["ts"]))


async def _clicked(slack: SlackServer, button: Message) -> list[float]:
    """Return the ms of each acknowledgement at a steady rate."""
    await slack.until(lambda: slack.open_sockets, WAIT_S)
    for _ in range(WARM_CLICKS):
        await slack.done(slack.click(button, "muster:approve", USER))
    sent = []
    began = time.perf_counter()
    for number in range(int(RATE * ACK_SECONDS)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        sent.append(slack.click(button, "muster:approve", USER))
    await slack.settled(timeout_s=WAIT_S)
    lost = sum(not one.is_acked for one in sent)
    if lost:
        raise BenchError(f"{lost} of {len(sent)} clicks were not acknowledged")
    return [1_000 * one.took_s for one in sent]


# Live cards


async def _live() -> list[Figure]:
    """Let thirty runs live in one workspace, with approvals asked in three busy channels."""
    with SlackServer() as slack:
        await _workspace(slack)
        async with _muster(slack) as stack, _console(stack) as http:
            await slack.until(lambda: slack.open_sockets, WAIT_S)
            await asyncio.sleep(LEADING_S)
            for number in range(RUNS):
                slack.mention(f"C{number % CHANNELS}", USER, "watch it")
                await asyncio.sleep(0.1)
            for _ in range(STORM_ROUNDS):
                await asyncio.sleep(SECONDS / (2 * STORM_ROUNDS))
                for number in range(STORM_CHANNELS):
                    slack.mention(f"C{number}", USER, "mend it")
            count = RUNS + STORM_ROUNDS * STORM_CHANNELS
            await _until(lambda: len(_answers(slack)) >= RUNS, SECONDS + WAIT_S)
            runs = await _runs(http, count)
        calls = sorted(
            (one for name in ("chat.postMessage", "chat.update") for one in slack.calls[name]),
            key=lambda one: one.at,
        )
        stale = _staleness(runs, _edits(calls))
        approvals = _approvals(runs, calls)
        if len(approvals) != STORM_ROUNDS * STORM_CHANNELS:
            raise BenchError(f"{len(approvals)} approvals were shown")
        return [
            Figure("slack_live_429", len(slack.rate_limited), "calls refused", at_most(0)),
            Figure("slack_live_stale_p50", percentile(stale, 50), "s"),
            Figure("slack_live_stale_p95", percentile(stale, 95), "s"),
            Figure("slack_live_answers", len(_answers(slack)), f"of {RUNS}", at_least(RUNS)),
            Figure("slack_live_edits", len(slack.calls["chat.update"]), "edits"),
            Figure("slack_approval_p50", percentile(approvals, 50), "s"),
            Figure("slack_approval_p99", percentile(approvals, 99), "s", at_most(2)),
        ]


@asynccontextmanager
async def _muster(slack: SlackServer) -> AsyncIterator[UpStack]:
    async with muster_up(
        _config(),
        MUSTER_SLACK_BOT_TOKEN=slack.bot_token,
        MUSTER_SLACK_APP_TOKEN=slack.app_token,
        MUSTER_SLACK_API_URL=slack.api_url,
    ) as stack:
        yield stack


@asynccontextmanager
async def _console(stack: UpStack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {_SIGN_IN}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=WAIT_S) as http:
        yield http


async def _runs(http: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Return all runs with their steps and approvals, as the console's API tells them."""
    answer = await http.get("/api/runs", params={"limit": count})
    listed = answer.raise_for_status().json()["runs"]
    if len(listed) != count:
        raise BenchError(f"{len(listed)} of {count} runs were started")
    answers = [await http.get(f"/api/runs/{one['run_id']}") for one in listed]
    return [answer.json()["run"] for answer in answers]


def _answers(slack: SlackServer) -> list[Message]:
    said = [one for number in range(CHANNELS) for one in slack.messages(f"C{number}")]
    return [one for one in said if _key(one.metadata).endswith(":answer")]


def _key(metadata: dict[str, Any]) -> str:
    return str(metadata.get("event_payload", {}).get("key", ""))


def _edits(calls: list[Call]) -> dict[str, list[Call]]:
    """Return, by run, the calls that showed its card, in order."""
    runs: dict[tuple[str, str], str] = {}
    found: dict[str, list[Call]] = {}
    for call in calls:
        if not call.is_ok:
            continue
        place = (str(call.args.get("channel")), str(call.answer["ts"]))
        if call.method == "chat.postMessage":
            run, _, kind = _key(_parsed(call.args.get("metadata"))).partition(":")
            if kind != "card":
                continue
            runs[place] = run
        if place in runs:
            found.setdefault(runs[place], []).append(call)
    return found


def _parsed(value: Any) -> dict[str, Any]:
    read = json.loads(value) if isinstance(value, str) and value else value
    return read if isinstance(read, dict) else {}


def _staleness(runs: list[dict[str, Any]], shown: dict[str, list[Call]]) -> list[float]:
    """Return for each step that ended the seconds until its card was next written."""
    waits = []
    for run in runs:
        for step in run["steps"]:
            if step["ended_at"] is not None:
                waits += _until_shown(step["ended_at"], shown.get(run["run_id"], []))
    if not waits:
        raise BenchError("no card was edited")
    return waits


def _approvals(runs: list[dict[str, Any]], calls: list[Call]) -> list[float]:
    """Return for each approval the seconds until a card showed its button."""
    waits = []
    for run in runs:
        for approval in run["approvals"]:
            naming = [one for one in calls if one.is_ok and approval["id"] in str(one.args)]
            waits += _until_shown(approval["requested_at"], naming)
    return waits


def _until_shown(at: float, calls: list[Call]) -> list[float]:
    return [one.at - at for one in calls if one.at >= at][:1]


async def _until(is_true: Callable[[], object], within_s: float) -> None:
    end = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > end:
            return  # The figures say what is missing.
        await asyncio.sleep(0.2)

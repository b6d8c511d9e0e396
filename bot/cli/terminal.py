"""What the command line prints: runs, approvals, and a run as it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.cli.client import Client, ClientError, UnreachableError
from bot.cli.plain_text import plain, plain_lines

POLL_S = 0.4
PATIENCE_S = 30.0
"""A bot that starts again is waited for this long."""
INSET = "  "
MAX_DEPTH_SHOWN = 5
OVER = frozenset({"succeeded", "failed", "cancelled"})
SHAPES = {
    "pending": ("·", "dim"),
    "queued": ("○", "dim"),
    "running": ("▶", "cyan"),
    "waiting": ("?", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "cancelled": ("■", "dim"),
}
"""A shape and a colour for each status; the word stands beside them."""

_out = Console(highlight=False)


def watch_run(client: Client, run_id: str) -> int:
    """Show a run until it ends, then its answer; returns 0 when it succeeded."""
    with Live(console=_out, refresh_per_second=8, transient=True) as live:
        while True:
            detail = _patiently(lambda: client.get(f"/api/runs/{run_id}"))
            live.update(card(detail["run"], time.time()))
            if detail["run"]["status"] in OVER:
                break
            time.sleep(POLL_S)
    print_run(detail)
    return 0 if detail["run"]["status"] == "succeeded" else 1


def _patiently(ask: Callable[[], Any]) -> Any:
    """Return the answer, waiting a while for a bot that does not answer: the run goes on."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except UnreachableError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(POLL_S)


def card(run: Mapping[str, Any], now: float) -> Group:
    """Return a run's live card."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    planner = run.get("planner")
    if planner:
        _add_step(table, {**planner, "title": "Plan"}, now)
    for step in run["steps"]:
        _add_step(table, step, now)
    parts: list[Any] = [Text(plain(run["headline"]), style="bold")]
    if late := run.get("late"):
        parts.append(Text(f"Late since {clock(late['at'])}", style="red"))
    parts += [table, *_changes(run), *_waiting(run)]
    if spent := run.get("spent"):
        parts.append(Text(spent["text"], style="dim"))
    return Group(*parts)


def _add_step(table: Table, step: Mapping[str, Any], now: float) -> None:
    """Add a step's row; below it, which agents handed it over."""
    shape, colour = SHAPES[step["status"]]
    began, ended = step["started_at"], step["ended_at"]
    took = duration((ended or now) - began) if began else ""
    inset = INSET * min(step.get("depth", 0), MAX_DEPTH_SHOWN)
    table.add_row(
        Text(shape, style=colour),
        Text(step["status"], style=colour),
        Text(inset + plain(step["title"])),
        Text(plain(step["worker_name"]), style="dim"),
        Text(took, style="dim", justify="right"),
        Text(plain(step["note"]), style="dim"),
    )
    for one in step.get("handoffs") or ():
        told = plain(f"{inset}{INSET}{one['source']} → {one['to']}: {one['reason']}")
        table.add_row("", "", Text(told, style="dim"), "", "", "")


def _changes(run: Mapping[str, Any]) -> list[Text]:
    """Return a line for each time that the plan was changed."""
    revisions = [one for one in run.get("revisions") or () if one["number"] > 1]
    return [
        Text(plain(f"Plan {one['number']} {one['planner']}".strip() + f": {one['reason']}"))
        for one in revisions
    ]


def _waiting(run: Mapping[str, Any]) -> list[Text]:
    """Return what people are asked, with the commands that answer."""
    pending = [a for a in run["approvals"] if a["status"] == "pending"]
    lines = [Text(f"Waits for {a['approvers']}: muster approve {a['id']}") for a in pending]
    for question in run["questions"]:
        if question["answer"] or question.get("is_closed"):
            continue
        lines.append(Text(plain(f"Asks: {question['text']}")))
        lines.append(Text(plain(f"  {answer_command(run['run_id'], question)}"), style="cyan"))
    return lines


def answer_command(run_id: str, question: Mapping[str, Any]) -> str:
    """Return the command that answers a question, its options told."""
    options = " | ".join(question.get("options") or ())
    command = f"muster answer {run_id} {question.get('id', '')} "
    return command + (f'"{options}"' if options else '"…"')


def print_run(detail: Mapping[str, Any]) -> None:
    """Print a run's card and, once there is one, its answer."""
    run = detail["run"]
    _out.print(Text(plain(f"{run['run_id']}  {run['title']}"), style="dim"))
    _out.print(card(run, time.time()))
    if detail["answer"] is not None:
        _print_answer(detail["answer"])


def _print_answer(view: Mapping[str, Any]) -> None:
    answer = view["answer"]
    _out.print()
    _out.print(Text(plain(answer["headline"]), style="bold"))
    if answer["summary"]:
        _out.print(plain_lines(answer["summary"]), markup=False)
    sure = answer["confidence"]
    finding = answer["finding"].replace("_", " ")
    _out.print(Text(finding + (f", {sure:.0%} sure" if sure is not None else ""), style="dim"))
    for claim in answer["claims"]:
        cites = ", ".join(cite["evidence_id"] for cite in claim["cites"])
        line = Text(plain(f"  {claim['text']}"), style="strike" if claim["is_struck"] else "")
        _out.print(line + Text(f"  [{cites}]", style="dim"))
    for title, key in (("Timeline", "timeline"), ("Done", "actions"), ("Next", "recommendations")):
        if answer[key]:
            _out.print(Text(title, style="bold"))
        for item in answer[key]:
            text = item if isinstance(item, str) else f"{clock(item['at'])}  {item['text']}"
            _out.print(f"  {plain(text)}", markup=False)
    for item in answer["missing"]:
        _out.print(f"  Missing: {plain(item)}", markup=False)
    _out.print(Text(plain(_effort(view)), style="dim"))


def _effort(view: Mapping[str, Any]) -> str:
    """Say which models were used, what they cost and how long it took."""
    spent, took_s = view.get("spent"), view.get("took_s")
    parts = ["No model was used"]
    if spent:
        parts = [spent["text"], f"models: {', '.join(spent['models'])}"]
    elif view["answer"].get("used_model"):
        parts = ["Models were used"]
    if took_s is not None:
        parts.append(f"took {duration(took_s)}")
    return " · ".join(parts)


def print_runs(runs: Sequence[Mapping[str, Any]]) -> None:
    """Print runs, one line each."""
    if not runs:
        _out.print('No runs yet. Start one with: muster goal "why is checkout failing?"')
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("run", "status", "started", "what"):
        table.add_column(title, style="dim" if title != "what" else "")
    for run in runs:
        shape, colour = SHAPES[run["status"]]
        state = Text(f"{shape} {run['status']}", style=colour)
        table.add_row(run["run_id"], state, clock(run["started_at"]), Text(plain(run["headline"])))
    _out.print(table)


def choose_approval(waiting: Sequence[Mapping[str, Any]], approval_id: str) -> Mapping[str, Any]:
    """Return the approval that is meant; ClientError when that is not clear."""
    approvals = [item["approval"] for item in waiting]
    chosen = [a for a in approvals if not approval_id or a["id"] == approval_id]
    if len(chosen) == 1:
        found: Mapping[str, Any] = chosen[0]
        return found
    if not approvals:
        raise ClientError("Nothing waits for a decision.")
    names = "\n".join(f"  {a['id']}  {a['title']}" for a in approvals)
    raise ClientError(f"Say which one:\n{names}")


def print_approval(approval: Mapping[str, Any]) -> None:
    """Print what would run."""
    _out.print(Text(plain(approval["title"]), style="bold"))
    if approval["reason"]:
        _out.print(plain_lines(approval["reason"]), markup=False)
    for call in approval["calls"]:
        _out.print(f"  {call['tool']}", markup=False)
        for name, value in call["args"].items():
            _out.print(f"    {name}: {plain(str(value))}", markup=False)
    _out.print(Text(f"Decided by {approval['approvers']}", style="dim"))


def duration(seconds: float) -> str:
    """Return a duration for a narrow column: `4.2 s`, `3 min 5 s`."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def clock(at: float) -> str:
    """Return a time of day, in UTC as everywhere in Muster."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%SZ")

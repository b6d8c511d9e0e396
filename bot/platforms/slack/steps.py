"""A run's steps: as the tasks of Slack's plan, or as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from agents.wording import duration
from bot.platforms.slack.blocks import (
    MAX_PLAN_BYTES,
    MAX_SECTION,
    MAX_TASK_TEXT,
    Block,
    Element,
    plan,
    section,
    size,
    task,
    words,
)
from bot.platforms.slack.escape import mrkdwn, one_line, unstarred, width
from bot.platforms.slack.folding import Folded, Line, fold, tally
from bot.platforms.slack.style import Room
from bot.views import RunView, StepView
from jobs.state import TERMINAL, Status

INSIDE: Final = "↳"
MAX_DEPTH_SHOWN: Final = 3
MAX_NAME_CHARS: Final = 60
MAX_HANDOFFS: Final = 3
PRECISE_S: Final = 9.95
"""Below this many seconds a tenth matters."""
REST: Final = "the-rest"

TASK_STATUS: Final[Mapping[Status, str]] = {
    Status.PENDING: "pending",
    Status.QUEUED: "pending",
    Status.RUNNING: "in_progress",
    Status.WAITING: "in_progress",
    Status.SUCCEEDED: "complete",
    Status.FAILED: "error",
    Status.SKIPPED: "pending",
    Status.CANCELLED: "pending",
}
"""A step that was left out is not ticked off: it looks like one that never began, and says so."""

SIGNS: Final[Mapping[Status, str]] = {
    Status.PENDING: ":white_circle:",
    Status.QUEUED: ":white_circle:",
    Status.RUNNING: ":large_blue_circle:",
    Status.WAITING: ":raised_hand:",
    Status.SUCCEEDED: ":white_check_mark:",
    Status.FAILED: ":x:",
    Status.SKIPPED: ":heavy_minus_sign:",
    Status.CANCELLED: ":black_square_for_stop:",
}


def plan_blocks(view: RunView, room: Room) -> list[Block]:
    """Return Slack's own card of the steps; nothing before there are any."""
    if not view.steps:
        return []
    folded = fold(view.steps, room.tasks)
    tasks = [_task(line, room) for line in folded.lines]
    if folded.left_out:
        tasks.append(_rest(folded))
    block = plan(one_line(plan_title(view), MAX_TASK_TEXT), tasks)
    return [block]


def fits(blocks: Sequence[Block]) -> bool:
    """Say whether each plan among the blocks is small enough for Slack to edit it."""
    return all(size([one]) <= MAX_PLAN_BYTES for one in blocks if one["type"] == "plan")


def text_blocks(view: RunView, room: Room) -> list[Block]:
    """Return the steps as lines, for workspaces that refuse plans."""
    folded = fold(view.steps, room.tasks)
    lines = [_text_line(line, room) for line in folded.lines]
    if folded.left_out:
        lines.append(f"{SIGNS[Status.PENDING]} _{rest_text(folded)}_")
    return [section(text) for text in packed(lines)]


def packed(lines: Sequence[str]) -> list[str]:
    """Return the lines in as few texts as fit into sections."""
    texts: list[str] = []
    for line in lines:
        if texts and width(texts[-1]) + 1 + width(line) <= MAX_SECTION:
            texts[-1] = f"{texts[-1]}\n{line}"
        else:
            texts.append(line)
    return texts


def plan_title(view: RunView) -> str:
    """Return what stands above the tasks: what is going on, or how it went."""
    if view.ended_at is None:
        return view.headline
    took_s = duration(view.ended_at - view.started_at)
    leaves = _leaves(view.steps)
    is_smooth = all(step.status is Status.SUCCEEDED for step in leaves)
    count = f"{len(leaves)} {'step' if len(leaves) == 1 else 'steps'}"
    return f"{count if is_smooth else tally(leaves)} in {took_s}"


def took(step: StepView) -> str:
    """Return how long a step worked, without its waiting for people; empty before its end."""
    if step.started_at is None or step.ended_at is None:
        return ""
    seconds = max(0.0, step.ended_at - step.started_at - step.waited_s)
    return f"{seconds:.1f} s" if seconds < PRECISE_S else duration(seconds)


def rest_text(folded: Folded) -> str:
    """Return one line for the steps that have none."""
    count = len(folded.left_out)
    return f"and {count} more {'step' if count == 1 else 'steps'} ({tally(folded.left_out)})"


def _leaves(steps: Sequence[StepView]) -> list[StepView]:
    parents = {step.parent for step in steps}
    return [step for step in steps if step.id not in parents]


def _task(line: Line, room: Room) -> Block:
    step = line.step
    is_failed = step.status is Status.FAILED
    details = _said(line, room, with_note=not is_failed)
    output: list[Element] = []
    if is_failed and step.note:
        output = [words(one_line(step.note, max(room.note, 40)))]
    return task(
        step.id,
        _title(line, room),
        TASK_STATUS[step.status],
        details=[words(details)] if details else (),
        output=output,
    )


def _title(line: Line, room: Room) -> str:
    step = line.step
    depth = min(step.depth, MAX_DEPTH_SHOWN)
    inside = f"{INSIDE * depth} " if depth else ""  # Slack shows no spaces before a title
    return f"{inside}{one_line(step.title, room.title)}{_standing(line)}"


def _standing(line: Line) -> str:
    """Return what the task's own sign does not say."""
    if line.folded:
        return f" ({tally(line.folded)})"
    match line.step.status:
        case Status.SKIPPED:
            return " (skipped)"
        case Status.CANCELLED:
            return " (cancelled)"
        case Status.WAITING:
            return " (waiting)"
        case _:
            return ""


def _said(line: Line, room: Room, *, with_note: bool) -> str:
    """Return who does the step, how long it took and what is known of it, on one line."""
    step = line.step
    if not room.note:
        return ""
    parts = [one_line(step.worker_name, MAX_NAME_CHARS) if step.worker_name else ""]
    parts.append(took(step))
    parts.append(f"try {step.attempt}" if step.attempt > 1 else "")
    for hop in step.handoffs[-MAX_HANDOFFS:]:
        names = f"{one_line(hop.source, MAX_NAME_CHARS)} → {one_line(hop.to, MAX_NAME_CHARS)}"
        parts.append(f"{names}: {one_line(hop.reason, room.note)}" if hop.reason else names)
    if with_note and step.note:
        parts.append(one_line(step.note, room.note))
    return (
        one_line(" · ".join(part for part in parts if part), MAX_SECTION // 2) if any(parts) else ""
    )


def _rest(folded: Folded) -> Block:
    is_done = all(step.status in TERMINAL for step in folded.left_out)
    is_going = any(TASK_STATUS[step.status] == "in_progress" for step in folded.left_out)
    is_failed = any(step.status is Status.FAILED for step in folded.left_out)
    status = "in_progress" if is_going else "pending"
    if is_done:
        status = "error" if is_failed else "complete"
    return task(REST, rest_text(folded), status)


def _text_line(line: Line, room: Room) -> str:
    step = line.step
    indent = "\u2003" * min(step.depth, MAX_DEPTH_SHOWN)
    title = one_line(unstarred(f"{step.title}{_standing(line)}"), room.title + 40, mrkdwn)
    said = _said(line, room, with_note=True)
    rest = f"  {one_line(said, MAX_SECTION // 2, mrkdwn)}" if said else ""
    return f"{indent}{SIGNS[step.status]} *{title}*{rest}"

"""What Muster says in Slack outside its cards, and how it reads what people write there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agents.wording import duration
from bot.platforms.slack.blocks import date, link
from bot.platforms.slack.escape import bold, clip, mrkdwn, one_line
from bot.platforms.slack.reading import COMMAND
from bot.platforms.slack.style import Style
from bot.views import IncidentView, RunView
from jobs.state import TERMINAL

MAX_SENTENCE_CHARS: Final = 2_800
MAX_LISTED: Final = 10
MAX_CHOICES: Final = 6
MAX_LINKS: Final = 10
MAX_TITLE_CHARS: Final = 120

NOT_FOR_OUTSIDERS: Final = (
    "Muster works for members of this workspace. Whoever runs it can let you in: people.yaml, "
    "docs/slack.md."
)
NOT_KNOWN: Final = (
    "This button means nothing to the Muster that runs now. Look for the latest card in the "
    "thread, or decide in the console."
)
BROKEN: Final = "That went wrong on Muster's side, and was reported. Try again, or use the console."
NOT_NOW: Final = (
    "Muster cannot reach its store right now. Look in a minute whether it was done before you try "
    "again; if it stays so, tell whoever runs it."
)
TOO_LATE: Final = "That took too long for Slack to open a dialog. Click again."
AT_IT: Final = "A run in this thread is looking into it already."
NOTHING_THERE: Final = "There are no words in that message to look into."
NO_RUN_HERE: Final = "Nothing runs in this channel."
NOT_CHANGED: Final = (
    "The run of this message has ended, so the change came too late. Write a new message."
)
SAY_WHAT: Final = "Say what is wanted."
ABOUT_FILES: Final = "Look into the attached files."
ABOUT_THREAD: Final = "Look into what this thread is about."

_TOKEN = re.compile(r"<([^<>]+)>")
_ADDRESS = re.compile(r"https?://[^\s<>|\"']{3,2000}")
_RUN_ID = re.compile(r"run-[a-z0-9-]{4,60}")


class Verb(StrEnum):
    """What `/muster` understands besides goals."""

    HELP = "help"
    STATUS = "status"
    RUNS = "runs"
    STOP = "stop"
    INCIDENTS = "incidents"
    WORKFLOWS = "workflows"


@dataclass(frozen=True, slots=True)
class Order:
    """What a slash command asks for: a verb with an argument, or a goal."""

    verb: Verb | None
    text: str


def order(text: str) -> Order:
    """Read what follows `/muster`; a verb stands alone, but for the run that `stop` may name."""
    text = " ".join(text.split())
    first, _, rest = text.partition(" ")
    word = first.casefold()
    if not text:
        return Order(Verb.HELP, "")
    if word in set(Verb) and (not rest or (word == Verb.STOP and _RUN_ID.fullmatch(rest))):
        return Order(Verb(word), rest)
    return Order(None, text)


def plain(text: str, bot_user: str = "") -> str:
    """Return what somebody wrote without Slack's markup, and without naming Muster."""

    def replaced(found: re.Match[str]) -> str:
        inside, _, shown = found[1].partition("|")
        if inside.startswith("@"):
            user = inside[1:]
            return "" if user == bot_user else f"@{shown or user}"
        if inside.startswith("#"):
            return f"#{shown or inside[1:]}"
        if inside.startswith("!"):
            return shown or f"@{inside[1:].partition('^')[0]}"
        target = inside.removeprefix("mailto:")
        return target if not shown or shown in inside else f"{shown} ({target})"

    lines = html.unescape(_TOKEN.sub(replaced, text)).split("\n")
    return "\n".join(" ".join(line.split(" ")).rstrip() for line in lines).strip(" \n,:")


def addresses(text: str) -> tuple[str, ...]:
    """Return the web addresses in a text, as Slack writes them."""
    found = [html.unescape(one[0]).rstrip(".,;:)") for one in _ADDRESS.finditer(text)]
    return tuple(dict.fromkeys(found))[:MAX_LINKS]


def is_to_somebody_else(text: str, bot_user: str) -> bool:
    """Whether a reply begins by naming another person: it is not for Muster."""
    named = re.match(r"\s*<@([A-Z0-9]+)", text)
    return named is not None and named[1] != bot_user


def said(sentence: str, choices: Iterable[str] = ()) -> str:
    """Return a sentence as Slack takes it, with goals that would fit."""
    listed = [f"• {one_line(choice, 200, mrkdwn)}" for choice in list(choices)[:MAX_CHOICES]]
    return "\n".join([clip(sentence, MAX_SENTENCE_CHARS - 1_500, mrkdwn), *listed])


def help_text(examples: Sequence[str], emoji: str) -> str:
    """Return what can be done, and how."""
    lines = [
        "*What I do*: I look into what you ask, show every step in a thread, and ask before I "
        "change anything.",
        f"• `{COMMAND} <goal>`, or mention me, or write to me directly",
        "• the shortcut *Investigate this* on a message, "
        f"or :{emoji}: on it: I look into it with its thread",
        "• write in a run's thread to tell it something, to answer it, or `stop`",
        f"• `{COMMAND} status`, `runs`, `incidents`, `workflows`, `stop`",
    ]
    if examples:
        lines.append("*For example*")
        lines += [f"• {one_line(text, 200, mrkdwn)}" for text in examples[:MAX_CHOICES]]
    return "\n".join(lines)


def workflows_text(flows: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """Return the workflows: title, description, examples."""
    if not flows:
        return "There are no workflows. Add one: workflows/*.yaml, docs/workflows.md."
    lines = []
    for title, description, examples in flows[:MAX_LISTED]:
        lines.append(f"{bold(title, MAX_TITLE_CHARS)}: {one_line(description, 200, mrkdwn)}")
        lines += [f"    “{one_line(text, 150, mrkdwn)}”" for text in examples[:2]]
    return "\n".join(lines)


def runs_text(runs: Sequence[RunView], style: Style) -> str:
    """Return the newest runs, a line each."""
    if not runs:
        return f"There are no runs yet. Start one: `{COMMAND} <goal>`."
    return "\n".join(_run(run, style) for run in runs[:MAX_LISTED])


def incidents_text(views: Sequence[IncidentView], style: Style) -> str:
    """Return the open incidents, a line each."""
    if not views:
        return "No incident is open."
    lines = []
    for view in views[:MAX_LISTED]:
        url = style.thread_url(view.thread)
        title = link(url, view.title, MAX_TITLE_CHARS) if url else ""
        who = view.taken_by or view.acknowledged_by
        has = f", {one_line(who, 60, mrkdwn)} has it" if who else ""
        shown = title or bold(view.title, MAX_TITLE_CHARS)
        lines.append(f"• {shown}: open since {date(view.opened_at)}{has}")
    more = len(views) - MAX_LISTED
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def status_text(
    *, running: int, waiting: int, incidents: int, health: str, console: str, spent: str = ""
) -> str:
    """Return how Muster is."""
    parts = [
        f"*{running}* {'run' if running == 1 else 'runs'} going",
        f"*{waiting}* waiting for approval",
        f"*{incidents}* open {'incident' if incidents == 1 else 'incidents'}",
    ]
    lines = [" · ".join(parts), one_line(health, 300, mrkdwn)]
    if spent:
        lines.append(one_line(spent, 200, mrkdwn))
    if console:
        lines.append(link(console, "Open the console"))
    return "\n".join(lines)


def which_run(runs: Sequence[RunView], style: Style) -> str:
    """Ask which of several runs is to be stopped."""
    lines = [f"{_run(run, style)}\n    `{COMMAND} stop {run.run_id}`" for run in runs[:MAX_LISTED]]
    return "\n".join(["Several runs go on in this channel; say which:", *lines])


def _run(run: RunView, style: Style) -> str:
    url = style.thread_url(run.thread) or style.run_url(run.run_id)
    title = link(url, run.title, MAX_TITLE_CHARS) if url else bold(run.title, MAX_TITLE_CHARS)
    if run.status not in TERMINAL:
        return f"• {title}: {one_line(run.headline, 200, mrkdwn)}, since {date(run.started_at)}"
    took = duration((run.ended_at or run.started_at) - run.started_at)
    return f"• {title}: {one_line(run.headline, 200, mrkdwn)} ({run.status.value}, took {took})"

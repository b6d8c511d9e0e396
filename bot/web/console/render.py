"""The console's template engine: what templates may call, and nothing more."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agents.domain import Finding
from bot.conversation import MAX_MESSAGE_CHARS
from bot.desk import MAX_ANSWER_CHARS
from bot.views import ApprovalView, CallView
from bot.web.show import calls, claims, fields, graph, quoting, words
from bot.web.show.evidence import evidence_path
from bot.web.show.plan import done_of
from bot.web.show.steps import step_time, waits_for
from jobs.approvals import ALREADY_COUNTED

WEB = Path(__file__).parent.parent
TEMPLATES = WEB / "templates"
STATIC = WEB / "static"

FINDINGS = {
    Finding.FIXED: "Fixed",
    Finding.CAUSE_FOUND: "Cause found",
    Finding.HEALTHY: "Nothing is wrong",
    Finding.INCONCLUSIVE: "Inconclusive",
    Finding.REPORT: "Report",
    Finding.FAILED: "No answer",
}


QUESTION_WORDS = {
    "input": "question",
    "outcome": "unknown outcome",
    "budget": "budget",
    "plan": "before it starts",
    "review": "review",
}
"""What a question is about, by its kind."""


def fresh_key() -> str:
    """Return a key that makes sending one form twice harmless."""
    return secrets.token_urlsafe(12)


def dom(text: str) -> str:
    """Return an id for the page made of any id of ours, which may hold any character."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stamp(view: ApprovalView, obstacle: str) -> str:
    """Return a mark that changes when the approval (or what this person may do) changes."""
    return hashlib.sha256(f"{view!r}{obstacle}".encode()).hexdigest()[:16]


def call_fields(call: CallView) -> list[fields.Field]:
    """Return the form fields of a proposed call."""
    return fields.form(call.schema, call.args)


@cache
def static_version() -> str:
    """Return a mark of the static files, so that a new release is not shown with old ones."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.glob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


class Templates:
    """Renders templates with autoescape on; an undefined name is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            clock=words.clock,
            day_clock=words.day_clock,
            dom=dom,
            duration=words.duration,
            elapsed=words.elapsed,
            call_target=calls.target,
            grouped=claims.grouped,
            iso=words.iso,
            json_text=words.json_text,
            percent=words.percent,
            plural=words.plural,
            waits_for=waits_for,
        )
        self._environment.globals.update(
            FINDINGS=FINDINGS,
            call_fields=call_fields,
            name_lines=graph.name_lines,
            step_time=step_time,
            quoted_lines=quoting.lines,
            stamp=stamp,
            ALREADY_COUNTED=ALREADY_COUNTED,
            MAX_ANSWER_CHARS=MAX_ANSWER_CHARS,
            MAX_MESSAGE_CHARS=MAX_MESSAGE_CHARS,
            QUESTION_WORDS=QUESTION_WORDS,
            evidence_path=evidence_path,
            fresh_key=fresh_key,
            done_of=done_of,
            static_version=static_version(),
        )

    def render(self, template: str, **values: Any) -> str:
        """Return the template filled in."""
        return self._environment.get_template(template).render(**values)

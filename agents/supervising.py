"""What a supervisor is told, and what it says in the end: summaries, prompts, answers.

Summaries are short on purpose: a supervisor works with what steps concluded and the ids of their
evidence, never with what tools returned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agents.domain import Claim, Evidence, Finding, JsonObject, Step
from agents.drafts import AnswerDraft, SynthesisDraft
from agents.fencing import fence
from agents.models.port import Message, Role
from agents.planning import MAX_PLANNED_STEPS, Scope
from agents.prompting import render
from agents.wording import one_line
from config.specs import AgentSpec

MAX_OUTPUT_CHARS = 600
MAX_CITES = 8
MAX_QUOTE_CHARS = 200
MAX_EVIDENCE_IDS = 12
MAX_ERROR_CHARS = 400
MAX_FACTS_CHARS = 4_000
MAX_SUMMARY_LINES = 12
MAX_INCLUDED_CHARS = 8_000
CLAIMS = "claims"
TEXT_KEYS = ("summary", "text", "reply", "draft", "headline")
CITE_KEYS = frozenset({"evidence_id", "quote"})


@dataclass(frozen=True, slots=True)
class Quote:
    """Words that stand in a piece of evidence, and what was said with them."""

    evidence_id: str
    quote: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """One step as its supervisor sees it. `id` is the short one.

    `is_data` says that the text is the output as it is, made for code; `said` has what of it people
    can read.
    """

    id: str
    title: str
    who: str
    status: str
    text: str = ""
    error: str = ""
    finding: str = ""
    needs: tuple[str, ...] = ()
    has_begun: bool = False
    quotes: tuple[Quote, ...] = ()
    evidence: tuple[str, ...] = ()
    is_data: bool = False
    said: str = ""

    @property
    def told(self) -> str:
        """All that the step itself brought forth, as one block; empty when it said nothing.

        The titles of its evidence are in it: tools make them of what they were given and found.
        """
        lines = [
            self.text,
            f"Error: {self.error}" if self.error else "",
            f"It says that the plan should change: {self.finding}" if self.finding else "",
            *_cite_lines(self.quotes),
            f"Evidence: {'; '.join(self.evidence)}" if self.evidence else "",
        ]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run of the same thread before this one."""

    id: str
    goal: str
    headline: str
    summary: str
    quotes: tuple[Quote, ...] = ()

    @property
    def told(self) -> str:
        """What was asked and answered, as one block."""
        said = f"{self.headline} {self.summary}".strip()
        return "\n".join([f"Asked: {self.goal}", f"Answered: {said}", *_cite_lines(self.quotes)])


def _cite_lines(quotes: Iterable[Quote]) -> list[str]:
    return [
        f'- cite {one.evidence_id}: "{one.quote}"' + (f" ({one.text})" if one.text else "")
        for one in quotes
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was answered."""

    question: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a supervisor is told at one look, besides what it may plan with.

    `messages` are what people wrote since it last looked. What others wrote is fenced with the
    nonce; see `agents.fencing`.
    """

    goal: str
    requester: str
    nonce: str
    is_goal_trusted: bool = True
    facts: JsonObject | None = None
    earlier: tuple[Earlier, ...] = ()
    asked: tuple[Asked, ...] = ()
    steps: tuple[Summary, ...] = ()
    news: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    may_ask: bool = True
    may_add: bool = True


def summary_of(
    step: Step,
    short_id: str,
    status: str,
    output: JsonValue,
    evidence: Mapping[str, Evidence],
    *,
    error: str = "",
    finding: str = "",
    needs: tuple[str, ...] = (),
    has_begun: bool = False,
) -> Summary:
    """Return a step in few words: what it concluded, its quotes, and the ids of its evidence."""
    own = [
        f"{one.id} ({one_line(one.title, MAX_QUOTE_CHARS)})"
        for one in evidence.values()
        if one.step_id == step.id or one.step_id.startswith(f"{step.id}.")
    ]
    return Summary(
        id=short_id,
        title=step.title,
        who=step.agent or step.tool or "a person",
        status=status,
        text=_words(output) or _data(output),
        error=one_line(error, MAX_ERROR_CHARS),
        finding=one_line(finding, MAX_ERROR_CHARS),
        needs=needs,
        has_begun=has_begun,
        quotes=tuple(_quotes(output))[:MAX_CITES],
        evidence=tuple(own[:MAX_EVIDENCE_IDS]),
        is_data=not _words(output),
        said=_words(output) or _labelled(output),
    )


def _words(output: JsonValue) -> str:
    """Return what an output says to people, cut; empty when it is for code only."""
    parts: list[JsonValue] = [output]
    if isinstance(output, dict):
        parts = [output.get("headline"), output.get("summary") or output.get("text")]
    said = [part for part in parts if isinstance(part, str) and part]
    return one_line(" ".join(said), MAX_OUTPUT_CHARS)


def _labelled(output: JsonValue) -> str:
    """Return the texts of an output that was made for code, each after its key."""
    if not isinstance(output, dict):
        return ""
    texts = (
        f"{key.replace('_', ' ')}: {one}"
        for key, one in output.items()
        if one and isinstance(one, str)
    )
    return one_line("; ".join(texts), MAX_OUTPUT_CHARS)


def _data(output: JsonValue) -> str:
    """Return an output as it is, cut; its claims are told as quotes."""
    if output is None:
        return ""
    if isinstance(output, dict):
        output = {key: value for key, value in output.items() if key != CLAIMS}
    return one_line(json.dumps(output, ensure_ascii=False), MAX_OUTPUT_CHARS)


def _quotes(value: JsonValue, said: str = "") -> Iterable[Quote]:
    """Find what an output quotes, wherever in it that stands."""
    if isinstance(value, list):
        for item in value:
            yield from _quotes(item, said)
    elif isinstance(value, dict):
        text = value.get("text")
        said = text if isinstance(text, str) else said
        if value.keys() >= CITE_KEYS and value["evidence_id"] and value["quote"]:
            quote = str(value["quote"])
            if len(quote) <= MAX_QUOTE_CHARS:  # Cut, it would not stand in the evidence.
                shown = one_line(said, MAX_QUOTE_CHARS)
                yield Quote(str(value["evidence_id"]), quote, shown)
        for item in value.values():
            yield from _quotes(item, said)


def quotes_of(claims: Iterable[Claim]) -> tuple[Quote, ...]:
    """Return the quotes of claims that hold."""
    found = [
        Quote(cite.evidence_id, cite.quote, one_line(claim.text, MAX_QUOTE_CHARS))
        for claim in claims
        if not claim.is_struck
        for cite in claim.cites
    ]
    return tuple(found[:MAX_CITES])


def system_message(supervisor: AgentSpec, scope: Scope) -> Message:
    """Return what stays the same at every look of this supervisor, so that it can be cached."""
    text = render(
        "supervisor_system",
        supervisor=supervisor,
        team=list(scope.team.values()),
        workflows=list(scope.workflows.values()),
        services=scope.world.services,
        may_nest=scope.may_nest,
        max_steps=MAX_PLANNED_STEPS,
    )
    return Message(Role.SYSTEM, text)


def look_message(prompt: str, situation: Situation) -> Message:
    """Return what is told at one look: prompt `plan`, `replan` or `synthesis`."""

    def fenced(text: str) -> str:
        return fence(text, situation.nonce)

    facts = ""
    if situation.facts:
        facts = json.dumps(situation.facts, ensure_ascii=False, indent=1)[:MAX_FACTS_CHARS]
    return Message(
        Role.USER, render(prompt, situation=situation, facts=facts, fenced=fenced).strip()
    )


def correction_message(errors: Sequence[str]) -> Message:
    """Return what is told of a plan that cannot be."""
    return Message(Role.USER, render("plan_errors", errors=list(errors)))


def answer_output(draft: AnswerDraft) -> JsonObject:
    """Return a drafted answer as the output of a step."""
    output: JsonObject = draft.model_dump(mode="json", exclude={"include"})
    return output


def synthesis_output(draft: SynthesisDraft, texts: Mapping[str, tuple[str, str]]) -> JsonObject:
    """Return the answer with what it includes in full; `texts` are title and text by step."""
    output = answer_output(draft)
    wanted = [texts[name] for name in dict.fromkeys(draft.include) if name in texts]
    parts = [draft.summary, *(f"{title}:\n\n{text}" for title, text in wanted)]
    output["summary"] = "\n\n".join(part for part in parts if part)
    return output


def full_text(output: JsonValue) -> str:
    """Return the text of an output as it is, for an answer that includes it."""
    if isinstance(output, dict):
        output = next((output[key] for key in TEXT_KEYS if output.get(key)), "")
    return output[:MAX_INCLUDED_CHARS] if isinstance(output, str) else ""


def answer_from_outputs(
    summaries: Sequence[Summary], outputs: Iterable[JsonValue], why: str
) -> JsonObject:
    """Return an answer made by code from what the steps gave, when no model sums them up.

    What a step quoted without claiming anything stands for itself.
    """
    done = [one for one in summaries if one.status == "succeeded"]
    claims: list[JsonValue] = [claim for output in outputs for claim in _claims(output)]
    for one in done:
        if one.is_data:
            claims += [_as_claim(quote) for quote in one.quotes]
    lines = [f"{one.title}: {_told_to_people(one)}" for one in done][:MAX_SUMMARY_LINES]
    return {
        "headline": f"{_how_many(len(done), len(summaries))} is listed, not summed up.",
        "finding": Finding.REPORT.value if done else Finding.INCONCLUSIVE.value,
        "summary": "\n".join(lines),
        CLAIMS: claims[:MAX_SUMMARY_LINES],
        "missing": [why],
    }


def _how_many(done: int, count: int) -> str:
    if count == 1:
        return "The step succeeded; what it found" if done else "The step failed; what there is"
    return f"{done} of {count} steps succeeded; what they found"


def _told_to_people(one: Summary) -> str:
    if not one.is_data:
        return one.said
    quoted = "its findings are quoted below" if one.quotes else "it found nothing to quote"
    return f"{quoted} ({one.said})." if one.said else f"{quoted}."


def _as_claim(quote: Quote) -> JsonValue:
    cite: JsonValue = {"evidence_id": quote.evidence_id, "quote": quote.quote}
    return {"text": quote.text or quote.quote, "cites": [cite]}


def _claims(output: JsonValue) -> list[JsonValue]:
    claims = output.get(CLAIMS) if isinstance(output, dict) else None
    return [
        claim
        for claim in (claims if isinstance(claims, list) else [])
        if isinstance(claim, dict) and claim.get("text") and not claim.get("is_struck")
    ]


def plain_answer(
    headline: str,
    summary: str = "",
    recommendations: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> JsonObject:
    """Return an honest answer of a supervisor that could not do its work."""
    return {
        "headline": headline,
        "finding": Finding.INCONCLUSIVE.value,
        "summary": summary,
        "recommendations": list(recommendations),
        "missing": list(missing),
    }

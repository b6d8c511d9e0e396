"""Gathers what an agent remembers from the store: its step, its run, its thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from agents.conversation import Leg, conversation
from agents.domain import Answer, Evidence, Step
from agents.fencing import fence, nonce_of
from agents.memory import (
    MAX_EVIDENCE_IDS,
    WINDOW,
    EarlierRun,
    Memory,
    Sibling,
    earlier_run,
    reaches,
    summary,
)
from agents.models.port import Message, ModelError, ModelRequest, Role
from agents.prompting import render
from jobs.journal import leg_name
from jobs.patience import patiently
from jobs.state import TERMINAL, CallStatus, Run, Status
from jobs.store import Store
from jobs.summary import call_text
from jobs.workbench import Workbench

log = structlog.get_logger(__name__)

MAX_EARLIER = 20
COMPACTION_TOKENS = 400


async def remembered(bench: Workbench) -> Memory:
    """Return what the step's agent remembers."""
    run, step, kind = bench.run, bench.step, bench.agent.memory
    state = run.steps[step.id]
    memory = Memory(done=_done(run, step.id))
    if state.hops:
        memory = replace(
            memory,
            handed_by=state.hops[-1].source,
            handed_because=state.hops[-1].reason,
            conversation=await _conversation(bench),
        )
    if reaches(kind, "step") and state.tries:
        memory = replace(memory, tries=state.tries, last_error=state.error)
    if reaches(kind, "run"):
        memory = replace(memory, siblings=await _siblings(bench.runs.store, run, step))
    if reaches(kind, "thread") and run.goal.earlier:
        older, earlier = await _thread(bench)
        memory = replace(memory, older=older, earlier=earlier)
    return memory


async def with_earlier(
    store: Store, run: Run, evidence: Mapping[str, Evidence], run_ids: Iterable[str]
) -> dict[str, Evidence]:
    """Return the run's evidence together with that of earlier runs of its thread.

    A piece of an earlier run stands under `<run>/<evidence>`; runs of other threads are left out.
    """
    known = dict(evidence)
    for run_id in dict.fromkeys(run_ids):
        if run_id not in run.goal.earlier:
            continue
        known |= await _as_earlier(store, run_id)
    return known


async def _as_earlier(store: Store, run_id: str) -> dict[str, Evidence]:
    pieces = await patiently(lambda: store.evidence(run_id))
    return {f"{run_id}/{key}": piece for key, piece in pieces.items()}


async def _ended(store: Store, run_id: str) -> EarlierRun | None:
    run = await patiently(lambda: store.load(run_id))
    if run is None or run.answer is None:
        return None
    return earlier_run(run.id, run.goal.text, run.answer)


def cited_runs(answer: Answer) -> tuple[str, ...]:
    """Return the earlier runs whose evidence an answer cites."""
    cites = [cite.evidence_id for claim in answer.claims for cite in claim.cites]
    return tuple(dict.fromkeys(one.partition("/")[0] for one in cites if "/" in one))


def _done(run: Run, step_id: str) -> tuple[str, ...]:
    return tuple(
        call_text(call)
        for call in run.calls.values()
        if call.step_id == step_id and call.status is CallStatus.SUCCEEDED
    )


async def _siblings(store: Store, run: Run, step: Step) -> tuple[Sibling, ...]:
    evidence = await patiently(lambda: store.evidence(run.id))
    siblings: list[Sibling] = []
    for other in run.siblings(run.scope(step)):
        state = run.steps[other.id]
        if other.id == step.id or state.status not in TERMINAL:
            continue
        ids = [key for key, piece in evidence.items() if piece.step_id == other.id]
        is_done = state.status is Status.SUCCEEDED
        said = summary(state.output) if is_done else state.error or state.reason
        siblings.append(
            Sibling(other.title, state.status.value, said, tuple(ids[:MAX_EVIDENCE_IDS]))
        )
    return tuple(siblings)


async def _conversation(bench: Workbench) -> str:
    state = bench.run.steps[bench.step.id]
    legs = [
        Leg(leg_name(hop.source, place), hop.source, f"#{state.tries}", hop.to, hop.reason)
        for place, hop in enumerate(state.hops)
    ]
    run, step_id = bench.run, bench.step.id
    others = [
        f"{call_text(call)}: {call.status}" + (f" ({call.error})" if call.error else "")
        for call in run.calls.values()
        if call.step_id == step_id
    ]
    others += [
        f"{question.text} — {question.answered_by} answered: {question.answer}"
        for question in run.questions.values()
        if question.step_id == step_id and question.answer is not None
    ]
    return conversation(legs, await bench.journal.entries(), others)


async def _thread(bench: Workbench) -> tuple[str, tuple[EarlierRun, ...]]:
    """Return the older runs of the thread in short, and the last few as they were."""
    ids = bench.run.goal.earlier[-MAX_EARLIER:]
    found = [one for key in ids if (one := await _ended(bench.runs.store, key)) is not None]
    older, recent = found[:-WINDOW], found[-WINDOW:]
    return await _compacted(bench, older) if older else "", tuple(recent)


async def _compacted(bench: Workbench, older: list[EarlierRun]) -> str:
    """Summarise earlier runs in one model call; without one their headlines have to do."""
    said = render("memory", memory=Memory(earlier=tuple(older)))
    nonce = nonce_of(bench.run.id, bench.step.id)
    request = ModelRequest(
        alias=bench.agent.model or "",
        messages=(Message(Role.USER, render("compaction", runs=fence(said, nonce))),),
        max_output_tokens=COMPACTION_TOKENS,
        purpose="compaction",
    )
    try:
        reply = await bench.thinking.call("compaction", request)
    except ModelError as error:
        log.warning("thread_not_summarised", reason=str(error))
        return "; ".join(run.headline for run in older)
    return reply.text

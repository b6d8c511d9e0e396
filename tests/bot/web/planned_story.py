"""A goal that a supervisor plans, played step by step in a house: what pages show of it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from agents.domain import (
    Answer,
    Cite,
    Claim,
    Evidence,
    Finding,
    Goal,
    JsonObject,
    Moment,
    Origin,
    Plan,
)
from bot.views import NoteView
from config.contents import Catalogue
from config.specs import ApproversSpec, ServiceLevelSpec
from jobs import commands as c
from jobs.state import Question, Run
from tests.bot.planned import AGENTS, GOAL_TEXT, ROOT, child, root_step
from tests.bot.web import sample
from tests.bot.web.sample import ALICE, RUN_ID, START, House, Story

CATALOGUE = Catalogue(
    agents={**sample.CATALOGUE.agents, **AGENTS},
    workflows=sample.CATALOGUE.workflows,
    services=sample.CATALOGUE.services,
    policies=sample.CATALOGUE.policies,
    routes=sample.CATALOGUE.routes,
    sources=sample.CATALOGUE.sources,
    people=sample.CATALOGUE.people,
)
DRAFT = f"{ROOT}.draft"
QUESTION_ID = "q-region"
LATE_S = 60.0

FIRST = (
    child(
        ROOT,
        "latency",
        "Measure p95 since noon",
        "metrics-analyst",
        instruction="Compare p95 of checkout before and after 12:00 UTC.",
    ),
    child(ROOT, "logs", "Look for new log patterns", "log-analyst"),
    child(ROOT, "traffic", "Compare the traffic", "metrics-analyst"),
    child(ROOT, "draft", "Draft the customer update", "comms-lead", needs=("latency",)),
)
SECOND = (
    child(ROOT, "payments", "Measure payments", "metrics-analyst"),
    child(ROOT, "releases", "Compare the releases of payments", "release-analyst"),
    child(ROOT, "verdict", "Weigh what was found", "triage", needs=("payments", "releases")),
)
OF_DRAFT = (
    child(DRAFT, "facts", "Collect what customers see", "log-analyst"),
    child(DRAFT, "regions", "Word it", "writer", needs=("facts",), for_each="['EU', 'US', 'APAC']"),
    child(DRAFT, "check", "Check the tone", "triage", needs=("regions",)),
)
EVIDENCE = Evidence(
    id="ev-latency",
    run_id=RUN_ID,
    step_id=f"{ROOT}.latency",
    tool="metrics.compare",
    title="p95 of checkout, before and after noon",
    text="p95 before 0.41 s (median of 3600 s)\np95 after 0.86 s\nonset 12:04:10Z\n",
    at=START + 9,
)
ANSWER = Answer(
    headline="Payments release 77b01aa doubled checkout's p95 since 12:04 UTC.",
    finding=Finding.CAUSE_FOUND,
    summary="Checkout waits for payments, whose new release asks the fraud service twice.",
    claims=(
        Claim("p95 of checkout rose from 0.41 s to 0.86 s.", (Cite("ev-latency", "0.86 s"),)),
        Claim("It was the same last week.", (Cite("run-0/ev-old", "p95"),)),
    ),
    confidence=0.86,
    recommendations=("Roll payments back to 5ec2e75, or ask fraud once.",),
    used_model=True,
)


def planned_house() -> House:
    """Return a house whose catalogue has supervisors."""
    return House(catalogue=CATALOGUE)


@dataclass
class PlannedStory(Story):
    """Plays the goal; each part can be looked at on its own."""

    title: str = GOAL_TEXT

    async def begin_planned(self, *, is_late: bool = False) -> Run:
        """Open the thread and start the run: nothing is planned yet."""
        self.thread = await self.house.platform.open_thread("incidents", self.title, RUN_ID)
        goal = Goal(
            text=GOAL_TEXT,
            requester_id=ALICE.id,
            requester_name=ALICE.name,
            origin=Origin.MESSAGE,
            thread=self.thread,
        )
        level = ServiceLevelSpec(within_s=LATE_S, to=ApproversSpec(groups=("leads",)))
        levels = (level,) if is_late else ()
        plan = Plan(workflow="", steps=(root_step(),), answer=ROOT, service_levels=levels)
        run = await self.house.runs.start(RUN_ID, goal, plan)
        await self.show(run)
        return run

    async def take(self, step: str, after_s: float = 0.2) -> int:
        """Let a worker take a step; return the attempt."""
        run = await self.house.runs.get(RUN_ID)
        attempt = run.steps[step].attempt
        await self.send(c.StartStep(step, attempt, "worker-1:2"), after_s)
        return attempt

    async def turn(self, step: str, agent: str, purpose: str = "turn", note: str = "") -> None:
        """Let the step call a model."""
        run = await self.house.runs.get(RUN_ID)
        state = run.steps[step]
        is_big = purpose in {"plan", "synthesis"}
        await self.send(
            c.NoteTurn(
                step,
                state.attempt,
                f"{purpose}-{len(state.turns)}",
                agent,
                "openai/gpt-5" if is_big else "openai/gpt-5-mini",
                purpose=purpose,
                input_tokens=6_240 if is_big else 1_912,
                cached_tokens=4_096 if is_big else 0,
                output_tokens=388,
                cost_usd=0.0117 if is_big else 0.0009,
                duration_s=2.4,
                note=note,
            ),
            2.4,
        )

    async def plan(self) -> Run:
        """Plan, and let the first steps begin."""
        attempt = await self.take(ROOT)
        await self.turn(ROOT, "supervisor", "plan")
        reason = "No workflow fits: latency has three usual causes, and the update can be drafted."
        await self.send(c.RevisePlan(ROOT, attempt, reason, steps=FIRST), 0.1)
        await self.take(f"{ROOT}.latency")
        await self.take(f"{ROOT}.traffic")
        await self.take(f"{ROOT}.logs")
        await self.turn(f"{ROOT}.latency", "metrics-analyst", note="reading p95 by minute")
        await self.turn(f"{ROOT}.logs", "log-analyst", note="searching patterns since 12:00")
        return await self.house.runs.get(RUN_ID)

    async def find(self) -> Run:
        """Find what changes the picture; drop what became needless, plan what is called for."""
        await self.house.store.put_evidence(EVIDENCE, None)
        found: JsonObject = {
            "p95_s": 0.86,
            "replan": "checkout itself is idle: it waits for payments",
        }
        await self.send(c.FinishStep(f"{ROOT}.latency", 1, found), 3.0)
        attempt = await self.take(ROOT)
        await self.turn(ROOT, "supervisor", "replan")
        await self.send(
            c.RevisePlan(
                ROOT,
                attempt,
                "Checkout waits for payments: look there; checkout's traffic does not matter now.",
                steps=SECOND,
                dropped=(),
                seen=(f"{ROOT}.latency",),
            ),
            0.1,
        )
        await self.send(c.FailStep(f"{ROOT}.traffic", 1, "no such indicator", may_retry=False))
        attempt = await self.take(ROOT)
        return await self.send(
            c.RevisePlan(
                ROOT,
                attempt,
                "Traffic has no indicator, and the releases tell more: go on without it.",
                dropped=(f"{ROOT}.verdict",),
                seen=(f"{ROOT}.latency", f"{ROOT}.traffic"),
            ),
            0.3,
        )

    async def draft(self) -> Run:
        """Plan inside the plan, with a fan-out, a handoff and a question."""
        attempt = await self.take(DRAFT)
        await self.turn(DRAFT, "comms-lead", "plan")
        await self.send(
            c.RevisePlan(DRAFT, attempt, "One text for each region.", steps=OF_DRAFT), 0.2
        )
        await self.take(f"{DRAFT}.facts")
        await self.send(c.FinishStep(f"{DRAFT}.facts", 1, {"seen": "slow payment page"}), 1.0)
        await self.take(f"{DRAFT}.regions.0")
        await self.take(f"{ROOT}.payments")
        await self.take(f"{DRAFT}.regions.1")
        await self.send(c.FinishStep(f"{DRAFT}.regions.0", 1, "Payments take longer."), 1.0)
        await self.send(
            c.HandOff(f"{DRAFT}.regions.1", 1, "billing", "US customers ask about double charges")
        )
        return await self.send(
            c.AskQuestion(
                f"{ROOT}.logs",
                1,
                Question(
                    QUESTION_ID,
                    f"{ROOT}.logs",
                    "Which region's logs should I read first?",
                    ("EU", "US", "APAC"),
                    kind="input",
                    asked_at=self.house.clock.now,
                ),
            )
        )

    async def chat(self) -> None:
        """Let people and steps say something in the thread."""
        assert self.thread is not None
        platform = self.house.platform
        note = NoteView("only the EU matters for the update", author="Alice")
        await platform.post(self.thread, note, "say:1")
        await platform.post(
            self.thread,
            NoteView("Status page: we are looking into slow payments.", mentions=("group:web",)),
            "post:1",
        )
        moment = Moment(self.house.clock.now, "Alice: only the EU matters", "message")
        await self.send(c.Signal(moment))

    async def end(self) -> Run:
        """Answer, with what it took."""
        run = await self.house.runs.get(RUN_ID)
        for step in (*OF_DRAFT, *SECOND, *FIRST):
            if step.for_each:
                continue
            await self._finish(step.id)
        for index in range(3):
            await self._finish(f"{DRAFT}.regions.{index}")
        await self._finish(f"{DRAFT}.check")
        await self._finish(DRAFT)
        attempt = await self.take(ROOT)
        await self.turn(ROOT, "supervisor", "synthesis")
        output = TypeAdapter(Answer).dump_python(ANSWER, mode="json")
        run = await self.send(c.FinishStep(ROOT, attempt, output), 0.3)
        view = self.house.presenter.answer_view(run, await self.house.store.evidence(RUN_ID))
        assert view is not None
        assert self.thread is not None
        await self.house.platform.post(self.thread, view, f"{RUN_ID}:answer")
        return run

    async def _finish(self, step: str) -> None:
        run = await self.house.runs.get(RUN_ID)
        state = run.steps[step]
        if state.status == "waiting":
            await self.send(c.AnswerQuestion(QUESTION_ID, ALICE, "EU"), 4.0)
            run = await self.house.runs.get(RUN_ID)
            state = run.steps[step]
        if state.status == "queued":
            await self.take(step)
            run = await self.house.runs.get(RUN_ID)
            state = run.steps[step]
        if state.status == "running" and state.worker:
            await self.send(c.FinishStep(step, state.attempt, {"text": "done"}), 1.5)

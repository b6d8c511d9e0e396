"""A small house with a realistic incident in it: what the console's tests (and eyes) look at."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field, TypeAdapter

from agents.domain import (
    Answer,
    Cite,
    Claim,
    Evidence,
    Finding,
    Goal,
    Moment,
    Origin,
    Plan,
    Step,
    ThreadRef,
)
from agents.findings import Ranking, Reason, Suspect, as_json
from agents.tool import Effect, Tool, Toolbox, ToolContext, ToolResult, ToolRetry
from bot.desk import Desk
from bot.forms import Forms
from bot.intake import Intake
from bot.platforms.console.adapter import ConsolePlatform
from bot.platforms.console.memory_store import MemoryConsoleStore
from bot.platforms.console.store import ConsoleStore
from bot.platforms.port import MessageRef
from bot.present import Presenter
from bot.views import NoteView
from bot.web.app import create_app
from bot.web.deps import DemoSignIn, Readiness, WebDeps
from config.contents import Catalogue
from config.specs import (
    AgentSpec,
    ApprovalSpec,
    ApproversSpec,
    InputSpec,
    MatchSpec,
    PersonSpec,
    PolicyMatch,
    PolicySpec,
    ReportSpec,
    RouteSpec,
    RunbookSpec,
    ServiceSpec,
    SourceSpec,
    StepSpec,
    Verdict,
    WorkflowSpec,
)
from jobs import commands as c
from jobs.assembly import rules_of
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Approval, Person, ProposedCall, Run, Terms

START = 1_763_674_200.0
ALICE = Person("console:alice", "Alice", frozenset({"oncall"}))
BOB = Person("console:bob", "Bob", frozenset({"leads"}))
TOKENS = {"ALICE_TOKEN": "alice-secret", "BOB_TOKEN": "bob-secret", "HOOK_TOKEN": "hook-secret"}
SECRETS = ("checkout-5ec2e75",)
DEMO_KEY = "demo-key-1234"
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
RUN_ID = "run-inc-7f3a-1"
APPROVAL_ID = "ap-run-inc-7f3a-1-gate"


class RollbackArgs(BaseModel):
    """What a rollback needs."""

    service: str = Field(description="The service to roll back.")
    release: str = Field(pattern=r"^[0-9a-f]{7,40}$", description="The release to go back to.")
    grace_s: int | None = Field(None, ge=0, le=60, description="Seconds to let requests end.")


async def _never(_: ToolContext, __: Any) -> ToolResult:
    raise AssertionError("the console runs no tool")


def _check(_: ToolContext, args: RollbackArgs) -> None:
    if args.release.startswith("bad"):
        raise ToolRetry(f"there is no release {args.release}", "release")


TOOLBOX = Toolbox(
    [
        Tool(
            name="service.rollback",
            description="Go back to an earlier release.",
            arguments=RollbackArgs,
            output=RollbackArgs,
            run=_never,
            effect=Effect.WRITES,
            check=_check,
        )
    ]
)

CATALOGUE = Catalogue(
    workflows={
        "incident": WorkflowSpec(
            name="incident",
            title="Incident",
            description="Finds out why a service misbehaves and proposes a fix.",
            match=MatchSpec(
                keywords=("failing", "slow", "errors"), examples=("why is checkout failing?",)
            ),
            inputs={"service": InputSpec(one_of="services", label="service")},
            steps=(StepSpec(id="metrics", title="Read metrics", tool="metrics.query"),),
            answer="metrics",
        )
    },
    agents={
        "diagnostician": AgentSpec(
            name="diagnostician",
            title="Diagnostician",
            description="Ranks the suspects.",
            runbook=RunbookSpec(report=ReportSpec(function="suspects")),
        )
    },
    services={"checkout": ServiceSpec(), "payments": ServiceSpec()},
    policies=(
        PolicySpec(
            name="payments stays",
            match=PolicyMatch(tool="service.*", arguments={"service": "payments"}),
            verdict=Verdict.DENY,
        ),
        PolicySpec(
            name="writes need on-call",
            match=PolicyMatch(tool="service.*"),
            verdict=Verdict.ASK,
            approval=ApprovalSpec(approvers=ApproversSpec(groups=("oncall", "leads"))),
        ),
    ),
    routes=(RouteSpec(name="all", workflow="incident"),),
    sources={
        "alertmanager": SourceSpec(kind="alertmanager", token_env="HOOK_TOKEN"),
        "local": SourceSpec(kind="alertmanager"),
    },
    people={
        "alice": PersonSpec(name="Alice", groups=("oncall",), token_env="ALICE_TOKEN"),
        "bob": PersonSpec(name="Bob", groups=("leads",), token_env="BOB_TOKEN"),
        "eve": PersonSpec(name="Eve"),
    },
)

PLAN = Plan(
    workflow="incident",
    steps=(
        Step(
            id="metrics",
            title="Read metrics",
            agent="metrics-analyst",
            inputs={"service": "{{ goal.inputs.service }}"},
        ),
        Step(id="logs", title="Read logs", agent="log-analyst"),
        Step(id="deploys", title="List deploys", tool="deploys.list"),
        Step(id="alerts", title="Related alerts", tool="alerts.related"),
        Step(
            id="rank",
            title="Rank suspects",
            agent="diagnostician",
            needs=("metrics", "logs", "deploys"),
            after=("alerts",),
        ),
        Step(
            id="gate",
            title="Approve the fix",
            approves=("rollback",),
            needs=("rank",),
        ),
        Step(id="rollback", title="Roll back checkout", tool="service.rollback", needs=("gate",)),
        Step(id="verify", title="Verify recovery", agent="verifier", needs=("rollback",)),
        Step(id="answer", title="Write the answer", agent="reporter", after=("verify",)),
    ),
    answer="answer",
)


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class House:
    """Everything the web application stands on, in memory."""

    clock: Clock = field(default_factory=Clock)
    console: ConsoleStore = field(default_factory=MemoryConsoleStore)
    demo: DemoSignIn | None = None
    public_url: str = ""
    catalogue: Catalogue = CATALOGUE
    intake: Any = None
    readiness: Readiness = field(default_factory=lambda: Readiness(is_ready=True, checks={}))
    laid_aside: int = 2
    store: MemoryStore = field(init=False)
    runs: Runs = field(init=False)
    desk: Desk = field(init=False)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        """Put the house together as the bot's own assembly does."""
        self.store = MemoryStore(self.clock)
        self.runs = Runs(self.store, self.clock)
        self.incidents = MemoryIncidentStore()
        self.platform = ConsolePlatform(self.console, self.clock)
        self.presenter = Presenter(self.catalogue, TOOLBOX)
        intake = self.intake or Intake(
            catalogue=self.catalogue,
            runs=self.runs,
            incidents=self.incidents,
            platforms={"console": self.platform},
            clock=self.clock,
        )
        self.desk = Desk(
            runs=self.runs,
            intake=intake,
            forms=Forms(
                catalogue=self.catalogue,
                runs=self.runs,
                incidents=self.incidents,
                platforms={"console": self.platform},
                clock=self.clock,
                secrets=SECRETS,
            ),
            incidents=self.incidents,
            presenter=self.presenter,
            toolbox=TOOLBOX,
            rules=rules_of(self.catalogue, SECRETS),
        )
        self.app = create_app(
            WebDeps(
                desk=self.desk,
                console=self.console,
                people=self.catalogue.people,
                sources=self.catalogue.sources,
                environ=TOKENS,
                secret_key="a secret of the tests",
                clock=self.clock,
                readiness=self.is_ready,
                registry=CollectorRegistry(),
                public_url=self.public_url,
                demo=self.demo,
                laid_aside=self.count_laid_aside,
            )
        )

    async def count_laid_aside(self) -> int:
        """Say how many posts nobody took."""
        return self.laid_aside

    async def is_ready(self) -> Readiness:
        """Say what the test wants to be said."""
        return self.readiness


@dataclass
class Story:
    """Plays an incident in a house, step by step, posting its card as progress does."""

    house: House
    thread: ThreadRef | None = None
    card: MessageRef | None = None
    title: str = "CheckoutErrorRateHigh: 41 % of checkouts fail"

    async def send(self, command: c.Command, after_s: float = 0.0) -> Run:
        """Let time pass, send a command to the run and show its card."""
        self.house.clock.now += after_s
        run = await self.house.runs.send(RUN_ID, command)
        await self.show(run)
        return run

    async def show(self, run: Run) -> None:
        """Post or edit the run's card."""
        view = self.house.presenter.run_view(run)
        platform = self.house.platform
        assert self.thread is not None
        if self.card is None:
            self.card = await platform.post(self.thread, view, f"{run.id}:card")
        else:
            await platform.edit(self.card, view)

    async def begin(self, requester: Person | None = None) -> Run:
        """Open the thread and start the run."""
        self.thread = await self.house.platform.open_thread("incidents", self.title, RUN_ID)
        goal = Goal(
            text=f"Find out why checkout is failing: {self.title}",
            requester_id=requester.id if requester else "source:alertmanager",
            requester_name=requester.name if requester else "alertmanager",
            origin=Origin.ALERT,
            thread=self.thread,
            inputs={"service": "checkout"},
        )
        run = await self.house.runs.start(RUN_ID, goal, PLAN)
        await self.show(run)
        return run

    async def look(self) -> Run:
        """Do the reading steps, in parallel; the logs need a second try."""
        for step in ("metrics", "logs", "deploys", "alerts"):
            await self.send(c.StartStep(step, 1, "worker-1:3"), 0.3)
        await self.send(c.NoteStep("metrics", 1, "error ratio 0.41 since 21:30:02"), 1.5)
        await self.send(c.FinishStep("alerts", 1, {"alerts": 1}), 0.2)
        await self.send(c.FinishStep("deploys", 1, {"deploys": ["3f2a1c9", "9d81e02"]}), 1.2)
        await self.send(c.LoseStep("logs", 1), 1.0)
        await self.send(c.StartStep("logs", 2, "worker-2:1"), 0.8)
        await self.send(c.FinishStep("metrics", 1, {"onset": START, "error_ratio": 0.41}), 2.2)
        for item in EVIDENCE:
            data = png() if item.media_type == "image/png" else None
            await self.house.store.put_evidence(item, data)
        return await self.send(c.FinishStep("logs", 2, {"new_patterns": 1}), 2.0)

    async def ask(self, *, quorum: int = 1, calls: int = 1, title: str = "") -> Run:
        """Rank the suspects and ask for the approval of the fix."""
        await self.send(c.StartStep("rank", 1, "worker-1:3"), 0.1)
        await self.send(c.FinishStep("rank", 1, as_json(RANKING)), 1.4)
        await self.send(c.StartStep("gate", 1, "worker-1:3"), 0.1)
        proposed = [
            ProposedCall(
                "rollback/call",
                "service.rollback",
                {"service": "checkout", "release": "3f2a1c9"},
                title or "Roll back checkout to 3f2a1c9",
            ),
            ProposedCall(
                "other/call",
                "service.rollback",
                {"service": "payments", "release": "77b01aa"},
                "Roll back payments to 77b01aa",
            ),
        ][:calls]
        now = self.house.clock.now
        approval = Approval(
            id=APPROVAL_ID,
            step_id="gate",
            calls=tuple(proposed),
            terms=Terms(
                groups=("oncall", "leads"),
                quorum=quorum,
                expires_at=now + 1_800,
                policy="writes need on-call",
            ),
            requested_at=now,
            title=title or "Roll back checkout to 3f2a1c9",
            reason="The errors begin 2 s after deploy 9d81e02, and its new code is in the traces.",
        )
        return await self.send(c.RequestApproval("gate", 1, approval), 0.2)

    async def decide(self, person: Person, *, is_approval: bool = True) -> Run:
        """Decide on what is asked now."""
        run = await self.house.runs.get(RUN_ID)
        approval = run.approvals[APPROVAL_ID]
        return await self.send(
            c.Decide(
                APPROVAL_ID,
                person,
                is_approval,
                approval.revision,
                approval.digest,
                "go ahead, the graphs are clear" if is_approval else "not during the sale",
            ),
            24.0,
        )

    async def finish(self) -> Run:
        """Roll back, verify, and answer."""
        await self.send(c.StartStep("gate", 2, "worker-2:2"), 0.1)
        await self.send(c.FinishStep("gate", 2, {"approved": True}), 0.1)
        await self.send(c.StartStep("rollback", 1, "worker-2:2"), 0.1)
        await self.send(c.FinishStep("rollback", 1, {"release": "3f2a1c9"}), 3.0)
        await self.send(c.StartStep("verify", 1, "worker-1:1"), 0.1)
        at = self.house.clock.now + 8.0
        await self.send(c.Signal(Moment(at, "Alert resolved: CheckoutErrorRateHigh", "recovery")))
        await self.send(c.FinishStep("verify", 1, {"error_ratio": 0.001}), 9.0)
        await self.send(c.StartStep("answer", 1, "worker-1:1"), 0.1)
        answer = TypeAdapter(Answer).dump_python(ANSWER, mode="json")
        run = await self.send(c.FinishStep("answer", 1, answer), 0.4)
        view = self.house.presenter.answer_view(run, await self.house.store.evidence(RUN_ID))
        assert view is not None
        assert self.thread is not None
        await self.house.platform.post(self.thread, view, f"{RUN_ID}:answer")
        return run

    async def note(self, text: str, tone: str = "info") -> None:
        """Post a short message."""
        assert self.thread is not None
        await self.house.platform.post(self.thread, NoteView(text, tone), f"note:{text}")


_DEPLOY_LINE = "9d81e02  21:30:02Z  Mira Okafor   Price carts by tax region"
RANKING = Ranking(
    service="checkout",
    status="cause_found",
    confidence=0.93,
    symptoms=(
        Reason(
            text="checkout's error ratio rose to 41 %",
            evidence_id="ev-metrics",
            quote="error_ratio after 0.41",
        ),
    ),
    suspects=(
        Suspect(
            kind="deploy",
            service="checkout",
            title="release 9d81e02 of checkout",
            score=0.93,
            reasons=(
                Reason(
                    text="it went live 2 s before", evidence_id="ev-deploys", quote=_DEPLOY_LINE
                ),
                Reason(
                    text="it is the newest release", evidence_id="ev-deploys", quote=_DEPLOY_LINE
                ),
            ),
        ),
        Suspect(
            kind="dependency",
            service="payments",
            title="payments is slow",
            score=0.1,
            reasons=(Reason(text="checkout depends on it"),),
        ),
    ),
)

EVIDENCE = (
    Evidence(
        id="ev-logs",
        run_id=RUN_ID,
        step_id="logs",
        tool="logs.patterns",
        title="New log patterns of checkout",
        text="window 21:25:00Z .. 21:31:00Z, baseline 21:10:00Z .. 21:25:00Z\n"
        "NEW   312x  ERROR checkout pricing failed: KeyError: 'tax_region'  first 21:30:04Z\n"
        "      201x  INFO checkout order placed cart=<*> total=<*>\n",
        at=START + 6,
        args={"service": "checkout", "window_s": 360},
    ),
    Evidence(
        id="ev-deploys",
        run_id=RUN_ID,
        step_id="deploys",
        tool="deploys.list",
        title="Deploys of checkout",
        text="9d81e02  21:30:02Z  Mira Okafor   Price carts by tax region\n"
        "3f2a1c9  17:12:40Z  Jonas Weber   Round totals half to even\n",
        at=START + 4,
    ),
    Evidence(
        id="ev-metrics",
        run_id=RUN_ID,
        step_id="metrics",
        tool="metrics.onset",
        title="Error ratio of checkout",
        text="error_ratio before 0.002 (median of 900 s)\nerror_ratio after 0.41\n"
        "onset 21:30:04Z (change point, score 0.98)\n",
        at=START + 5,
    ),
    Evidence(
        id="ev-chart",
        run_id=RUN_ID,
        step_id="answer",
        tool="chart.render",
        title="Error ratio of checkout with deploy, alert, approval and fix",
        text="chart of error_ratio, 21:25Z to 21:33Z",
        at=START + 50,
        media_type="image/png",
        is_trusted=True,
    ),
)

ANSWER = Answer(
    headline="Deploy 9d81e02 broke checkout; rolling back to 3f2a1c9 fixed it.",
    finding=Finding.FIXED,
    summary="Since 21:30:04 UTC 41 % of checkouts failed. After the rollback the error ratio is "
    "back to 0.1 %.",
    claims=(
        Claim(
            "Errors began 2 s after deploy 9d81e02.",
            (
                Cite("ev-metrics", "onset 21:30:04Z"),
                Cite("ev-deploys", "9d81e02  21:30:02Z  Mira Okafor   Price carts by tax region"),
            ),
        ),
        Claim(
            "A new error appeared with it: a missing tax region.",
            (Cite("ev-logs", "KeyError: 'tax_region'"),),
        ),
        Claim("Payments slowed down first.", (Cite("ev-metrics", "p95 1.9"),), is_struck=True),
    ),
    confidence=0.93,
    timeline=(
        Moment(START + 2, "Deploy 9d81e02 of checkout by Mira Okafor", "change"),
        Moment(START + 4, "Error ratio of checkout rises to 41 %", "symptom"),
        Moment(START + 10, "CheckoutErrorRateHigh fires", "alert"),
        Moment(START + 36, "Approved by Alice: roll back checkout to 3f2a1c9", "decision"),
        Moment(START + 40, "Checkout rolled back to 3f2a1c9", "action"),
        Moment(START + 48, "CheckoutErrorRateHigh resolves", "recovery"),
    ),
    actions=("Rolled back checkout from 9d81e02 to 3f2a1c9, approved by Alice",),
    recommendations=(
        "Add a test for carts without a tax region before 9d81e02 is deployed again.",
    ),
    missing=("Related alerts of payments could not be read: connection refused",),
    charts=("ev-chart",),
)


def png(width: int = 640, height: int = 300) -> bytes:
    """Return a small valid PNG: a grey picture with a step in it."""
    rows = io.BytesIO()
    for y in range(height):
        dark = bytes([90 if (x > 200) == (y > height // 3) else 235 for x in range(width)])
        rows.write(b"\0" + dark)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.getvalue()))
        + chunk(b"IEND", b"")
    )


def delivery(title: str = "CheckoutErrorRateHigh", status: str = "firing") -> dict[str, Any]:
    """Return what Alertmanager posts."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "muster",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": title, "service": "checkout", "severity": "page"},
                "annotations": {"summary": f"summary of {title}"},
                "startsAt": "2025-11-20T21:30:10Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://127.0.0.1:9090/graph",
                "fingerprint": "a1b2c3d4e5f60718",
            }
        ],
    }

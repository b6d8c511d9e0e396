"""What a worker makes of tickets: steps, agents, gates, limits, failures and leaving."""

from __future__ import annotations

import asyncio

import pytest

from agents.domain import Evidence, Plan, Step
from agents.tool import OutcomeUnknownError, ToolContext, ToolFailed, TransientError
from config.specs import CallSpec, ReportSpec, Retries, RunbookSpec, Verdict
from jobs import commands as c
from jobs import executor as executor_module
from jobs import filling, patience
from jobs.run import MAX_LOSSES
from jobs.state import ApprovalStatus, Status
from jobs.store import StoreUnavailableError
from jobs.worker import StopReason, StopSignal
from tests.jobs.plans import BOB, GOAL
from tests.jobs.world import (
    ALLOW,
    ASK,
    ONCALL,
    RUN_ID,
    Args,
    World,
    agent,
    agent_step,
    forever,
    kill_everything,
    plan,
    policy,
    tool_step,
    until,
)

LOOK = CallSpec(id="look", tool="look.at", args={"text": "a"})
THEN = CallSpec(id="then", tool="look.at", args={"text": "{{ calls.look.output.text }}!"})
ASK_STEP = policy("steps", Verdict.ASK, ONCALL, tool="muster.step")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a store that is away without waiting."""
    monkeypatch.setattr(patience, "STORE_RETRY_S", 0)


async def test_runbook_agent_makes_its_calls_and_reports() -> None:
    """Calls run as soon as what they refer to has ended, and the report is the step's output."""
    world = World(agents=(agent("scout", LOOK, THEN),))

    run = await world.start(plan(agent_step("s", "scout")))

    assert run.status is Status.SUCCEEDED
    assert run.steps["s"].output == {"look": "saw a", "then": "saw saw a!"}
    assert run.answer is not None
    assert run.answer.headline == "done"


async def test_parallel_calls_run_at_the_same_time() -> None:
    """Calls that do not refer to each other overlap."""
    both = asyncio.Barrier(2)

    async def meet(_: ToolContext, args: Args) -> str:
        await both.wait()
        return args.text

    world = World(
        agents=(agent("scout", LOOK, CallSpec(id="b", tool="look.at", args={"text": "b"})),),
        behaviours={"look.at": meet},
    )

    run = await world.start(plan(agent_step("s", "scout")))

    assert run.steps["s"].output == {"look": "a", "b": "b"}


async def test_tool_step_gives_the_tools_output_and_its_evidence() -> None:
    """A direct tool call needs no agent; arguments without a value are left out."""
    world = World()

    run = await world.start(
        plan(tool_step("s", inputs={"text": "x", "service": "{{ goal.inputs.nothing }}"}))
    )

    assert run.steps["s"].output == {"text": "saw x", "count": 0, "evidence_id": "ev-s-call"}
    evidence = await world.store.evidence(run.id)
    assert evidence["ev-s-call"].text == "saw x"


async def test_long_call_is_named_on_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card says what a step is doing once a call takes long."""
    monkeypatch.setattr(executor_module, "NOTE_AFTER_S", 0)
    noted: list[str] = []

    async def slow(_: ToolContext, __: Args) -> str:
        while not (note := (await world.step("s")).note):  # noqa: ASYNC110 - a state, no event
            await asyncio.sleep(0)
        noted.append(note)
        return "seen"

    world = World(behaviours={"look.at": slow}, agents=(agent("scout", LOOK),))
    run = await world.start(plan(agent_step("s", "scout")))

    assert run.status is Status.SUCCEEDED
    assert noted == ["look.at a"]


async def test_short_call_is_not_noted() -> None:
    """What is over at once costs no commit."""
    world = World()

    await world.start(plan(tool_step("s", inputs={"text": "x"})))

    assert (await world.step("s")).note == ""


async def test_agent_may_use_only_its_own_tools() -> None:
    """A tool that the agent does not list is not called."""
    world = World(agents=(agent("scout", LOOK, tools=("look.trusted",)),))

    run = await world.start(plan(agent_step("s", "scout", retries=Retries(times=3))))

    assert run.steps["s"].error == "agent scout may not use look.at"
    assert run.steps["s"].tries == 0
    assert world.called == []


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (tool_step("s", "gone.tool"), "there is no tool 'gone.tool' any more"),
        (agent_step("s", "gone"), "there is no agent 'gone' any more"),
    ],
)
async def test_what_left_the_catalogue_fails_its_step_at_once(step: Step, error: str) -> None:
    """A plan made before a change of the catalogue says what is not there any more."""
    run = await World().start(plan(step))

    assert error in run.steps["s"].error
    assert run.status is Status.SUCCEEDED


async def test_failure_is_tried_again_with_growing_pauses() -> None:
    """Each retry waits longer, and the last failure ends the step."""

    async def refuse(_: ToolContext, __: Args) -> str:
        raise TransientError("connection refused")

    world = World(behaviours={"look.at": refuse})
    retries = Retries(times=2, backoff_s=10, factor=3)

    run = await world.start(plan(tool_step("s", retries=retries)))
    first = run.steps["s"].retry_at
    await world.later(9)
    assert len(world.called) == 1
    second = (await world.later(1)).steps["s"].retry_at
    run = await world.later(30)

    assert (first, second) == (world.clock.now - 30, world.clock.now)
    assert run.steps["s"].status is Status.FAILED
    assert run.steps["s"].error == "connection refused"
    assert len(world.called) == 3


async def test_fallback_agent_takes_over_when_tries_are_used_up() -> None:
    """Another agent does the step, with its own calls."""

    async def picky(_: ToolContext, args: Args) -> str:
        if args.text == "a":
            raise ToolFailed("not a")
        return args.text

    other = agent("other", CallSpec(id="look", tool="look.at", args={"text": "b"}))
    world = World(agents=(agent("scout", LOOK), other), behaviours={"look.at": picky})

    run = await world.start(plan(agent_step("s", "scout", fallback_agent="other")))

    assert run.steps["s"].output == {"look": "b"}
    assert run.steps["s"].agent == "other"


async def test_optional_call_that_stays_unreachable_is_reported() -> None:
    """When no try is left, a call that the agent can do without does not fail the step."""

    async def refuse(_: ToolContext, __: Args) -> str:
        raise TransientError("connection refused")

    optional = LOOK.model_copy(update={"optional": True})
    world = World(agents=(agent("scout", optional),), behaviours={"look.at": refuse})

    run = await world.start(plan(agent_step("s", "scout", retries=Retries(times=1))))
    assert run.steps["s"].status is Status.PENDING
    run = await world.later(5)

    assert run.steps["s"].output == {"look": "connection refused"}


async def test_step_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading tool ends with its step's time, and the step says so."""
    monkeypatch.setattr(executor_module, "TIMEOUT_GRACE_S", 0.2)
    world = World(agents=(agent("scout", LOOK, THEN),), behaviours={"look.at": forever})

    run = await world.start(
        plan(agent_step("s", "scout", timeout_s=0.2), tool_step("t", timeout_s=0.05))
    )

    assert "did not finish within 0.2 s" in run.steps["s"].error
    assert run.steps["t"].error == "took longer than its 0.05 s"


async def test_output_over_the_limit_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run stays small: what is too long belongs into evidence."""
    monkeypatch.setattr(filling, "MAX_OUTPUT_BYTES", 100)

    run = await World().start(plan(tool_step("s", inputs={"text": "x" * 200})))

    assert "100 is the most" in run.steps["s"].error


async def test_schema_of_an_answer_is_its_agents_own() -> None:
    """A strict schema need not allow for what is added to an answer, such as struck claims."""
    schema = {
        "type": "object",
        "properties": {"headline": {"type": "string"}},
        "additionalProperties": False,
    }
    answer = agent_step("answer", "answerer", output_schema=schema)
    run = await World().start(Plan(workflow="test", steps=(answer,), answer="answer"))

    assert run.status is Status.SUCCEEDED, run.steps["answer"].error
    assert run.answer is not None
    assert run.answer.headline == "done"


async def test_output_must_fit_its_schema() -> None:
    """A step's output schema is checked, and the error names the field."""
    schema = {"type": "object", "properties": {"count": {"type": "string"}}}

    run = await World().start(plan(tool_step("s", output_schema=schema)))

    assert run.steps["s"].error.startswith("its output does not fit its schema: count: ")


async def test_claims_without_their_quote_are_struck() -> None:
    """The answer is checked against the evidence before anybody sees it."""
    cite = {"evidence_id": "ev-look-call", "quote": "saw x"}
    claims = [
        {"text": "true", "cites": [cite]},
        {"text": "made up", "cites": [{**cite, "quote": "saw y"}]},
    ]
    output = {"headline": "h", "confidence": 0.9, "claims": "{{ inputs.c }}"}
    runbook = RunbookSpec(report=ReportSpec(output=output))
    say = agent("sayer").model_copy(update={"runbook": runbook})
    steps = (
        tool_step("look", inputs={"text": "x"}),
        agent_step("say", "sayer", after=("look",), inputs={"c": claims}),
    )

    run = await World(agents=(say,)).start(Plan(workflow="test", steps=steps, answer="say"))

    assert run.answer is not None
    assert [claim.is_struck for claim in run.answer.claims] == [False, True]
    assert run.answer.confidence == 0.5


async def test_a_bug_in_a_tool_fails_its_step_alone() -> None:
    """What nobody foresaw ends the step with a sentence, without secrets, and the run goes on."""

    async def crash(_: ToolContext, __: Args) -> str:
        raise KeyError("password: hunter22")

    run = await World(behaviours={"look.at": crash}).start(plan(tool_step("s")))

    assert "a bug in Muster or a tool (KeyError)" in run.steps["s"].error
    assert "hunter22" not in run.steps["s"].error
    assert run.status is Status.SUCCEEDED


async def test_secrets_do_not_get_into_outputs() -> None:
    """What a tool says is stored without what looks like a secret."""

    async def leak(_: ToolContext, __: Args) -> str:
        return "token=abcdefgh12345678"

    run = await World(behaviours={"look.at": leak}).start(plan(tool_step("s")))

    assert "abcdefgh12345678" not in repr(run)
    assert "abcdefgh12345678" not in repr(await World().store.evidence(run.id))


async def test_step_with_approval_waits_before_it_starts() -> None:
    """A person lets a whole step begin, on the terms of the policy for it."""
    world = World(policies=(ASK_STEP,))
    a_plan = plan(tool_step("s", approval=True, inputs={"text": "x"}))

    run = await world.start(a_plan)
    assert run.steps["s"].status is Status.WAITING
    assert world.called == []
    run = await world.decide()

    assert run.steps["s"].status is Status.SUCCEEDED


async def test_step_with_approval_denied_is_skipped_with_what_needs_it() -> None:
    """A no skips the step and its descendants; the answer still comes."""
    world = World(policies=(ASK_STEP,))

    await world.start(plan(tool_step("s", approval=True), tool_step("t", needs=("s",))))
    run = await world.decide(is_approval=False, comment="not now")

    assert run.steps["s"].reason == "denied by Alice: not now"
    assert run.steps["t"].reason == "needs S, which was skipped"
    assert run.status is Status.SUCCEEDED
    assert world.called == []


async def test_step_with_approval_needs_a_policy() -> None:
    """Without a rule that says who decides, the step fails and says what to add."""
    run = await World().start(plan(tool_step("s", approval=True)))

    assert "no policy for muster.step says who decides" in run.steps["s"].error


@pytest.mark.parametrize(
    ("is_reviewed", "workflow", "name"), [(True, "careful", "s"), (False, "", "goal.s")]
)
async def test_step_of_a_chosen_workflow_keeps_the_name_that_policies_know(
    is_reviewed: bool, workflow: str, name: str
) -> None:
    """A rule about a workflow's step holds when a supervisor chose it, not for what it made up."""
    arguments = {"workflow": workflow, "step": name}
    rules = (policy("steps", Verdict.ASK, ONCALL, tool="muster.step", arguments=arguments),)
    world = World(policies=rules)
    lead = Plan(workflow="", steps=(agent_step("goal", "lead"),), answer="goal")
    await world.runs().start(RUN_ID, GOAL, lead)
    attempt = world.store.queue.pop(0).attempt
    step = tool_step("goal.s", parent="goal", approval=True, is_reviewed=is_reviewed)

    await world.runs().send(RUN_ID, c.StartStep("goal", attempt, "w1"))
    await world.send(c.RevisePlan("goal", attempt, "It fits.", (step,), workflow="careful"))

    state = await world.step("goal.s")
    assert state.status is Status.WAITING, state.error


def gated(**fields: object) -> Plan:
    """Return a plan with one gate before two writing steps."""
    return plan(
        tool_step("gate", "", approves=("one", "two")),
        tool_step("one", "act.once", needs=("gate",), inputs={"text": "1"}),
        tool_step("two", "act.once", needs=("gate",), inputs={"text": "2"}, **fields),
    )


async def test_gate_asks_once_for_several_calls() -> None:
    """One approval covers the calls of all gated steps, and each runs once."""
    world = World()

    await world.start(gated())
    assert [call.key for call in (await world.approval()).calls] == ["one/call", "two/call"]
    run = await world.decide()

    assert sorted(world.called) == [("act.once", "1"), ("act.once", "2")]
    assert run.steps["gate"].output == {"approved": ["one/call", "two/call"], "dropped": []}
    assert len(run.approvals) == 1


async def test_call_dropped_at_the_gate_does_not_run() -> None:
    """An approver leaves one call out: its step is skipped, the other runs."""
    world = World()

    await world.start(gated())
    run = await world.decide(dropped=("two/call",))

    assert world.called == [("act.once", "1")]
    assert run.steps["two"].reason == "left out by Alice"


async def test_gate_leaves_out_what_will_not_run() -> None:
    """Nobody is asked about a step whose `when` does not hold."""
    world = World()

    await world.start(gated(when="1 > 2"))

    assert [call.key for call in (await world.approval()).calls] == ["one/call"]


async def test_denied_gate_skips_what_it_guards() -> None:
    """A no at the gate leaves everything behind it undone."""
    world = World()

    await world.start(gated())
    run = await world.decide(is_approval=False)

    assert {run.steps[key].status for key in ("gate", "one", "two")} == {Status.SKIPPED}
    assert world.called == []


async def test_gate_with_two_policies_is_refused() -> None:
    """Calls with different approvers cannot be decided together."""
    keyed = policy("keyed", Verdict.ASK, ONCALL, tool="act.keyed")
    world = World(policies=(keyed, ASK))
    a_plan = plan(
        tool_step("gate", "", approves=("one", "two")),
        tool_step("one", "act.once", needs=("gate",)),
        tool_step("two", "act.keyed", needs=("gate",)),
    )

    run = await world.start(a_plan)

    assert "use one gate for each" in run.steps["gate"].error


async def test_gate_refuses_what_policy_denies() -> None:
    """A call that may not be made cannot be approved either."""
    run = await World(policies=()).start(gated())

    assert "is denied by policy (no policy)" in run.steps["gate"].error


async def test_ticket_delivered_twice_runs_once() -> None:
    """A second ticket for the same attempt is dropped."""
    world = World()
    await world.runs().start("run-1", GOAL, plan(tool_step("s", inputs={"text": "x"})))
    world.store.queue += world.store.queue

    await world.drive()

    assert world.called == [("look.at", "x")]


async def test_draining_worker_gives_its_step_back_at_once() -> None:
    """Another worker need not wait for the lease to run out."""
    world = World(behaviours={"look.at": forever})
    stop = StopSignal()
    await world.runs().start("run-1", GOAL, plan(tool_step("s")))
    task = await world.begin(stop)
    await until(lambda: bool(world.called))

    stop.reason = StopReason.DRAINED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [ticket.attempt for ticket in world.store.queue] == [2]
    world.behaviours.clear()
    assert (await world.drive()).status is Status.SUCCEEDED


async def test_stop_command_fails_the_step() -> None:
    """A step that an operator stopped on its worker does not come back."""
    world = World(behaviours={"look.at": forever})
    stop = StopSignal()
    await world.runs().start("run-1", GOAL, plan(tool_step("s", retries=Retries(times=3))))
    task = await world.begin(stop)
    await until(lambda: bool(world.called))

    stop.reason = StopReason.STOPPED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run = await world.drive()

    assert run.steps["s"].error == "it was stopped by a command to its worker"
    assert run.status is Status.SUCCEEDED


async def test_lost_lease_ends_the_work_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was fenced off stops and says nothing; the step is another's."""
    world = World(behaviours={"look.at": forever})
    await world.runs().start("run-1", GOAL, plan(tool_step("s")))
    executor = world.executor()
    monkeypatch.setattr(executor, "_renew_s", 0)
    ticket = world.store.queue.pop(0)
    task = asyncio.create_task(executor.run_ticket(ticket, StopSignal()))
    await until(lambda: bool(world.called))
    await world.runs().send("run-1", c.LoseStep("s", 1))

    keeping = asyncio.create_task(executor.keep_leases())
    await task
    keeping.cancel()

    assert (await world.step("s")).status is Status.QUEUED


async def test_leases_are_kept_although_renewing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an absent store nor a bug ends the loop that all steps here depend on."""
    world = World(behaviours={"look.at": forever})
    await world.runs().start("run-1", GOAL, plan(tool_step("s")))
    executor = world.executor()
    monkeypatch.setattr(executor, "_renew_s", 0)
    task = asyncio.create_task(executor.run_ticket(world.store.queue.pop(0), StopSignal()))
    await until(lambda: bool(world.called))
    faults: list[Exception] = [StoreUnavailableError("away"), RuntimeError("a bug")]
    renewed: list[bool] = []

    async def renew(leases: object) -> list[object]:
        if faults:
            raise faults.pop()
        renewed.append(True)
        return []

    monkeypatch.setattr(world.store, "renew_leases", renew)
    keeping = asyncio.create_task(executor.keep_leases())
    await until(lambda: bool(renewed))

    for ended in (keeping, task):
        ended.cancel()
    await asyncio.gather(keeping, task, return_exceptions=True)


async def test_outcome_waits_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished step is recorded when the store is back, and its tool ran once."""
    world = World()
    commit, away = world.store.commit, [True, True, True]

    async def sometimes(*args: object) -> None:
        if world.called and away:
            away.pop()
            raise StoreUnavailableError("away")
        await commit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "commit", sometimes)

    run = await world.start(plan(tool_step("s", inputs={"text": "x"})))

    assert run.steps["s"].status is Status.SUCCEEDED
    assert world.called == [("look.at", "x")]
    assert away == []


async def test_write_cut_off_by_its_steps_time_asks_a_person() -> None:
    """A write whose end nobody saw is neither repeated nor forgotten."""
    world = World(policies=(ALLOW,), behaviours={"act.once": forever})

    run = await world.start(plan(tool_step("s", "act.once", timeout_s=0.1)))

    assert run.steps["s"].status is Status.WAITING
    assert "nobody saw" in (await world.question()).text
    run = await world.answer("done")
    assert run.steps["s"].status is Status.SUCCEEDED
    assert len(world.called) == 1


async def crash_in_a_write(world: World) -> None:
    """Let a worker take the step and die in its write."""
    before = len(world.keys)
    await world.begin()
    await until(lambda: len(world.keys) > before)
    await kill_everything()
    attempt = (await world.step("s")).attempt
    await world.runs().send(RUN_ID, c.LoseStep("s", attempt))


async def test_write_that_keeps_killing_its_workers_asks_a_person() -> None:
    """Even a write that may be repeated is not repeated for ever, nor given up unseen."""
    world = World(policies=(ALLOW,), behaviours={"act.keyed": forever})
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("s", "act.keyed")))

    for _ in range(MAX_LOSSES + 1):
        await crash_in_a_write(world)
    run = await world.drive()

    assert run.steps["s"].status is Status.WAITING
    assert f"its worker died {MAX_LOSSES + 1} times" in (await world.question()).text
    assert len(world.keys) == MAX_LOSSES + 1
    run = await world.answer("done")
    assert run.steps["s"].status is Status.SUCCEEDED


async def test_denied_step_with_an_open_write_asks_a_person() -> None:
    """Another call of the step is denied meanwhile: the write is not forgotten over it."""

    async def cut(_: ToolContext, __: Args) -> str:
        raise OutcomeUnknownError("cut off")

    world = World(
        policies=(policy("no", Verdict.DENY, tool="look.*"), ALLOW),
        behaviours={"act.once": cut},
        agents=(agent("acting", LOOK, CallSpec(id="act", tool="act.once")),),
    )

    run = await world.start(plan(agent_step("s", "acting")))

    assert run.steps["s"].status is Status.WAITING
    assert "act.once was begun" in (await world.question()).text
    run = await world.answer("done")
    assert run.steps["s"].status is Status.SKIPPED
    assert len(world.keys) == 1


async def test_bug_in_a_write_asks_a_person() -> None:
    """When a writing tool crashes, it may have acted: a person looks."""

    async def crash(_: ToolContext, __: Args) -> str:
        raise ZeroDivisionError

    world = World(policies=(ALLOW,), behaviours={"act.once": crash})

    run = await world.start(plan(tool_step("s", "act.once")))

    assert run.steps["s"].status is Status.WAITING
    run = await world.answer("skip")
    assert run.steps["s"].error == "skipped by Alice: outcome unknown"
    assert run.status is Status.SUCCEEDED


async def test_run_stopped_in_a_write_lets_it_end() -> None:
    """Half a write helps nobody: it ends, is recorded, and then the run is over."""
    go_on = asyncio.Event()

    async def slow(_: ToolContext, __: Args) -> str:
        await go_on.wait()
        return "acted"

    world = World(policies=(ALLOW,), behaviours={"act.once": slow})
    await world.runs().start(
        "run-1", GOAL, plan(tool_step("s", "act.once"), tool_step("t", needs=("s",)))
    )
    task = await world.begin()
    await until(lambda: bool(world.called))
    await world.runs().send("run-1", c.StopRun(BOB, "enough"))
    go_on.set()
    await task
    run = await world.drive()

    assert [call.status for call in run.calls.values()] == ["succeeded"]
    assert run.status is Status.CANCELLED
    assert run.answer is not None
    assert run.answer.actions == ("act.once: succeeded",)


async def test_run_stopped_in_a_write_of_unknown_end_says_to_look() -> None:
    """Nobody is asked any more, but the answer names the call."""

    async def cut(_: ToolContext, __: Args) -> str:
        await world.runs().send("run-1", c.StopRun(BOB))
        raise OutcomeUnknownError("cut off")

    world = World(policies=(ALLOW,), behaviours={"act.once": cut})

    run = await world.start(plan(tool_step("s", "act.once")))

    assert run.status is Status.CANCELLED
    assert run.answer is not None
    assert run.answer.recommendations == ("Check by hand whether this took effect: act.once",)


async def test_full_evidence_fails_a_read_and_not_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's evidence is bounded; what was written outside is recorded all the same."""
    monkeypatch.setattr("jobs.memory_store.MAX_EVIDENCE", 1)
    world = World(policies=(ALLOW,))
    await world.store.put_evidence(Evidence("ev-0", "run-1", "x", "t", "t", "t", 0))

    run = await world.start(plan(tool_step("r"), tool_step("w", "act.once")))

    assert "that is the most" in run.steps["r"].error
    assert run.steps["w"].status is Status.SUCCEEDED


async def test_wall_time_ends_the_run() -> None:
    """A run that waits for somebody who never comes ends with its time limit."""
    world = World()
    a_plan = plan(tool_step("s", "act.once"))

    await world.start(Plan(workflow="t", steps=a_plan.steps, answer="answer", max_wall_s=100))
    run = await world.later(101)

    assert run.status is Status.CANCELLED
    assert run.stopped_by == "its time limit"
    assert (await world.approval()).status is ApprovalStatus.CANCELLED


async def test_answer_of_the_wrong_shape_fails_the_run() -> None:
    """What is no answer is not posted as one."""
    step = agent_step("say", "sayer")

    run = await World(agents=(agent("sayer"),)).start(
        Plan(workflow="t", steps=(step,), answer="say")
    )

    assert run.status is Status.FAILED
    assert "its output is not an answer" in run.steps["say"].error

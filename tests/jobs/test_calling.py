"""Durable calls: policy, approvals, what a takeover repeats, and what it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.tool import Effect, OutcomeUnknownError, ToolContext, ToolFailed
from config.specs import AgentSpec, CallSpec, PolicyMatch, PolicySpec, Retries, Verdict
from jobs import commands as c
from jobs import patience
from jobs.asking import approval_id, literals
from jobs.memory_store import MemoryStore
from jobs.state import ApprovalStatus, CallStatus, Person, Run, Status
from jobs.store import StoreUnavailableError
from tests.agents.sandbox_tools import TOOLS
from tests.jobs.plans import ALICE, GOAL, STRANGER, approve
from tests.jobs.world import (
    ALLOW,
    ASK,
    LEADS,
    ONCALL,
    RUN_ID,
    Args,
    Clock,
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

WRITE = tool_step("s", "act.once", inputs={"service": "checkout", "text": "x"})
SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


async def test_write_waits_for_its_approval_and_then_runs_once() -> None:
    """Nothing runs before a person said yes, and no worker waits for them."""
    world = World()

    run = await world.start(plan(WRITE))
    assert run.status is Status.WAITING
    assert (world.called, world.store.leases) == ([], {})
    run = await world.decide()

    assert world.called == [("act.once", "x")]
    assert run.steps["s"].status is Status.SUCCEEDED
    (call,) = run.calls.values()
    assert (call.status, call.approval_id) == (CallStatus.SUCCEEDED, "ap-run-1-s_C_call")


@pytest.mark.parametrize(("text", "called"), [("far", []), ("near", [("look.at", "near")])])
async def test_read_that_carries_things_away_needs_a_person(
    text: str, called: list[tuple[str, str]]
) -> None:
    """What untrusted text may have shaped is not even read, if the tool says so."""
    reader = agent("reader", CallSpec(id="a", tool="look.at", args={"text": "{{ inputs.text }}"}))
    world = World(agents=(reader,))
    world.tools["look.at"] = replace(
        world.tools["look.at"], needs_person=lambda _, args: args.text == "far"
    )
    step = agent_step("s", "reader", inputs={"text": text}, is_reviewed=False)

    run = await world.start(plan(step))

    assert world.called == called
    assert (run.steps["s"].status is Status.SUCCEEDED) is bool(called)


async def test_edited_arguments_are_what_runs() -> None:
    """An edit is a new revision; once approved, exactly it runs."""
    world = World()
    await world.start(plan(WRITE))
    approval = await world.approval()

    await world.send(c.EditCall(approval.id, ALICE, 1, "s/call", {"text": "edited"}))
    assert world.called == []
    await world.decide()

    assert world.called == [("act.once", "edited")]


ON_CHECKOUT = PolicyMatch(tool="act.*", arguments={"service": "checkout"})


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        (policy("never", Verdict.DENY, tool="act.*"), "denied by policy (never)"),
        (policy("leads", Verdict.ASK, LEADS, tool="act.*"), "puts it to others (leads)"),
    ],
)
async def test_edit_does_not_get_around_policy(others: PolicySpec, reason: str) -> None:
    """A call edited into one that policy denies, or asks others about, does not run."""
    ask = PolicySpec(name="ask", verdict=Verdict.ASK, approval=ONCALL, match=ON_CHECKOUT)
    world = World(policies=(ask, others))
    await world.start(plan(WRITE))
    approval = await world.approval()

    await world.send(c.EditCall(approval.id, ALICE, 1, "s/call", {"service": "payments"}))
    run = await world.decide()

    assert world.called == []
    assert reason in run.steps["s"].reason


async def test_edit_that_takes_untrusted_text_out_runs_on_the_stricter_terms() -> None:
    """Two leads were asked because of a log line; without it, their yes is still enough."""

    async def evil(_: ToolContext, __: Args) -> str:
        return "payments-evil"

    tainted = policy("tainted", Verdict.ASK, ONCALL, effect="writes", tainted=True)
    world = World(policies=(tainted, ASK), behaviours={"look.at": evil})
    act = tool_step("s", "act.once", needs=("look",), inputs={"text": "{{ steps.look.text }}"})
    await world.start(plan(tool_step("look"), act))
    approval = await world.approval()
    assert approval.terms.policy == "tainted"

    await world.send(c.EditCall(approval.id, ALICE, 1, "s/call", {"service": "checkout"}))
    await world.decide()

    assert [name for name, _ in world.called] == ["look.at", "act.once"]


async def test_call_that_policy_denies_by_now_does_not_run_although_approved() -> None:
    """A rule that was added while people decided holds."""
    world = World()
    await world.start(plan(WRITE))
    world.policies = (policy("never", Verdict.DENY, tool="act.*"),)

    run = await world.decide()

    assert world.called == []
    assert run.steps["s"].reason == "denied by policy (never)"


async def test_denied_write_is_skipped_with_what_needs_it() -> None:
    """A no touches nothing, skips the descendants, and the run still answers."""
    world = World()
    await world.start(plan(WRITE, tool_step("t", needs=("s",))))

    run = await world.decide(is_approval=False)

    assert world.called == []
    assert run.steps["s"].reason == "denied by Alice"
    assert run.steps["t"].status is Status.SKIPPED
    assert run.status is Status.SUCCEEDED


async def test_approval_that_nobody_decides_expires() -> None:
    """After its time an approval is a no."""
    world = World()
    await world.start(plan(WRITE))

    run = await world.later(601)

    assert run.steps["s"].reason == "nobody decided in time, so it was not done"
    assert world.called == []


async def test_decision_of_a_stranger_changes_nothing() -> None:
    """Only those whom policy names decide."""
    world = World()
    await world.start(plan(WRITE))

    with pytest.raises(c.Refused, match="group oncall"):
        await world.decide(STRANGER)

    assert (await world.approval()).status is ApprovalStatus.PENDING


async def test_write_without_a_policy_is_denied() -> None:
    """What no rule speaks of does not happen."""
    run = await World(policies=()).start(plan(WRITE))

    assert run.steps["s"].status is Status.SKIPPED
    assert run.steps["s"].reason.startswith("denied by policy (no policy)")


async def test_policy_is_asked_about_reads_too() -> None:
    """A rule can forbid a reading tool, or make it wait for a person."""
    denied = policy("no looking", Verdict.DENY, tool="look.at")
    asked = policy("may I look", Verdict.ASK, ONCALL, tool="look.trusted")
    world = World(policies=(denied, asked))

    run = await world.start(plan(tool_step("a"), tool_step("b", "look.trusted")))
    assert run.steps["a"].reason == "denied by policy (no looking)"
    assert world.called == []
    run = await world.decide()

    assert run.steps["b"].status is Status.SUCCEEDED


async def test_invalid_arguments_are_not_put_to_a_person() -> None:
    """Nobody is asked to approve a call that could not run."""
    run = await World().start(plan(tool_step("s", "act.once", inputs={"count": "many"})))

    assert "cannot take these arguments: count" in run.steps["s"].error
    assert run.approvals == {}


async def test_untrusted_text_in_a_write_needs_stricter_approvers() -> None:
    """Words that only a log line holds raise the quorum; those of the plan do not."""
    tainted = policy("tainted", Verdict.ASK, LEADS, effect="writes", tainted=True)

    async def evil(_: ToolContext, args: Args) -> str:
        return "payments-evil"

    for tool, words, quorum in (
        ("look.at", "{{ steps.look.text }}", 2),
        ("look.trusted", "{{ steps.look.text }}", 1),
        ("look.at", "fixed words", 1),
    ):
        world = World(policies=(tainted, ASK), behaviours={"look.at": evil, "look.trusted": evil})
        act = tool_step("s", "act.once", needs=("look",), inputs={"text": words})

        await world.start(plan(tool_step("look", tool), act))

        assert (await world.approval()).terms.quorum == quorum


async def test_secret_in_an_argument_is_refused_and_stored_nowhere() -> None:
    """Arguments are shown and stored, so a call with a secret in them is not made."""

    async def hidden(_: ToolContext, __: Args) -> str:
        return "ghp_abcdefghij klmnopqrstuvwxyz0123456789"

    world = World(policies=(ALLOW,), behaviours={"look.trusted": hidden})
    joined = "{{ steps.look.text | replace(' ', '') }}"

    run = await world.start(
        plan(
            tool_step("look", "look.trusted"),
            tool_step("s", "act.once", needs=("look",), inputs={"text": joined}),
            tool_step("r", "look.at", needs=("look",), inputs={"text": joined}),
        )
    )

    for key in ("s", "r"):
        assert "its argument text looks like a secret" in run.steps[key].error
    assert [name for name, _ in world.called] == ["look.trusted"]
    stored = [repr(run), repr(await world.store.events(RUN_ID)), repr(world.store._journals)]
    assert not any(SECRET in text for text in stored)


async def test_known_secret_is_kept_out_of_evidence_errors_and_arguments() -> None:
    """What the worker was given is masked although it looks like any other words."""

    async def tell(_: ToolContext, args: Args) -> str:
        if args.text == "fail":
            raise ToolFailed("refused: open sesame")
        return "say open sesame"

    world = World(policies=(ALLOW,), secrets=("open sesame",), behaviours={"look.at": tell})

    run = await world.start(
        plan(
            tool_step("a"),
            tool_step("b", inputs={"text": "fail"}),
            tool_step("c", "act.once", inputs={"text": "open sesame"}),
        )
    )

    assert (await world.store.evidence(RUN_ID))["ev-a-call"].text == "say [redacted]"
    assert run.steps["a"].output == {
        "text": "say [redacted]",
        "count": 0,
        "evidence_id": "ev-a-call",
    }
    assert run.steps["b"].error == "refused: [redacted]"
    assert "its argument text looks like a secret" in run.steps["c"].error
    assert [name for name, _ in world.called] == ["look.at", "look.at"]


async def test_secret_in_an_edit_is_refused() -> None:
    """An approver cannot put a secret into arguments either."""
    world = World()
    await world.start(plan(WRITE))
    approval = await world.approval()

    with pytest.raises(c.Refused, match="looks like a secret"):
        await world.send(c.EditCall(approval.id, ALICE, 1, "s/call", {"text": SECRET}))


async def test_failed_write_is_on_record_and_not_tried_again() -> None:
    """The outcome of a write is final: a retry would only read it again."""

    async def fail(_: ToolContext, __: Args) -> str:
        raise ToolFailed("the release is gone")

    world = World(policies=(ALLOW,), behaviours={"act.once": fail})

    run = await world.start(plan(tool_step("s", "act.once", retries=Retries(times=5))))

    assert run.steps["s"].error == "the release is gone"
    assert len(world.called) == 1
    assert [call.status for call in run.calls.values()] == [CallStatus.FAILED]


async def test_step_tried_again_does_not_repeat_its_write() -> None:
    """When an agent's later call fails, its next try recalls the write and reads anew."""
    failures = [True]

    async def once(_: ToolContext, __: Args) -> str:
        if failures:
            failures.pop()
            raise ToolFailed("not yet")
        return "well"

    act = CallSpec(id="act", tool="act.once", args={"text": "x"})
    check = CallSpec(id="check", tool="look.at", args={"text": "{{ calls.act.output.text }}"})
    world = World(
        policies=(ALLOW,), agents=(agent("fixer", act, check),), behaviours={"look.at": once}
    )

    await world.start(plan(agent_step("s", "fixer", retries=Retries(times=1))))
    run = await world.later(5)

    assert run.steps["s"].output == {"act": "saw x", "check": "well"}
    assert [name for name, _ in world.called] == ["act.once", "look.at", "look.at"]


async def test_fallback_agent_acts_for_itself() -> None:
    """Its writing call of the same name is not taken for the one the first agent made."""

    async def picky(_: ToolContext, args: Args) -> str:
        if args.text == "no":
            raise ToolFailed("not that")
        return args.text

    def acting(name: str, text: str, then: str) -> AgentSpec:
        act = CallSpec(id="act", tool="act.once", args={"text": text})
        check = CallSpec(
            id="check", tool="look.at", args={"text": then}, when="calls.act.output.text"
        )
        return agent(name, act, check)

    world = World(
        agents=(acting("first", "x", "no"), acting("second", "y", "yes")),
        behaviours={"look.at": picky},
    )
    await world.start(plan(agent_step("s", "first", fallback_agent="second")))
    await world.decide()

    (_, approval) = (await world.run()).approvals.values()
    run = await world.send(approve(approval))

    assert [text for name, text in world.called if name == "act.once"] == ["x", "y"]
    assert world.keys == ["run-1/s/act", "run-1/s/second/act"]
    assert run.steps["s"].output == {"act": "saw y", "check": "yes"}
    assert {call.evidence_id for call in run.calls.values()} == {"ev-s-act", "ev-s-second-act"}


async def test_recorded_call_is_not_taken_for_one_of_another_tool() -> None:
    """An agent that was changed between two tries does not inherit what the old one did."""

    async def fail(_: ToolContext, __: Args) -> str:
        raise ToolFailed("not yet")

    def acting(tool: str) -> AgentSpec:
        act = CallSpec(id="act", tool=tool, args={"text": "x"})
        check = CallSpec(id="check", tool="look.at", args={"text": "{{ calls.act.output.text }}"})
        return agent("fixer", act, check)

    world = World(policies=(ALLOW,), agents=(acting("act.once"),), behaviours={"look.at": fail})
    await world.start(plan(agent_step("s", "fixer", retries=Retries(times=1))))
    world.agents = (acting("act.keyed"),)
    run = await world.later(5)

    assert world.keys == ["run-1/s/act"]
    assert "on record as a call of act.once" in run.steps["s"].error


@pytest.mark.parametrize(
    ("answer", "status", "times"),
    [("done", Status.SUCCEEDED, 1), ("retry", Status.SUCCEEDED, 2), ("skip", Status.FAILED, 1)],
)
async def test_write_of_unknown_outcome_is_a_question(
    answer: str, status: Status, times: int
) -> None:
    """A person says what became of it, and that decides whether it runs again."""
    cut = [True]

    async def unknown(_: ToolContext, __: Args) -> str:
        if cut:
            cut.pop()
            raise OutcomeUnknownError("cut off")
        return "acted"

    world = World(policies=(ALLOW,), behaviours={"act.once": unknown})

    run = await world.start(plan(tool_step("s", "act.once", retries=Retries(times=3))))
    assert run.status is Status.WAITING
    run = await world.answer(answer)

    assert run.steps["s"].status is status
    assert len(world.called) == times
    assert run.status is Status.SUCCEEDED


async def test_write_whose_process_is_killed_after_its_effect_is_a_question(tmp_path: Path) -> None:
    """Nobody knows that it did not act, so its approvers are asked and it is not repeated."""
    world = World(policies=(policy("ask", Verdict.ASK, ONCALL, tool="test.*"),))
    world.tools["test.behave"] = replace(TOOLS[0], effect=Effect.WRITES)
    args = {"how": "killed", "path": str(tmp_path / "effect")}
    await world.start(plan(tool_step("s", "test.behave", inputs=args)))

    run = await world.decide()

    assert await asyncio.to_thread((tmp_path / "effect").exists)
    assert run.status is Status.WAITING
    assert [call.status for call in run.calls.values()] == [CallStatus.INTENDED]
    question = await world.question()
    assert (question.options, question.groups) == (("done", "retry", "skip"), ("oncall",))
    run = await world.answer("done")
    assert run.steps["s"].status is Status.SUCCEEDED


async def test_only_approvers_of_the_call_may_say_what_became_of_it() -> None:
    """To say "retry" is to decide that it runs again."""
    world = World(behaviours={"act.once": forever})
    await world.start(plan(tool_step("s", "act.once", timeout_s=0.1)))
    await world.decide()

    with pytest.raises(c.Refused, match="Only group oncall"):
        await world.answer("retry", STRANGER)


async def test_outcome_of_a_write_outlasts_an_absent_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tool has acted: that is recorded when the store is back, and it does not act again."""
    monkeypatch.setattr(patience, "STORE_RETRY_S", 0)
    world = World(policies=(ALLOW,))
    away = {"put_evidence": 2, "commit": 3}

    def sometimes(name: str) -> Callable[..., Awaitable[Any]]:
        real = getattr(world.store, name)

        async def method(*args: Any, **kwargs: Any) -> Any:
            if world.called and away[name]:
                away[name] -= 1
                raise StoreUnavailableError("away")
            return await real(*args, **kwargs)

        return method

    for name in away:
        monkeypatch.setattr(world.store, name, sometimes(name))

    run = await world.start(plan(WRITE))

    assert away == {"put_evidence": 0, "commit": 0}
    assert world.called == [("act.once", "x")]
    assert [call.status for call in run.calls.values()] == [CallStatus.SUCCEEDED]


async def test_outcome_of_a_write_is_recorded_although_its_step_is_cancelled() -> None:
    """Between the act and its record nothing comes in: not a timeout, not a drain."""
    world = World(policies=(ALLOW,))
    going, go_on = asyncio.Event(), asyncio.Event()
    put = world.store.put_evidence

    async def slowly(*args: Any, **kwargs: Any) -> bool:
        going.set()
        await go_on.wait()
        return await put(*args, **kwargs)

    world.store.put_evidence = slowly  # type: ignore[method-assign]
    await world.runs().start(RUN_ID, GOAL, plan(WRITE))
    task = await world.begin()
    await going.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)

    assert [call.status for call in await world.calls()] == [CallStatus.SUCCEEDED]


class FreezingStore(MemoryStore):
    """A store that stands still at one of its writes, before or after it, for ever."""

    def __init__(self, at: int, *, is_after: bool) -> None:
        super().__init__()
        self.at = at
        self.is_after = is_after
        self.writes = 0
        self.is_frozen = asyncio.Event()

    async def _write(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        is_here = self.writes == self.at
        if is_here and not self.is_after:
            await self._freeze()
        done = await getattr(super(), name)(*args, **kwargs)
        if is_here and self.is_after:
            await self._freeze()
        return done

    async def _freeze(self) -> None:
        self.is_frozen.set()
        await asyncio.Event().wait()

    async def commit(self, *args: Any) -> None:
        """Commit, or freeze."""
        await self._write("commit", *args)

    async def append_journal(self, *args: Any) -> bool:
        """Append, or freeze."""
        return bool(await self._write("append_journal", *args))

    async def put_evidence(self, *args: Any, **kwargs: Any) -> bool:
        """Put, or freeze."""
        return bool(await self._write("put_evidence", *args, **kwargs))


READ_A = CallSpec(id="a", tool="look.at", args={"text": "a"})
READ_B = CallSpec(id="b", tool="look.at", args={"text": "{{ calls.a.output.text }}"})


def story(tool: str) -> tuple[Any, ...]:
    """Return a plan of two reads by an agent, a write, and another read."""
    return (
        agent_step("look", "scout"),
        tool_step("act", tool, needs=("look",), inputs={"text": "{{ steps.look.b }}"}),
        tool_step("check", needs=("act",), inputs={"text": "c"}),
    )


async def crash_at(at: int, *, is_after: bool, tool: str) -> tuple[World, Run, bool]:
    """Run the story with the worker killed at one write; return what came of it."""
    store = FreezingStore(at, is_after=is_after)
    world = World(policies=(ALLOW,), agents=(agent("scout", READ_A, READ_B),), store=store)
    store.clock = Clock()
    await world.runs().start(RUN_ID, GOAL, plan(*story(tool)))
    driving = asyncio.create_task(world.drive())
    frozen = asyncio.create_task(store.is_frozen.wait())
    await asyncio.wait({driving, frozen}, return_when=asyncio.FIRST_COMPLETED)
    has_crashed = not driving.done()
    await kill_everything()
    store.at = -1
    run = await world.take_over() if has_crashed else await world.run()
    if run.status is Status.WAITING:
        run = await world.answer("done")
    if not run.is_over:
        run = await world.later(60)
    return world, run, has_crashed


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("tool", ["act.keyed", "act.once"])
async def test_takeover_after_a_crash_at_any_write(tool: str, is_after: bool) -> None:
    """Wherever the worker dies, the run ends well; recorded reads and writes do not run again."""
    points = 0
    for at in range(2, 100):
        world, run, has_crashed = await crash_at(at, is_after=is_after, tool=tool)
        if not has_crashed:
            break
        points += 1
        acts = world.keys
        assert run.status is Status.SUCCEEDED, (at, run)
        assert run.steps["act"].status is Status.SUCCEEDED, (at, run)
        assert set(acts) <= {"run-1/act/call"}
        if tool == "act.once":
            assert len(acts) <= 1, at
        reads = [text for name, text in world.called if name == "look.at"]
        assert len(reads) <= 4, (at, reads)
        assert not world.store.leases
    assert points > 10


async def test_finished_reads_are_not_repeated_after_a_takeover() -> None:
    """A worker that takes over recalls what is in the journal, with its text."""
    world = World(agents=(agent("scout", READ_A, READ_B),))

    async def hang(_: ToolContext, args: Args) -> str:
        if args.text != "a":
            await asyncio.Event().wait()
        return "one"

    world.behaviours["look.at"] = hang
    await world.runs().start(RUN_ID, GOAL, plan(agent_step("s", "scout")))
    await world.begin()
    await until(lambda: len(world.called) == 2)
    await kill_everything()
    world.behaviours.clear()
    run = await world.take_over()

    assert [text for _, text in world.called] == ["a", "one", "one"]
    assert run.steps["s"].output == {"a": "one", "b": "saw one"}
    assert run.steps["s"].losses == 1


@pytest.mark.parametrize(("tool", "is_asked"), [("act.keyed", False), ("act.once", True)])
async def test_takeover_in_a_write(tool: str, is_asked: bool) -> None:
    """With a key the write is repeated with the same key; without one a person is asked."""
    world = World(behaviours={tool: forever})
    await world.start(plan(tool_step("s", tool, inputs={"text": "x"})))
    await world.runs().send(RUN_ID, _yes(await world.approval()))
    await world.begin()
    await until(lambda: bool(world.called))
    await kill_everything()
    world.behaviours.clear()
    run = await world.take_over()

    assert bool(run.questions) is is_asked
    if is_asked:
        assert (await world.question()).groups == ("oncall",)
        run = await world.answer("retry")
    assert run.status is Status.SUCCEEDED
    assert world.keys == ["run-1/s/call", "run-1/s/call"]


def _yes(approval: Any, person: Person = ALICE) -> c.Decide:
    return c.Decide(approval.id, person, True, approval.revision, approval.digest)


async def test_write_whose_tool_left_the_catalogue_is_a_question() -> None:
    """Who comes after cannot repeat it, but somebody can look."""
    world = World(policies=(ALLOW,), behaviours={"act.keyed": forever})
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("s", "act.keyed")))
    await world.begin()
    await until(lambda: bool(world.called))
    await kill_everything()
    del world.tools["act.keyed"]

    run = await world.take_over()

    assert run.steps["s"].status is Status.WAITING
    assert len(run.questions) == 1


async def test_fenced_off_worker_leaves_no_evidence() -> None:
    """What a worker finds after it lost the step does not replace what its successor found."""
    go_on = asyncio.Event()

    async def slow(_: ToolContext, __: Args) -> str:
        await go_on.wait()
        return "late"

    world = World(behaviours={"look.at": slow})
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("s")))
    late = await world.begin()
    await until(lambda: bool(world.called))
    world.behaviours.clear()
    run = await world.take_over()
    go_on.set()
    await late

    assert (await world.store.evidence(RUN_ID))["ev-s-call"].text == "saw "
    assert run.status is Status.SUCCEEDED


async def test_two_writes_of_one_agent_are_asked_for_one_after_the_other() -> None:
    """Parallel calls that both need a person do not lose each other."""
    calls = [CallSpec(id=name, tool="act.once", args={"text": name}) for name in ("a", "b")]
    world = World(agents=(agent("fixer", *calls),))

    await world.start(plan(agent_step("s", "fixer")))
    for _ in calls:
        (open_one,) = await world.store.open_approvals()
        approvals = (await world.run()).approvals
        await world.send(_yes(approvals[open_one[1]]))

    assert (await world.run()).steps["s"].output == {"a": "saw a", "b": "saw b"}
    assert sorted(world.called) == [("act.once", "a"), ("act.once", "b")]


def test_ids_of_approvals_do_not_meet() -> None:
    """A call of one step and another step whose name reads alike are told apart."""
    assert len({approval_id("r", key) for key in ("a/b-c", "a-b/c", "a-b-c", "a.0/b")}) == 4


def test_only_the_authors_own_words_are_trusted() -> None:
    """What an expression fills in is not the plan author's."""
    inputs: Any = {"a": "words", "b": "{{ goal.text }}", "c": [{"d": 5}], "e": True}

    assert literals(inputs) == ["a", "b", "c", "e", "words", "d", "5"]


async def test_policy_sees_the_services_environment() -> None:
    """A rule for production meets a call on a service of production."""

    def rules(*specs: PolicySpec) -> World:
        return World(policies=specs)

    careful = policy("careful", Verdict.DENY, environment="production", tool="act.*")

    run = await rules(careful, ALLOW).start(plan(WRITE))

    assert run.steps["s"].reason == "denied by policy (careful)"


async def test_a_step_of_a_reviewed_workflow_is_told_from_an_agents_own_call() -> None:
    """A rule for wired steps does not let an agent, nor a step that a model planned, do it too."""
    wired = policy("wired", Verdict.ALLOW, tool="act.*", reviewed=True)
    actor = agent("actor", CallSpec(id="do", tool="act.once", args={"text": "b"}))
    planned = replace(WRITE, id="planned", is_reviewed=False)
    world = World(policies=(wired, ASK), agents=(actor,))

    run = await world.start(plan(WRITE, agent_step("own", "actor"), planned))

    assert world.called == [("act.once", "x")]
    asked = {one.step_id: one.terms.policy for one in run.approvals.values()}
    assert asked == {"own": "ask", "planned": "ask"}


async def test_a_call_that_builds_on_what_a_model_planned_is_not_a_reviewed_one() -> None:
    """A supervisor may replace what a reviewed step reads: policy takes that step for its own."""
    wired = policy("wired", Verdict.ALLOW, tool="act.*", reviewed=True)
    first = replace(tool_step("first"), is_reviewed=False)
    second = tool_step("second", after=("first",))
    write = replace(WRITE, needs=("second",))

    run = await World(policies=(wired, ASK)).start(plan(first, second, write))

    assert [one.terms.policy for one in run.approvals.values()] == ["ask"]

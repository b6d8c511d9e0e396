"""What people write in a thread stops its run, answers it, tells it something, or asks anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.domain import ThreadRef
from agents.plan import plan_from_workflow
from bot.conversation import MAX_MESSAGE_CHARS, Conversation, Said, answered, is_stop
from bot.desk import Desk
from bot.forms import Forms
from bot.intake import Intake
from bot.platforms.memory import MemoryPlatform
from bot.present import Presenter
from config.contents import Catalogue
from jobs import commands as c
from jobs.assembly import rules_of
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Person, Question, Run
from tests.bot.planned import AGENTS, GOAL, NOW, root_step
from tests.bot.samples import ALICE, CATALOGUE, INCIDENT, TOOLBOX
from tests.jobs.plans import plan

THREAD = GOAL.thread
BOB = Person("console:bob", "Bob")
SECRET = "hunter2-hunter2"


class Room:
    """A thread in which people and runs meet, in memory."""

    def __init__(self) -> None:
        self.now = NOW
        self.runs = Runs(MemoryStore(self.clock), self.clock)
        catalogue = Catalogue(
            agents=AGENTS, workflows=CATALOGUE.workflows, services=CATALOGUE.services
        )
        incidents = MemoryIncidentStore()
        intake = Intake(
            catalogue=catalogue,
            runs=self.runs,
            incidents=incidents,
            platforms={"console": MemoryPlatform("console")},
            clock=self.clock,
        )
        desk = Desk(
            runs=self.runs,
            intake=intake,
            forms=Forms(catalogue=catalogue, runs=self.runs, incidents=incidents, platforms={}),
            incidents=incidents,
            presenter=Presenter(catalogue, TOOLBOX),
            toolbox=TOOLBOX,
            rules=rules_of(catalogue, (SECRET,)),
        )
        self.conversation = Conversation(desk, self.clock)

    def clock(self) -> float:
        """Return the time that was set."""
        return self.now

    async def begin(self, run_id: str = "run-1", *, is_planned: bool = True) -> Run:
        """Start a run in the thread, planned as it goes or along a workflow."""
        steps = plan(root_step()) if is_planned else plan_from_workflow(INCIDENT)
        return await self.runs.start(run_id, GOAL, steps)

    async def ask(self, question: Question) -> None:
        """Let the run's step ask something."""
        run = await self.runs.send("run-1", c.StartStep("goal", 1, "w"))
        await self.runs.send("run-1", c.AskQuestion("goal", run.steps["goal"].attempt, question))

    async def say(self, text: str, person: Person = ALICE, **fields: Any) -> Said:
        """Write in the thread."""
        return await self.conversation.say(fields.pop("thread", THREAD), text, person, **fields)


@pytest.fixture
def room() -> Room:
    """Return an empty thread."""
    return Room()


@pytest.mark.parametrize("word", ["stop", "Cancel", " ABORT! ", "stop."])
async def test_stop_ends_what_runs(room: Room, word: str) -> None:
    """The word alone is enough, from whoever may write there."""
    await room.begin()

    said = await room.say(word, BOB)

    assert said.outcome.kind == "stopping"
    assert (await room.runs.get("run-1")).stopped_by == "Bob"


@pytest.mark.parametrize("text", ["stop the presses?", "do not stop", "stopp"])
def test_a_sentence_is_no_stop_word(text: str) -> None:
    """Only the word itself stops a run."""
    assert not is_stop(text)


async def test_nothing_to_stop_is_said(room: Room) -> None:
    """Where nothing runs, stopping is no goal either."""
    said = await room.say("stop")

    assert said.outcome.is_refusal
    assert "nothing to stop" in said.outcome.sentence
    assert await room.runs.store.run_ids() == []


async def test_message_is_told_to_the_supervisor(room: Room) -> None:
    """A run that is planned as it goes hears who said what; the same message counts once."""
    await room.begin()

    first = await room.say("only the EU, please", key="k", at=NOW + 5)
    again = await room.say("only the EU, please", key="k", at=NOW + 5)

    assert first.outcome.kind == again.outcome.kind == "heard"
    run = await room.runs.get("run-1")
    assert [(one.kind, one.text) for one in run.signals] == [
        ("message", "Alice: only the EU, please")
    ]


async def test_fixed_plan_says_that_nobody_acts_on_it(room: Room) -> None:
    """A run along a workflow keeps the message, and the person reads what to do instead."""
    await room.begin(is_planned=False)

    said = await room.say("look at payments, too")

    assert said.outcome.kind == "noted"
    assert "say stop" in said.outcome.sentence


@pytest.mark.parametrize("text", ["EU", "eu"])
async def test_option_answers_the_question(room: Room, text: str) -> None:
    """The option may be written in any case; the run gets it as it was offered."""
    await room.begin()
    await room.ask(Question("q1", "goal", "Which region?", ("EU", "US"), kind="input"))

    said = await room.say(text, BOB, at=NOW)
    again = await room.say(text, BOB, at=NOW)

    assert said.outcome.kind == again.outcome.kind == "answered"
    run = await room.runs.get("run-1")
    assert (run.questions["q1"].answer, run.questions["q1"].answered_by) == ("EU", "Bob")
    assert run.signals == ()


@pytest.mark.parametrize(("other", "is_clear"), [("run", True), ("day", False)])
async def test_one_word_answers_all_questions_about_a_budget(
    room: Room, other: str, is_clear: bool
) -> None:
    """Two steps ask about the same budget: either one is meant; about two, neither is."""
    run = await room.begin()
    asked = [
        Question(f"q{n}", "goal", "Go on?", ("continue", "stop"), kind="budget", about=about)
        for n, about in enumerate(("run", other))
    ]
    run = replace(run, questions={one.id: one for one in asked})

    assert (answered(run, "continue", ALICE) is not None) is is_clear


async def test_free_text_answers_the_only_question(room: Room) -> None:
    """Without options the words themselves are the answer."""
    await room.begin()
    await room.ask(Question("q1", "goal", "Which region?", kind="input"))

    await room.say("the one in Frankfurt")

    assert (await room.runs.get("run-1")).questions["q1"].answer == "the one in Frankfurt"


@pytest.mark.parametrize(
    "question",
    [
        Question("q1", "goal", "Which region?", ("EU", "US"), kind="input"),
        Question("q1", "goal", "Did it?", ("done", "retry"), kind="outcome"),
        Question("q1", "goal", "Which region?", kind="input", groups=("leads",)),
    ],
)
async def test_what_answers_no_question_is_a_message(room: Room, question: Question) -> None:
    """Other words, a write's outcome, and whoever may not answer: the run is told instead."""
    await room.begin()
    await room.ask(question)

    said = await room.say("done", BOB)

    assert said.outcome.kind == "heard"
    assert (await room.runs.get("run-1")).questions["q1"].is_open


async def test_follow_up_starts_the_next_run_in_the_thread(room: Room) -> None:
    """After the end a message is a new goal in the same place; sent again it is the same run."""
    await room.begin(is_planned=False)
    await room.say("stop")

    first = await room.say("why is checkout failing?", key="k", at=NOW)
    again = await room.say("why is checkout failing?", key="k", at=NOW)

    assert first.outcome.kind == again.outcome.kind == "started"
    assert first.outcome.run is not None
    assert again.outcome.run is not None
    assert first.outcome.run.id == again.outcome.run.id
    assert first.outcome.run.goal.thread == THREAD
    assert len(await room.runs.store.runs_of_thread(THREAD)) == 2


async def test_goal_that_nothing_fits_gets_choices(room: Room) -> None:
    """Without a model the person reads what would be understood."""
    said = await room.say("sing a song")

    assert said.outcome.is_refusal
    assert "why is checkout failing?" in said.choices


@pytest.mark.parametrize(("text", "reason"), [("  ", "Write"), ("x" * 2_001, "at most 2,000")])
async def test_text_has_its_limits(room: Room, text: str, reason: str) -> None:
    """Nothing and too much are refused in words, before anything is stored."""
    await room.begin()

    said = await room.say(text)

    assert MAX_MESSAGE_CHARS == 2_000
    assert said.outcome.is_refusal
    assert reason in said.outcome.sentence
    assert (await room.runs.get("run-1")).signals == ()


async def test_secrets_are_taken_out(room: Room) -> None:
    """What a person writes is kept and shown, so no secret of ours stays in it."""
    await room.begin()

    await room.say(f"the token is {SECRET}")

    (moment,) = (await room.runs.get("run-1")).signals
    assert SECRET not in moment.text


async def test_threads_of_other_platforms_are_written_to_there(room: Room) -> None:
    """Nobody speaks in a chat as somebody they are not there."""
    said = await room.say("hello", thread=ThreadRef("slack", "ops", "t"))

    assert (said.outcome.kind, said.outcome.is_refusal) == ("not_allowed", True)

"""Patterns of passing work on: who plans, judges and takes over, from YAML and from plans."""

from __future__ import annotations

import pytest

from agents.models.port import ModelReply
from jobs.planning import MAX_DEPTH
from jobs.rehearsal import Reply, ScriptedPeople
from jobs.state import Status
from tests.examples.house import (
    ALICE,
    FINE,
    PATTERNS,
    REVIEW,
    Cast,
    Meeting,
    answers,
    ended_well,
    hands_to,
    judges,
    plans,
    step,
    submits,
    sums_up,
)

# ---- hierarchy


def column(inner: str) -> ModelReply:
    """Plan a column: points, then a text."""
    return plans(
        step("points", "outliner", inputs={"text": inner}),
        step("text", "drafter", "points", inputs={"points": "{{ steps.points.points }}"}),
    )


async def test_supervisors_plan_for_supervisors() -> None:
    """Three levels plan; each sums up for the one above, and nobody sees two levels down."""
    cast: Cast = {
        "chief-editor": [
            plans(
                step("title", "drafter", inputs={"brief": "A title page."}),
                step("city", "section-editor", instruction="A section about the bridge."),
            ),
            sums_up("The issue is done."),
        ],
        "section-editor": [
            plans(
                step("history", "column-editor", instruction="A column about its history."),
                step(
                    "facts", "fact-desk", "history", inputs={"text": "{{ steps.history.headline }}"}
                ),
            ),
            sums_up("The section is done."),
        ],
        "column-editor": [column("1887"), sums_up("The column is done.")],
        "fact-desk": [FINE],
        "outliner": [submits(points=["It is old."])],
        "drafter": [submits(text="A text."), submits(text="A text.")],
    }
    played = ended_well(await PATTERNS.workflow("newsletter", "the new bridge", cast))

    shape = played.shape
    assert shape.decided == [
        ("chief-editor", "plans issue.title, issue.city"),
        ("section-editor", "plans issue.city.history, issue.city.facts"),
        ("column-editor", "plans issue.city.history.points, issue.city.history.text"),
    ]
    city = "issue.city"
    assert shape.are_in_line(f"{city}.history.points", f"{city}.history.text")
    for above, below in (("issue", city), (city, f"{city}.history")):
        first, last = shape.on(above)
        assert (first.end, last.end) == ("planned", "succeeded")
        assert first.ended < shape.on(below)[0].started
        assert shape.on(below)[-1].ended < last.started
    assert "The column is done." in played.told("fact-desk")
    assert "The section is done." in played.told("chief-editor")
    assert "The column is done." not in played.told("chief-editor")


async def test_depth_has_a_limit() -> None:
    """The third level is told that nobody below it may plan, and plans the work itself.

    Each of the two above it planned one thing, so the answer goes up without another call.
    """
    nested = plans(step("more", "section-editor", instruction="Go on planning."))
    cast: Cast = {
        "chief-editor": [plans(step("city", "section-editor", instruction="A section."))],
        "section-editor": [plans(step("column", "column-editor", instruction="A column."))],
        "column-editor": [nested, column("1887"), sums_up("Done.")],
        "outliner": [submits(points=["It is old."])],
        "drafter": [submits(text="A text.")],
    }
    played = ended_well(await PATTERNS.workflow("newsletter", "the new bridge", cast))

    assert "section-editor is not in the team" in played.told("column-editor", 1)
    planners = {who for who, what in played.shape.decided if "plans" in what}
    assert len(planners) == MAX_DEPTH
    assert max(name.count(".") for name in played.shape.steps) == MAX_DEPTH


async def test_planned_hierarchy() -> None:
    """A part goes to an agent that plans it, while the other parts are worked on."""
    meeting = Meeting(2)
    cast: Cast = {
        "supervisor": [
            plans(
                step("section", "section-editor", instruction="A section about the bridge."),
                step("title", "drafter", inputs={"brief": "A title."}),
            ),
            sums_up("All is written."),
        ],
        "section-editor": [
            plans(step("text", "drafter", inputs={"brief": "The bridge."})),
            sums_up("The section is written."),
        ],
        "drafter": [meeting.then(submits(text="A text.")) for _ in range(2)],
    }
    played = ended_well(await PATTERNS.goal("write about the bridge", cast))

    assert played.shape.decided == [
        ("supervisor", "plans goal.section, goal.title"),
        ("section-editor", "plans goal.section.text"),
    ]
    assert played.shape.are_side_by_side("goal.title", "goal.section.text")
    assert "The section is written." in played.told("supervisor")


# ---- the manager evaluates

BAD, GOOD = submits(text="We promise you the moon."), submits(text="Ride with us this week.")


async def test_manager_accepts() -> None:
    """What meets the criteria is passed on at once."""
    cast: Cast = {
        "drafter": [GOOD],
        REVIEW: [judges("accept")],
        "proofreader": [answers("Ride with us this week.")],
    }
    played = ended_well(await PATTERNS.workflow("copy", "the bike week", cast))

    assert played.shape.told == [
        ("drafter", "write", "succeeded"),
        ("proofreader", "proofread", "succeeded"),
    ]
    assert "promises nothing" in played.told(REVIEW)


async def test_manager_sends_it_back_with_feedback() -> None:
    """The same agent mends it, and only the mended text goes down the line."""
    cast: Cast = {
        "drafter": [BAD, GOOD],
        REVIEW: [judges("retry", "Promise nothing."), judges("accept")],
        "proofreader": [answers("Ride with us this week.")],
    }
    played = ended_well(await PATTERNS.workflow("copy", "the bike week", cast))

    assert played.shape.told[0] == ("drafter", "write", "succeeded")
    assert "Promise nothing." in played.told("drafter")
    assert "moon" not in played.told("proofreader")


async def test_what_stays_bad_goes_no_further() -> None:
    """After its one retry the step fails, and what needs it never begins."""
    cast: Cast = {
        "drafter": [BAD, BAD],
        REVIEW: [judges("retry", "Promise nothing."), judges("retry", "Still a promise.")],
    }
    played = await PATTERNS.workflow("copy", "the bike week", cast)

    assert played.run.status is Status.FAILED
    assert played.shape.told == [("drafter", "write", "failed")]
    assert played.shape.skipped == ("proofread",)


async def test_manager_gives_it_to_somebody_else() -> None:
    """The step goes on with another agent of the manager's team, who knows why."""
    cast: Cast = {
        "drafter": [BAD],
        "feature-writer": [GOOD],
        REVIEW: [judges("reassign", "The tone is wrong.", "feature-writer"), judges("accept")],
        "proofreader": [answers("Ride with us this week.")],
    }
    played = ended_well(await PATTERNS.workflow("copy", "the bike week", cast))

    assert played.shape.told == [
        ("drafter", "write", "handed to feature-writer"),
        ("feature-writer", "write", "succeeded"),
        ("proofreader", "proofread", "succeeded"),
    ]
    assert "The tone is wrong." in played.told("feature-writer")


@pytest.mark.parametrize("word", ["accept", "reject"])
async def test_manager_asks_a_person(word: str) -> None:
    """A person decides; a no ends the step, a yes lets the output pass."""
    cast: Cast = {"drafter": [BAD], REVIEW: [judges("escalate", "It speaks of money.")]}
    if word == "accept":
        cast = {**cast, "proofreader": [answers("We promise you the moon.")]}
    people = ScriptedPeople(replies=(Reply("speaks of money", word),))
    played = await PATTERNS.workflow("copy", "the bike week", cast, people)

    shape = played.shape
    assert [one.end for one in shape.on("write")] == [
        "asked",
        "succeeded" if word == "accept" else "failed",
    ]
    assert shape.decided == [(ALICE, f"answers write: {word}")]
    assert shape.skipped == (() if word == "accept" else ("proofread",))


async def test_planned_acceptance_is_judged_by_the_supervisor() -> None:
    """A planned step says what a good result is; its supervisor holds it to that."""
    cast: Cast = {
        "supervisor": [
            plans(
                step(
                    "write",
                    "drafter",
                    inputs={"brief": "One sentence."},
                    acceptance="It promises nothing.",
                )
            ),
            sums_up("Ride with us this week."),
        ],
        "drafter": [BAD, GOOD],
        REVIEW: [judges("retry", "Promise nothing."), judges("accept")],
    }
    played = ended_well(await PATTERNS.goal("one sentence for the bike week", cast))

    assert played.shape.on("goal.write")[0].end == "succeeded"
    assert "It promises nothing." in played.told(REVIEW)
    assert "Ride with us" in played.told("supervisor")
    assert "moon" not in played.told("supervisor")


# ---- handoff


async def test_letter_goes_from_desk_to_desk_to_a_person() -> None:
    """One agent at a time has it; the last asks a person, and answers with what they say."""
    people = ScriptedPeople(replies=(Reply("a refund", "Refund one of the two."),))
    played = ended_well(
        await PATTERNS.workflow("letter", "I was charged twice", LETTER, people=people)
    )

    shape = played.shape
    assert shape.told == [
        ("front-desk", "answer", "handed to subscriptions"),
        ("subscriptions", "answer", "asked"),
        ("subscriptions", "answer", "succeeded"),
    ]
    assert shape.is_held_by_one("answer")
    assert shape.decided == [
        ("front-desk", "hands answer to subscriptions"),
        (ALICE, "answers answer: Refund one of the two."),
    ]
    assert "it is about money" in played.told("subscriptions", 0)
    assert "Refund one of the two." in played.told("subscriptions")


LETTER: Cast = {
    "front-desk": [hands_to("subscriptions", "it is about money")],
    "subscriptions": [
        hands_to("person", "a refund is not mine to decide"),
        answers("One of the two payments is refunded."),
    ],
}


async def test_planned_handoff_is_one_step() -> None:
    """The planner gives the letter to the desk, and lets the desks find out whose it is."""
    letter = step("letter", "front-desk", inputs={"text": "I was charged twice."})
    cast: Cast = {"supervisor": [plans(letter, decision="single")], **LETTER}
    people = ScriptedPeople(replies=(Reply("a refund", "Refund one of the two."),))
    played = ended_well(await PATTERNS.goal("answer Ada, who was charged twice", cast, people))

    assert [(who, end) for who, name, end in played.shape.told if name == "goal.letter"] == [
        ("front-desk", "handed to subscriptions"),
        ("subscriptions", "asked"),
        ("subscriptions", "succeeded"),
    ]
    assert played.answer.headline == "One of the two payments is refunded."


# ---- swarm


async def test_swarm_ends_where_nobody_hands_on() -> None:
    """Peers pass the text among themselves; nobody plans, and whoever is content ends it."""
    cast: Cast = {
        "clarity": [hands_to("brevity", "It is long: the bridge is in the process of opening.")],
        "brevity": [hands_to("rhythm", "It stumbles: the bridge is open now.")],
        "rhythm": [answers("The bridge is open.")],
    }
    played = ended_well(await PATTERNS.workflow("polish", "the bridge", cast))

    assert played.shape.told == [
        ("clarity", "polish", "handed to brevity"),
        ("brevity", "polish", "handed to rhythm"),
        ("rhythm", "polish", "succeeded"),
    ]
    assert played.shape.is_held_by_one("polish")
    assert {who for who, _ in played.shape.decided} == {"clarity", "brevity"}


async def test_swarm_has_a_hop_limit() -> None:
    """After four hops the one who has it is told so, and ends it."""
    cast: Cast = {
        "clarity": [hands_to("brevity", "1"), hands_to("rhythm", "4")],
        "brevity": [hands_to("rhythm", "2")],
        "rhythm": [hands_to("clarity", "3"), hands_to("brevity", "5"), answers("Enough.")],
    }
    played = ended_well(await PATTERNS.workflow("polish", "the bridge", cast))

    hops = [what for _, what in played.shape.decided]
    assert hops == [f"hands polish to {to}" for to in ("brevity", "rhythm", "clarity", "rhythm")]
    assert played.told("rhythm") == "The step was passed on 4 times, and that is the most."
    assert played.shape.told[-1] == ("rhythm", "polish", "succeeded")


async def test_swarm_does_not_play_ping_pong() -> None:
    """The same two pass it to and fro once; the second time the text stays where it is."""
    cast: Cast = {
        "clarity": [hands_to("brevity", "1"), hands_to("brevity", "3"), answers("Fine as it is.")],
        "brevity": [hands_to("clarity", "2")],
    }
    played = ended_well(await PATTERNS.workflow("polish", "the bridge", cast))

    assert played.shape.told == [
        ("clarity", "polish", "handed to brevity"),
        ("brevity", "polish", "handed to clarity"),
        ("clarity", "polish", "succeeded"),
    ]
    assert "passed it to brevity before" in played.told("clarity")


async def test_planned_swarm_is_one_step() -> None:
    """The planner gives one peer the text; who works on it next is not its business."""
    cast: Cast = {
        "supervisor": [
            plans(step("text", "brevity", inputs={"text": "the bridge"}), decision="single")
        ],
        "brevity": [hands_to("clarity", "Say one thing at a time.")],
        "clarity": [hands_to("rhythm", "Read it aloud.")],
        "rhythm": [answers("The bridge is open.")],
    }
    played = ended_well(await PATTERNS.goal("make this sound better", cast))

    workers = [who for who, name, _ in played.shape.told if name == "goal.text"]
    assert workers == ["brevity", "clarity", "rhythm"]
    assert played.shape.decided[0] == ("supervisor", "plans goal.text")

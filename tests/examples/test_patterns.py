"""Patterns of one plan: who works when, from the example's YAML and from a plan of its own."""

from __future__ import annotations

import pytest

from agents.models.port import ModelReply, ModelRequest
from agents.models.scripted import output, refuse
from tests.examples.house import (
    ALICE,
    FINE,
    NO,
    PATTERNS,
    SUPERVISED,
    YES,
    Cast,
    Meeting,
    answers,
    ended_well,
    plans,
    step,
    submits,
    sums_up,
)

DRAFT = "We guarantee that half of all riders arrive in time."


# ---- hub and spoke


async def test_hub_gives_work_to_its_spokes_and_sums_up() -> None:
    """The hub decides who looks at the draft; the spokes work side by side; the hub answers."""
    meeting = Meeting(2)
    cast: Cast = {
        "managing-editor": [
            plans(
                step("facts", "fact-desk", inputs={"text": DRAFT}),
                step("law", "legal-desk", inputs={"text": DRAFT}),
            ),
            sums_up("Not yet: both desks object."),
        ],
        "fact-desk": [meeting.then(submits(ok=False, note="Name a source."))],
        "legal-desk": [meeting.then(submits(ok=False, note="Promise less."))],
    }
    played = ended_well(await PATTERNS.workflow("review-draft", DRAFT, cast))

    assert played.shape.told == [
        ("managing-editor", "review", "planned"),
        ("fact-desk", "review.facts", "succeeded"),
        ("legal-desk", "review.law", "succeeded"),
        ("managing-editor", "review", "succeeded"),
    ]
    assert played.shape.are_side_by_side("review.facts", "review.law")
    assert played.shape.decided == [("managing-editor", "plans review.facts, review.law")]
    assert "Name a source." in played.told("managing-editor")
    assert played.answer.headline == "Not yet: both desks object."


async def test_planned_hub_looks_again_when_a_spoke_fails() -> None:
    """The shipped supervisor is a hub for any goal; what failed comes back to it, not further."""
    cast: Cast = {
        "supervisor": [
            plans(
                step("facts", "fact-desk", inputs={"text": DRAFT}),
                step("style", "style-desk", inputs={"text": DRAFT}),
            ),
            output(
                {
                    "decision": "revise",
                    "reason": "The fact desk cannot tell.",
                    "steps": [step("law", "legal-desk", inputs={"text": DRAFT})],
                }
            ),
            sums_up("Only the wording was checked."),
        ],
        "fact-desk": [refuse("No comment.")],
        "style-desk": [FINE],
        "legal-desk": [FINE],
    }
    played = ended_well(await PATTERNS.goal("is this draft any good?", cast))

    shape = played.shape
    assert shape.on("goal.facts")[0].end == "failed"
    assert shape.decided == [
        ("supervisor", "plans goal.facts, goal.style"),
        ("supervisor", "plans goal.law"),
    ]
    assert shape.are_in_line("goal.facts", "goal.law")
    assert [one.end for one in shape.on(SUPERVISED)] == ["planned", "planned", "succeeded"]


# ---- sequential pipeline


async def test_pipeline_works_step_after_step() -> None:
    """Each step begins when the one before it has ended, and is given what it made."""
    cast: Cast = {
        "outliner": [submits(points=["It opens.", "It is free."])],
        "drafter": [submits(text="It opens, free.")],
        "proofreader": [answers("It opens, and it is free.")],
    }
    played = ended_well(await PATTERNS.workflow("announce", "the bridge", cast))

    assert played.shape.told == [
        ("outliner", "outline", "succeeded"),
        ("drafter", "draft", "succeeded"),
        ("proofreader", "proofread", "succeeded"),
    ]
    assert played.shape.are_in_line("outline", "draft", "proofread")
    assert played.shape.decided == []
    assert "It is free." in played.told("drafter")
    assert "It opens, free." in played.told("proofreader")


async def test_planned_pipeline_works_step_after_step() -> None:
    """A plan whose steps need each other is a pipeline; its order is kept whatever its list's."""
    cast: Cast = {
        "supervisor": [
            plans(
                step(
                    "draft", "drafter", "outline", inputs={"points": "{{ steps.outline.points }}"}
                ),
                step("outline", "outliner", inputs={"text": "the bridge"}),
            ),
            sums_up("It opens."),
        ],
        "outliner": [submits(points=["It opens."])],
        "drafter": [submits(text="It opens, free.")],
    }
    played = ended_well(await PATTERNS.goal("a word about the bridge", cast))

    assert played.shape.are_in_line("goal.outline", "goal.draft")
    assert played.shape.told[0] == ("supervisor", SUPERVISED, "planned")
    assert played.shape.told[-1] == ("supervisor", SUPERVISED, "succeeded")
    assert "It opens." in played.told("drafter")


# ---- parallel fan-out and fan-in


async def test_desks_work_side_by_side_and_are_gathered() -> None:
    """All three are at work at once; the gathering step begins after the last of them."""
    meeting = Meeting(3)
    cast: Cast = {
        "fact-desk": [meeting.then(submits(ok=False, note="Name a source."))],
        "style-desk": [meeting.then(FINE)],
        "legal-desk": [meeting.then(submits(ok=False, note="Promise less."))],
    }
    played = ended_well(await PATTERNS.workflow("check-draft", DRAFT, cast))

    shape = played.shape
    assert shape.are_side_by_side("facts", "style", "law")
    assert all(shape.are_in_line(desk, "gather") for desk in ("facts", "style", "law"))
    assert {one.who for one in shape.on("gather")} == {"binder"}
    assert played.answer.summary == "Name a source.\nPromise less."


async def test_fan_in_does_not_wait_for_what_failed() -> None:
    """`after` gathers what there is: two notes are better than none."""
    meeting = Meeting(2)
    cast: Cast = {
        "fact-desk": [refuse()],
        "style-desk": [meeting.then(FINE)],
        "legal-desk": [meeting.then(submits(ok=False, note="Promise less."))],
    }
    played = ended_well(await PATTERNS.workflow("check-draft", DRAFT, cast))

    assert played.shape.on("facts")[0].end == "failed"
    assert played.answer.summary == "Promise less."


async def test_planned_fan_out_and_fan_in() -> None:
    """Steps without needs run at once; the one that needs them all comes after."""
    meeting = Meeting(2)
    cast: Cast = {
        "supervisor": [
            plans(
                step("facts", "fact-desk", inputs={"text": DRAFT}),
                step("law", "legal-desk", inputs={"text": DRAFT}),
                step(
                    "gather",
                    "binder",
                    "facts",
                    "law",
                    inputs={
                        "about": "The draft",
                        "parts": ["{{ steps.facts.note }}", "{{ steps.law.note }}"],
                    },
                ),
            ),
            sums_up("Two remarks."),
        ],
        "fact-desk": [meeting.then(submits(ok=True, note="Right."))],
        "legal-desk": [meeting.then(submits(ok=True, note="Lawful."))],
    }
    played = ended_well(await PATTERNS.goal("have two desks read this", cast))

    assert played.shape.are_side_by_side("goal.facts", "goal.law")
    assert played.shape.are_in_line("goal.facts", "goal.gather")
    assert played.shape.are_in_line("goal.law", "goal.gather")
    assert "Right. Lawful." in played.told("supervisor").replace("\n", " ").replace("\\n", " ")


# ---- fan-out over a list found at run time

NOTES = ["The fair opened.", "The bridge is closed.", "The library has new hours."]


@pytest.mark.parametrize("count", [1, 3])
async def test_list_found_at_run_time_gets_a_child_per_item(count: int) -> None:
    """As many children as the list has items, side by side, gathered in the list's order."""
    meeting = Meeting(count)
    cast: Cast = {
        "splitter": [submits(items=[*NOTES[:count]])],
        "summariser": [meeting.then(echoes) for _ in range(count)],
    }
    played = ended_well(await PATTERNS.workflow("digest", "; ".join(NOTES), cast))

    shape = played.shape
    children = [f"each.{index}" for index in range(count)]
    assert shape.steps == {"split", "bind", *children}
    assert shape.are_side_by_side(*children)
    assert all(shape.are_in_line("split", child, "bind") for child in children)
    assert played.answer.summary == "\n".join(note.upper() for note in NOTES[:count])


async def test_empty_list_has_no_children() -> None:
    """Nothing to do is no failure: what gathers is given an empty list."""
    cast: Cast = {"splitter": [submits(items=[])]}
    played = ended_well(await PATTERNS.workflow("digest", "nothing", cast))

    assert played.shape.steps == {"split", "bind"}
    assert played.answer.headline == "The digest (parts: 0)"


async def test_planned_fan_out_over_a_list() -> None:
    """The planner does not know the list when it plans: its steps do when they run."""
    meeting = Meeting(3)
    cast: Cast = {
        "supervisor": [
            plans(
                step("find", "splitter", inputs={"text": "{{ goal.text }}"}),
                step(
                    "each",
                    "summariser",
                    "find",
                    for_each="steps.find.items",
                    inputs={"item": "{{ item }}"},
                ),
            ),
            sums_up("Three notes."),
        ],
        "splitter": [submits(items=[*NOTES])],
        "summariser": [meeting.then(echoes) for _ in NOTES],
    }
    played = ended_well(await PATTERNS.goal("shorten each of these", cast))

    children = [f"goal.each.{index}" for index in range(3)]
    assert played.shape.are_side_by_side(*children)
    assert all(played.shape.are_in_line("goal.find", child) for child in children)
    assert played.shape.decided == [("supervisor", "plans goal.find, goal.each")]


def echoes(request: ModelRequest) -> ModelReply:
    """Shout the item that the step was given."""
    text = request.messages[1].text
    return submits(text=next(note for note in NOTES if note in text.split("given:")[1]).upper())


# ---- single agent


async def test_single_step() -> None:
    """One agent, one step, one model call."""
    played = ended_well(
        await PATTERNS.workflow("headline", "the bridge", {"headliner": [answers("Open!")]})
    )

    assert played.shape.told == [("headliner", "headline", "succeeded")]
    assert played.run.spent.calls == 1


async def test_planner_says_that_one_step_is_enough() -> None:
    """One step, whose output is the answer: the supervisor is not asked to sum up."""
    only = step("say", "headliner", inputs={"text": "the bridge"})
    cast: Cast = {
        "supervisor": [plans(only, decision="single")],
        "headliner": [answers("Open!")],
    }
    played = ended_well(await PATTERNS.goal("find a headline about the bridge", cast))

    assert played.shape.told == [
        ("supervisor", SUPERVISED, "planned"),
        ("headliner", "goal.say", "succeeded"),
    ]
    assert played.answer.headline == "Open!"
    assert played.run.spent.calls == 2


async def test_planner_cannot_call_two_steps_one() -> None:
    """Who says that one step is enough has to give one; it is told, and mends its plan."""
    one, two = (step(name, "headliner", inputs={"text": "x"}) for name in ("one", "two"))
    cast: Cast = {
        "supervisor": [plans(one, two, decision="single"), plans(one, decision="single")],
        "headliner": [answers("Open!")],
    }
    played = ended_well(await PATTERNS.goal("find a headline about the bridge", cast))

    assert "needs exactly one step" in played.told("supervisor")
    assert played.shape.steps == {SUPERVISED, "goal.one"}


# ---- mixed


def publishing(meeting: Meeting) -> Cast:
    """Return who works on a text that is to be published."""
    return {
        "outliner": [submits(points=["It opens."])],
        "drafter": [submits(text="The bridge opens.")],
        "fact-desk": [meeting.then(FINE)],
        "legal-desk": [meeting.then(FINE)],
    }


async def test_mixed_waits_for_a_person_between_checks_and_post() -> None:
    """In line, then side by side, then an editor; the post comes after the yes."""
    played = ended_well(
        await PATTERNS.workflow("publish", "the bridge", publishing(Meeting(2)), YES)
    )

    shape = played.shape
    assert shape.are_in_line("outline", "draft", "facts", "release", "tell")
    assert shape.are_in_line("draft", "law", "release")
    assert shape.are_side_by_side("facts", "law")
    assert [one.end for one in shape.on("release")] == ["waits for approval", "succeeded"]
    assert shape.decided == [(ALICE, "approved release")]
    assert [post.text for post in played.run.posts] == ["The bridge opens."]
    assert played.answer.headline.startswith("Published")


async def test_mixed_posts_nothing_after_a_no() -> None:
    """The step is skipped, and the answer says what became of it."""
    played = ended_well(
        await PATTERNS.workflow("publish", "the bridge", publishing(Meeting(2)), NO)
    )

    assert played.shape.decided == [(ALICE, "denied release")]
    assert played.run.posts == ()
    assert played.answer.headline.startswith("Not published")


async def test_mixed_does_not_ask_for_what_a_desk_objects_to() -> None:
    """A condition stands before the person: nobody is asked to release a bad text."""
    objects: Cast = {"legal-desk": [submits(ok=False, note="Promise less.")]}
    cast = {**publishing(Meeting(1)), **objects}
    played = ended_well(await PATTERNS.workflow("publish", "the bridge", cast, YES))

    assert played.shape.skipped == ("release",)
    assert played.shape.decided == []
    assert "Promise less." in played.answer.summary


async def test_planned_mix() -> None:
    """The planner mixes as well: a draft, two desks side by side, a post that a person releases."""
    cast: Cast = {
        "supervisor": [
            plans(
                step("draft", "drafter", inputs={"brief": "The bridge opens."}),
                step("facts", "fact-desk", "draft", inputs={"text": "{{ steps.draft.text }}"}),
                step("law", "legal-desk", "draft", inputs={"text": "{{ steps.draft.text }}"}),
                step(
                    "post",
                    "",
                    "facts",
                    "law",
                    tool="chat.post",
                    approval=True,
                    inputs={"text": "{{ steps.draft.text }}"},
                ),
            ),
            sums_up("It is published."),
        ],
        **publishing(Meeting(2)),
        "outliner": [],
    }
    played = ended_well(await PATTERNS.goal("write about the bridge and post it", cast, YES))

    shape = played.shape
    assert shape.are_in_line("goal.draft", "goal.facts", "goal.post")
    assert shape.are_side_by_side("goal.facts", "goal.law")
    assert shape.decided[-1] == (ALICE, "approved goal.post")
    assert [post.text for post in played.run.posts] == ["The bridge opens."]

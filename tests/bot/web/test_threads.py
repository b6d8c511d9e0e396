"""Writing in a thread, over the API and in the console."""

from __future__ import annotations

import httpx
import pytest

from bot.platforms.console.store import Message
from bot.views import NoteView
from jobs import commands as c
from jobs.state import Question
from tests.bot.web.conftest import sign_in, token
from tests.bot.web.planned_story import PlannedStory, planned_house
from tests.bot.web.sample import HOSTILE, RUN_ID, SECRETS, House

HTMX = {"HX-Request": "true"}


@pytest.fixture
def house() -> House:
    """Return a house whose catalogue has supervisors."""
    return planned_house()


@pytest.fixture
async def story(house: House) -> PlannedStory:
    """Return a goal that is just being planned."""
    story = PlannedStory(house)
    await story.begin_planned()
    return story


def address(story: PlannedStory) -> str:
    """Return where messages to the story's thread are sent."""
    assert story.thread is not None
    return f"/threads/{story.thread.id}/messages"


async def notes(story: PlannedStory) -> list[Message]:
    """Return what people wrote in the thread."""
    assert story.thread is not None
    messages = await story.house.console.messages(story.thread.id)
    return [one for one in messages if isinstance(one.view, NoteView)]


async def test_message_is_told_and_shown_once(
    client: httpx.AsyncClient, story: PlannedStory
) -> None:
    """The supervisor hears it, others see who wrote it, and the same key counts once."""
    header = token() | {"Idempotency-Key": "k1"}
    for _ in range(2):
        answer = await client.post(
            f"/api{address(story)}", json={"text": "only the EU"}, headers=header
        )
        story.house.clock.now += 30
        assert answer.status_code == 200, answer.text
        assert answer.json()["outcome"] == "heard"
        assert answer.json()["run_id"] == RUN_ID
        assert answer.json()["url"].endswith(f"/runs/{RUN_ID}")

    (note,) = await notes(story)
    assert note.view == NoteView("only the EU", author="Alice")
    run = await story.house.runs.get(RUN_ID)
    assert [one.text for one in run.signals] == ["Alice: only the EU"]


async def test_stop_and_follow_up(client: httpx.AsyncClient, story: PlannedStory) -> None:
    """Stop ends what runs there; the next message starts a run in the same thread."""
    stopped = await client.post(f"/api{address(story)}", json={"text": "Stop"}, headers=token())
    asked = await client.post(
        f"/api{address(story)}", json={"text": "why is checkout failing?"}, headers=token("bob")
    )

    assert stopped.json()["outcome"] == "stopping"
    assert (asked.status_code, asked.json()["outcome"]) == (202, "started")
    run = await story.house.runs.get(asked.json()["run_id"])
    assert (run.goal.thread, run.goal.requester_name) == (story.thread, "Bob")
    await sign_in(client)
    page = await client.get(f"/runs/{run.id}")
    assert f'<a href="/runs/{RUN_ID}"><code>' in page.text
    shown = await client.get(f"/api/runs/{run.id}", headers=token())
    assert shown.json()["run"]["thread"]["id"] == run.goal.thread.id


async def test_what_cannot_be_taken_is_explained(
    client: httpx.AsyncClient, story: PlannedStory
) -> None:
    """No such thread, no text, too much text, nothing that fits: a sentence each."""
    for path, text, status in (
        ("/threads/none/messages", "hello", 404),
        (address(story), "", 422),
        (address(story), "x" * 2_001, 422),
        (address(story), "   ", 422),
    ):
        answer = await client.post(f"/api{path}", json={"text": text}, headers=token())
        assert answer.status_code == status
        assert answer.json()["error"]
    await client.post(f"/api{address(story)}", json={"text": "stop"}, headers=token())
    answer = await client.post(f"/api{address(story)}", json={"text": "sing"}, headers=token())
    assert answer.status_code == 422
    assert answer.json()["choices"]
    assert (await client.post(f"/api{address(story)}", json={"text": "x"})).status_code == 401


async def test_console_box_answers_with_itself(
    client: httpx.AsyncClient, story: PlannedStory
) -> None:
    """What became of the message stands above an empty box with a new key; a refusal keeps it."""
    csrf = await sign_in(client)
    form = {"csrf": csrf, "key": "k1", "text": f"look at {HOSTILE} and {SECRETS[0]}"}
    taken = await client.post(address(story), data=form, headers=HTMX)
    long = {"csrf": csrf, "key": "k2", "text": "y" * 2_001}
    refused = await client.post(address(story), data=long, headers=HTMX)
    forged = await client.post(address(story), data={"text": "stop"}, headers=HTMX)
    plain = await client.post(address(story), data=form | {"key": "k3"})

    assert "The supervisor hears it" in taken.text
    assert 'value="k1"' not in taken.text
    assert "></textarea>" in taken.text
    assert "at most 2,000 characters" in refused.text
    assert "yyyy</textarea>" in refused.text
    assert "does not belong to your session" in forged.text
    assert "hx-retarget" not in forged.headers
    assert "The supervisor hears it" in plain.text
    first, *_ = await notes(story)
    assert isinstance(first.view, NoteView)
    assert SECRETS[0] not in first.view.text
    assert story.thread is not None
    page = await client.get(f"/c/incidents/{story.thread.id}")
    assert HOSTILE not in page.text


async def test_answers_have_limits_and_lose_their_secrets(
    client: httpx.AsyncClient, story: PlannedStory
) -> None:
    """Nothing is no answer, too much is refused in words, and no secret is kept."""
    await story.take("goal")
    question = Question("q1", "goal", "Which region?", kind="input")
    await story.send(c.AskQuestion("goal", 1, question))
    csrf = await sign_in(client)
    form = {"csrf": csrf, "run_id": RUN_ID}

    empty = await client.post("/questions/q1", data=form | {"answer": " "}, headers=HTMX)
    long = await client.post("/questions/q1", data=form | {"answer": "x" * 2_001}, headers=HTMX)
    good = await client.post(
        "/questions/q1", data=form | {"answer": f"EU {SECRETS[0]}"}, headers=HTMX
    )

    assert "Write an answer first" in empty.text
    assert "at most 2,000" in long.text
    assert "Your answer is recorded" in good.text
    answer = (await story.house.runs.get(RUN_ID)).questions["q1"].answer
    assert answer is not None
    assert answer.startswith("EU ")
    assert SECRETS[0] not in answer

"""A delivery of a form starts one run of its workflow, with its fields as inputs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain import Origin
from bot.forms import (
    CUT,
    FORM_TYPE,
    MAX_FIELD_CHARS,
    MAX_FIELDS,
    Delivery,
    FormBusyError,
    Forms,
    read_body,
)
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import PlatformBusyError, PlatformError
from bot.sources.base import BadDeliveryError
from config.contents import Catalogue
from config.specs import InputSpec, SourceSpec, StepSpec, WorkflowSpec
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Run
from tests.bot.web.conftest import client_of
from tests.bot.web.sample import House

SECRET = "hunter2-hunter2"
SUPPORT = WorkflowSpec(
    name="support",
    title="Support triage",
    description="Sorts a ticket.",
    inputs={
        "text": InputSpec(),
        "customer": InputSpec(required=False),
        "seats": InputSpec(type="integer", default=1),
    },
    steps=(StepSpec(id="sort", tool="test.tool"),),
    answer="sort",
)
MAPPING = {
    "text": "body.message or body.text",
    "customer": "body.email",
    "seats": "body.seats",
}
CATALOGUE = Catalogue(
    workflows={"support": SUPPORT},
    sources={
        "contact": SourceSpec(
            kind="form",
            workflow="support",
            mapping=MAPPING,
        ),
        "lost": SourceSpec(kind="form", workflow="suport"),
        "hook": SourceSpec(
            kind="form", workflow="support", token_env="HOOK_TOKEN", mapping=MAPPING
        ),
    },
)
HELP = {"message": "We were charged twice", "email": "ada@books.example", "seats": 3}


class Desk:
    """Forms and what they start, in memory."""

    def __init__(self, most: int = 60) -> None:
        self.platform = MemoryPlatform("console")
        self.runs = Runs(MemoryStore(self.clock), self.clock)
        self.forms = Forms(
            catalogue=CATALOGUE,
            runs=self.runs,
            incidents=MemoryIncidentStore(),
            platforms={"console": self.platform},
            clock=self.clock,
            starts_per_minute=most,
            secrets=(SECRET,),
        )

    def clock(self) -> float:
        """Return a time that stands still."""
        return 1_000.0

    async def send(self, body: Any, source: str = "contact", **fields: str) -> Run:
        """Deliver JSON and return the run that it started."""
        ticket = await self.forms.take(source, Delivery(json.dumps(body).encode(), **fields))
        return await self.runs.get(ticket.run_id)


@pytest.fixture
def desk() -> Desk:
    """Return a desk without runs."""
    return Desk()


async def test_delivery_starts_a_run_with_its_fields(desk: Desk) -> None:
    """The mapping fills the inputs; the words are the goal, and nothing of it is trusted."""
    run = await desk.send(HELP)

    assert run.plan.workflow == "support"
    assert run.goal.inputs == {
        "text": "We were charged twice",
        "customer": "ada@books.example",
        "seats": 3,
    }
    assert run.goal.text == "We were charged twice"
    assert (run.goal.origin, run.goal.requester_id) == (Origin.FORM, "source:contact")
    assert run.goal.facts == {"form": HELP}
    assert (run.goal.thread.platform, run.goal.thread.channel) == ("console", "support")
    assert list(desk.platform.titles.values()) == ["We were charged twice"]


async def test_html_form_is_read_like_json(desk: Desk) -> None:
    """Fields come as text, are turned into the inputs' types, and may come several times."""
    body = urlencode({**HELP, "tag": ["a", "b"]}, doseq=True).encode()
    ticket = await desk.forms.take("contact", Delivery(body, f"{FORM_TYPE}; charset=utf-8"))
    run = await desk.runs.get(ticket.run_id)

    assert run.goal.inputs["seats"] == 3
    form = run.goal.facts["form"]
    assert isinstance(form, dict)
    assert form["tag"] == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (({"id": 7, **HELP}, ""), ({"id": 7, "message": "edited"}, "")),
        ((HELP, "k"), ({"message": "other"}, "k")),
        ((HELP, ""), (HELP, "")),
    ],
)
async def test_same_delivery_starts_one_run(
    desk: Desk, first: tuple[Any, str], second: tuple[Any, str]
) -> None:
    """Known by its id, its Idempotency-Key, or its words."""
    runs = [await desk.send(body, key=key) for body, key in (first, second)]

    assert runs[0].id == runs[1].id
    assert len(desk.platform.titles) == 1


async def test_different_deliveries_start_different_runs(desk: Desk) -> None:
    """An id of a form is its own: no key and no other source's id is taken for it."""
    runs = {
        (await desk.send({"id": "1", **HELP})).id,
        (await desk.send({"id": "2", **HELP})).id,
        (await desk.send(HELP, key="1")).id,
        (await desk.send({**HELP, "text": "x"})).id,
    }

    assert len(runs) == 4


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"{", "", "not JSON"),
        (b"[1]", "", "must be a JSON object"),
        (b'{"email": "x"}', "", "text is missing; it is read from 'body.message or body.text'"),
        (b'{"text": "x", "seats": "many"}', "", "seats: “many” is not a whole number"),
        (b"text=%ff", FORM_TYPE, "is no form"),
        (b"--x", "multipart/form-data; boundary=x", "files are not taken"),
        (json.dumps(dict.fromkeys(map(str, range(101)), 1)).encode(), "", "101 fields"),
    ],
)
async def test_bad_delivery_says_what_to_mend(
    desk: Desk, body: bytes, kind: str, reason: str
) -> None:
    """Nothing is started, and the sentence names the field."""
    with pytest.raises(BadDeliveryError) as caught:
        await desk.forms.take("contact", Delivery(body, kind))

    assert MAX_FIELDS == 100
    assert reason in caught.value.sentence
    assert await desk.runs.store.run_ids() == []


@pytest.mark.parametrize(("source", "reason"), [("nobody", "no form source"), ("lost", "support")])
async def test_wrong_configuration_is_named(desk: Desk, source: str, reason: str) -> None:
    """A source or workflow that does not exist is said, with the nearest that does."""
    with pytest.raises(BadDeliveryError, match=reason):
        await desk.send(HELP, source)


async def test_texts_are_cut_and_lose_their_secrets(desk: Desk) -> None:
    """What is kept is bounded and clean, in inputs, facts and title."""
    run = await desk.send({"message": f"{SECRET} " + "x" * 20_000})

    text = run.goal.inputs["text"]
    assert isinstance(text, str)
    assert SECRET not in str(run.goal)
    assert text.endswith(CUT)
    assert len(text) <= MAX_FIELD_CHARS + len(CUT)


async def test_storm_is_asked_to_come_back() -> None:
    """Beyond the limit of a minute nothing starts; what started before stays known."""
    desk = Desk(most=1)
    first = await desk.send({"id": 1, **HELP})

    with pytest.raises(FormBusyError, match="within a minute"):
        await desk.send({"id": 2, **HELP})
    assert (await desk.send({"id": 1, **HELP})).id == first.id


@pytest.mark.parametrize("refusal", [PlatformBusyError(3.0), PlatformError("archived")])
async def test_platform_that_refuses_is_tried_again(desk: Desk, refusal: PlatformError) -> None:
    """No run starts without a thread; the sender's next try starts it."""
    desk.platform.refusals.append(refusal)
    with pytest.raises(FormBusyError):
        await desk.send(HELP)

    assert (await desk.send(HELP)).goal.text == "We were charged twice"


@given(st.binary(max_size=60), st.sampled_from(["", "application/json", FORM_TYPE]))
def test_any_body_is_read_or_refused(body: bytes, kind: str) -> None:
    """Whatever is sent: fields, or a sentence."""
    try:
        said = " ".join(read_body("source x", Delivery(body, kind)))
    except BadDeliveryError as error:
        said = error.sentence

    assert isinstance(said, str)


async def test_form_is_delivered_over_http() -> None:
    """The source's token is asked for, the answer names the run, and repeats are told."""
    house = House(catalogue=CATALOGUE)
    async with client_of(house) as client:
        header = {"Authorization": "Bearer hook-secret", "Idempotency-Key": "k"}
        unknown = await client.post("/webhooks/hook", json={"text": "x"})
        empty = await client.post("/webhooks/hook", json={"x": 1}, headers=header)
        first = await client.post("/webhooks/hook", json=HELP, headers=header)
        again = await client.post("/webhooks/hook", data=HELP, headers=header)

    assert unknown.status_code == 401
    assert empty.status_code == 400
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["accepted"] == again.json()["repeated"] == 1
    assert first.json()["run_id"] == again.json()["run_id"]


async def test_full_form_asks_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, so that the sender comes back."""
    house = House(catalogue=CATALOGUE)

    async def full(*_: object) -> None:
        raise FormBusyError("source contact: full", 2.5)

    monkeypatch.setattr(Forms, "take", full)
    transport = httpx.ASGITransport(house.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        answer = await client.post("/webhooks/contact", json=HELP)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert "deliver it again" in answer.json()["hint"]

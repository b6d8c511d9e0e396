"""What the command line prints, and how it speaks to a bot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console

from bot.access import DEMO_DIR, Server, write_server
from bot.cli import terminal
from bot.cli.client import Client, ClientError, UnreachableError, find_server
from bot.cli.plain_text import plain_lines
from config.settings import Settings

NOW = 1_000_000.0
EVIL = "a\x1b[2Jb"
SERVER = Server("http://localhost:1", "secret-token")


def step(status: str = "running", **fields: Any) -> dict[str, Any]:
    """Return a step as the API gives it."""
    return {
        "status": status,
        "title": "Look",
        "worker_name": "scout",
        "note": "",
        "started_at": NOW - 5,
        "ended_at": None,
        **fields,
    }


def run(**fields: Any) -> dict[str, Any]:
    """Return a run as the API gives it."""
    return {
        "run_id": "run-1",
        "title": "why?",
        "headline": "Looking",
        "status": "running",
        "started_at": NOW,
        "steps": [step()],
        "approvals": [],
        "questions": [],
        **fields,
    }


ANSWER = {
    "headline": "It was the release",
    "summary": "First line\nSecond line",
    "finding": "cause_found",
    "confidence": 0.8,
    "claims": [{"text": EVIL, "is_struck": True, "cites": [{"evidence_id": "ev-1"}]}],
    "timeline": [{"at": 0, "text": "began"}],
    "actions": ["rolled back"],
    "recommendations": [],
    "missing": ["the logs"],
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return what was printed so far."""
    console = Console(highlight=False, record=True, width=120, force_terminal=False)
    monkeypatch.setattr(terminal, "_out", console)
    return lambda: console.export_text(clear=False)


def test_card_shows_each_step_with_its_state_in_words(printed: Callable[[], str]) -> None:
    """A shape, the word, who works and how long it takes."""
    terminal._out.print(terminal.card(run(), NOW))

    said = printed()
    assert "Looking" in said
    assert "▶ " in said
    assert "running" in said
    assert "5.0 s" in said


def test_every_status_has_a_shape() -> None:
    """A status that the API can give is never unknown here."""
    from jobs.state import TERMINAL, Status

    assert {status.value for status in Status} == terminal.SHAPES.keys()
    assert {s.value for s in TERMINAL} - {"skipped"} == terminal.OVER


def test_card_says_what_it_waits_for(printed: Callable[[], str]) -> None:
    """The command that decides is there to be copied."""
    waiting = {"id": "ap-1", "status": "pending", "approvers": "group oncall"}
    questions = [{"text": "Did it?", "answer": ""}]

    terminal._out.print(terminal.card(run(approvals=[waiting], questions=questions), NOW))

    assert "Waits for group oncall: muster approve ap-1" in printed()
    assert "Asks: Did it?" in printed()


def test_answer_is_printed_with_its_evidence(printed: Callable[[], str]) -> None:
    """Everything an answer says is there, and nothing that a terminal would act on."""
    terminal.print_run({"run": run(status="succeeded"), "answer": {"answer": ANSWER}})

    said = printed()
    for part in ("It was the release", "Second line", "cause found, 80% sure", "[ev-1]"):
        assert part in said
    assert "00:00:00Z  began" in said
    assert "Missing: the logs" in said
    assert "\x1b" not in said


def test_runs_are_listed_or_it_is_said_how_to_start_one(printed: Callable[[], str]) -> None:
    """An empty list helps, too."""
    terminal.print_runs([])
    assert "muster goal" in printed()

    terminal.print_runs([run(headline=EVIL)])
    assert "run-1" in printed()
    assert "\x1b" not in printed()


def test_approval_is_printed_as_it_would_run(printed: Callable[[], str]) -> None:
    """Who approves in a terminal sees each argument."""
    call = {"tool": "service.rollback", "args": {"service": "checkout", "reason": EVIL}}

    terminal.print_approval(
        {"title": "Roll back", "reason": "", "calls": [call], "approvers": "group oncall"}
    )

    assert "service: checkout" in printed()
    assert "\x1b" not in printed()


def test_approval_is_chosen_only_when_it_is_clear() -> None:
    """One that waits is the one; of two the name has to be given."""
    first = {"approval": {"id": "a", "title": "One"}}
    second = {"approval": {"id": "b", "title": "Two"}}

    assert terminal.choose_approval([first], "")["id"] == "a"
    assert terminal.choose_approval([first, second], "b")["id"] == "b"
    with pytest.raises(ClientError, match="a  One"):
        terminal.choose_approval([first, second], "")
    with pytest.raises(ClientError, match="Nothing waits"):
        terminal.choose_approval([], "a")


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0.0 s"), (4.24, "4.2 s"), (185, "3 min 5 s")])
def test_durations_are_short(seconds: float, text: str) -> None:
    """A narrow column holds them."""
    assert terminal.duration(seconds) == text


def test_lines_of_a_text_stay() -> None:
    """Only what a terminal acts on is taken out."""
    assert plain_lines("one\ntwo\x07 three") == "one\ntwo  three"


class Bot:
    """A bot that answers what the test says, one after another; the last again and again."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Answer one request."""
        self.asked.append((method, url, options))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bot]:
    """Return a way to put a bot behind the client."""

    def put(*answers: httpx.Response | Exception) -> Bot:
        bot = Bot(*answers)
        monkeypatch.setattr("bot.cli.client.httpx.request", bot)
        return bot

    monkeypatch.setattr(terminal, "POLL_S", 0)
    return put


def test_client_sends_its_token(answering: Callable[..., Bot]) -> None:
    """Each request says who asks."""
    bot = answering(httpx.Response(200, json={"a": 1}))

    assert Client(SERVER).post("/api/goals", {"text": "x"}) == {"a": 1}
    method, url, options = bot.asked[0]
    assert (method, url) == ("POST", "http://localhost:1/api/goals")
    assert options["headers"] == {"Authorization": "Bearer secret-token"}


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (
            httpx.Response(400, json={"error": "No.", "hint": "Try.", "choices": ["x"]}),
            "No. Try.\n  - x",
        ),
        (httpx.Response(500, text="<html>"), "The bot answered 500."),
        (httpx.Response(422, json=["odd"]), "The bot answered 422."),
        (httpx.Response(404, json={"detail": "x"}), "The bot answered 404."),
        (httpx.Response(200, text="<html>"), "is not Muster"),
        (httpx.ConnectError("refused"), "start it with: muster up"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    answering: Callable[..., Bot], response: httpx.Response | Exception, sentence: str
) -> None:
    """Whatever answers, the person reads what to do and no traceback."""
    answering(response)

    with pytest.raises(ClientError) as caught:
        Client(SERVER).get("/api/runs")

    assert sentence in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_run_is_watched_through_a_restart_of_the_bot(
    answering: Callable[..., Bot], printed: Callable[[], str]
) -> None:
    """A bot that is away for a moment does not end the watching."""
    over = {"run": run(status="succeeded"), "answer": None}
    answering(
        httpx.Response(200, json={"run": run(), "answer": None}),
        httpx.ConnectError("refused"),
        httpx.Response(200, text=json.dumps(over)),
    )

    assert terminal.watch_run(Client(SERVER), "run-1") == 0


def test_bot_that_stays_away_is_told(
    answering: Callable[..., Bot], monkeypatch: pytest.MonkeyPatch, printed: Callable[[], str]
) -> None:
    """After a while the person hears it; the run itself goes on."""
    monkeypatch.setattr(terminal, "PATIENCE_S", 0)
    answering(httpx.ConnectError("refused"))

    with pytest.raises(UnreachableError):
        terminal.watch_run(Client(SERVER), "run-1")


def test_server_is_found_where_it_was_started(tmp_path: Path) -> None:
    """Settings win over the state directory, and that over its demo."""
    settings = Settings.model_validate({"state_dir": tmp_path})
    with pytest.raises(ClientError, match="MUSTER_SERVER_URL"):
        find_server(settings)

    write_server(tmp_path / DEMO_DIR, Server("http://demo", "d"))
    assert find_server(settings).url == "http://demo"
    write_server(tmp_path, SERVER)
    assert find_server(settings) == SERVER
    other = {"server_url": "http://other", "token": SecretStr("mine")}
    assert find_server(settings.model_copy(update=other)) == Server("http://other", "mine")


def test_token_of_the_local_bot_goes_nowhere_else(tmp_path: Path) -> None:
    """Another server gets the token meant for it or none; the same address is the same bot."""
    write_server(tmp_path, SERVER)
    settings = Settings.model_validate({"state_dir": tmp_path, "server_url": "http://other"})

    with pytest.raises(ClientError, match="MUSTER_TOKEN is not set"):
        find_server(settings)

    same = settings.model_copy(update={"server_url": f"{SERVER.url}/"})
    assert find_server(same) == SERVER

"""`muster models` says which models answer, and who is left without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import redis

from agents.models import lite
from agents.models.port import (
    ModelReply,
    ModelRequest,
    ModelRequestError,
    Usage,
    Watch,
)
from bot.cli import models as module
from bot.cli.models import breaker_words, run_models
from config.contents import Catalogue
from config.settings import Settings, load_settings
from config.specs import AgentSpec, ModelsFile, ModelSpec
from config.yaml_source import read_yaml
from jobs.model_gate import Breaker, failures_key
from tests.model_server import BAD_KEY, ModelServer, say

KEY = "sk-very-secret-key"
MODELS = """
models:
  smart:
    - {model: openai/away, key_env: AWAY_KEY}
    - &there
      model: openai/there
      key_env: THERE_KEY
      input_usd_per_million: 3
      output_usd_per_million: 15
  fast:
    - *there
  legal:
    - {model: openai/away, key_env: AWAY_KEY}
    - {model: openai/unkeyed, key_env: NOBODYS_KEY}
"""
ENVIRON = {"AWAY_KEY": KEY, "THERE_KEY": KEY}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, float]]:
    """Let one model answer and no other, without litellm; return the calls that are made."""
    made: list[tuple[str, str | None, float]] = []

    async def attempt(
        spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None = None
    ) -> ModelReply:
        made.append((spec.model, key, spec.timeout_s))
        if spec.model != "openai/there":
            raise ModelRequestError(f"{spec.model} refused the key;\x1b[31m check it (401)")
        return ModelReply(spec.model, "ok", usage=Usage(5, 0, 1), duration_s=0.25)

    def price_usd(spec: ModelSpec, input_tokens: int, output_tokens: int) -> float | None:
        if spec.input_usd_per_million is None or spec.output_usd_per_million is None:
            return None
        tokens = (input_tokens, output_tokens)
        prices = (spec.input_usd_per_million, spec.output_usd_per_million)
        return sum(a * b / 1e6 for a, b in zip(tokens, prices, strict=True))

    monkeypatch.setattr(lite, "attempt", attempt)
    monkeypatch.setattr(lite, "price_usd", price_usd)
    return made


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return what makes settings with a catalogue of these models, and agents for the aliases."""

    def configured(text: str = "", *aliases: str, **values: object) -> Settings:
        agents = [
            AgentSpec(name=f"needs-{alias}", title="T", description="D", model=alias)
            for alias in aliases
        ]
        models = ModelsFile.model_validate(read_yaml(text, "models.yaml").data or {})
        made = Catalogue(agents={agent.name: agent for agent in agents}, models=models)
        monkeypatch.setattr(module, "read_catalogue", lambda settings: made)
        return Settings.model_validate({"state_dir": tmp_path, "config_dir": None, **values})

    return configured


def told(settings: Settings, environ: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is printed for people, on one line per line however narrow the terminal."""
    run_models(settings, environ, as_json=False)
    return capsys.readouterr().out


def data(
    settings: Settings, environ: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object]]:
    """Return the exit code and what is printed for programs."""
    code = run_models(settings, environ, as_json=True)
    return code, json.loads(capsys.readouterr().out)


def test_each_model_is_called_once(
    calls: list[tuple[str, str | None, float]],
    catalogue: Callable[..., Settings],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One tiny call per model, however many aliases name it, in a hurry, with its own key."""
    code, found = data(catalogue(MODELS, "smart", "fast"), ENVIRON, capsys)

    assert sorted(calls) == [("openai/away", KEY, 10.0), ("openai/there", KEY, 10.0)]
    assert (code, found["missing"]) == (0, [])
    models = found["models"]
    assert isinstance(models, list)
    assert [(one["alias"], one["model"], one["is_reachable"]) for one in models] == [
        ("smart", "openai/away", False),
        ("smart", "openai/there", True),
        ("fast", "openai/there", True),
        ("legal", "openai/away", False),
        ("legal", "openai/unkeyed", False),
    ]
    assert models[1]["latency_s"] == 0.25
    assert (models[1]["input_usd_per_million"], models[1]["output_usd_per_million"]) == (3, 15)
    assert models[4]["reason"] == "NOBODYS_KEY is not set"
    assert models[0]["breaker"] is None


@pytest.mark.usefixtures("calls")
def test_alias_without_a_reachable_model_fails(
    catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says that an agent is left without its model, and the words say which."""
    settings = catalogue(MODELS, "smart", "legal")

    said = told(settings, ENVIRON, capsys)
    code, found = data(settings, ENVIRON, capsys)

    assert (code, found["missing"]) == (1, ["legal"])
    assert "No model answers for legal, which needs-legal names." in said
    assert "openai/unkeyed: NOBODYS_KEY is not set" in said


@pytest.mark.usefixtures("calls")
def test_alias_that_nobody_needs_may_be_away(
    catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """What no agent names is shown, and is no failure."""
    assert data(catalogue(MODELS, "fast"), ENVIRON, capsys)[0] == 0


@pytest.mark.usefixtures("calls")
def test_output_is_for_people_and_holds_no_key(
    catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table with prices and reasons, without keys and without what a terminal would act on."""
    said = told(catalogue(MODELS, "smart"), ENVIRON, capsys)

    assert "openai/there" in said
    assert "0.25 s" in said
    assert "15.00" in said
    assert "unknown" in said
    assert "refused the key" in said
    assert KEY not in said
    assert "\x1b" not in said


def test_nothing_configured_is_no_failure(
    catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has no model is told how to get one, and that runbooks need none."""
    settings = catalogue("", "smart")

    assert run_models(settings, {}, as_json=False) == 0
    said = capsys.readouterr().out
    assert "No language model is configured" in said
    assert "runbooks" in said
    assert "MUSTER_MODEL_NAME" in said
    assert "needs-smart" in said
    code, found = data(settings, {}, capsys)
    assert (code, found) == (0, {"is_configured": False, "models": [], "missing": []})


def test_broken_catalogue_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `muster check` would say comes first."""
    (tmp_path / "models.yaml").write_text("models: {smart: [{modle: x}]}\n")
    settings = Settings.model_validate({"state_dir": tmp_path, "config_dir": tmp_path})

    assert run_models(settings, {}, as_json=False) == 2
    assert "models.yaml:1" in capsys.readouterr().err


@pytest.mark.usefixtures("calls")
def test_breakers_are_shown_where_redis_is(
    catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    """What the workers found out about a model stands beside it."""
    client = redis.Redis.from_url(redis_url)
    client.zadd(failures_key("openai/there"), {"call": 1.0})
    client.close()

    _, found = data(catalogue(MODELS, "smart", redis_url=redis_url), ENVIRON, capsys)

    models = found["models"]
    assert isinstance(models, list)
    assert models[1]["breaker"] == {"is_open": False, "failures": 1, "retry_in_s": 0.0}


@pytest.mark.parametrize(
    ("breaker", "words"),
    [
        (None, "-"),
        (Breaker(), "closed"),
        (Breaker(failures=2), "closed, 2 failed"),
        (Breaker(failures=5, retry_in_s=12.4), "open, tries again in 12 s"),
        (Breaker(failures=5), "open, tries with the next call"),
    ],
)
def test_breakers_are_told_in_words(breaker: Breaker | None, words: str) -> None:
    """Nobody has to know what half open means."""
    assert breaker_words(breaker) == words


def test_the_short_way_over_http(
    tmp_path: Path, catalogue: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three variables and a local server: litellm really asks it, with the key."""
    catalogue("", "legal")
    with ModelServer(lambda asked: say("ok"), key=KEY) as server:
        environ = {
            "HOME": str(tmp_path),
            "MUSTER_STATE_DIR": str(tmp_path / "state"),
            "MUSTER_MODEL_NAME": "tiny",
            "MUSTER_MODEL_BASE_URL": server.base_url,
            "MUSTER_MODEL_KEY": KEY,
        }
        code, found = data(load_settings(environ, cwd=tmp_path), environ, capsys)
        assert len(server.calls) == 1
        server.follow(lambda asked: BAD_KEY)
        refused, why = data(load_settings(environ, cwd=tmp_path), environ, capsys)

    models, others = found["models"], why["models"]
    assert isinstance(models, list)
    assert isinstance(others, list)
    assert (code, refused, why["missing"]) == (0, 1, ["legal"])
    assert {one["alias"] for one in models} == {"smart", "fast", "code", "legal"}
    assert all(one["is_reachable"] for one in models)
    assert not any(one["is_reachable"] for one in others)
    assert "refused the key" in others[0]["reason"]
    assert KEY not in str(why)

"""From statuses to errors that say what to do."""

from __future__ import annotations

import pytest

from agents.models.failures import model_error, retry_after_s
from agents.models.port import ModelBusyError, ModelError, ModelRequestError

NOW = 1_795_219_200.0  # 2026-11-21 00:00:00 UTC


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (None, ModelBusyError),
        (400, ModelRequestError),
        (401, ModelRequestError),
        (402, ModelRequestError),
        (403, ModelRequestError),
        (404, ModelRequestError),
        (408, ModelBusyError),
        (409, ModelBusyError),
        (413, ModelRequestError),
        (422, ModelRequestError),
        (429, ModelBusyError),
        (500, ModelBusyError),
        (503, ModelBusyError),
        (529, ModelBusyError),
    ],
)
def test_status_says_whether_to_try_again(status: int | None, kind: type[ModelError]) -> None:
    """What may pass by itself is busy; what cannot is the request's or the entry's fault."""
    error = model_error("gpt-x", status)

    assert type(error) is kind
    assert "gpt-x" in str(error)
    assert getattr(error, "status", 0) == status


def test_sentence_says_what_to_do() -> None:
    """A person who reads it knows where to look."""
    assert "key_env" in str(model_error("m", 401))
    assert "models.yaml" in str(model_error("m", 404))
    assert "context_tokens" in str(model_error("m", 413))


def test_provider_is_quoted_briefly_without_secrets() -> None:
    """Its own words help, but neither keys nor pages of them."""
    words = f"litellm.X: OpenAIException - the key my-secret-key\nis {'very ' * 100}bad"

    told = str(model_error("m", 400, words, secrets=["my-secret-key"]))

    assert "my-secret-key" not in told
    assert "litellm" not in told
    assert "\n" not in told
    assert len(told) < 350


def test_refused_key_is_not_talked_about() -> None:
    """Providers repeat parts of the key that even we would not recognise."""
    assert "sk-p" not in str(model_error("m", 401, "Incorrect API key provided: sk-p***f1"))


@pytest.mark.parametrize(
    ("headers", "wanted_s"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:09 GMT"}, 9.0),
        ({"retry-after": "Fri, 20 Nov 2026 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after_is_understood(headers: dict[str, str], wanted_s: float | None) -> None:
    """Seconds, milliseconds or a date; nonsense is as good as nothing."""
    assert retry_after_s(headers, NOW) == wanted_s


def test_busy_error_carries_the_pause() -> None:
    """The router reads it from there."""
    error = model_error("m", 429, headers={"retry-after": "3"})

    assert isinstance(error, ModelBusyError)
    assert error.retry_after_s == 3.0

"""What a model is called: by its limits, by its breaker, by litellm."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.specs import ModelSpec

OPENAI = "openai"


def provider_name(spec: ModelSpec) -> str:
    """Return the provider whose limits count: what stands before the `/` of the model's name.

    A name without one is OpenAI's, or that of an OpenAI-compatible server.
    """
    provider, slash, _ = spec.model.partition("/")
    return provider if slash else OPENAI


def breaker_name(spec: ModelSpec) -> str:
    """Return the name under which the model's successes and failures are counted.

    One model at two servers has two breakers.
    """
    if not spec.base_url:
        return spec.model
    return f"{spec.model}@{urlsplit(spec.base_url).netloc.rpartition('@')[2]}"


def litellm_name(spec: ModelSpec) -> str:
    """Return the model's name for litellm, which tells the protocol by what stands first.

    Whatever the models of an OpenAI-compatible server are called (`qwen3`, `meta/llama`), the
    protocol is OpenAI's.
    """
    if spec.base_url and not spec.model.startswith(f"{OPENAI}/"):
        return f"{OPENAI}/{spec.model}"
    return spec.model

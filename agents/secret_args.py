"""Finds arguments that carry a secret: what is stored about a call must not hold one.

Arguments cannot be redacted, because what runs must be what was shown and approved. So a call
with a secret in its arguments is not made at all; tools get their secrets from configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import JsonValue

from agents.redact import redact


def secret_argument(args: Mapping[str, JsonValue], secrets: Iterable[str] = ()) -> str:
    """Return the name of an argument that is or looks like a secret; empty when none does."""
    known = tuple(secrets)
    for name, value in args.items():
        if any(redact(text, known) != text for text in _written(name, value)):
            return name
    return ""


def refusal(tool: str, name: str) -> str:
    """Return why the call was not made, and what to do instead."""
    return (
        f"{tool} was not called: its argument {name} looks like a secret, and arguments are "
        "stored and shown. Leave it out, and give the tool its secret in its configuration."
    )


def _written(name: str, value: JsonValue) -> Iterator[str]:
    """Yield each text of a value as it stands and after its name: `password: …` gives it away."""
    if isinstance(value, str):
        yield value
        yield f"{name}: {value}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _written(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _written(name, item)

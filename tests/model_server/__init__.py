"""A strict OpenAI-compatible server on loopback whose answers are scripted or follow rules.

In a test, `with ModelServer([say("hello")]) as server:` and point a `ModelSpec` at
`server.base_url`. By hand, `python -m tests.model_server --rules FILE.py --port N`, where the
file has a function `answer(asked: Asked) -> Reply`.
"""

from tests.model_server.asked import Asked
from tests.model_server.replies import (
    BAD_KEY,
    Call,
    Cut,
    Reply,
    call,
    calls,
    endless,
    failure,
    output,
    refusal,
    say,
    too_many,
)
from tests.model_server.rules import Rule, after, by_rules, cycle, scripted
from tests.model_server.server import ModelServer

__all__ = [
    "BAD_KEY",
    "Asked",
    "Call",
    "Cut",
    "ModelServer",
    "Reply",
    "Rule",
    "after",
    "by_rules",
    "call",
    "calls",
    "cycle",
    "endless",
    "failure",
    "output",
    "refusal",
    "say",
    "scripted",
    "too_many",
]

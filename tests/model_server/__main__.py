"""The server on its own: `python -m tests.model_server --rules FILE.py --port N`."""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.model_server.asked import Asked
from tests.model_server.replies import Reply, say
from tests.model_server.rules import Rule
from tests.model_server.server import ModelServer


def echo(asked: Asked) -> Reply:
    """Answer with what was said last, when no rules are given."""
    return say(f"You said: {asked.text}")


def load(path: Path) -> Rule:
    """Return the function `answer` of a rules file."""
    found = runpy.run_path(str(path)).get("answer")
    if not callable(found):
        raise SystemExit(f"{path} has no function `answer(asked) -> Reply`")
    rule: Rule = found
    return rule


def slowed(rule: Rule, latency_s: float) -> Rule:
    """Return the rule with a latency for every answer that has none of its own."""

    def answer(asked: Asked) -> Reply:
        reply = rule(asked)
        return reply if reply.latency_s else replace(reply, latency_s=latency_s)

    return answer


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.model_server", description=__doc__)
    parser.add_argument("--rules", type=Path, help="a file with `answer(asked) -> Reply`")
    parser.add_argument("--port", type=int, default=8399, help="on loopback; 0 picks a free one")
    parser.add_argument("--key", default="", help="a key that calls must bring")
    parser.add_argument("--latency-s", type=float, default=0.0, help="how long each answer takes")
    given = parser.parse_args(argv)
    rule = load(given.rules) if given.rules else echo
    server = ModelServer(slowed(rule, given.latency_s), key=given.key, port=given.port)
    print(f"MUSTER_MODEL_BASE_URL={server.base_url}", flush=True)  # noqa: T201 - its whole purpose
    server.serve()


if __name__ == "__main__":
    main()

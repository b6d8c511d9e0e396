"""The rules that say allow, ask or deny. Pure: policy is data, and no model can bend it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import JsonValue

from agents.tool import Effect
from config.specs import ApprovalSpec, PolicyMatch, PolicySpec, Verdict


@dataclass(frozen=True, slots=True)
class Query:
    """A tool call that wants to run."""

    tool: str
    effect: Effect
    args: Mapping[str, JsonValue]
    agent: str = ""
    environment: str = ""
    requester: str = ""
    is_tainted: bool = False
    is_reviewed: bool = False
    """People wrote this call into a workflow as a step of its own; no agent chose it."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, by which rule, and on what terms when a person is asked."""

    verdict: Verdict
    policy: str
    reason: str = ""
    approval: ApprovalSpec | None = None


def rule(policies: Sequence[PolicySpec], query: Query) -> Ruling:
    """Return the ruling of the first policy that matches.

    Without a match a reading call is allowed and a writing one denied.
    """
    for policy in policies:
        if _matches(policy.match, query):
            return Ruling(policy.verdict, policy.name, policy.reason, policy.approval)
    if query.effect is Effect.READS:
        return Ruling(Verdict.ALLOW, "reading is allowed by default")
    return Ruling(
        Verdict.DENY,
        "no policy",
        f"no policy speaks of {query.tool}, and what writes needs one: add it to policies.yaml",
    )


def _matches(match: PolicyMatch, query: Query) -> bool:
    return (
        fnmatchcase(query.tool, match.tool)
        and (match.effect is None or match.effect == query.effect)
        and fnmatchcase(query.agent, match.agent)
        and fnmatchcase(query.environment, match.environment)
        and fnmatchcase(query.requester, match.requester)
        and (match.tainted is None or match.tainted == query.is_tainted)
        and (match.reviewed is None or match.reviewed == query.is_reviewed)
        and all(
            fnmatchcase(_as_written(_argument(query.args, name)), pattern)
            for name, pattern in match.arguments.items()
        )
        and all(
            _is_at_least(_argument(query.args, name), least)
            for name, least in match.at_least.items()
        )
    )


def _argument(args: Mapping[str, JsonValue], name: str) -> JsonValue:
    """Return an argument, or what `argument.key` finds inside one; "" when it is not given.

    An empty list or mapping is as good as none: a rule about calls without mentions holds for
    `mentions: []` too.
    """
    value = args.get(name, "")
    outer, dot, inner = name.partition(".")
    if dot and name not in args:
        mapping = args.get(outer)
        value = mapping.get(inner, "") if isinstance(mapping, dict) else ""
    return "" if value in ([], {}) else value


def _is_at_least(value: JsonValue, least: float) -> bool:
    """Say whether a number reaches the bound; what is no number does not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def speaks_of_taint(policies: Sequence[PolicySpec], effect: Effect) -> bool:
    """Whether taint can make a difference to a call of that effect."""
    return any(
        policy.match.tainted is not None and policy.match.effect in (None, effect)
        for policy in policies
    )


def is_tainted(args: Mapping[str, JsonValue], trusted: Iterable[str]) -> bool:
    """Whether untrusted text shaped the arguments.

    A text argument is clean when it stands in trusted text as it is: the plan's own words, the
    names in services.yaml, or the evidence of a tool whose output is trusted (the deploys in
    git, say); a number, when it stands there on its own. Everything else could have been put
    there by whoever writes logs and alerts.
    """
    sources = tuple(trusted)
    return any(
        not any(_stands_in(value, source) for source in sources)
        for argument in args.values()
        for value in _leaves(argument)
    )


def _stands_in(value: str | float, source: str) -> bool:
    if isinstance(value, str):
        return value in source
    written = re.escape(_as_written(value))
    return re.search(rf"(?<![\w.]){written}(?![\w.])", source) is not None


def _leaves(value: JsonValue) -> Iterable[str | float]:
    """Yield the texts and numbers of a value, and the keys inside it: they are data too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _as_written(value: JsonValue) -> str:
    """Return a value as people write it in YAML: true, not True."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The rules that say allow, ask or deny. Pure: policy is data, and no model can bend it."""

from __future__ import annotations

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
        and all(
            fnmatchcase(str(query.args.get(name, "")), pattern)
            for name, pattern in match.arguments.items()
        )
    )


def is_tainted(args: JsonValue, trusted: Iterable[str]) -> bool:
    """Whether untrusted text shaped the arguments.

    A text argument is clean when it stands in trusted text as it is: the plan's own words, the
    names in services.yaml, or the evidence of a tool whose output is trusted (the deploys in
    git, say). Everything else could have been put there by whoever writes logs and alerts.
    """
    sources = tuple(trusted)
    return any(not any(text in source for source in sources) for text in _texts(args))


def _texts(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

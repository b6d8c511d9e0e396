"""Checks of policies, routes, sources and people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from config.contents import Catalogue, Surroundings
from config.lint.remark import Path, Remark
from config.lint.values import UnknownReferenceError, ValueCheck
from config.nearest import hint
from config.shapes import UNKNOWN, Shape
from config.specs import (
    ALERT_FIELDS,
    ApprovalSpec,
    ApproversSpec,
    PersonSpec,
    PolicyMatch,
    PolicySpec,
    RouteSpec,
    SourceSpec,
)

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PERSON_ID = re.compile(r"[a-z][a-z0-9_-]*:\S+")
CONSOLE = "console:"
PLATFORMS = ("console",)
"""Where a route may report: the platforms that the bot is put together with."""


STEP_TOOL = "muster.step"
"""What a step with `approval: true` asks policy about, as if it were a tool."""


def lint_policies(catalogue: Catalogue, around: Surroundings) -> Iterator[Remark]:
    """Return everything that is wrong with the policies."""
    told: set[str] = set()
    for index, policy in enumerate(catalogue.policies):
        for remark in _policy(str(index), policy, catalogue, around):
            # A group that nobody is in is worth one warning, not one for each rule.
            if not remark.is_warning or remark.message not in told:
                yield remark
            told.add(remark.message)


def _policy(
    name: str, policy: PolicySpec, catalogue: Catalogue, around: Surroundings
) -> Iterator[Remark]:
    for field, pattern, known in (
        ("tool", policy.match.tool, None if around.tools is None else {*around.tools, STEP_TOOL}),
        ("agent", policy.match.agent, catalogue.agents),
    ):
        if pattern != "*" and known is not None and not _matches_any(pattern, known):
            yield Remark(
                "policies",
                name,
                ("match", field),
                f'no {field} matches "{pattern}"',
                hint(pattern, {*known, *(f"{name.partition('.')[0]}.*" for name in known)}),
            )
    if policy.approval is not None:
        yield from _terms(name, policy.approval, catalogue)


def _matches_any(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _terms(name: str, terms: ApprovalSpec, catalogue: Catalogue) -> Iterator[Remark]:
    at: Path = ("approval", "approvers")
    approvers = terms.approvers
    yield from _approvers(name, approvers, at, catalogue)
    if not approvers.groups and 0 < len(set(approvers.users)) < terms.quorum:
        yield Remark(
            "policies",
            name,
            ("approval", "quorum"),
            f"asks for {terms.quorum} approvers, but only {len(set(approvers.users))} are named",
        )
    if terms.escalation is not None:
        at = ("approval", "escalation")
        yield from _approvers(name, terms.escalation.to, (*at, "to"), catalogue)
        if terms.escalation.after_s >= terms.expires_after_s:
            yield Remark(
                "policies",
                name,
                (*at, "after_s"),
                f"escalates after {terms.escalation.after_s:g} s, when the approval has expired "
                f"(expires_after_s is {terms.expires_after_s:g})",
            )


def _approvers(
    name: str, approvers: ApproversSpec, at: Path, catalogue: Catalogue
) -> Iterator[Remark]:
    if not approvers.users and not approvers.groups:
        yield Remark("policies", name, at, "names nobody", "give users or groups")
    for index, user in enumerate(approvers.users):
        place = (*at, "users", index)
        if not _PERSON_ID.fullmatch(user):
            yield Remark(
                "policies", name, place, f'"{user}" is no platform:id', f'write "{CONSOLE}{user}"'
            )
        elif user.startswith(CONSOLE) and user.removeprefix(CONSOLE) not in catalogue.people:
            known = [CONSOLE + person for person in catalogue.people]
            yield Remark(
                "policies", name, place, f'nobody is called "{user}"', hint(user, known), True
            )
    for index, group in enumerate(approvers.groups):
        if group not in catalogue.groups:
            yield Remark(
                "policies",
                name,
                (*at, "groups", index),
                f'nobody is in the group "{group}"',
                hint(group, catalogue.groups) or "give somebody the group in people.yaml",
                True,
            )


def lint_routes(catalogue: Catalogue) -> Iterator[Remark]:
    """Return everything that is wrong with the routes."""
    for index, route in enumerate(catalogue.routes):
        if route.workflow is not None and route.workflow not in catalogue.workflows:
            yield Remark(
                "routes",
                str(index),
                ("workflow",),
                f'no workflow "{route.workflow}"',
                hint(route.workflow, catalogue.workflows),
            )
        if route.platform not in PLATFORMS:
            yield Remark(
                "routes",
                str(index),
                ("platform",),
                f'no platform "{route.platform}"',
                hint(route.platform, PLATFORMS),
            )


def unreachable_routes(routes: Sequence[RouteSpec]) -> dict[int, str]:
    """Return the positions of routes that an earlier one leaves nothing to, with its name."""
    found: dict[int, str] = {}
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            if earlier.match.items() <= route.match.items():
                found[index] = earlier.name
                break
    return found


def unreachable_policies(policies: Sequence[PolicySpec]) -> dict[int, str]:
    """Return the positions of policies behind one that matches every call, with its name."""
    found: dict[int, str] = {}
    for index, policy in enumerate(policies):
        for earlier in policies[:index]:
            if earlier.match in (PolicyMatch(), policy.match):
                found[index] = earlier.name
                break
    return found


def lint_source(name: str, source: SourceSpec) -> Iterator[Remark]:
    """Return everything that is wrong with one alert source."""
    yield from _variable("sources", name, source.token_env)
    if source.kind != "generic":
        for field in ("mapping", "items"):
            if getattr(source, field):
                yield Remark(
                    "sources", name, (field,), f"{field} is for sources of kind generic only"
                )
        return
    if "title" not in source.mapping:
        yield Remark("sources", name, ("mapping",), 'the mapping needs "title"')
    if source.items is not None:
        yield from _source_check(name, ("body",)).expression(source.items, ("items",))
    check = _source_check(name, ("body", "item"))
    for field, expression in source.mapping.items():
        at: Path = ("mapping", field)
        if field not in ALERT_FIELDS and not field.startswith("labels."):
            yield Remark(
                "sources", name, at, f'an alert has no "{field}"', hint(field, ALERT_FIELDS)
            )
        yield from check.expression(expression, at)


def _source_check(name: str, roots: tuple[str, ...]) -> ValueCheck:
    def resolve(path: tuple[str, ...]) -> Shape:
        if path[0] not in roots:
            raise UnknownReferenceError(f'no variable "{path[0]}"', hint(path[0], roots))
        return UNKNOWN

    return ValueCheck("sources", name, resolve)


def lint_people(catalogue: Catalogue) -> Iterator[Remark]:
    """Return everything that is wrong with the people."""
    owners: dict[str, str] = {}
    for name, person in catalogue.people.items():
        yield from _variable("people", name, person.token_env)
        if person.token_env is None and person.token_sha256 is None:
            yield Remark(
                "people",
                name,
                (),
                "cannot sign in without a token",
                "give token_env or token_sha256",
                True,
            )
        for field, token in _tokens(person):
            if token in owners:
                yield Remark(
                    "people", name, (field,), f'has the token of "{owners[token]}"', "one each"
                )
            owners.setdefault(token, name)


def _tokens(person: PersonSpec) -> Iterator[tuple[str, str]]:
    if person.token_env:
        yield "token_env", person.token_env
    if person.token_sha256:
        yield "token_sha256", person.token_sha256


def _variable(kind: str, name: str, variable: str | None) -> Iterator[Remark]:
    if variable is not None and not _VARIABLE.fullmatch(variable):
        yield Remark(
            kind,
            name,
            ("token_env",),
            "is no name of an environment variable",
            "name a variable such as MUSTER_WEBHOOK_TOKEN; the token itself never stands here",
        )

"""Checks of policies, routes, sources and people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from config.contents import Catalogue, Surroundings
from config.lint.approvers import lint_approvers
from config.lint.remark import Path, Remark
from config.lint.secrets import lint_variable
from config.lint.values import UnknownReferenceError, ValueCheck
from config.nearest import hint
from config.shapes import TEXT, UNKNOWN, Shape, types_of
from config.specs import (
    ALERT_FIELDS,
    ApprovalSpec,
    PersonSpec,
    PolicyMatch,
    PolicySpec,
    RouteSpec,
    SourceSpec,
    WorkflowSpec,
)

PLATFORMS = ("console", "slack")
"""Where a route may report: the platforms that the bot is put together with."""


FIELDS_OF_KINDS: Mapping[str, tuple[str, ...]] = {
    "mapping": ("generic", "form"),
    "items": ("generic",),
    "workflow": ("form",),
    "channel": ("form",),
    "platform": ("form",),
}
"""Which kinds of sources a key is for."""
STEP_TOOL = "muster.step"
"""What a step with `approval: true` asks policy about, as if it were a tool."""
STEP_ARGUMENTS = ("workflow", "step")


def lint_policies(catalogue: Catalogue, around: Surroundings) -> Iterator[Remark]:
    """Return everything that is wrong with the policies."""
    for index, policy in enumerate(catalogue.policies):
        yield from _policy(str(index), policy, catalogue, around)


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
    yield from _arguments(name, policy.match, around)
    if policy.approval is not None:
        yield from _terms(name, policy.approval, catalogue)


def _arguments(name: str, match: PolicyMatch, around: Surroundings) -> Iterator[Remark]:
    """Check that a tool which matches takes the arguments that the rule looks at."""
    known = {
        argument: Shape.of(tool.arguments).inner(schema)
        for tool_name, tool in (around.tools or {}).items()
        if fnmatchcase(tool_name, match.tool) and match.effect in (None, tool.effect)
        for argument, schema in (tool.arguments.get("properties") or {}).items()
    }
    if not known:
        return  # Without tools to look at, or where none matches: that is said elsewhere.
    if fnmatchcase(STEP_TOOL, match.tool):
        known |= dict.fromkeys(STEP_ARGUMENTS, Shape.of(TEXT))
    for field, given in (("arguments", match.arguments), ("at_least", match.at_least)):
        for argument in given:
            place: Path = ("match", field, argument)
            first, _, inside = argument.partition(".")
            if first not in known:
                message = f'no tool that matches takes "{first}"'
                yield Remark("policies", name, place, message, hint(first, known))
            elif field == "at_least" and not inside:
                types = types_of(known[first])
                if types is not None and not types & {"number", "integer"}:
                    yield Remark(
                        "policies", name, place, f'"{first}" is {_types(types)}, not a number'
                    )


def _types(types: Iterable[str]) -> str:
    return " or ".join(sorted(types))


def _matches_any(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _terms(name: str, terms: ApprovalSpec, catalogue: Catalogue) -> Iterator[Remark]:
    at: Path = ("approval", "approvers")
    approvers = terms.approvers
    yield from lint_approvers("policies", name, approvers, at, catalogue)
    if not approvers.groups and 0 < len(set(approvers.users)) < terms.quorum:
        yield Remark(
            "policies",
            name,
            ("approval", "quorum"),
            f"asks for {terms.quorum} approvers, but only {len(set(approvers.users))} are named",
        )
    if terms.escalation is not None:
        at = ("approval", "escalation")
        yield from lint_approvers("policies", name, terms.escalation.to, (*at, "to"), catalogue)
        if terms.escalation.after_s >= terms.expires_after_s:
            yield Remark(
                "policies",
                name,
                (*at, "after_s"),
                f"escalates after {terms.escalation.after_s:g} s, when the approval has expired "
                f"(expires_after_s is {terms.expires_after_s:g})",
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


def lint_source(name: str, source: SourceSpec, catalogue: Catalogue) -> Iterator[Remark]:
    """Return everything that is wrong with one source."""
    yield from lint_variable(
        "sources", name, ("token_env",), source.token_env, "MUSTER_WEBHOOK_TOKEN"
    )
    for field, kinds in FIELDS_OF_KINDS.items():
        if field in source.model_fields_set and source.kind not in kinds:
            message = f"{field} is for sources of kind {' and '.join(kinds)} only"
            yield Remark("sources", name, (field,), message)
    if source.kind == "generic":
        yield from _generic(name, source)
    elif source.kind == "form":
        yield from _form(name, source, catalogue)


def _generic(name: str, source: SourceSpec) -> Iterator[Remark]:
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


def _form(name: str, source: SourceSpec, catalogue: Catalogue) -> Iterator[Remark]:
    if source.platform not in PLATFORMS:
        yield Remark(
            "sources",
            name,
            ("platform",),
            f'no platform "{source.platform}"',
            hint(source.platform, PLATFORMS),
        )
    check = _source_check(name, ("body",))
    for field, expression in source.mapping.items():
        yield from check.expression(expression, ("mapping", field))
    if source.workflow is None:
        yield Remark(
            "sources", name, (), "a form starts a workflow, and none is named", 'add "workflow:"'
        )
        return
    workflow = catalogue.workflows.get(source.workflow)
    if workflow is None:
        yield Remark(
            "sources",
            name,
            ("workflow",),
            f'no workflow "{source.workflow}"',
            hint(source.workflow, catalogue.workflows),
        )
        return
    yield from _form_inputs(name, source, workflow)


def _form_inputs(name: str, source: SourceSpec, workflow: WorkflowSpec) -> Iterator[Remark]:
    for field in source.mapping:
        if field not in workflow.inputs:
            yield Remark(
                "sources",
                name,
                ("mapping", field),
                f'workflow "{workflow.name}" has no input "{field}"',
                hint(field, workflow.inputs),
            )
    for field, spec in workflow.inputs.items():
        if spec.required and spec.default is None and field not in source.mapping:
            yield Remark(
                "sources",
                name,
                ("mapping",),
                f'workflow "{workflow.name}" needs "{field}"',
                f'add "{field}:" here',
            )


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
        yield from lint_variable(
            "people", name, ("token_env",), person.token_env, "MUSTER_TOKEN_ALICE"
        )
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

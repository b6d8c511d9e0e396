"""Policy as data: the first rule that matches decides, and silence denies what writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.policy import Query, is_tainted, rule, speaks_of_taint
from agents.tool import Effect
from config.specs import ApprovalSpec, ApproversSpec, PolicyMatch, PolicySpec, Verdict

TERMS = ApprovalSpec(approvers=ApproversSpec(groups=("oncall",)))
QUERY = Query("service.rollback", Effect.WRITES, {"service": "checkout"}, "fixer", "production")

words = st.sampled_from(["a", "b", "a.b", "service.rollback", ""])
patterns = st.sampled_from(["*", "a*", "*b", "a", "service.*"])
effects = st.sampled_from(list(Effect))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Draw a call."""
    return Query(
        tool=draw(words),
        effect=draw(effects),
        args=draw(st.dictionaries(st.sampled_from(["service", "x"]), words)),
        agent=draw(words),
        environment=draw(words),
        requester=draw(words),
        is_tainted=draw(st.booleans()),
    )


@st.composite
def policies(draw: st.DrawFn) -> tuple[PolicySpec, ...]:
    """Draw some rules, each with a name of its own."""
    found: list[PolicySpec] = []
    for number in range(draw(st.integers(0, 5))):
        verdict = draw(st.sampled_from(list(Verdict)))
        effect = draw(st.none() | effects)
        match = PolicyMatch(
            tool=draw(patterns),
            effect=None if effect is None else effect.value,
            agent=draw(patterns),
            arguments=draw(st.dictionaries(st.just("service"), patterns)),
            tainted=draw(st.none() | st.booleans()),
        )
        approval = TERMS if verdict is Verdict.ASK else None
        found.append(PolicySpec(name=f"p{number}", match=match, verdict=verdict, approval=approval))
    return tuple(found)


@given(policies(), queries())
def test_first_match_decides(rules: tuple[PolicySpec, ...], query: Query) -> None:
    """What comes after the rule that decided makes no difference, nor what did not match."""
    ruling = rule(rules, query)

    names = [spec.name for spec in rules]
    if ruling.policy in names:
        place = names.index(ruling.policy)
        assert rule(rules[: place + 1], query) == ruling
        assert rule(rules[place:], query) == ruling
        assert rule(rules[:place], query).policy not in names
        assert ruling.verdict is rules[place].verdict
    else:
        assert all(rule((spec,), query).policy not in names for spec in rules)


@given(policies(), queries())
def test_write_without_a_match_is_denied(rules: tuple[PolicySpec, ...], query: Query) -> None:
    """Silence allows a read and denies a write."""
    ruling = rule(rules, query)

    if ruling.policy not in {spec.name for spec in rules}:
        is_read = query.effect is Effect.READS
        assert ruling.verdict is (Verdict.ALLOW if is_read else Verdict.DENY)


@given(policies(), queries())
def test_asking_has_terms_and_nothing_else_has(rules: tuple[PolicySpec, ...], query: Query) -> None:
    """Whoever has to ask knows whom."""
    ruling = rule(rules, query)

    assert (ruling.approval is not None) == (ruling.verdict is Verdict.ASK)


@given(policies(), queries())
def test_taint_matters_only_where_a_rule_speaks_of_it(
    rules: tuple[PolicySpec, ...], query: Query
) -> None:
    """When no rule for the effect names taint, tainted or not is the same."""
    if not speaks_of_taint(rules, query.effect):
        assert rule(rules, replace(query, is_tainted=not query.is_tainted)) == rule(rules, query)


@pytest.mark.parametrize(
    ("match", "is_match"),
    [
        ({"tool": "service.*"}, True),
        ({"tool": "service"}, False),
        ({"effect": "reads"}, False),
        ({"agent": "fix*"}, True),
        ({"environment": "staging"}, False),
        ({"requester": "console:*"}, False),
        ({"arguments": {"service": "check*"}}, True),
        ({"arguments": {"release": "*"}}, True),
        ({"arguments": {"release": "a*"}}, False),
        ({"tainted": True}, False),
        ({"tainted": False}, True),
    ],
)
def test_every_field_of_a_match_counts(match: dict[str, object], is_match: bool) -> None:
    """A rule is about a call when each of its fields fits."""
    spec = PolicySpec.model_validate({"name": "p", "match": match, "verdict": "allow"})

    assert (rule((spec,), QUERY).policy == "p") is is_match


@pytest.mark.parametrize(("value", "pattern"), [(True, "true"), (None, "null"), (5, "5")])
def test_arguments_match_as_they_are_written_in_yaml(value: JsonValue, pattern: str) -> None:
    """A rule that denies `force: "true"` is not got around by a boolean."""
    match = PolicyMatch(arguments={"force": pattern})
    spec = PolicySpec(name="no force", match=match, verdict=Verdict.DENY)

    assert rule((spec,), replace(QUERY, args={"force": value})).policy == "no force"


def test_denial_says_what_to_do() -> None:
    """Who meets the default learns where to change it."""
    assert "add it to policies.yaml" in rule((), QUERY).reason


@given(st.lists(st.text(max_size=20), max_size=3), st.lists(st.text(max_size=30), max_size=3))
def test_text_is_clean_only_where_it_stands_in_trusted_text(
    texts: list[str], trusted: list[str]
) -> None:
    """One text that nobody trusted wrote taints the whole call."""
    args: dict[str, JsonValue] = {str(n): text for n, text in enumerate(texts)}

    expected = any(not any(text in source for source in trusted) for text in texts)

    assert is_tainted(args, trusted) is expected


@given(st.text(min_size=1, max_size=20), st.text(max_size=5), st.text(max_size=5))
def test_more_trusted_text_never_taints(text: str, before: str, after: str) -> None:
    """A text stays clean inside a longer trusted one."""
    assert not is_tainted({"x": [{"y": text}]}, [before + text + after, "y"])


@pytest.mark.parametrize(
    ("value", "tainted"),
    [
        (3, False),
        (13, True),
        (0.5, False),
        (5, True),
        (True, False),
        (None, False),
        ({"checkout": 3}, False),
        ({"evil": 3}, True),
    ],
)
def test_numbers_and_inner_keys_count_too(value: JsonValue, tainted: bool) -> None:
    """A number is clean where it stands on its own; a key inside an argument is text."""
    assert is_tainted({"x": value}, ["checkout", "run 3 of them, or 0.5"]) is tainted


SEND = Query(
    "outlet.send",
    Effect.WRITES,
    {
        "outlet": "customer-mail",
        "category": "question",
        "confidence": 0.93,
        "fields": {"account": "on file"},
        "mentions": [],
        "a.b": "written so",
    },
    is_reviewed=True,
)


@pytest.mark.parametrize(
    ("match", "is_match"),
    [
        ({"arguments": {"fields.account": "on file"}}, True),
        ({"arguments": {"fields.account": "unknown"}}, False),
        ({"arguments": {"fields.nothing": ""}}, True),
        ({"arguments": {"outlet.name": "customer-mail"}}, False),
        ({"arguments": {"a.b": "written *"}}, True),
        ({"arguments": {"mentions": ""}}, True),
        ({"arguments": {"subject": ""}}, True),
        ({"arguments": {"category": ""}}, False),
        ({"at_least": {"confidence": 0.9}}, True),
        ({"at_least": {"confidence": 0.95}}, False),
        ({"at_least": {"category": 0.0}}, False),
        ({"at_least": {"fields.confidence": 0.0}}, False),
        ({"reviewed": True}, True),
        ({"reviewed": False}, False),
    ],
)
def test_arguments_inside_and_who_made_the_call_count(
    match: dict[str, object], is_match: bool
) -> None:
    """A rule may speak of a key inside an argument, of numbers, and of who wired the call."""
    spec = PolicySpec.model_validate({"name": "p", "match": match, "verdict": "allow"})

    assert (rule((spec,), SEND).policy == "p") is is_match

"""What can be wrong about models, teams, reviews, forms, outlets and service levels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from config.catalogue import ToolSchema, check_catalogue
from tests.config.test_catalogue import HEAD, RANK, REPORTS, TELL, TOOLS, write

MODELS = "models:\n  smart:\n    - {model: openai/gpt-5, key_env: OPENAI_API_KEY}\n"
THINKER = "name: thinker\ntitle: T\ndescription: D\nmodel: smart\n"
STORY = HEAD + RANK + TELL


class Send(BaseModel):
    """Arguments of a tool that sends."""

    outlet: str
    text: str
    confidence: float | None = None


ALL_TOOLS: Mapping[str, ToolSchema] = {
    **TOOLS,
    "outlet.send": ToolSchema(Send.model_json_schema(), {}, "writes"),
}


def problems(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return what a check says of the user's files, as printed."""
    found = check_catalogue(write(folder, files), ALL_TOOLS, REPORTS)
    return [str(one) for one in found if not one.file.startswith("config/defaults/")]


def test_a_sound_catalogue_has_no_problems(tmp_path: Path) -> None:
    """Models, a team that hands over, a review, a form, an outlet, a service level: all fit."""
    files = {
        "models.yaml": MODELS,
        "agents/thinker.yaml": THINKER + "handoffs: [writer, person]\n",
        "agents/writer.yaml": THINKER.replace("thinker", "writer"),
        "agents/boss.yaml": THINKER.replace("thinker", "boss")
        + "supervises: true\nteam: [thinker, ranker]\n",
        "workflows/story.yaml": HEAD
        + RANK
        + "    review: {criteria: good, by: thinker}\n"
        + TELL
        + "service_levels:\n"
        + "  - {when: steps.rank.confidence > 0.5, within_s: 60, to: {users: ['console:al']}}\n"
        + "  - {within_s: 600, to: {users: ['console:al']}}\n",
        "people.yaml": "people:\n  al: {name: Al, token_env: AL}\n",
        "sources.yaml": "sources:\n  web:\n    kind: form\n    workflow: story\n"
        "    mapping: {service: body.service, count: body.count}\n",
        "services.yaml": "outlets:\n  page:\n    url: https://example.com/x\n"
        "    token_env: PAGE_TOKEN\n    body: {text: '{{ args.text }}', n: 1}\n"
        "databases:\n  crm: {url_env: CRM_URL}\n",
        "policies.yaml": "policies:\n  - name: sure\n    verdict: allow\n"
        "    match: {tool: outlet.*, arguments: {outlet: page}, at_least: {confidence: 0.9}}\n",
    }

    assert problems(tmp_path, files) == []


AGENT_MISTAKES = [
    (
        "model: smrt\n",
        '4:1: model: no model alias "smrt"; did you mean "smart"?',
    ),
    (
        "model: smart\nhandoffs: [rankr]\n",
        '5:12: handoffs.0: no agent "rankr"; did you mean "ranker"?',
    ),
    (
        "model: smart\nhandoffs: [persn]\n",
        '5:12: handoffs.0: no agent "persn"; did you mean "person"?',
    ),
    (
        "model: smart\nhandoffs: [it]\n",
        "5:12: handoffs.0: names the agent itself; name another agent",
    ),
    (
        "model: smart\nhandoffs: [ranker]\n",
        '5:12: handoffs.0: "ranker" has no model, so it cannot take a conversation over',
    ),
    (
        "runbook: {report: {function: say}}\nhandoffs: [person]\n",
        "5:1: handoffs: only an agent with a model has a conversation to hand over; "
        'add "model:" to the agent',
    ),
    (
        "model: smart\nsupervises: true\nteam: [sayr]\n",
        '6:8: team.0: no agent "sayr"; did you mean "sayer"?',
    ),
    (
        "model: smart\nsupervises: true\nteam: [it]\n",
        "6:8: team.0: names the agent itself; name another agent",
    ),
    (
        "runbook: {report: {function: say}}\nsupervises: true\n",
        '5:1: supervises: only a model can plan for others; add "model:" to the agent',
    ),
]


@pytest.mark.parametrize(("rest", "expected"), AGENT_MISTAKES)
def test_mistake_in_an_agent(tmp_path: Path, rest: str, expected: str) -> None:
    """Whom an agent works with, and on which model, is checked by name."""
    text = "name: it\ntitle: It\ndescription: D\n" + rest

    found = problems(tmp_path, {"models.yaml": MODELS, "agents/it.yaml": text})

    assert f"agents/it.yaml:{expected}" in found


def test_aliases_are_not_missed_without_any_model(tmp_path: Path) -> None:
    """Whoever has no model has made no mistake: agents follow their runbooks."""
    assert problems(tmp_path, {"agents/thinker.yaml": THINKER.replace("smart", "legal")}) == []


def test_alias_without_a_model_is_told_once(tmp_path: Path) -> None:
    """However many agents name it."""
    files = {
        f"agents/{name}.yaml": f"name: {name}\ntitle: T\ndescription: D\nmodel: code\n"
        for name in ("one", "two")
    }
    found = check_catalogue(write(tmp_path, {"models.yaml": MODELS, **files}), ALL_TOOLS, REPORTS)

    (told,) = [str(one) for one in found if '"code"' in str(one)]
    assert told.endswith(
        'warning: model: no model is given for "code", so agents that name it follow their '
        'runbooks; add "code" to models.yaml'
    )


MODEL_MISTAKES = [
    ("models: {smart: []}\n", "1:10: models.smart: has no model; name one, or remove the alias"),
    (
        "models:\n  smart:\n    - {model: a}\n    - {model: a}\n",
        "4:7: models.smart.1: is there twice; a fallback is another",
    ),
    (
        "models:\n  smart:\n    - {model: a, key_env: sk-abc}\n",
        "3:18: models.smart.0.key_env: is no name of an environment variable; name a variable "
        "such as OPENAI_API_KEY; the secret itself never stands here",
    ),
    (
        "models:\n  smart:\n    - {model: a, base_url: localhost}\n",
        '3:18: models.smart.0.base_url: "localhost" is no http:// or https:// address',
    ),
    (
        "models:\n  smart:\n    - {model: a, base_url: 'http://u:p@h'}\n",
        "3:18: models.smart.0.base_url: holds a password, which never stands in YAML; "
        "name the variable that has it instead",
    ),
    (
        "models:\n  smart:\n    - {model: a, output_usd_per_million: 1}\n",
        "3:18: models.smart.0.output_usd_per_million: a price needs both sides, or litellm's "
        'price list counts; add "input_usd_per_million:" here',
    ),
    (
        "budgets: {run: {usd: 0}}\n",
        "1:17: budgets.run.usd: 0 must be more than 0",
    ),
]


@pytest.mark.parametrize(("text", "expected"), MODEL_MISTAKES)
def test_mistake_in_a_model(tmp_path: Path, text: str, expected: str) -> None:
    """What cannot work is told with its line, and no key is ever expected in YAML."""
    assert f"models.yaml:{expected}" in problems(tmp_path, {"models.yaml": text})


WORKFLOW_MISTAKES = [
    (
        HEAD + RANK + "    review: {criteria: good, by: nobody}\n" + TELL,
        '12:30: steps.0.review.by: no agent "nobody"',
    ),
    (
        HEAD + RANK + "    review: {criteria: good, by: sayer}\n" + TELL,
        '12:30: steps.0.review.by: "sayer" has no model, so it cannot judge; name one that has',
    ),
    (
        HEAD
        + "  - {id: rank, agent: supervisor, review: {criteria: good}}\n"
        + TELL.replace("steps.rank.confidence", "steps.rank.headline"),
        '9:35: steps.0.review: "supervisor" plans for others, and what it sums up is not reviewed; '
        "review the steps whose work it is",
    ),
    (
        STORY + "service_levels:\n  - {when: steps.rnk, within_s: 1, to: {users: ['a:b']}}\n",
        '17:6: service_levels.0.when: no step "rnk"; did you mean "rank"?',
    ),
    (
        STORY + "service_levels:\n  - {when: steps.rank.x, within_s: 1, to: {users: ['a:b']}}\n",
        "17:6: service_levels.0.when: steps.rank.x: ",
    ),
    (
        STORY + "service_levels:\n  - {when: run.id, within_s: 1, to: {users: ['a:b']}}\n",
        '17:6: service_levels.0.when: no variable "run"',
    ),
    (
        STORY + "service_levels:\n  - {when: steps, within_s: 1, to: {users: ['a:b']}}\n",
        "17:6: service_levels.0.when: name the step: steps.<id>",
    ),
    (
        STORY + "service_levels:\n  - {within_s: 1, to: {}}\n",
        "17:19: service_levels.0.to: names nobody; give users or groups",
    ),
    (
        STORY + "service_levels:\n  - {within_s: 1, to: {users: [al]}}\n",
        '17:32: service_levels.0.to.users.0: "al" is no platform:id; write "console:al"',
    ),
    (
        STORY + "service_levels:\n  - {within_s: 3600, to: {users: ['a:b']}}\n",
        "17:6: service_levels.0.within_s: is over after 3600 s, when the run has ended "
        "(max_wall_s is 3600)",
    ),
    (
        STORY
        + "service_levels:\n  - {within_s: 1, to: {users: ['a:b']}}\n"
        + "  - {within_s: 2, to: {users: ['a:b']}}\n",
        "17:5: service_levels.0: holds for every run, so those below never count; "
        "move it to the end",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WORKFLOW_MISTAKES)
def test_mistake_in_a_workflow(tmp_path: Path, text: str, expected: str) -> None:
    """Who judges a step and who hears of a late run must be there."""
    found = problems(tmp_path, {"workflows/story.yaml": text})

    assert [one for one in found if one.startswith(f"workflows/story.yaml:{expected}")]


@pytest.mark.parametrize(
    ("agent", "is_answer"),
    [
        (THINKER, True),
        (THINKER + "output: {type: object, properties: {headline: {type: string}}}\n", True),
        (
            THINKER
            + "output: {type: object, additionalProperties: false, "
            + "properties: {sum: {type: number}}}\n",
            False,
        ),
    ],
)
def test_agent_with_a_model_may_answer(tmp_path: Path, agent: str, is_answer: bool) -> None:
    """Words are an answer; a declared output without a headline is none."""
    text = HEAD + RANK + "  - {id: tell, agent: thinker, needs: [rank]}\n"

    found = problems(tmp_path, {"agents/thinker.yaml": agent, "workflows/story.yaml": text})

    assert [one for one in found if "is no answer" not in one] == []
    assert (found == []) == is_answer


SOURCE_MISTAKES = [
    ("    kind: form\n", '2:3: sources.web: a form starts a workflow, and none is named; add "wor'),
    (
        "    kind: form\n    workflow: stroy\n",
        '4:5: sources.web.workflow: no workflow "stroy"; did you mean "story"?',
    ),
    (
        "    kind: form\n    workflow: story\n    mapping: {servce: body.s}\n",
        '5:15: sources.web.mapping.servce: workflow "story" has no input "servce"; did you mean '
        '"service"?',
    ),
    (
        "    kind: form\n    workflow: story\n    mapping: {service: body.s}\n",
        '5:5: sources.web.mapping: workflow "story" needs "count"; add "count:" here',
    ),
    (
        "    kind: form\n    workflow: story\n    mapping: {service: item.s, count: body.n}\n",
        '5:15: sources.web.mapping.service: no variable "item"; ',
    ),
    (
        "    kind: form\n    workflow: story\n    platform: slak\n",
        '5:5: sources.web.platform: no platform "slak"; did you mean "slack"?',
    ),
    (
        "    kind: form\n    workflow: story\n    items: body.all\n",
        "5:5: sources.web.items: items is for sources of kind generic only",
    ),
    (
        "    kind: alertmanager\n    workflow: story\n",
        "4:5: sources.web.workflow: workflow is for sources of kind form only",
    ),
]


@pytest.mark.parametrize(("rest", "expected"), SOURCE_MISTAKES)
def test_mistake_in_a_form(tmp_path: Path, rest: str, expected: str) -> None:
    """A form names a workflow and fills its inputs."""
    files = {"workflows/story.yaml": STORY, "sources.yaml": "sources:\n  web:\n" + rest}

    found = problems(tmp_path, files)

    assert [one for one in found if one.startswith(f"sources.yaml:{expected}")], found


SERVICE_MISTAKES = [
    (
        "outlets:\n  page: {url: example.com}\n",
        '2:10: outlets.page.url: "example.com" is no http:// or https:// address',
    ),
    (
        "outlets:\n  page: {url: 'https://h', token_env: s3cret}\n",
        "2:28: outlets.page.token_env: is no name of an environment variable; name a variable "
        "such as STATUS_TOKEN; the secret itself never stands here",
    ),
    (
        "outlets:\n  page: {url: 'https://h', body: {a: ['{{ args.txt }}']}}\n",
        '2:39: outlets.page.body.a.0: args.txt: nothing called "txt"; did you mean "text"?',
    ),
    (
        "outlets:\n  page: {url: 'https://h', body: {a: {b: '{{ text }}'}}}\n",
        '2:39: outlets.page.body.a.b: no variable "text"; known: args',
    ),
    (
        "databases:\n  crm: {url_env: 'postgresql://h'}\n",
        "2:9: databases.crm.url_env: is no name of an environment variable; name a variable "
        "such as CUSTOMERS_URL; the secret itself never stands here",
    ),
]


@pytest.mark.parametrize(("text", "expected"), SERVICE_MISTAKES)
def test_mistake_in_an_outlet_or_database(tmp_path: Path, text: str, expected: str) -> None:
    """Where messages go and data comes from is checked down to the body's expressions."""
    assert f"services.yaml:{expected}" in problems(tmp_path, {"services.yaml": text})


POLICY_MISTAKES = [
    (
        "tool: outlet.send, at_least: {confidnce: 0.5}",
        'match.at_least.confidnce: no tool that matches takes "confidnce"; did you mean '
        '"confidence"?',
    ),
    (
        "tool: outlet.send, at_least: {text: 0.5}",
        'match.at_least.text: "text" is string, not a number',
    ),
    (
        "tool: service.*, arguments: {relase: x}",
        'match.arguments.relase: no tool that matches takes "relase"; did you mean "release"?',
    ),
    (
        "effect: reads, arguments: {release: x}",
        'match.arguments.release: no tool that matches takes "release"; ',
    ),
]


@pytest.mark.parametrize(("match", "expected"), POLICY_MISTAKES)
def test_mistake_in_a_policy(tmp_path: Path, match: str, expected: str) -> None:
    """A rule that looks at an argument which no matching tool has would never match."""
    text = f"policies:\n  - name: it\n    verdict: allow\n    match: {{{match}}}\n"

    found = problems(tmp_path, {"policies.yaml": text})

    assert [one for one in found if f"policies.0.{expected}" in one], found


def test_policies_may_look_inside_arguments(tmp_path: Path) -> None:
    """Only the argument itself must be known; what it holds is open."""
    text = (
        "policies:\n  - name: it\n    verdict: allow\n"
        "    match: {tool: '*', arguments: {text.kind: x, release: ''}}\n"
    )

    assert problems(tmp_path, {"policies.yaml": text}) == []


def test_missing_group_is_told_once(tmp_path: Path) -> None:
    """However many rules and service levels name a group that nobody is in."""
    levels = "service_levels:\n  - {within_s: 1, to: {groups: [nobodies]}}\n"
    rule = (
        "  - name: {name}\n    match: {{tool: 'metrics.*', agent: {agent}}}\n    verdict: ask\n"
        "    approval: {{approvers: {{groups: [nobodies]}}}}\n"
    )
    rules = rule.format(name="a", agent="sayer") + rule.format(name="b", agent="ranker")

    found = problems(
        tmp_path, {"workflows/story.yaml": STORY + levels, "policies.yaml": "policies:\n" + rules}
    )

    (told,) = found
    assert "policies.yaml:5:" in told
    assert 'warning: policies.0.approval.approvers.groups.0: nobody is in the group "nob' in told

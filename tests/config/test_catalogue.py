"""The catalogue: overlay of the user's files, and every kind of mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import BaseModel

from config.catalogue import (
    DEFAULTS,
    CatalogueError,
    Problem,
    ToolSchema,
    check_catalogue,
    load_catalogue,
)
from config.specs import (
    PeopleFile,
    PoliciesFile,
    RoutesFile,
    ServicesFile,
    SourcesFile,
    Verdict,
)
from config.yaml_source import read_yaml

Model = TypeVar("Model", bound=BaseModel)


class Window(BaseModel):
    """Arguments of a tool that looks."""

    service: str
    last_s: float = 900
    names: list[str] = []


class Point(BaseModel):
    """One number."""

    at: float
    value: float


class Series(BaseModel):
    """Output of a tool that looks."""

    points: list[Point]
    title: str | None = None


class Release(BaseModel):
    """Arguments of a tool that acts."""

    service: str
    release: str


class Said(BaseModel):
    """An answer."""

    headline: str


class Suspects(BaseModel):
    """A ranking."""

    confidence: float
    names: list[str]
    proposal: Release | None = None


TOOLS: Mapping[str, ToolSchema] = {
    "metrics.range": ToolSchema(Window.model_json_schema(), Series.model_json_schema(), "reads"),
    "service.rollback": ToolSchema(Release.model_json_schema(), {}, "writes"),
}
REPORTS = {"say": Said.model_json_schema(), "rank": Suspects.model_json_schema()}

SAYER = """\
name: sayer
title: Sayer
description: Says it
inputs: {type: object, properties: {text: {type: string}}, required: [text]}
runbook: {report: {function: say}}
"""
RANKER = """\
name: ranker
title: Ranker
description: Ranks
tools: [metrics.range]
inputs:
  type: object
  properties:
    service: {type: string}
    limit: {type: integer, maximum: 10}
    series: {type: array, items: {type: number}}
  required: [service]
runbook:
  calls:
    - id: look
      tool: metrics.range
      args: {service: "{{ inputs.service }}"}
    - id: more
      tool: metrics.range
      args:
        service: "{{ inputs.service }}"
        names: ["{{ calls.look.output.title }}"]
  report: {function: rank}
"""
HEAD = """\
name: story
title: Story
description: A story
inputs:
  service: {type: string}
  count: {type: integer}
answer: tell
steps:
"""
RANK = """\
  - id: rank
    agent: ranker
    inputs: {service: "{{ goal.inputs.service }}"}
"""
TELL = """\
  - id: tell
    agent: sayer
    inputs: {text: "{{ steps.rank.confidence }} of {{ goal.text }}"}
    needs: [rank]
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a catalogue, the two agents among them."""
    for name, text in {"agents/sayer.yaml": SAYER, "agents/ranker.yaml": RANKER, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return what a check says of the user's files, as printed."""
    found = check_catalogue(write(folder, files), TOOLS, REPORTS)
    return [str(one) for one in found if not one.file.startswith("config/defaults/")]


def test_a_sound_catalogue_has_no_problems(tmp_path: Path) -> None:
    """Agents and a workflow that fit each other are accepted."""
    assert problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + TELL}) == []


STEP_MISTAKES = [
    (
        "    agent: sayar\n",
        '10:5: steps.0.agent: no agent "sayar"; did you mean "sayer"?',
    ),
    (
        "    agent: sayer\n    inputs: {text: hi}\n    fallback_agent: rankr\n",
        '12:5: steps.0.fallback_agent: no agent "rankr"; did you mean "ranker"?',
    ),
    (
        "    agent: sayer\n    inputs: {text: hi}\n    fallback_agent: ranker\n",
        '11:5: steps.0.inputs: the fallback agent "ranker" needs "service"; add "service:" here',
    ),
    (
        "    agent: sayer\n    inputs: {text: hi}\n    fallback_agent: sayer\n",
        "12:5: steps.0.fallback_agent: the fallback is the agent itself",
    ),
    (
        "    tool: metrics.rnage\n",
        '10:5: steps.0.tool: no tool "metrics.rnage"; did you mean "metrics.range"?',
    ),
    (
        "    tool: metrics\n",
        '10:5: steps.0.tool: "metrics" is no tool name such as metrics.range',
    ),
    (
        "    tool: metrics.range\n    inputs: {servic: x}\n",
        '11:14: steps.0.inputs.servic: tool "metrics.range" takes no "servic"; '
        'did you mean "service"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {last_s: 5}\n",
        '11:5: steps.0.inputs: tool "metrics.range" needs "service"; add "service:" here',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x, last_s: soon}\n",
        "11:26: steps.0.inputs.last_s: 'soon' is not of type 'number'",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ goal.inputs.count }}'}\n",
        "11:14: steps.0.inputs.service: goal.inputs.count gives integer where string is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x, last_s: 'in {{ goal.inputs.count }}'}\n",
        "11:26: steps.0.inputs.last_s: the text gives string where number is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x, names: '{{ goal.text }}'}\n",
        "11:26: steps.0.inputs.names: goal.text gives string where array is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x, names: ['{{ goal.inputs.count }}']}\n",
        "11:34: steps.0.inputs.names.0: goal.inputs.count gives integer where string is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: {a: '{{ goal.text }}'}}\n",
        "11:14: steps.0.inputs.service: gives object where string is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: ['{{ goal.text }}']}\n",
        "11:14: steps.0.inputs.service: gives array where string is needed",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ goal.inputs.servce }}'}\n",
        '11:14: steps.0.inputs.service: no input "servce" is declared by the workflow; '
        'did you mean "service"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ goal.txt }}'}\n",
        '11:14: steps.0.inputs.service: goal.txt: a goal has no such part; did you mean "text"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ run.timelin }}'}\n",
        '11:14: steps.0.inputs.service: run.timelin: no such fact; did you mean "timeline"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ service }}'}\n",
        '11:14: steps.0.inputs.service: no variable "service"; did you mean goal.inputs.service?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ rank }}'}\n",
        '11:14: steps.0.inputs.service: no variable "rank"; did you mean steps.rank?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ item }}'}\n",
        "11:14: steps.0.inputs.service: item exists only in the inputs of a step with for_each",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ goal.text '}\n",
        "11:14: steps.0.inputs.service: '{{ goal.text ' cannot be read: a {{ is never closed; "
        "write }} after the expression",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: '{{ goal.text | uper }}'}\n",
        "11:14: steps.0.inputs.service: the expression 'goal.text | uper' cannot be read: "
        'there is no filter "uper"; did you mean "upper"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    when: goal.text ==\n",
        "12:5: steps.0.when: the expression 'goal.text ==' cannot be read: ends too early",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    for_each: goal.text\n",
        "12:5: steps.0.for_each: goal.text is string, not a list",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    needs: [rnk]\n",
        '12:13: steps.0.needs.0: no step "rnk"; did you mean "rank"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    after: [it]\n",
        "12:13: steps.0.after.0: a step cannot wait for itself",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    when: steps.rank.confidence\n",
        '12:5: steps.0.when: reads "rank", which may not have ended; add "rank" to needs or after',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    when: status.rnk == 'failed'\n",
        '12:5: steps.0.when: no step "rnk"; did you mean "rank"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    when: steps\n",
        "12:5: steps.0.when: name the step: steps.<id>",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    timeout_s: 901\n",
        "12:5: steps.0.timeout_s: 901 must be at most 900",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    timout_s: 90\n",
        '12:5: steps.0.timout_s: unknown key "timout_s"; did you mean "timeout_s"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    retries: {tims: 3}\n",
        '12:15: steps.0.retries.tims: unknown key "tims"; did you mean "times"?',
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    retries: {times: many}\n",
        '12:15: steps.0.retries.times: "many" is no whole number',
    ),
    (
        "    tool: metrics.range\n    agent: sayer\n",
        "9:5: steps.0: give exactly one of agent, tool and approves",
    ),
    (
        "    tool: metrics.range\n    inputs: {service: x}\n    output_schema: {type: objct}\n",
        "12:5: steps.0.output_schema: is no valid JSON Schema: type: 'objct' is not valid under "
        "any of the given schemas",
    ),
    (
        "    approves: [roll]\n",
        '10:16: steps.0.approves.0: no step "roll"; known: it, rank, tell',
    ),
    (
        "    approves: [tell]\n",
        '10:16: steps.0.approves.0: "tell" is no direct tool step, so it needs no gate',
    ),
]


@pytest.mark.parametrize(("step", "expected"), STEP_MISTAKES)
def test_mistake_in_a_step(tmp_path: Path, step: str, expected: str) -> None:
    """Each mistake in a step is told with its place, the reason and a way out."""
    text = HEAD + "  - id: it\n" + step + RANK + TELL

    found = problems(tmp_path, {"workflows/story.yaml": text})

    assert f"workflows/story.yaml:{expected}" in found


def test_outputs_are_checked_along_the_graph(tmp_path: Path) -> None:
    """What one step reads of another must be in the other's output, with the right type."""
    reader = """\
  - id: read
    agent: ranker
    needs: [rank]
    inputs:
      service: "{{ steps.rank.confidence }}"
      limit: "{{ steps.rank.proposal.relase }}"
      series: "{{ steps.rank.names }}"
  - id: deep
    tool: metrics.range
    after: [rank]
    inputs:
      service: "{{ steps.rank.names[0] }}"
      names: "{{ steps.rank.names }}"
      last_s: "{{ steps.rank.confidence.x }}"
"""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + reader + TELL})

    assert found == [
        "workflows/story.yaml:16:7: steps.1.inputs.service: "
        "steps.rank.confidence gives number where string is needed",
        "workflows/story.yaml:17:7: steps.1.inputs.limit: "
        'steps.rank.proposal.relase: nothing called "relase"; did you mean "release"?',
        "workflows/story.yaml:18:7: steps.1.inputs.series: "
        "steps.rank.names gives a list that gives string where number is needed",
        "workflows/story.yaml:25:7: steps.2.inputs.last_s: "
        'steps.rank.confidence.x: a value of type number has no "x"',
    ]


def test_fan_out(tmp_path: Path) -> None:
    """A fan-out reads a list, its inputs read the item, and its output is a list."""
    steps = """\
  - id: each
    agent: ranker
    needs: [rank]
    for_each: steps.rank.names
    when: item == 1
    inputs: {service: "{{ item }}"}
  - id: sum
    agent: sayer
    needs: [each]
    inputs: {text: "{{ steps.each[0].confidnce }}"}
  - id: all
    agent: sayer
    needs: [each]
    inputs: {text: "{{ steps.each }}"}
"""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + steps + TELL})

    assert found == [
        "workflows/story.yaml:16:5: steps.1.when: "
        "item exists only in the inputs of a step with for_each",
        "workflows/story.yaml:21:14: steps.2.inputs.text: steps.each.0.confidnce: "
        'nothing called "confidnce"; did you mean "confidence"?',
        "workflows/story.yaml:25:14: steps.3.inputs.text: "
        "steps.each gives array where string is needed",
    ]


def test_cycle_is_shown(tmp_path: Path) -> None:
    """Steps that wait for each other are listed in the order of the loop."""
    steps = """\
  - {id: b, agent: sayer, inputs: {text: x}, needs: [a]}
  - {id: a, agent: sayer, inputs: {text: x}, after: [c]}
  - {id: c, agent: sayer, inputs: {text: x}, needs: [b]}
"""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + TELL + steps})

    assert found == [
        "workflows/story.yaml:17:5: steps.3: steps wait for each other: a -> b -> c -> a; "
        "cut one link"
    ]


def test_gate_comes_before_what_it_approves(tmp_path: Path) -> None:
    """A gate approves writing tool steps that wait for it, and nothing else."""
    steps = """\
  - id: gate
    approves: [roll, look, free]
    needs: [rank]
  - {id: roll, tool: service.rollback, inputs: {service: a, release: b}, needs: [gate]}
  - {id: look, tool: metrics.range, inputs: {service: a}, needs: [gate]}
  - {id: free, tool: service.rollback, inputs: {service: a, release: b}, needs: [rank]}
"""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + steps + TELL})

    assert found == [
        'workflows/story.yaml:13:22: steps.1.approves.1: "look" only reads, '
        "so there is nothing to approve",
        'workflows/story.yaml:13:28: steps.1.approves.2: "free" could run before it is approved; '
        'add "gate" to the needs of "free"',
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("tel", '7:1: answer: no step "tel"; did you mean "tell"?'),
        ("rank", '7:1: answer: the answer step "rank" must be the last, but "tell" waits for it'),
        (
            "rank2",
            '7:1: answer: the output of "rank2" is no answer: it has no headline; '
            'let an agent such as "reporter" give the answer',
        ),
        ("gate", '7:1: answer: "gate" cannot give the answer: it is a gate or a fan-out'),
    ],
)
def test_answer_step(tmp_path: Path, answer: str, expected: str) -> None:
    """The answer comes from a step at the end whose output is an answer."""
    text = HEAD.replace("answer: tell", f"answer: {answer}") + RANK + TELL
    text += "  - {id: rank2, agent: ranker, inputs: {service: x}}\n"
    text += "  - {id: gate, approves: [roll]}\n"
    text += "  - {id: roll, tool: service.rollback, inputs: {service: a, release: b}}\n"

    assert f"workflows/story.yaml:{expected}" in problems(tmp_path, {"workflows/story.yaml": text})


def test_workflow_inputs_and_limits(tmp_path: Path) -> None:
    """Defaults fit their type, words are for text, and no step outlives the run."""
    text = (HEAD + RANK + TELL).replace(
        "count: {type: integer}", "count: {type: integer, default: few, one_of: [a]}"
    )
    text += "max_wall_s: 60\n"

    found = problems(tmp_path, {"workflows/story.yaml": text})

    assert found == [
        "workflows/story.yaml:6:26: inputs.count.default: "
        "the default is of type string, not integer",
        "workflows/story.yaml:6:40: inputs.count.one_of: one_of is for inputs of type string",
        "workflows/story.yaml:9:5: steps.0.timeout_s: may take 120 s, longer than the whole run "
        "(max_wall_s is 60)",
        "workflows/story.yaml:12:5: steps.1.timeout_s: may take 120 s, longer than the whole run "
        "(max_wall_s is 60)",
    ]


def test_name_with_a_dash_is_explained(tmp_path: Path) -> None:
    """A step id with a dash reads as a subtraction; the hint shows how to write it."""
    steps = """\
  - {id: look-up, tool: metrics.range, inputs: {service: x}}
  - {id: use, agent: sayer, needs: [look-up], inputs: {text: "{{ steps.look-up.title }}"}}
  - {id: fine, agent: sayer, needs: [look-up], inputs: {text: '{{ steps["look-up"].title }}'}}
"""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + steps + TELL})

    advice = 'a name with a dash is written steps["look-up"]'
    assert found == [
        f'workflows/story.yaml:13:56: steps.2.inputs.text: no step "look"; {advice}',
        f'workflows/story.yaml:13:56: steps.2.inputs.text: no variable "up"; {advice}',
    ]


AGENT_MISTAKES = [
    ("tools: [metrics.range]", "tools: [metrics.rnge]", 4, 'no tool "metrics.rnge"; did you mean'),
    ("- id: more", "- id: look", 17, 'the id "look" is used by an earlier call'),
    ("tool: metrics.range\n      args: {", "tool: metric.range\n      args: {", 15, "may not use"),
    ("{{ calls.look.output.title", "{{ calls.lok.output.title", 21, 'did you mean "look"?'),
    ("{{ calls.look.output.title", "{{ calls.look.output.titel", 21, 'did you mean "title"?'),
    ("{{ calls.look.output.title", "{{ calls.look.title", 21, "calls.look.output.title?"),
    ("{{ calls.look.output.title", "{{ look.title", 21, "did you mean calls.look?"),
    ("{{ calls.look.output.title", "{{ calls.look.output.points", 21, "gives array where string"),
    ("{{ calls.look.output.title", "{{ calls.more.output.title", 13, "calls read each other's"),
    ('args: {service: "{{ inputs.service', 'args: {service: "{{ inputs.srvice', 16, '"service"?'),
    ("function: rank", "function: rnk", 22, 'no report function "rnk"; did you mean "rank"?'),
    ("service: {type: string}", "service: {type: strng}", 5, "is no valid JSON Schema"),
    ("report: {function: rank}", "report: {}", 22, "give exactly one of function and output"),
    ("title: Ranker\n", "", 1, 'needs "title"; add "title:" here'),
    ("name: ranker", "name: Ranker", 1, '"Ranker" is no name: use up to 48'),
    ("runbook:\n", "runbok:\n", 12, 'unknown key "runbok"; did you mean "runbook"?'),
]


@pytest.mark.parametrize(("old", "new", "line", "expected"), AGENT_MISTAKES)
def test_mistake_in_an_agent(tmp_path: Path, old: str, new: str, line: int, expected: str) -> None:
    """Each mistake in an agent is told with its line, the reason and a way out."""
    assert old in RANKER

    found = problems(tmp_path, {"agents/ranker.yaml": RANKER.replace(old, new)})

    assert any(
        one.startswith(f"agents/ranker.yaml:{line}:") and expected in one for one in found
    ), found


FILE_MISTAKES = [
    ("services.yaml", "services:\n  a: {depends_on: [b]}\n", 2, 'no service "b"'),
    ("services.yaml", "services:\n  a: {depends_on: [a]}\n", 2, "cannot depend on itself"),
    ("services.yaml", "services:\n  A b: {}\n", 2, '"A b" is no name'),
    ("services.yaml", "services:\n  a:\n    metrics: {scrape: host}\n", 3, "no http://"),
    (
        "services.yaml",
        "services:\n  a:\n    metrics: {indicators: {e: {query: x}}}\n",
        3,
        "add metrics.prometheus",
    ),
    (
        "services.yaml",
        "services:\n  a:\n    commands:\n      go: {argv: [x, '{rel}'], arguments: {rel: '('}}\n",
        4,
        "is no regular expression",
    ),
    (
        "services.yaml",
        "services:\n  a:\n    commands:\n      go: {argv: [x, '{rl}'], arguments: {rel: a}}\n",
        4,
        'no argument "rl" is declared; did you mean "rel"?',
    ),
    (
        "services.yaml",
        "services:\n  a:\n    commands:\n      go: {argv: [x], arguments: {rel: a}}\n",
        4,
        "the argument is never used",
    ),
    (
        "services.yaml",
        "services:\n  a:\n    commands:\n"
        "      go: {argv: [sh, -c, 'x {rel}'], arguments: {rel: a}}\n",
        4,
        "may not fill what a shell reads",
    ),
    (
        "services.yaml",
        "services:\n  a:\n    commands:\n      go: {argv: ['{rel}'], arguments: {rel: a}}\n",
        4,
        "may not fill the program itself",
    ),
    ("services.yaml", "servces: {}\n", 1, 'unknown key "servces"; did you mean "services"?'),
    ("services.yaml", "- a\n", 1, "must hold a mapping"),
    ("services.yaml", "services:\n  a: {}\n  a: {}\n", 3, 'the key "a" is given twice'),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: ask}\n",
        2,
        "approval is given if and only if verdict is ask",
    ),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: alow}\n",
        2,
        '"alow" is not one of allow, ask, deny; did you mean "allow"?',
    ),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: deny, match: {tool: servise.*}}\n",
        2,
        'no tool matches "servise.*"; did you mean "service.*"?',
    ),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: deny, match: {agent: rnker}}\n",
        2,
        'no agent matches "rnker"; did you mean "ranker"?',
    ),
    (
        "policies.yaml",
        "policies:\n  - name: a\n    verdict: ask\n    approval:\n      approvers: {}\n",
        5,
        "names nobody; give users or groups",
    ),
    (
        "policies.yaml",
        "policies:\n  - name: a\n    verdict: ask\n    approval:\n"
        "      approvers: {users: [alice]}\n",
        5,
        '"alice" is no platform:id; write "console:alice"',
    ),
    (
        "policies.yaml",
        "policies:\n  - name: a\n    verdict: ask\n    approval:\n"
        "      approvers: {users: ['slack:U1']}\n      quorum: 2\n",
        6,
        "asks for 2 approvers, but only 1 are named",
    ),
    (
        "policies.yaml",
        "policies:\n  - name: a\n    verdict: ask\n    approval:\n"
        "      approvers: {users: ['slack:U1']}\n"
        "      escalation: {after_s: 1800, to: {groups: [x]}}\n",
        6,
        "escalates after 1800 s, when the approval has expired",
    ),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: deny}\n  - {name: a, verdict: allow}\n",
        3,
        'the name "a" is used by an earlier one',
    ),
    (
        "policies.yaml",
        "policies:\n  - {name: a, verdict: deny}\n  - {name: b, verdict: allow}\n",
        3,
        'warning: policies.1: is never reached: "a" before it',
    ),
    (
        "routes.yaml",
        "routes:\n  - {name: a, workflow: stry}\n",
        2,
        'no workflow "stry"; did you mean "story"?',
    ),
    (
        "routes.yaml",
        "routes:\n  - {name: a, workflow: story, platform: consol}\n",
        2,
        'no platform "consol"; did you mean "console"?',
    ),
    (
        "routes.yaml",
        "routes:\n  - {name: a, workflow: story}\n"
        "  - {name: b, workflow: story, match: {team: x}}\n",
        3,
        'warning: routes.1: is never reached: "a" before it',
    ),
    (
        "sources.yaml",
        "sources:\n  a: {kind: alertmanger}\n",
        2,
        'did you mean "alertmanager"?',
    ),
    (
        "sources.yaml",
        "sources:\n  a: {kind: alertmanager, items: body.x}\n",
        2,
        "items is for sources of kind generic only",
    ),
    ("sources.yaml", "sources:\n  a: {kind: generic}\n", 2, 'the mapping needs "title"'),
    (
        "sources.yaml",
        "sources:\n  a: {kind: generic, mapping: {title: body.x, servce: item.y}}\n",
        2,
        'an alert has no "servce"; did you mean "service"?',
    ),
    (
        "sources.yaml",
        "sources:\n  a: {kind: generic, mapping: {title: 'bdy.x'}}\n",
        2,
        'no variable "bdy"; did you mean "body"?',
    ),
    (
        "sources.yaml",
        "sources:\n  a: {kind: generic, items: 'body.', mapping: {title: item.x}}\n",
        2,
        "the expression 'body.' cannot be read",
    ),
    (
        "sources.yaml",
        "sources:\n  a: {kind: alertmanager, token_env: s3cret-token}\n",
        2,
        "is no name of an environment variable",
    ),
    (
        "people.yaml",
        "people:\n  al: {name: Al, token_env: T}\n  bo: {name: Bo, token_env: T}\n",
        3,
        'has the token of "al"',
    ),
    ("people.yaml", "people:\n  al: {name: Al}\n", 2, "warning: people.al: cannot sign in"),
    ("people.yaml", "people:\n  al: {name: Al, token_sha256: x}\n", 2, "is no SHA-256"),
    ("people.yml", "people: {}\n", 1, 'nothing reads this; rename it to "people.yaml"'),
    ("polices.yaml", "policies: []\n", 1, 'nothing reads this; did you mean "policies.yaml"?'),
    ("agents/x.yml", "name: x\n", 1, 'nothing reads this; rename it to "x.yaml"'),
    ("agents/x.yaml", SAYER, 1, 'the name "sayer" is taken by agents/sayer.yaml'),
    ("agents/x.yaml", "", 1, "must hold a mapping of keys to values"),
    ("agents/x.yaml", "a: [\n", 2, "is not YAML"),
]


@pytest.mark.parametrize(("name", "text", "line", "expected"), FILE_MISTAKES)
def test_mistake_in_a_file(tmp_path: Path, name: str, text: str, line: int, expected: str) -> None:
    """Each mistake in the other files is told with its line, the reason and a way out."""
    found = problems(tmp_path, {"workflows/story.yaml": HEAD + RANK + TELL, name: text})

    assert any(one.startswith(f"{name}:{line}:") and expected in one for one in found), found


def test_group_that_nobody_is_in_is_a_warning(tmp_path: Path) -> None:
    """An approval that waits for an empty group is worth one warning, and no error."""
    files = {
        "people.yaml": "people:\n  al: {name: Al, groups: [oncal], token_env: T}\n",
        "policies.yaml": "policies:\n"
        "  - name: a\n    verdict: ask\n    match: {tool: service.*}\n"
        "    approval: {approvers: {groups: [oncall], users: ['console:all']}}\n",
    }
    found = problems(tmp_path, files)

    assert found == [
        "policies.yaml:5:37: warning: policies.0.approval.approvers.groups.0: "
        'nobody is in the group "oncall"; did you mean "oncal"?',
        "policies.yaml:5:54: warning: policies.0.approval.approvers.users.0: "
        'nobody is called "console:all"; did you mean "console:al"?',
    ]


def test_an_empty_group_beside_people_who_can_decide_is_fine(tmp_path: Path) -> None:
    """A policy may name a group that a small team has not, next to one that it has."""
    files = {
        "people.yaml": "people:\n  al: {name: Al, groups: [crew], token_env: T}\n",
        "policies.yaml": "policies:\n"
        "  - name: a\n    verdict: ask\n    match: {tool: service.*}\n"
        "    approval: {approvers: {groups: [design, crew]}}\n",
    }
    assert [one for one in problems(tmp_path, files) if "design" in one] == []

    files["policies.yaml"] = files["policies.yaml"].replace("design", "crewe")
    assert any("did you mean" in one for one in problems(tmp_path, files))


def test_nothing_waits_for_a_step_that_is_to_hold_up_nothing(tmp_path: Path) -> None:
    """A step at the side may be waited for by others at the side only."""
    aside = "  - {id: a, tool: metrics.range, inputs: {service: x}, aside: true}\n"
    waits = "  - {id: b, tool: metrics.range, inputs: {service: x}, after: [a]%s}\n"
    both = HEAD + RANK + TELL + aside

    found = problems(tmp_path, {"workflows/story.yaml": both + waits % ""})
    assert len(found) == 1
    assert 'waits for "a", which is to hold up nothing' in found[0]
    assert problems(tmp_path, {"workflows/story.yaml": both + waits % ", aside: true"}) == []


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Problems of several files and kinds are listed together, in the order of the files."""
    files = {
        "workflows/story.yaml": HEAD + RANK.replace("ranker", "rankr") + TELL,
        "services.yaml": "services:\n  a: {depend_on: []}\n",
        "routes.yaml": "routes: [\n",
    }
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, files), TOOLS, REPORTS)

    own = [one for one in caught.value.problems if not one.file.startswith("config/")]
    assert [(one.file, one.line) for one in own] == [
        ("routes.yaml", 2),
        ("services.yaml", 2),
        ("workflows/story.yaml", 10),
    ]
    assert all(str(one) in str(caught.value) for one in own)


def test_a_file_that_cannot_be_read_brings_no_further_complaints(tmp_path: Path) -> None:
    """An agent with a mistake is not also called unknown where it is used."""
    files = {
        "agents/ranker.yaml": RANKER.replace("title: Ranker", "titel: Ranker"),
        "workflows/story.yaml": HEAD + RANK + TELL,
    }
    found = problems(tmp_path, files)

    assert len(found) == 2
    assert all(one.startswith("agents/ranker.yaml:") for one in found)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    """A folder that was named but does not exist is an error, not an empty catalogue."""
    with pytest.raises(CatalogueError, match="there is no such folder"):
        load_catalogue(tmp_path / "nowhere", TOOLS, REPORTS)


def test_without_tools_their_names_are_not_checked(tmp_path: Path) -> None:
    """A process that knows no tools still checks everything else."""
    text = HEAD + RANK + TELL + "  - {id: x, tool: far.away, needs: [nope]}\n"
    folder = write(tmp_path, {"workflows/story.yaml": text})

    found = [one.message for one in check_catalogue(folder) if one.file.startswith("workflows")]

    assert found == ['no step "nope"']


def test_users_files_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    """Specs replace shipped ones by name; policies and routes of the user come first."""
    files = {
        "workflows/incident.yaml": HEAD.replace("story", "incident") + RANK + TELL,
        "services.yaml": "services:\n  a: {}\nhttp: {allow_hosts: [x.test]}\n",
        "sources.yaml": "sources:\n  generic: {kind: generic, mapping: {title: body.t}}\n",
        "people.yaml": "people:\n  al: {name: Al, groups: [oncall], token_env: AL}\n",
        "policies.yaml": "policies:\n  - {name: mine, verdict: deny, match: {tool: service.*}}\n"
        "  - {name: reading is allowed, verdict: allow, match: {tool: metrics.*}}\n",
        "routes.yaml": "routes:\n  - {name: mine, workflow: incident, match: {team: x}}\n",
    }
    write(tmp_path, files)
    found = check_catalogue(tmp_path, TOOLS, REPORTS)
    assert [one for one in found if not one.file.startswith("config/defaults/")] == []

    names = [policy.name for policy in _shipped("policies.yaml", PoliciesFile).policies]
    catalogue = load_catalogue(tmp_path)
    assert [policy.name for policy in catalogue.policies] == [
        "mine",
        "reading is allowed",
        *(name for name in names if name != "reading is allowed"),
    ]
    assert catalogue.policies[1].match.tool == "metrics.*"
    assert [route.name for route in catalogue.routes] == ["mine", "everything"]
    assert catalogue.sources["generic"].mapping == {"title": "body.t"}
    assert catalogue.sources["alertmanager"].token_env == "MUSTER_WEBHOOK_TOKEN"
    assert catalogue.world.services.keys() == {"a"}
    assert catalogue.world.http.allow_hosts == ("x.test",)
    assert catalogue.groups == {"oncall"}
    assert catalogue.token_variables == {"AL", "MUSTER_WEBHOOK_TOKEN"}


def _shipped(name: str, model: type[Model]) -> Model:
    return model.model_validate(read_yaml((DEFAULTS / name).read_bytes(), name).data or {})


def test_shipped_files_are_sound() -> None:
    """What is shipped is valid: safe by default, and without people or services."""
    policies = _shipped("policies.yaml", PoliciesFile).policies
    allowed = [one.name for one in policies if one.verdict is not Verdict.ASK]
    assert allowed == [
        "reading is allowed",
        "speaking in the own thread is allowed",
        "speaking in the own thread without a ping is allowed",
        "a help article's own words to an address on file are sent",
    ]
    asked = {one.name: one.approval for one in policies if one.approval is not None}
    assert all(terms.on_expiry == "deny" for terms in asked.values())
    for name in ("writes shaped by untrusted text", "acting on a service"):
        (terms,) = (terms for key, terms in asked.items() if key.startswith(name))
        assert not terms.requester_may_approve
        assert terms.escalation is not None
    (tainted,) = (one for one in policies if one.match.tainted)
    assert tainted.match.effect == "writes"
    assert tainted.approval is not None
    assert tainted.approval.quorum == 2
    assert _shipped("routes.yaml", RoutesFile).routes[-1].match == {}
    assert _shipped("sources.yaml", SourcesFile).sources.keys() == {
        "alertmanager",
        "generic",
        "support",
    }
    assert _shipped("people.yaml", PeopleFile).people == {}
    assert _shipped("services.yaml", ServicesFile).services == {}


def test_commented_examples_are_valid() -> None:
    """The examples in the shipped files work when the comment signs are removed."""
    for name, model in (("services.yaml", ServicesFile), ("people.yaml", PeopleFile)):
        lines = (DEFAULTS / name).read_text(encoding="utf-8").splitlines()
        start = lines.index(f"# {name.removesuffix('.yaml')}:")
        example = "\n".join(line[2:] for line in lines[start:] if line.startswith("# "))
        assert model.model_validate(read_yaml(example, name).data)


def test_problem_without_path_or_hint_reads_well() -> None:
    """A problem about a whole file has neither path nor hint, and no stray colons."""
    assert str(Problem("a.yaml", 1, 1, "", "is empty")) == "a.yaml:1:1: is empty"

"""A step with its expressions worked out, and its output held to what it promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import JsonValue, TypeAdapter

from agents.briefing import OUTSIDE
from agents.domain import JsonObject, Step
from agents.fencing import fence, nonce_of
from agents.redact import redact_json
from agents.tool import Tool, Toolbox
from config.expressions import fill, fill_marked, paths
from jobs.state import Run
from jobs.summary import variables

MAX_OUTPUT_BYTES = 32_768
JSON = TypeAdapter(JsonValue)


class StepError(Exception):
    """The step's work is wrong in a way that trying again cannot mend."""


def filled(step: Step, known: Mapping[str, Any]) -> Step:
    """Return the step with the expressions in its inputs and instruction worked out."""
    inputs = cast(JsonObject, fill(dict(step.inputs), known))
    instruction = fill(step.instruction, known)
    return replace(step, inputs=inputs, instruction=str(instruction or ""))


def instruction_of(run: Run, step_id: str) -> str:
    """Return a step's instruction as a model reads it, with what others wrote behind a fence.

    It may quote what other steps found, or what came with a goal from outside.
    """
    step = run.step(step_id)
    nonce, is_from_outside = nonce_of(run.id, step_id), run.goal.origin in OUTSIDE

    def mark(expression: str, text: str) -> str:
        is_ours = all(path[0] == "goal" and not is_from_outside for path in paths(expression))
        return text if is_ours or not text.strip() else f"\n{fence(text, nonce)}\n"

    if "{{" not in step.instruction:
        return step.instruction
    return fill_marked(step.instruction, variables(run, step), mark)


def given(inputs: JsonObject) -> JsonObject:
    """Leave out the arguments whose expression found nothing, so that defaults hold."""
    return {key: value for key, value in inputs.items() if value is not None}


def tool_of(toolbox: Toolbox, name: str) -> Tool:
    """Return the tool; StepError when it left the catalogue after the plan was made."""
    if name not in toolbox:
        known = ", ".join(sorted(toolbox)) or "none"
        raise StepError(f"there is no tool {name!r} any more; known tools: {known}")
    return toolbox[name]


def checked(output: JsonValue, schema: Mapping[str, Any] | None) -> JsonValue:
    """Return the output as it may be stored; StepError says what is wrong with it."""
    size = len(JSON.dump_json(output))
    if size > MAX_OUTPUT_BYTES:
        raise StepError(
            f"its output is {size} bytes, {MAX_OUTPUT_BYTES} is the most: "
            "summarise, and leave the rest in evidence"
        )
    if schema:
        _validate(output, schema)
    return redact_json(output)


def _validate(output: JsonValue, schema: Mapping[str, Any]) -> None:
    import jsonschema  # Slow to import, and most steps have no schema.

    try:
        jsonschema.validate(output, dict(schema))
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the output"
        raise StepError(f"its output does not fit its schema: {where}: {error.message}") from error

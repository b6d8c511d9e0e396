"""What this code offers to the catalogue: tool schemas and report outputs as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.findings import OUTPUTS
from agents.tool import Tool
from config.contents import ToolSchema


def tool_schemas(tools: Mapping[str, Tool]) -> dict[str, ToolSchema]:
    """Return the JSON Schemas of the tools, by name, for `config.catalogue`."""
    return {
        name: ToolSchema(
            arguments=tool.arguments.model_json_schema(),
            output=tool.output.model_json_schema(),
            effect=tool.effect.value,
        )
        for name, tool in tools.items()
    }


def report_outputs() -> dict[str, Mapping[str, Any]]:
    """Return the JSON Schema of each report function's output, by name."""
    return {name: model.model_json_schema() for name, model in OUTPUTS.items()}

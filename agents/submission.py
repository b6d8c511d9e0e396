"""The form in which an agent hands in its output: the schema as a tool's parameters, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from agents.models.output import Reading, checked, read_output

MAX_OUTPUT_BYTES = 32_768
VALUE = "output"
"""The one field of a form whose schema is not an object."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an output must look like. Tools take objects, so anything else stands in a field."""

    schema: Mapping[str, Any]
    max_bytes: int = MAX_OUTPUT_BYTES

    @property
    def is_object(self) -> bool:
        """Whether the output itself is an object."""
        return self.schema.get("type", "object") == "object" and not (
            self.schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "const", "$ref"}
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The form as a tool's parameters (and as the schema of a structured reply)."""
        if self.is_object:
            return {"type": "object", **self.schema}
        inner = {key: value for key, value in self.schema.items() if key != "$defs"}
        outer: dict[str, Any] = {
            "type": "object",
            "properties": {VALUE: inner},
            "required": [VALUE],
            "additionalProperties": False,
        }
        if "$defs" in self.schema:
            outer["$defs"] = self.schema["$defs"]
        return outer

    def read(self, value: JsonValue) -> Reading:
        """Return the output in a filled-in form, or what is wrong with it."""
        reading = checked(value, self.parameters)
        return reading if reading.errors else self._taken(reading.value)

    def read_text(self, text: str, *, is_cut: bool = False) -> Reading:
        """Return the output that a text holds as JSON, in its field or by itself."""
        reading = read_output(text, self.parameters, is_cut=is_cut)
        if not reading.errors:
            return self._taken(reading.value)
        if self.is_object:
            return reading
        if self.schema.get("type") == "string":
            return self._sized(checked(text.strip(), self.schema))
        return self._sized(read_output(text, self.schema, is_cut=is_cut))

    def _taken(self, value: JsonValue) -> Reading:
        if not self.is_object and isinstance(value, dict):
            value = value[VALUE]
        return self._sized(Reading(value))

    def _sized(self, reading: Reading) -> Reading:
        size = len(json.dumps(reading.value, ensure_ascii=False).encode())
        if reading.errors or size <= self.max_bytes:
            return reading
        too_much = f"it is {size} bytes, {self.max_bytes} is the most: summarise, and cite evidence"
        return Reading(errors=(too_much,))

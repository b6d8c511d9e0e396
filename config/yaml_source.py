"""YAML read with the position of every value, and without YAML's surprises.

Keys are text, `yes` and `on` stay text, `12:30` is no number, dates stay text; a key given twice,
a tag, a merge key, a value too deep or a file too large is refused with its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import JsonValue

MAX_BYTES = 1_048_576
MAX_DEPTH = 40
MAX_NODES = 50_000

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,30})")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    _TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "value")
)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file, counted from one."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class YamlFault:
    """One reason why a file cannot be read, and where."""

    mark: Mark
    message: str
    path: Path = ()


class YamlError(ValueError):
    """A file that is no acceptable YAML; `faults` lists every reason that was found."""

    def __init__(self, faults: Sequence[YamlFault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(f"{first.mark.line}:{first.mark.column}: {first.message}")


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The data of a file and where each part of it stands."""

    name: str
    data: JsonValue
    marks: Mapping[Path, Mark]

    def locate(self, path: Path) -> Mark:
        """Return where the path stands: its key or list item, or that of its nearest parent."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))


def read_yaml(text: str | bytes, name: str) -> YamlFile:
    """Return the data of a YAML text with its positions; YamlError lists what is wrong."""
    text = _decoded(text)
    try:
        _bound(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise YamlError([_fault_of(error)]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError([YamlFault(Mark(1, 1), f"is not YAML: {error}")]) from error
    reader = _Reader()
    data = reader.value(root, ()) if root is not None else None
    if reader.faults:
        raise YamlError(reader.faults)
    return YamlFile(name, data, reader.marks)


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise YamlError([YamlFault(Mark(1, 1), f"is larger than {MAX_BYTES // 1024} KiB")])
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise YamlError([YamlFault(Mark(line, 1), "is not UTF-8 text")]) from error


def _bound(text: str) -> None:
    """Refuse what would make the composer recurse deeply, before it does."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise YamlError([YamlFault(_mark(event.start_mark), "is nested too deeply")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _mark(mark: Any) -> Mark:
    """Translate a mark of either YAML parser, which are typed apart."""
    return Mark(mark.line + 1, mark.column + 1)


def _fault_of(error: yaml.MarkedYAMLError) -> YamlFault:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.problem, error.context) if part)
    advice = ""
    if "\\t" in said or "found character" in said:
        advice = "; indent with spaces, and quote a text that starts with a special character"
    elif "mapping values are not allowed" in said:
        advice = "; quote a text that holds a colon"
    return YamlFault(_mark(mark) if mark else Mark(1, 1), f"is not YAML: {said}{advice}")


class _Reader:
    """Turns composed nodes into JSON, noting positions and faults on the way."""

    def __init__(self) -> None:
        self.marks: dict[Path, Mark] = {}
        self.faults: list[YamlFault] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> JsonValue:
        """Return the node's data; aliases are expanded, within bounds."""
        self._nodes += 1
        self.marks.setdefault(path, _mark(node.start_mark))
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            if self._nodes < 2 * MAX_NODES:
                self._fault(node, path, "holds too many values or an alias to itself")
                self._nodes = 2 * MAX_NODES
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != _TAG + "seq":
                self._fault(node, path, f"the tag {node.tag} is not allowed; remove it")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> JsonValue:
        if node.tag != _TAG + "map":
            self._fault(node, path, f"the tag {node.tag} is not allowed; remove it")
        data: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, path, "a key must be text")
                continue
            key = self._text(key_node, path)
            inner = (*path, key)
            if key_node.tag == _TAG + "merge":
                self._fault(key_node, inner, "merge keys (<<) are not allowed; write it out")
            elif key in data:
                first = self.marks[inner]
                self._fault(
                    key_node, inner, f'the key "{key}" is given twice, first in line {first.line}'
                )
            else:
                self.marks[inner] = _mark(key_node.start_mark)
                data[key] = self.value(value_node, inner)
        return data

    def _scalar(self, node: yaml.Node, path: Path) -> JsonValue:
        text = self._text(node, path)
        if node.tag not in _PLAIN_TAGS:
            self._fault(node, path, f"the tag {node.tag} is not allowed; remove it")
            return None
        if getattr(node, "style", None) is not None or node.tag == _TAG + "str":
            return text
        return self._plain(node, text, path)

    def _text(self, node: yaml.Node, path: Path) -> str:
        """Return a scalar's text, with the halves that JSON's escapes leave joined."""
        text = str(node.value)
        try:
            text.encode()
        except UnicodeEncodeError:
            try:
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self._fault(node, path, "holds half a character")
                return ""
        return text

    def _plain(self, node: yaml.Node, text: str, path: Path) -> JsonValue:
        if node.tag == _TAG + "null":
            return None
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        if node.tag == _TAG + "int" and _INT.fullmatch(text):
            return int(text)
        if node.tag == _TAG + "int" and _HEX.fullmatch(text):
            return int(text, 16)
        if node.tag == _TAG + "float" and ":" not in text:
            return self._float(node, text, path)
        return text

    def _float(self, node: yaml.Node, text: str, path: Path) -> JsonValue:
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self._fault(node, path, f"{text} is not a finite number; quote it if it is text")
            return None
        return number

    def _fault(self, node: yaml.Node, path: Path, message: str) -> None:
        self.faults.append(YamlFault(_mark(node.start_mark), message, path))

"""YAML: positions, and the surprises that are refused."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from config.yaml_source import MAX_BYTES, MAX_DEPTH, Mark, YamlError, read_yaml

SAMPLE = """\
name: incident
steps:
  - id: look
    needs: [a, b]
  - id: fix
    inputs:
      service: x
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ((), Mark(1, 1)),
        (("name",), Mark(1, 1)),
        (("steps", 0, "needs"), Mark(4, 5)),
        (("steps", 0, "needs", 1), Mark(4, 16)),
        (("steps", 1), Mark(5, 5)),
        (("steps", 1, "inputs", "service"), Mark(7, 7)),
        (("steps", 1, "inputs", "missing", "deeper"), Mark(6, 5)),
    ],
)
def test_positions(path: tuple[str | int, ...], mark: Mark) -> None:
    """A path is found at its key or list item; one that is not there at its nearest parent."""
    assert read_yaml(SAMPLE, "x.yaml").locate(path) == mark


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("12:30", "12:30"),
        ("2026-11-20", "2026-11-20"),
        ("010", "010"),
        ("0x1f", 31),
        ("1_000", 1000),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", "1e3"),
        ("'1'", "1"),
        ("!!str 5", "5"),
    ],
)
def test_scalars_without_surprises(text: str, value: JsonValue) -> None:
    """Only what looks like a number, true, false or null is one."""
    data = read_yaml(f"x: {text}\n", "x.yaml").data

    assert data == {"x": value}
    assert isinstance(data, dict)
    assert type(data["x"]) is type(value)


def test_keys_are_text() -> None:
    """A key that YAML would turn into a number or a boolean stays text."""
    assert read_yaml("on: 1\n1: 2\n", "x.yaml").data == {"on": 1, "1": 2}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 'the key "a" is given twice, first in line 1'),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag"),
        ("a: !mine {b: 1}\n", 1, "tag"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys"),
        ("a: .nan\n", 1, "finite"),
        ("a: .inf\n", 1, "finite"),
        ("? [a]\n: 1\n", 1, "key must be text"),
        ("a: [1, 2\nb: 3\n", 2, "is not YAML"),
        ("a: b: c\n", 1, "quote a text that holds a colon"),
        ("a:\n\t- b\n", 2, "indent with spaces"),
        ("a: 1\n--- \nb: 2\n", 2, "is not YAML"),
        ("[" * (MAX_DEPTH + 1), 1, "nested too deeply"),
        ("[" * 100_000, 1, "nested too deeply"),
        ("a: &x [*x]\n", 1, "alias"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: \x07\n", 1, "is not YAML"),
        ('a: "\\ud800"\n', 1, "half a character"),
    ],
)
def test_refusals_name_the_line(text: str, line: int, reason: str) -> None:
    """What is refused is told with its line and in words."""
    with pytest.raises(YamlError) as caught:
        read_yaml(text, "x.yaml")

    fault = caught.value.faults[0]
    assert (fault.mark.line, reason in fault.message) == (line, True), fault


def test_an_alias_bomb_is_refused() -> None:
    """Aliases that multiply into billions of values are refused quickly."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    with pytest.raises(YamlError, match="too many values"):
        read_yaml("\n".join(lines), "x.yaml")


def test_a_plain_alias_is_expanded() -> None:
    """An alias may save people from writing a thing twice."""
    assert read_yaml("a: &x [1]\nb: *x\n", "x.yaml").data == {"a": [1], "b": [1]}


def test_bytes_and_sizes() -> None:
    """Files are UTF-8, with or without a mark, and of bounded size."""
    assert read_yaml("\ufeffa: ü\n".encode(), "x.yaml").data == {"a": "ü"}
    assert read_yaml(b"", "x.yaml").data is None
    with pytest.raises(YamlError, match="2:1: is not UTF-8"):
        read_yaml(b"a: 1\nb: \xff\n", "x.yaml")
    with pytest.raises(YamlError, match="larger than 1024 KiB"):
        read_yaml(b"#" * (MAX_BYTES + 1), "x.yaml")


def test_all_faults_are_found_at_once() -> None:
    """One reading reports every duplicate key, not only the first."""
    with pytest.raises(YamlError) as caught:
        read_yaml("a: 1\na: 2\nb: 1\nb: 2\n", "x.yaml")

    assert [fault.mark.line for fault in caught.value.faults] == [2, 4]


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_json_or_refused(text: str | bytes) -> None:
    """Whatever a file holds, it is read as JSON or refused with a place."""
    with contextlib.suppress(YamlError):
        json.dumps(read_yaml(text, "x.yaml").data, allow_nan=False)


@given(JSON)
def test_what_yaml_writes_is_read_back(value: JsonValue) -> None:
    """JSON is read back as it was, and everything that YAML writes is accepted."""
    assert read_yaml(json.dumps(value), "x.yaml").data == value
    written = yaml.safe_dump({"x": value}, allow_unicode=True)
    data = read_yaml(written, "x.yaml").data
    assert isinstance(data, dict)
    assert set(data) == {"x"}

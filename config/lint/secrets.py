"""Checks of how secrets are named, and that none stands in YAML itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from config.lint.remark import Path, Remark

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_URL = re.compile(r"https?://[^\s/]+\S*")


def lint_variable(
    kind: str, name: str, at: Path, variable: str | None, example: str
) -> Iterator[Remark]:
    """Return what is wrong with the name of an environment variable that holds a secret."""
    if variable is not None and not _VARIABLE.fullmatch(variable):
        yield Remark(
            kind,
            name,
            at,
            "is no name of an environment variable",
            f"name a variable such as {example}; the secret itself never stands here",
        )


def lint_address(kind: str, name: str, at: Path, url: str | None) -> Iterator[Remark]:
    """Return what is wrong with an HTTP address."""
    if url is None:
        return
    if not _URL.fullmatch(url):
        yield Remark(kind, name, at, f'"{url}" is no http:// or https:// address')
    elif "@" in urlsplit(url).netloc:
        yield Remark(
            kind,
            name,
            at,
            "holds a password, which never stands in YAML",
            "name the variable that has it instead",
        )

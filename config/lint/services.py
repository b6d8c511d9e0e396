"""Checks of services: what they depend on, where they are read, what may be run on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from config.lint.remark import Path, Remark
from config.nearest import hint
from config.specs import CommandSpec, ServiceSpec

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SHELLS = frozenset(["ash", "bash", "cmd", "dash", "fish", "ksh", "powershell", "pwsh", "sh", "zsh"])
_URL = re.compile(r"https?://[^\s/]+\S*")


def lint_service(
    name: str, service: ServiceSpec, services: Mapping[str, ServiceSpec]
) -> Iterator[Remark]:
    """Return everything that is wrong with one service."""
    for index, other in enumerate(service.depends_on):
        at: Path = ("depends_on", index)
        if other == name:
            yield Remark("services", name, at, "a service cannot depend on itself")
        elif other not in services:
            yield Remark("services", name, at, f'no service "{other}"', hint(other, services))
    yield from _addresses(name, service)
    for command, spec in service.commands.items():
        yield from _command(name, spec, ("commands", command))


def _addresses(name: str, service: ServiceSpec) -> Iterator[Remark]:
    metrics = service.metrics
    urls: list[tuple[Path, str | None]] = [
        (("metrics", "prometheus"), metrics.prometheus),
        (("metrics", "scrape"), metrics.scrape),
        (("logs", "loki", "url"), service.logs.loki.url if service.logs.loki else None),
    ]
    for path, url in urls:
        if url is not None and not _URL.fullmatch(url):
            yield Remark("services", name, path, f'"{url}" is no http:// or https:// address')
    if metrics.indicators and metrics.prometheus is None:
        yield Remark(
            "services",
            name,
            ("metrics", "indicators"),
            "indicators are queries, but there is no Prometheus to ask",
            "add metrics.prometheus",
        )


def _command(name: str, command: CommandSpec, at: Path) -> Iterator[Remark]:
    used: set[str] = set()
    is_shell = PurePath(command.argv[0]).name.removesuffix(".exe") in SHELLS
    for index, word in enumerate(command.argv):
        place = (*at, "argv", index)
        found = PLACEHOLDER.findall(word)
        used |= set(found)
        if found and (index == 0 or is_shell):
            reason = "the program itself" if index == 0 else "what a shell reads"
            yield Remark(
                "services",
                name,
                place,
                f"an argument may not fill {reason}",
                "name the program and give each argument as a word of its own",
            )
        for argument in found:
            if argument not in command.arguments:
                yield Remark(
                    "services",
                    name,
                    place,
                    f'no argument "{argument}" is declared',
                    hint(argument, command.arguments) or 'declare it under "arguments"',
                )
    for argument, pattern in command.arguments.items():
        place = (*at, "arguments", argument)
        if argument not in used:
            yield Remark(
                "services", name, place, f'the argument is never used as "{{{argument}}}" in argv'
            )
        try:
            re.compile(pattern)
        except re.error as error:
            yield Remark("services", name, place, f"is no regular expression: {error}")

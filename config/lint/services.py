"""Checks of services, databases and outlets: where they are, what may be done with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from config.contents import Surroundings
from config.lint.remark import Path, Remark
from config.lint.secrets import lint_address, lint_variable
from config.lint.values import UnknownReferenceError, ValueCheck, look_up
from config.nearest import hint
from config.shapes import UNKNOWN, Shape
from config.specs import CommandSpec, DatabaseSpec, OutletSpec, ServiceSpec

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SHELLS = frozenset(["ash", "bash", "cmd", "dash", "fish", "ksh", "powershell", "pwsh", "sh", "zsh"])
OUTLET_TOOL = "outlet.send"
OUTLET_ROOTS = ("args",)


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
        yield from lint_address("services", name, path, url)
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


def lint_database(name: str, database: DatabaseSpec) -> Iterator[Remark]:
    """Return everything that is wrong with one database."""
    yield from lint_variable("databases", name, ("url_env",), database.url_env, "CUSTOMERS_URL")


def lint_outlet(name: str, outlet: OutletSpec, around: Surroundings) -> Iterator[Remark]:
    """Return everything that is wrong with one outlet."""
    yield from lint_address("outlets", name, ("url",), outlet.url)
    yield from lint_variable("outlets", name, ("token_env",), outlet.token_env, "STATUS_TOKEN")
    tool = (around.tools or {}).get(OUTLET_TOOL)
    given = UNKNOWN if tool is None else Shape.of(tool.arguments)

    def resolve(path: tuple[str, ...]) -> Shape:
        if path[0] not in OUTLET_ROOTS:
            raise UnknownReferenceError(f'no variable "{path[0]}"', hint(path[0], OUTLET_ROOTS))
        return look_up(given, path[1:], ".".join(path))

    check = ValueCheck("outlets", name, resolve)
    yield from check.arguments(outlet.body, UNKNOWN, ("body",), "the outlet")

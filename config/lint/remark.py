"""What a check says about a catalogue, before anybody knows in which file it stands."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """A fault or a warning about one spec.

    `kind` is agents, workflows, services, databases, outlets, models, policies, routes, sources or
    people; `name` is the spec's name, for policies and routes its position; `path` leads into the
    spec. Of what `is_once`, one with the same message is enough for the whole catalogue.
    """

    kind: str
    name: str
    path: Path
    message: str
    hint: str = ""
    is_warning: bool = False
    is_once: bool = False

"""Checks of who is named to decide or to be pinged."""

from __future__ import annotations

import re
from collections.abc import Iterator

from config.contents import Catalogue
from config.lint.remark import Path, Remark
from config.nearest import hint
from config.specs import ApproversSpec

CONSOLE = "console:"
_PERSON_ID = re.compile(r"[a-z][a-z0-9_-]*:\S+")


def lint_approvers(
    kind: str, name: str, approvers: ApproversSpec, at: Path, catalogue: Catalogue
) -> Iterator[Remark]:
    """Return what is wrong with the people and groups named at a place of a spec."""
    if not approvers.users and not approvers.groups:
        yield Remark(kind, name, at, "names nobody", "give users or groups")
    for index, user in enumerate(approvers.users):
        place = (*at, "users", index)
        if not _PERSON_ID.fullmatch(user):
            advice = f'write "{CONSOLE}{user}"'
            yield Remark(kind, name, place, f'"{user}" is no platform:id', advice)
        elif user.startswith(CONSOLE) and user.removeprefix(CONSOLE) not in catalogue.people:
            known = [CONSOLE + person for person in catalogue.people]
            message = f'nobody is called "{user}"'
            yield Remark(
                kind, name, place, message, hint(user, known), is_warning=True, is_once=True
            )
    people = {CONSOLE + person for person in catalogue.people}
    can_decide = bool(set(approvers.groups) & catalogue.groups or set(approvers.users) & people)
    for index, group in enumerate(approvers.groups):
        if group in catalogue.groups:
            continue
        advice = hint(group, catalogue.groups)
        if can_decide and not advice.startswith("did you mean"):
            continue  # A group that is empty here; others who are named can decide.
        yield Remark(
            kind,
            name,
            (*at, "groups", index),
            f'nobody is in the group "{group}"',
            advice or "give somebody the group in people.yaml, or in Slack make a user group of it",
            is_warning=True,
            is_once=True,
        )

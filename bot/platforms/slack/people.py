"""Who a Slack user is: their id, name and groups, and whether they belong to the workspace.

Groups are the workspace's user groups, by handle and by id, and those that people.yaml gives.
What Slack said is used for five minutes, except where a decision depends on it (`fresh`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import structlog

from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.places import named, person_id
from config.specs import PersonSpec
from jobs.state import Person

log = structlog.get_logger(__name__)

KEEP_S: Final = 300.0
FRESH_S: Final = 3.0
"""What counts as asked right now: many clicks at once ask Slack once."""
MAX_KEPT: Final = 5_000
MAX_NAME_CHARS: Final = 80
NO_GROUPS: Final = frozenset(
    {"missing_scope", "paid_teams_only", "plan_upgrade_required", "permission_denied"}
)
"""Answers of workspaces that have no user groups, or do not show them."""
GUESTS: Final = "slack-guests"
OUTSIDERS: Final = "slack-external"

T = TypeVar("T")


class Standing(StrEnum):
    """What somebody is in the workspace. Only members are let in by default."""

    MEMBER = "member"
    GUEST = "guest"
    EXTERNAL = "external"
    """Of another workspace, in a channel that is shared with it."""
    BOT = "bot"
    GONE = "gone"
    """The account was closed."""


@dataclass(frozen=True, slots=True)
class Member:
    """A Slack user. `is_listed`: people.yaml names them, so somebody chose to let them in."""

    person: Person
    team: str
    user: str
    standing: Standing
    is_listed: bool = False
    email: str = ""

    @property
    def is_outsider(self) -> bool:
        """Whether they are a guest or of another workspace."""
        return self.standing in {Standing.GUEST, Standing.EXTERNAL}

    @property
    def may_ask(self) -> bool:
        """Whether they get anything: members do, outsiders when people.yaml names them."""
        if self.standing in {Standing.BOT, Standing.GONE}:
            return False
        return not self.is_outsider or self.is_listed


@dataclass(frozen=True, slots=True)
class Groups:
    """A workspace's user groups: ids by handle, and who is in each."""

    ids: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, user: str) -> frozenset[str]:
        """Return the handles and the ids of the groups somebody is in."""
        ids = {id_ for id_, users in self.users.items() if user in users}
        return frozenset(ids | {handle for handle, id_ in self.ids.items() if id_ in ids})


def read_groups(answer: Mapping[str, Any]) -> Groups:
    """Return what `usergroups.list` says; groups that are switched off have nobody in them."""
    listed = [group for group in answer.get("usergroups") or () if not group.get("date_delete")]
    return Groups(
        ids={str(group["handle"]): str(group["id"]) for group in listed if group.get("handle")},
        users={str(group["id"]): frozenset(group.get("users") or ()) for group in listed},
    )


def standing_of(user: Mapping[str, Any], team: str) -> Standing:
    """Return what somebody is in a workspace, from `users.info`."""
    if user.get("deleted"):
        return Standing.GONE
    if user.get("is_bot") or user.get("id") == "USLACKBOT":
        return Standing.BOT
    home = str(user.get("team_id") or team)
    enterprise = user.get("enterprise_user") or {}
    is_of_team = not team or home == team or team in (enterprise.get("teams") or ())
    if user.get("is_stranger") or not is_of_team:
        return Standing.EXTERNAL
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return Standing.GUEST
    return Standing.MEMBER


def name_of(user: Mapping[str, Any]) -> str:
    """Return how people call somebody."""
    profile = user.get("profile") or {}
    choices = (user.get("real_name"), profile.get("real_name"), profile.get("display_name"))
    names = [*choices, user.get("name"), user.get("id")]
    found = next((" ".join(str(name).split()) for name in names if name), "somebody")
    return found[:MAX_NAME_CHARS]


class SlackPeople:
    """Looks people up. `people` is people.yaml; who has a `slack` there gets its groups too."""

    def __init__(
        self,
        clients: SlackClients,
        people: Mapping[str, PersonSpec] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._listed = {
            slack_id: name for name, spec in (people or {}).items() for slack_id in spec.slack
        }
        self._people = dict(people or {})
        self._users: _Kept[Mapping[str, Any]] = _Kept(clock)
        self._groups: _Kept[Groups] = _Kept(clock)

    async def member(self, team: str, user: str, *, fresh: bool = False) -> Member:
        """Return who a user is; PlatformError when Slack does not say.

        `fresh`: do not use what Slack said earlier, because a decision depends on it.
        """
        at_most_s = FRESH_S if fresh else KEEP_S
        # In shared channels a delivery may name the person's own workspace in place of ours.
        team = (await self._clients.identity(team)).team or team
        found = await self._users.get((team, user), at_most_s, lambda: self._ask_user(team, user))
        standing = standing_of(found, team)
        listed = self._listed.get(f"{team}/{user}") or self._listed.get(user)
        groups = set(self._people[listed].groups) if listed else set()
        if standing is Standing.MEMBER:
            groups |= (await self.groups(team, fresh=fresh)).of(user)
        elif standing is Standing.GUEST:
            groups.add(GUESTS)
        elif standing is Standing.EXTERNAL:
            groups.add(OUTSIDERS)
        person = Person(person_id(team, user), name_of(found), frozenset(groups))
        email = str((found.get("profile") or {}).get("email") or "")
        return Member(person, team, user, standing, is_listed=bool(listed), email=email)

    async def person(self, team: str, user: str, *, fresh: bool = False) -> Person:
        """Return the person a user is, with their groups; see `member`."""
        return (await self.member(team, user, fresh=fresh)).person

    async def groups(self, team: str, *, fresh: bool = False) -> Groups:
        """Return the workspace's user groups; none where it has or shows none."""
        at_most_s = FRESH_S if fresh else KEEP_S
        return await self._groups.get((team, ""), at_most_s, lambda: self._ask_groups(team))

    async def pings(self, team: str, mentions: Iterable[str]) -> dict[str, str]:
        """Return Slack's ids of the people and groups that a message is to ping.

        Those that are not found are left out, and shown by name.
        """
        wanted = list(mentions)
        found: dict[str, str] = {}
        for mention in wanted:
            place = named(mention)
            if place is not None and place[0] == team:
                found[mention] = place[1]
            elif not mention.startswith("group:") and (id_ := self._listed_id(team, mention)):
                found[mention] = id_
        handles = [mention for mention in wanted if mention.startswith("group:")]
        if handles:
            groups = await self.groups(team)
            for mention in handles:
                name = mention.removeprefix("group:")
                id_ = groups.ids.get(name) or (name if name in groups.users else "")
                found |= {mention: id_} if id_ else {}
        return found

    def _listed_id(self, team: str, mention: str) -> str:
        """Return the Slack id that people.yaml gives for one of its names."""
        name = mention.rpartition(":")[2]
        for slack_id, listed in self._listed.items():
            home, _, user = slack_id.rpartition("/")
            if listed == name and home in {"", team}:
                return user
        return ""

    async def _ask_user(self, team: str, user: str) -> Mapping[str, Any]:
        answer = await self._clients.call(team, "users.info", user=user)
        found = answer.get("user")
        return found if isinstance(found, dict) else {"id": user, "deleted": True}

    async def _ask_groups(self, team: str) -> Groups:
        try:
            answer = await self._clients.call(team, "usergroups.list", include_users=True)
        except SlackRefusedError as refused:
            if refused.code not in NO_GROUPS:
                raise
            log.warning("slack_user_groups_unknown", team=team, reason=refused.code)
            return Groups()
        return read_groups(answer)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    value: T
    at: float


class _Kept(Generic[T]):
    """Answers and when they were given; who asks for the same at the same time waits for one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: dict[tuple[str, str], _Answer[T]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def get(
        self, key: tuple[str, str], at_most_s: float, ask: Callable[[], Awaitable[T]]
    ) -> T:
        """Return what was answered at most so long ago, else ask."""
        if (known := self._recent(key, at_most_s)) is not None:
            return known.value
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if (known := self._recent(key, at_most_s)) is not None:
                return known.value
            value = await ask()
            if len(self._answers) >= MAX_KEPT:
                self._answers.clear()
                self._locks.clear()
            self._answers[key] = _Answer(value, self._clock())
            return value

    def _recent(self, key: tuple[str, str], at_most_s: float) -> _Answer[T] | None:
        known = self._answers.get(key)
        return known if known and self._clock() - known.at <= at_most_s else None

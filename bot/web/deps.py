"""Everything the web application is given: it reads no environment and no clock itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from bot.desk import Desk
from bot.platforms.console.store import ConsoleStore
from bot.web.limits import MAX_WEBHOOK_BYTES
from config.specs import PersonSpec, SourceSpec


@dataclass(frozen=True, slots=True)
class DemoSignIn:
    """Lets whoever has the link of the demo sign in as one of these people, by name in people.yaml.

    The link is `/login?key=…`, or `/login?key=…&person=…` to be signed in at once.
    """

    key: str = field(repr=False)
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether work is being done: the store answers and a worker is alive."""

    is_ready: bool
    checks: Mapping[str, str]
    """What was looked at and how it is, in words: `{"redis": "ok", "workers": "2 alive"}`."""


async def _none() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class WebDeps:
    """What `create_app` needs.

    `environ` is where `token_env` of people and sources is looked up. `channels` are offered in the
    console even before anything was posted there; the first is the one goals go to by default.
    """

    desk: Desk
    console: ConsoleStore
    people: Mapping[str, PersonSpec]
    sources: Mapping[str, SourceSpec]
    environ: Mapping[str, str] = field(repr=False)
    secret_key: str = field(repr=False)
    clock: Callable[[], float]
    readiness: Callable[[], Awaitable[Readiness]]
    registry: CollectorRegistry
    public_url: str = ""
    demo: DemoSignIn | None = None
    channels: tuple[str, ...] = ("incidents",)
    webhook_body_limit_bytes: int = MAX_WEBHOOK_BYTES
    routers: tuple[APIRouter, ...] = ()
    """Routes of platforms that are reached over HTTP."""
    laid_aside: Callable[[], Awaitable[int]] = _none
    """Counts the posts that no platform took."""

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the console over https."""
        return self.public_url.startswith("https://")

"""What the routes share: built once by `create_app`, passed to every router."""

from __future__ import annotations

from dataclasses import dataclass

from bot.conversation import Conversation
from bot.web.deps import WebDeps
from bot.web.live import Live
from bot.web.metrics import Metrics
from bot.web.people import People
from bot.web.rate import FailureLimit
from bot.web.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Web:
    """The parts of the running web application."""

    deps: WebDeps
    people: People
    sessions: Sessions
    live: Live
    metrics: Metrics
    login_limit: FailureLimit
    conversation: Conversation

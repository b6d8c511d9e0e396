"""Agent sessions: the status of a thread and Slack's own Stop button."""

from __future__ import annotations

from tests.slack_server.ask import Ask
from tests.slack_server.errors import Refused
from tests.slack_server.limits import SESSION_PROCESSING_S, SESSION_TITLE_CHARS
from tests.slack_server.state import Json, Session

STATUSES = ("processing", "active", "suspended", "closed")
NOT_SUBSCRIBED = "missing_agent_session_stopped_event_subscription"


def set_status(ask: Ask) -> Json:
    """Say what the agent is doing in a thread; the session is made when there is none."""
    status = ask.need("status")
    if status not in STATUSES:
        raise Refused("invalid_arguments", [f"status must be one of: {', '.join(STATUSES)}"])
    title = ask.text("title")
    if len(title) > SESSION_TITLE_CHARS:
        raise Refused("invalid_arguments", [f"title must be at most {SESSION_TITLE_CHARS}"])
    if any(ask.text(key) for key in ("icon_emoji", "icon_url", "username")):
        ask.need_scope("chat:write.customize")
    key = _thread(ask)
    initiator = ask.text("initiator_user_id")
    if initiator and initiator not in ask.team.channels[key[0]].members:
        raise Refused("user_not_in_channel")
    now = ask.core.clock.age()
    session = ask.team.sessions.get(key)
    if session is None:
        session = Session(status, title, now)
        ask.team.sessions[key] = session
    session.status, session.since = status, now
    session.history.append(status)
    ask.core.touched += 1
    answer: Json = {"status": status, "agent_status": status, "title": session.title}
    if "agent_session_stopped" not in ask.core.app.events:
        answer |= {"warning": NOT_SUBSCRIBED}
        answer |= {"response_metadata": {"warnings": [NOT_SUBSCRIBED]}}
    return answer


def rename(ask: Ask) -> Json:
    """Change a session's title."""
    session = ask.team.sessions.get(_thread(ask))
    if session is None:
        raise Refused("session_not_found")
    title = ask.need("title")
    if len(title) > SESSION_TITLE_CHARS:
        raise Refused("invalid_arguments", [f"title must be at most {SESSION_TITLE_CHARS}"])
    session.title = title
    return {"title": title}


def current(session: Session, now: float) -> str:
    """Return a session's status now: `processing` clears by itself after an hour."""
    if session.status == "processing" and now - session.since > SESSION_PROCESSING_S:
        return "active"
    return session.status


def _thread(ask: Ask) -> tuple[str, str]:
    """Return the session's channel and thread; an app declared as an agent has the scope."""
    ask.need_scope("assistant:write")
    ask.args["channel"] = ask.need("channel_id")
    channel = ask.writable()
    root = ask.thread(channel)
    if not root:
        raise Refused("invalid_thread_ts", ["thread_ts is required"])
    return channel.id, root


METHODS = {"agents.sessions.setStatus": set_status, "agents.sessions.rename": rename}

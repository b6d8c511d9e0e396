"""What Slack says when it does not do something, as errors that say who can do what about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.platforms.port import MessageGoneError, PlatformBusyError, PlatformError

DEFAULT_RETRY_S: Final = 5.0
"""How long to wait when Slack says that it is too much and not for how long."""
MAX_RETRY_S: Final = 600.0
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500

GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
LIMITED: Final = frozenset({"ratelimited", "rate_limited"})
UNSURE: Final = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "unknown_error"}
)
"""Refusals after which some of the work may have been done all the same."""
BAD_BLOCKS: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
TOO_LONG: Final = "msg_too_long"
NO_THREAD: Final = frozenset({"thread_not_found", "invalid_thread_ts"})
INSTALL: Final = "install the app in the workspace again (docs/slack.md)"
OF_TOKEN: Final[Mapping[str, str]] = {
    "token_revoked": f"its token was revoked; {INSTALL}",
    "token_expired": f"its token has expired; {INSTALL}",
    "invalid_auth": f"its token is not valid; check MUSTER_SLACK_BOT_TOKEN, or {INSTALL}",
    "not_authed": "it has no token; set MUSTER_SLACK_BOT_TOKEN (docs/slack.md)",
    "account_inactive": f"the app was removed from the workspace; {INSTALL}",
    "org_login_required": "the workspace is being moved; try again when that is done",
    "team_access_not_granted": f"it may not act in this workspace; {INSTALL}",
    "not_installed": f"the app is not installed there; {INSTALL}",
    "missing_scope": f"its token lacks a scope; add it to the app, then {INSTALL}",
    "no_permission": f"its token may not do this; add the scope to the app, then {INSTALL}",
    "not_allowed_token_type": "the token is of the wrong kind; the bot needs one that begins "
    "with xoxb-",
    "ekm_access_denied": "an admin has suspended access to messages; ask them",
}
"""What is wrong with the token: nothing works in the whole workspace before that is mended."""
OF_CHANNEL: Final[Mapping[str, str]] = {
    "is_archived": "the channel is archived; unarchive it, or send runs elsewhere (routes.yaml)",
    "is_inactive": "the channel is archived; unarchive it, or send runs elsewhere (routes.yaml)",
    "not_in_channel": "Muster is not in the channel; invite it there: /invite @Muster",
    "channel_not_found": "there is no such channel that Muster can see; check its name, and invite "
    "Muster if it is private: /invite @Muster",
    "restricted_action": "an admin has limited who may write there; ask them to let Muster",
    "restricted_action_read_only_channel": "only some people may write there; let Muster too",
    "restricted_action_thread_only_channel": "only replies are allowed there; send runs elsewhere",
    "restricted_action_non_threadable_channel": "the channel has no threads; send runs elsewhere",
    "user_disabled": "this person's account is closed",
    "user_not_found": "there is no such person in the workspace",
    "cannot_dm_bot": "bots cannot be written to",
    "messages_tab_disabled": "direct messages to the app are switched off; switch its Messages tab "
    "on (docs/slack.md)",
}
SHARED_CODES: Final[Mapping[str, str]] = {"is_inactive": "is_archived"}
"""One state that Slack has several words for."""


class SlackRefusedError(PlatformError):
    """Slack refused, and nothing was done. `code` is Slack's word for why.

    `is_of_team`: nothing of the kind works in the whole workspace. `problems` are the details.
    """

    def __init__(
        self, code: str, method: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        self.code = SHARED_CODES.get(code, code)
        self.method = method
        self.is_of_team = self.code in OF_TOKEN
        self.needed = str((details or {}).get("needed") or "")
        self.problems = _problems(details or {})
        super().__init__(f"Slack refused: {self._why()} ({self._what()})")

    @property
    def is_known(self) -> bool:
        """Whether it is a state that a person can end, and not a mistake of ours."""
        return self.code in OF_TOKEN or self.code in OF_CHANNEL

    def _why(self) -> str:
        if self.code == "missing_scope" and self.needed:
            return (
                f"Muster's token lacks the scope {self.needed}; add it to the app, then {INSTALL}"
            )
        if self.code in OF_TOKEN:
            return f"Muster cannot use its token: {OF_TOKEN[self.code]}"
        if self.code in OF_CHANNEL:
            return OF_CHANNEL[self.code]
        return "; ".join(self.problems) or "no reason was given; see docs/slack.md, Troubleshooting"

    def _what(self) -> str:
        return f"{self.code}, {self.method}" if self.method else self.code


class SlackUnsureError(PlatformError):
    """No answer came, so nobody knows whether it was done: look before doing it again.

    `is_late`: it may still be done, because Slack was only slow.
    """

    def __init__(self, method: str, reason: str, *, is_late: bool = False) -> None:
        self.method = method
        self.is_late = is_late
        super().__init__(
            f"Slack did not answer {method or 'a call'} ({reason}): whether it was done is looked "
            "up before it is tried again"
        )


class SlackAwayError(PlatformError):
    """No connection could be made: nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Slack cannot be reached ({reason}): it is tried again by itself")


def translate(error: Exception, method: str = "") -> Exception:
    """Return our error for one of the client's; any other error as it is: a bug."""
    if isinstance(error, SlackApiError):
        return _answered(error, method)
    if isinstance(error, aiohttp.ClientConnectorError):
        return SlackAwayError(_short(error))
    if isinstance(error, TimeoutError):
        return SlackUnsureError(method, "no answer in time", is_late=True)
    transport = (aiohttp.ClientError, OSError, SlackClientError)
    if isinstance(error, (*transport, json.JSONDecodeError)):
        return SlackUnsureError(method, _short(error))
    return error


def _answered(error: SlackApiError, method: str) -> PlatformError:
    response: Any = error.response
    status = int(getattr(response, "status_code", None) or getattr(response, "status", 0) or 0)
    headers = getattr(response, "headers", None) or {}
    data = getattr(response, "data", None)
    details: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    code = str(details.get("error") or "")
    if status == TOO_MANY or code in LIMITED:
        return PlatformBusyError(retry_after_s(headers))
    if status >= SERVER_ERROR or not code or code in UNSURE:
        return SlackUnsureError(method, code or f"HTTP {status}")
    if code in GONE:
        return MessageGoneError(f"the message cannot be edited any more ({code}): post a new one")
    return SlackRefusedError(code, method, details)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return how long Slack asks to wait."""
    given = next((headers[name] for name in headers if name.lower() == "retry-after"), "")
    try:
        seconds = float(given)
    except ValueError:
        return DEFAULT_RETRY_S
    return min(max(seconds, 0.0), MAX_RETRY_S) if seconds == seconds else DEFAULT_RETRY_S


def _problems(details: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = details.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, Mapping) else None
    given = messages or details.get("errors") or ()
    return tuple(str(problem) for problem in given) if isinstance(given, list | tuple) else ()


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]

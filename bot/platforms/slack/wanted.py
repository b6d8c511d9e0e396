"""What the settings ask of Slack, known before any of its libraries is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from config.settings import Settings, variable

WHERE: Final = "docs/slack.md says how"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change. A fatal one keeps Slack from working, the others are warnings."""

    sentence: str
    is_fatal: bool = True

    def __str__(self) -> str:
        """Return the line that is printed."""
        return self.sentence if self.is_fatal else f"warning: {self.sentence}"


def setting_problems(settings: Settings) -> list[Problem]:
    """Return what does not fit together; nothing when Slack is not used at all."""
    has_bot = settings.slack_bot_token is not None
    has_http = settings.slack_signing_secret is not None
    has_oauth = settings.slack_client_id is not None
    app, signing = variable("slack_app_token"), variable("slack_signing_secret")
    found: list[str] = []
    if (has_bot or has_oauth) and not settings.has_slack:
        found.append(f"Slack cannot reach Muster: set {app} (Socket Mode) or {signing} (HTTP)")
    if settings.has_slack and not (has_bot or has_oauth):
        bot, client = variable("slack_bot_token"), variable("slack_client_id")
        found.append(f"Muster cannot write in Slack: set {bot}, or {client} for many workspaces")
    if has_oauth != (settings.slack_client_secret is not None):
        id_, secret = variable("slack_client_id"), variable("slack_client_secret")
        found.append(f"{id_} and {secret} belong together: set both")
    if has_oauth and not has_http:
        found.append(f"Installs from the browser need {signing} too")
    if has_oauth and settings.public_url is None:
        found.append(f"Installs from the browser come back to {variable('public_url')}: set it")
    if has_oauth and not settings.slack_team_ids:
        teams = variable("slack_teams")
        found.append(f"Anybody could install the app in theirs: name your workspaces in {teams}")
    if has_oauth and settings.secret_key is None:
        key = variable("secret_key")
        found.append(f"Tokens of installs are encrypted with {key}: set it, and keep it")
    return [Problem(f"{sentence}; {WHERE}.") for sentence in found]


def is_wanted(settings: Settings) -> bool:
    """Whether anything of Slack is set up."""
    return settings.slack_bot_token is not None or settings.slack_client_id is not None

"""The settings of a process, read once from the environment, files and defaults.

In this order: environment, `.env`, mounted secrets, `muster.yaml`, defaults. Every layer is read
by hand, so that a bad value can be blamed on the variable or the line that set it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from config.faults import Fault, faults
from config.nearest import hint, nearest
from config.yaml_source import MAX_BYTES, YamlError, YamlFile, read_yaml

PREFIX = "MUSTER_"
SECRETS_DIR_VARIABLE = "MUSTER_SECRETS_DIR"
DEFAULT_SECRETS_DIR = Path("/run/secrets")
SETTINGS_FILE = "muster.yaml"
DOTENV_FILE = ".env"
MAX_SECRET_BYTES = 65_536

NOT_SETTINGS = frozenset([SECRETS_DIR_VARIABLE, "MUSTER_IDEMPOTENCY_KEY"])
"""MUSTER_* variables that something other than the settings reads."""
CONFIDENTIAL = frozenset(
    [
        "sentry_dsn",
        "secret_key",
        "token",
        "model_key",
        "redis_url",
        "slack_bot_token",
        "slack_app_token",
        "slack_signing_secret",
        "slack_client_secret",
    ]
)
"""Settings whose values never stand in a message; a Redis address may hold a password."""
NOT_IN_YAML: Mapping[str, str] = {
    "sentry_dsn": "a secret never stands in YAML",
    "secret_key": "a secret never stands in YAML",
    "token": "a secret never stands in YAML",
    "model_key": "a secret never stands in YAML",
    "slack_bot_token": "a secret never stands in YAML",
    "slack_app_token": "a secret never stands in YAML",
    "slack_signing_secret": "a secret never stands in YAML",
    "slack_client_secret": "a secret never stands in YAML",
    "config_dir": "it says where this very file is",
}


class Settings(BaseModel):
    """What a process is told about where and how it runs; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    state_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local/state/muster",
        description="Where the embedded Redis and generated keys live.",
    )
    config_dir: Path | None = Field(
        None, description="Your catalogue and muster.yaml; ~/.config/muster when that exists."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address the console listens on.")
    port: int = Field(8420, ge=0, le=65_535, description="Its port; 0 picks a free one.")
    public_url: str | None = Field(
        None, description="Address people reach it by; made of host and port when not set."
    )
    redis_url: str | None = Field(
        None, repr=False, description="Redis or Valkey to use; embedded when not set."
    )
    workers: int = Field(2, ge=1, le=64, description="Worker processes.")
    slots: int = Field(64, ge=1, le=512, description="Steps that one worker runs at a time.")
    drain_s: float = Field(
        20.0, ge=0, le=900, description="How long running steps may go on after a stop."
    )
    environment: str = Field(
        "production",
        pattern=r"^[a-z][a-z0-9_-]{0,47}$",
        description="Name of this installation, for logs and Sentry.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least serious events to log."
    )
    log_json: bool = Field(False, description="One JSON object per line instead of text.")
    webhook_body_limit_bytes: int = Field(
        1_048_576, ge=1_024, le=16_777_216, description="Largest alert delivery accepted."
    )
    retention_days: int = Field(
        30,
        ge=1,
        le=3_650,
        description="How long ended runs, silent threads and resolved incidents are kept.",
    )
    sentry_dsn: SecretStr | None = Field(None, description="Where errors are reported; secret.")
    server_url: str | None = Field(
        None, description="The bot that commands such as `muster goal` speak to."
    )
    token: SecretStr | None = Field(None, description="Your token for it; secret.")
    secret_key: SecretStr | None = Field(
        None, description="Signs console sessions; secret; made once in state_dir when not set."
    )

    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="One language model for everything, as litellm names it.",
    )
    model_base_url: str | None = Field(
        None, description="Of an OpenAI-compatible server that has this model."
    )
    model_key: SecretStr | None = Field(None, description="The key for it; secret.")

    slack_bot_token: SecretStr | None = Field(
        None, description="Of one Slack workspace (xoxb-…); secret. See docs/slack.md."
    )
    slack_app_token: SecretStr | None = Field(
        None, description="Connects over Socket Mode (xapp-…); secret."
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Proves that requests to /slack/events come from Slack; secret."
    )
    slack_client_id: str | None = Field(
        None, pattern=r"^\d+\.\d+$", description="Of the app, to install it in many workspaces."
    )
    slack_client_secret: SecretStr | None = Field(None, description="Belongs to it; secret.")
    slack_teams: str = Field(
        "",
        pattern=r"^(T[A-Z0-9]+(,T[A-Z0-9]+)*)?$",
        description="Ids of the workspaces that may install it (T0123,T0456).",
    )
    slack_emoji: str = Field(
        "rotating_light",
        pattern=r"^[a-z0-9_+'-]{1,100}$",
        description="The reaction that lets Muster look into a message.",
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's address.")

    @field_validator("slack_bot_token", "slack_app_token")
    @classmethod
    def _token_kind(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        start = "xoxb-" if info.field_name == "slack_bot_token" else "xapp-"
        if value is not None and not value.get_secret_value().startswith(start):
            raise ValueError(f"must be a token that begins with {start}")
        return value

    @field_validator("slack_emoji", mode="before")
    @classmethod
    def _emoji_name(cls, value: object) -> object:
        return value.strip(":") if isinstance(value, str) else value

    @field_validator("slack_api_url")
    @classmethod
    def _slack_api(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must be an address such as https://slack.com/api/")
        return value.rstrip("/") + "/"

    @property
    def slack_team_ids(self) -> frozenset[str]:
        """The workspaces that may install the app; empty when it serves one by its token."""
        return frozenset(filter(None, self.slack_teams.split(",")))

    @property
    def has_slack(self) -> bool:
        """Whether Slack is served: over Socket Mode, or over HTTP."""
        return self.slack_app_token is not None or self.slack_signing_secret is not None

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("state_dir", "config_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must be an address such as https://muster.example.com")
        return value.rstrip("/")

    @field_validator("model_base_url")
    @classmethod
    def _model_server(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as http://127.0.0.1:11434/v1")
        if parts.username or parts.password:
            raise ValueError(f"must hold no key; set {variable('model_key')} instead")
        if "model_name" in info.data and info.data["model_name"] is None:
            raise ValueError(f"says where, but not which model; set {variable('model_name')} too")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value


class SettingsError(ValueError):
    """Settings that cannot be used; `problems` has a sentence for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody set, and how to name the place to that person."""

    value: Any
    place: str


def load_settings(environ: Mapping[str, str], *, cwd: Path | None = None) -> Settings:
    """Return the settings; SettingsError says what is wrong, each with its variable or line."""
    found = _variables(environ, cwd)
    given = {
        name: found[variable(name)] for name in Settings.model_fields if variable(name) in found
    }
    problems: list[str] = []
    base = _base(environ)
    config_dir = Path(given["config_dir"].value) if "config_dir" in given else base["config_dir"]
    if config_dir is not None:
        layer, problems = _from_yaml(config_dir.expanduser() / SETTINGS_FILE)
        given = {**layer, **given}
    values = {**base, **{name: item.value for name, item in given.items()}}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_sentence(fault, given) for fault in _faults(error, values)]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings


def variables(environ: Mapping[str, str], *, cwd: Path | None = None) -> dict[str, str]:
    """Return the environment over `.env` over mounted secrets: where tokens are looked up."""
    return {name: str(item.value) for name, item in _variables(environ, cwd).items()}


def unclaimed(environ: Mapping[str, str], claimed: Iterable[str] = ()) -> list[str]:
    """Return the MUSTER_* variables that nothing reads; `claimed` are those the catalogue names."""
    known = {variable(name) for name in Settings.model_fields} | NOT_SETTINGS | set(claimed)
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def unclaimed_sentence(name: str) -> str:
    """Return what to tell a person about a variable that nothing reads."""
    match = nearest(name, [variable(field) for field in Settings.model_fields])
    advice = f"did you mean {match}?" if match else "remove it, or see docs/configuration.md"
    return f"{name} is set, but nothing reads it; {advice}"


def variable(field: str) -> str:
    """Return the environment variable that sets a field."""
    return PREFIX + field.upper()


def _base(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults that depend on where the person keeps such things."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "muster"
    return {"state_dir": state / "muster", "config_dir": config if config.is_dir() else None}


def _variables(environ: Mapping[str, str], cwd: Path | None) -> dict[str, _Given]:
    """Return the variables of all layers with their places; an empty value counts as not set."""
    dotenv = (cwd or Path.cwd()) / DOTENV_FILE
    found: dict[str, _Given] = {}
    secrets = Path(environ.get(SECRETS_DIR_VARIABLE) or DEFAULT_SECRETS_DIR)
    found |= _mounted(secrets)
    if dotenv.is_file():
        found |= {
            name: _Given(value, f"{name} in {dotenv}")
            for name, value in dotenv_values(dotenv, interpolate=False).items()
            if value
        }
    return found | {name: _Given(value, name) for name, value in environ.items() if value}


def _mounted(folder: Path) -> dict[str, _Given]:
    """Return the mounted secrets: files called like a variable, in either case."""
    if not folder.is_dir():
        return {}
    found: dict[str, _Given] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.upper()
        try:
            if name.startswith(PREFIX) and path.is_file():
                with path.open("rb") as stream:
                    text = stream.read(MAX_SECRET_BYTES).decode(errors="replace").strip()
                if text:
                    found[name] = _Given(text, f"the file {path}")
        except OSError as error:
            raise SettingsError([f"the secret {path} cannot be read: {error.strerror}"]) from error
    return found


def _from_yaml(path: Path) -> tuple[dict[str, _Given], list[str]]:
    """Return what muster.yaml sets and what is wrong with it."""
    if not path.is_file():
        return {}, []
    try:
        with path.open("rb") as stream:
            file = read_yaml(stream.read(MAX_BYTES + 1), path.name)
    except YamlError as error:
        return {}, [
            f"{path}:{fault.mark.line}:{fault.mark.column}: {fault.message}"
            for fault in error.faults
        ]
    except OSError as error:
        return {}, [f"{path} cannot be read: {error.strerror}"]
    if file.data is None:
        return {}, []
    if not isinstance(file.data, dict):
        return {}, [f"{path}:1:1: must hold a mapping of settings to values"]
    given: dict[str, _Given] = {}
    problems: list[str] = []
    for name, value in file.data.items():
        place = _place(path, file, name)
        refusal = _refusal(name, value)
        if refusal:
            problems.append(f"{place}: {refusal}")
        else:
            given[name] = _Given(value, f"{place}: {name}")
    return given, problems


def _place(path: Path, file: YamlFile, name: str) -> str:
    mark = file.locate((name,))
    return f"{path}:{mark.line}:{mark.column}"


def _refusal(name: str, value: object) -> str:
    """Return why a setting may not stand in YAML; empty when it may."""
    if name not in Settings.model_fields:
        allowed = set(Settings.model_fields) - set(NOT_IN_YAML)
        return f'unknown setting "{name}"; {hint(name, allowed)}'
    if name in NOT_IN_YAML:
        return f"{name} is not set here ({NOT_IN_YAML[name]}); set {variable(name)} instead"
    if name == "redis_url" and isinstance(value, str) and re.search(r"//[^/]*:[^/]*@", value):
        return f"a password never stands in YAML; set {variable(name)} instead"
    return ""


def _faults(error: ValidationError, values: Mapping[str, Any]) -> list[Fault]:
    """Return the faults; what a secret holds is never shown."""
    return [
        fault
        if str(fault.path[0]) not in CONFIDENTIAL
        else replace(fault, message=fault.message.replace(str(values[str(fault.path[0])]), "***"))
        for fault in faults(error, Settings, values)
    ]


def _sentence(fault: Fault, given: Mapping[str, _Given]) -> str:
    name = str(fault.path[0])
    place = given[name].place if name in given else variable(name)
    advice = fault.hint or Settings.model_fields[name].description
    return f"{place}: {fault.message} ({advice})"

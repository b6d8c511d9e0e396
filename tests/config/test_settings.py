"""Settings: which layer wins, what is refused, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from config.settings import (
    Settings,
    SettingsError,
    load_settings,
    unclaimed,
    unclaimed_sentence,
    variable,
    variables,
)

KEY = "k" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an empty home with a secrets folder, so that nothing of the machine is read."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "config").mkdir()
    return tmp_path


def load(home: Path, **environ: str) -> Settings:
    """Load the settings of that home."""
    base = {"HOME": str(home), "MUSTER_SECRETS_DIR": str(home / "secrets")}
    return load_settings({**base, **environ}, cwd=home)


def refusal(home: Path, **environ: str) -> str:
    """Return what a person is told when the settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(home, **environ)
    return str(caught.value)


def test_defaults(home: Path) -> None:
    """Without any setting Muster listens on loopback and keeps its state where it belongs."""
    settings = load(home)

    assert settings.state_dir == home / ".local/state/muster"
    assert settings.config_dir is None
    assert settings.redis_url is None
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8420, None)
    assert (settings.workers, settings.slots, settings.drain_s) == (2, 64, 20)
    assert settings.webhook_body_limit_bytes == 1024 * 1024


def test_xdg_folders_are_honoured(home: Path) -> None:
    """State and configuration are looked for where the person keeps such things."""
    (home / "xc/muster").mkdir(parents=True)

    settings = load(home, XDG_STATE_HOME=str(home / "xs"), XDG_CONFIG_HOME=str(home / "xc"))

    assert settings.state_dir == home / "xs/muster"
    assert settings.config_dir == home / "xc/muster"


def test_order_of_the_layers(home: Path) -> None:
    """The environment beats .env, that the mounted secrets, those YAML, and that the default."""
    (home / "config/muster.yaml").write_text("port: 1\nslots: 1\nworkers: 1\nlog_json: yes\n")
    (home / "secrets/muster_workers").write_text("2\n")
    (home / "secrets/MUSTER_SLOTS").write_text("2\n")
    (home / "secrets/MUSTER_PORT").write_text("2\n")
    (home / ".env").write_text("MUSTER_PORT=3\nMUSTER_SLOTS=3\nOTHER=x\n")

    settings = load(home, MUSTER_CONFIG_DIR=str(home / "config"), MUSTER_PORT="4")

    assert (settings.port, settings.slots, settings.workers) == (4, 3, 2)
    assert settings.log_json is True
    assert settings.retention_days == 30


def test_empty_variable_counts_as_not_set(home: Path) -> None:
    """A variable that a Makefile or Compose passes on empty changes nothing."""
    assert load(home, MUSTER_PORT="", MUSTER_REDIS_URL="").port == 8420


def test_settings_are_frozen_and_complete() -> None:
    """Nobody changes settings later, and an unknown one is no setting."""
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings.model_validate({"prot": 1})


def test_secrets_are_not_shown(home: Path) -> None:
    """Neither the value of a secret nor a password in an address is printed."""
    settings = load(
        home, MUSTER_SECRET_KEY=KEY, MUSTER_REDIS_URL="redis://u:hunter2@h", MUSTER_SENTRY_DSN="s3c"
    )

    assert settings.secret_key == SecretStr(KEY)
    assert not any(secret in repr(settings) for secret in (KEY, "hunter2", "s3c"))
    said = refusal(home, MUSTER_SECRET_KEY="hunter2", MUSTER_REDIS_URL="http://u:hunter2@h")
    assert "hunter2" not in said
    assert "MUSTER_SECRET_KEY: must have at least 32 characters" in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MUSTER_PORT", "80a", 'MUSTER_PORT: "80a" is no whole number'),
        ("MUSTER_PORT", "70000", 'MUSTER_PORT: "70000" must be at most 65535'),
        ("MUSTER_WORKERS", "0", 'MUSTER_WORKERS: "0" must be at least 1'),
        (
            "MUSTER_LOG_LEVEL",
            "warnin",
            'MUSTER_LOG_LEVEL: "WARNIN" is not one of DEBUG, INFO, WARNING, ERROR '
            '(did you mean "WARNING"?)',
        ),
        ("MUSTER_LOG_JSON", "perhaps", 'MUSTER_LOG_JSON: "perhaps" is neither true nor false'),
        ("MUSTER_REDIS_URL", "http://x", "MUSTER_REDIS_URL: must start with redis://"),
        ("MUSTER_PUBLIC_URL", "muster", "MUSTER_PUBLIC_URL: must be an address such as https://"),
        ("MUSTER_DRAIN_S", "long", 'MUSTER_DRAIN_S: "long" is no number'),
        ("MUSTER_ENVIRONMENT", "A B", 'MUSTER_ENVIRONMENT: "A B" is no name'),
    ],
)
def test_bad_value_names_its_variable(home: Path, name: str, value: str, expected: str) -> None:
    """A value that does not fit is told with the variable that set it."""
    assert expected in refusal(home, **{name: value})


def test_bad_value_names_its_file(home: Path) -> None:
    """A value from a file is told with that file, all problems at once."""
    (home / ".env").write_text("MUSTER_PORT=x\n")
    (home / "secrets/muster_slots").write_text("x\n")
    (home / "config/muster.yaml").write_text("# mine\nworkers: x\nprot: 1\nhost: a\nhost: b\n")

    said = refusal(home, MUSTER_CONFIG_DIR=str(home / "config"))
    assert f"{home}/config/muster.yaml:5:1: the key" in said

    (home / "config/muster.yaml").write_text("# mine\nworkers: x\nprot: 1\n")
    lines = refusal(home, MUSTER_CONFIG_DIR=str(home / "config")).splitlines()
    assert lines[0] == (
        f'{home}/config/muster.yaml:3:1: unknown setting "prot"; did you mean "port"?'
    )
    assert any(line.startswith(f"MUSTER_PORT in {home}/.env: ") for line in lines)
    assert any(line.startswith(f"the file {home}/secrets/muster_slots: ") for line in lines)
    assert any(line.startswith(f"{home}/config/muster.yaml:2:1: workers: ") for line in lines)
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret_key: " + KEY, "a secret never stands in YAML); set MUSTER_SECRET_KEY instead"),
        ("sentry_dsn: x", "set MUSTER_SENTRY_DSN instead"),
        ("config_dir: /x", "it says where this very file is"),
        ("redis_url: redis://u:pw@h", "a password never stands in YAML; set MUSTER_REDIS_URL"),
        ("- port", "must hold a mapping of settings to values"),
        ("port: [", "is not YAML"),
    ],
)
def test_what_yaml_may_not_set(home: Path, text: str, expected: str) -> None:
    """Secrets and the place of the file itself are refused in YAML, with the way out."""
    (home / "config/muster.yaml").write_text(text + "\n")

    said = refusal(home, MUSTER_CONFIG_DIR=str(home / "config"))

    assert expected in said
    assert KEY not in said


def test_empty_yaml_sets_nothing(home: Path) -> None:
    """A settings file with comments only is no mistake."""
    (home / "config/muster.yaml").write_text("# port: 1\n")

    assert load(home, MUSTER_CONFIG_DIR=str(home / "config")).port == 8420


def test_unclaimed_variables() -> None:
    """Only MUSTER_* variables that neither a setting nor the catalogue names are listed."""
    environ = {
        **{variable(name): "x" for name in Settings.model_fields},
        "MUSTER_SECRETS_DIR": "x",
        "MUSTER_IDEMPOTENCY_KEY": "x",
        "MUSTER_TOKEN_ALICE": "x",
        "MUSTER_PROT": "x",
        "PATH": "x",
    }

    assert unclaimed(environ, {"MUSTER_TOKEN_ALICE"}) == ["MUSTER_PROT"]
    assert unclaimed_sentence("MUSTER_PROT") == (
        "MUSTER_PROT is set, but nothing reads it; did you mean MUSTER_PORT?"
    )
    assert "remove it" in unclaimed_sentence("MUSTER_QQQQQQQQ")


def test_variables_of_all_layers(home: Path) -> None:
    """Tokens are looked up where settings are: environment, .env, mounted secrets."""
    (home / "secrets/muster_webhook_token").write_text("from-secret\n")
    (home / ".env").write_text("MUSTER_TOKEN_ALICE=from-env-file\n")

    found = variables({"MUSTER_SECRETS_DIR": str(home / "secrets"), "A": "b"}, cwd=home)

    assert found["MUSTER_WEBHOOK_TOKEN"] == "from-secret"
    assert found["MUSTER_TOKEN_ALICE"] == "from-env-file"
    assert found["A"] == "b"

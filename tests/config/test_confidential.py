"""Which values a process must keep to itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from config.confidential import known_secrets
from config.settings import Settings


def test_secrets_are_collected_from_settings_tokens_and_addresses(tmp_path: Path) -> None:
    """Secret settings, the tokens that the catalogue names, and passwords in Redis addresses."""
    settings = Settings(
        state_dir=tmp_path,
        redis_url="redis://:p%40ss-word@127.0.0.1:6379/0",
        token=SecretStr("my-own-token"),
        secret_key=SecretStr("k" * 32),
    )
    environ = {"HOOK_TOKEN": "hook-token", "OTHER": "not-ours", "EMPTY": ""}

    found = known_secrets(
        settings, ["HOOK_TOKEN", "EMPTY", "MISSING"], environ, "unix://:other-pw@/run/redis"
    )

    assert found == tuple(
        sorted(["p%40ss-word", "p@ss-word", "my-own-token", "k" * 32, "hook-token", "other-pw"])
    )

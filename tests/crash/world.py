"""The small world that the crash tests act on: a service with a log, two commands, one person."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from config.settings import Settings
from tests.crash.tales import RUNBOOK, TALES, Tale
from tests.ports import free_port

HERE = Path(__file__).resolve().parent
SERVICE = "shop"
TOKEN = "the-approver's-token"
WEBHOOK_TOKEN = "the-sender's-token"
ENVIRON = {"MUSTER_WEBHOOK_TOKEN": WEBHOOK_TOKEN}


@dataclass(frozen=True, slots=True)
class World:
    """One world in a folder of its own."""

    folder: Path
    port: int
    tale: Tale = TALES[RUNBOOK]
    model_port: int = 0
    """Where the model of this world answers, if it has one."""

    @property
    def url(self) -> str:
        """Where the bot of this world answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def effects_file(self) -> Path:
        """Where the commands note what they did."""
        return self.folder / "effects"

    @property
    def log_file(self) -> Path:
        """What Muster's processes say."""
        return self.folder / "muster.log"

    @property
    def settings(self) -> Settings:
        """Return the settings of every process of this world."""
        return Settings(
            state_dir=self.folder / "state",
            config_dir=self.folder / "config",
            host="127.0.0.1",
            port=self.port,
            workers=1,
            drain_s=1.0,
        )

    def effects(self) -> list[str]:
        """Return the actions that were really done, in order."""
        if not self.effects_file.exists():
            return []
        return [line.split()[0] for line in self.effects_file.read_text().splitlines()]


def build(folder: Path, tale: Tale = TALES[RUNBOOK], *, effect_s: float = 0.0) -> World:
    """Write the catalogue and the service's log; `effect_s` makes every command slow."""
    world = World(folder, free_port(), tale, free_port() if tale.model_calls else 0)
    config = world.settings.config_dir
    assert config is not None
    folder.mkdir(exist_ok=True)
    shutil.copytree(HERE / tale.catalogue, config)
    (config / "services.yaml").write_text(yaml.safe_dump(_services(world, effect_s)))
    person = {
        "name": "Alice",
        "groups": ["oncall"],
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    }
    (config / "people.yaml").write_text(yaml.safe_dump({"people": {"alice": person}}))
    if tale.model_calls:
        (config / "models.yaml").write_text(yaml.safe_dump(_models(world)))
    world.settings.state_dir.mkdir(mode=0o700)
    begin(world)
    return world


def begin(world: World) -> None:
    """Undo all effects, and let the service's log be new."""
    world.effects_file.unlink(missing_ok=True)
    now = datetime.now(UTC).isoformat()
    (world.folder / "shop.log").write_text(f"{now} INFO open\n{now} ERROR no carts left\n")


def _models(world: World) -> dict[str, object]:
    base_url = f"http://127.0.0.1:{world.model_port}/v1"
    return {"models": {"smart": [{"model": "openai/test-model", "base_url": base_url}]}}


def _services(world: World, effect_s: float) -> dict[str, object]:
    def command(action: str, mode: str, arguments: dict[str, str]) -> dict[str, object]:
        argv = [sys.executable, "-I", "-S", str(HERE / "effect.py")]
        words = [f"{{{name}}}" for name in arguments]
        return {
            "argv": [*argv, str(world.effects_file), action, mode, str(effect_s), *words],
            "arguments": arguments,
            "honours_key": mode == "keep",
        }

    service = {
        "description": "Sells things",
        "logs": {"files": [str(world.folder / "shop.log")]},
        "commands": {
            "rollback": command("rollback", "keep", {"release": "[0-9a-f]{7}"}),
            "restart": command("restart", "act", {}),
        },
    }
    return {"services": {SERVICE: service}}

"""The durable record of effects performed on request, which makes a repeated request harmless."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


class KeyConflictError(Exception):
    """The idempotency key was already used for a different effect."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the key {key!r} was already used for another effect; use a new key")


@dataclass(frozen=True, slots=True)
class Effect:
    """One rollback or restart that was performed."""

    time: float
    kind: str
    service: str
    release: str
    key: str | None
    version: str
    previous: str
    outcome: str


class EffectLog:
    """Effects, one line each, on disk before anybody is told about them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._effects = [Effect(**json.loads(line)) for line in lines]

    def find(self, key: str | None, kind: str, service: str, release: str | None) -> Effect | None:
        """Return what a key has already done; no key, nothing found.

        `release` may be None when the effect does not choose one.
        """
        for effect in self._effects:
            if key is not None and effect.key == key:
                is_same = (effect.kind, effect.service) == (kind, service)
                if not is_same or (release is not None and effect.release != release):
                    raise KeyConflictError(key)
                return effect
        return None

    def add(self, effect: Effect) -> None:
        """Record a performed effect durably."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(effect)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._effects.append(effect)

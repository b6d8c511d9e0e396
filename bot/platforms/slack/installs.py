"""In which workspaces the app is installed; tokens are encrypted before they are kept.

The store that slack-bolt asks: one hash per workspace, a field for the bot and one for each
person who installed it. What is kept can be read with `MUSTER_SECRET_KEY` alone.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from typing import Any, Final, TypeVar

import redis.asyncio as aioredis
import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.oauth.installation_store.models.installation import Installation

from jobs.reaching import reaching

log = structlog.get_logger(__name__)

INSTALLS: Final = "muster:slack:installs"
INSTALL: Final = "muster:slack:install"
BOT: Final = "bot"
LATEST: Final = "latest"
NOBODY: Final = "-"
_PURPOSE: Final = b"muster slack installations"

Kept = TypeVar("Kept", Bot, Installation)


class Seal:
    """Encrypts what is kept. The key is derived from the secret that signs console sessions."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
        self._fernet = Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))

    def close(self, text: str) -> bytes:
        """Return the text encrypted."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str | None:
        """Return the text; None when it was encrypted with another secret."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return None


class InstallationStore(AsyncInstallationStore, ABC):
    """What both kinds of store do alike: which field holds what, and how it is sealed.

    Subclasses keep hashes of bytes. tests/contracts/slack_installs.py.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    @property
    def logger(self) -> Any:
        """What the SDK logs with."""
        return log

    async def async_save(self, installation: Installation) -> None:
        """Keep an installation: the workspace's bot, and the person's own."""
        workspace = place_of(installation.enterprise_id, installation.team_id)
        sealed = self._sealed(installation)
        fields = {_of_user(installation.user_id): sealed, LATEST: sealed}
        if installation.bot_token:
            fields[BOT] = self._sealed(installation.to_bot())
        await self._put(workspace, fields)

    async def async_save_bot(self, bot: Bot) -> None:
        """Keep a workspace's bot, with the token that is good from now on."""
        await self._put(place_of(bot.enterprise_id, bot.team_id), {BOT: self._sealed(bot)})

    async def async_find_bot(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> Bot | None:
        """Return the workspace's bot, or None where the app is not installed."""
        team = None if is_enterprise_install else team_id
        return await self._find(place_of(enterprise_id, team), BOT, Bot)

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """Return a person's installation, or the latest one of the workspace."""
        team = None if is_enterprise_install else team_id
        name = _of_user(user_id) if user_id else LATEST
        return await self._find(place_of(enterprise_id, team), name, Installation)

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Forget the workspace's bot: the app was removed."""
        await self._drop(place_of(enterprise_id, team_id), BOT)

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """Forget what a person installed, or the latest installation."""
        workspace = place_of(enterprise_id, team_id)
        name = _of_user(user_id) if user_id else LATEST
        gone = await self._find(workspace, name, Installation)
        latest = await self._find(workspace, LATEST, Installation)
        await self._drop(workspace, name)
        if gone is not None and latest is not None and gone.user_id == latest.user_id:
            await self._drop(workspace, LATEST)
            await self._drop(workspace, _of_user(gone.user_id))

    async def async_delete_all(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Forget everything of a workspace, as when the app is uninstalled."""
        await self._clear(place_of(enterprise_id, team_id))

    async def teams(self) -> list[str]:
        """Return the ids of the workspaces in which the app is installed."""
        places = await self._places()
        return sorted(place.partition(":")[2] for place in places if not place.endswith(NOBODY))

    async def _find(self, workspace: str, name: str, kind: type[Kept]) -> Kept | None:
        sealed = await self._get(workspace, name)
        if sealed is None:
            return None
        text = self._seal.open(sealed)
        if text is None:
            log.error("slack_installation_unreadable", workspace=workspace)
            return None
        return kind(**json.loads(text))

    def _sealed(self, kept: Bot | Installation) -> bytes:
        # The models' own to_dict turns times into text that they cannot read back.
        return self._seal.close(json.dumps(vars(kept)))

    @abstractmethod
    async def _put(self, workspace: str, fields: dict[str, bytes]) -> None:
        """Keep these fields of a workspace."""

    @abstractmethod
    async def _get(self, workspace: str, name: str) -> bytes | None:
        """Return one field, or None."""

    @abstractmethod
    async def _drop(self, workspace: str, name: str) -> None:
        """Forget one field."""

    @abstractmethod
    async def _clear(self, workspace: str) -> None:
        """Forget all fields of a workspace."""

    @abstractmethod
    async def _places(self) -> list[str]:
        """Return the workspaces of which anything is kept."""


class MemoryInstallationStore(InstallationStore):
    """The in-memory twin."""

    def __init__(self, seal: Seal) -> None:
        super().__init__(seal)
        self.kept: dict[str, dict[str, bytes]] = {}

    async def _put(self, workspace: str, fields: dict[str, bytes]) -> None:
        self.kept.setdefault(workspace, {}).update(fields)

    async def _get(self, workspace: str, name: str) -> bytes | None:
        return self.kept.get(workspace, {}).get(name)

    async def _drop(self, workspace: str, name: str) -> None:
        self.kept.get(workspace, {}).pop(name, None)
        if not self.kept.get(workspace):
            self.kept.pop(workspace, None)

    async def _clear(self, workspace: str) -> None:
        self.kept.pop(workspace, None)

    async def _places(self) -> list[str]:
        return [place for place, fields in self.kept.items() if BOT in fields]


class RedisInstallationStore(InstallationStore):
    """Installations in Redis, for all bot processes."""

    def __init__(self, client: aioredis.Redis, seal: Seal) -> None:
        super().__init__(seal)
        self._client: Any = client

    @reaching
    async def _put(self, workspace: str, fields: dict[str, bytes]) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(f"{INSTALL}:{workspace}", mapping=fields)
            if BOT in fields:
                pipe.sadd(INSTALLS, workspace)
            await pipe.execute()

    @reaching
    async def _get(self, workspace: str, name: str) -> bytes | None:
        sealed: bytes | None = await self._client.hget(f"{INSTALL}:{workspace}", name)
        return sealed

    @reaching
    async def _drop(self, workspace: str, name: str) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(f"{INSTALL}:{workspace}", name)
            if name == BOT:
                pipe.srem(INSTALLS, workspace)
            await pipe.execute()

    @reaching
    async def _clear(self, workspace: str) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(f"{INSTALL}:{workspace}")
            pipe.srem(INSTALLS, workspace)
            await pipe.execute()

    @reaching
    async def _places(self) -> list[str]:
        return [member.decode() for member in await self._client.smembers(INSTALLS)]


def place_of(enterprise_id: str | None, team_id: str | None) -> str:
    """Return where a workspace's (or a whole organisation's) installation is kept.

    A workspace of an organisation is found without its organisation too: its id is its own.
    """
    return f"{NOBODY}:{team_id}" if team_id else f"{enterprise_id or NOBODY}:{NOBODY}"


def _of_user(user_id: str | None) -> str:
    return f"user:{user_id or NOBODY}"

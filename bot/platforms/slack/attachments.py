"""Files of messages, as text that agents may read: fetched with the bot's token, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import structlog

from agents.domain import Evidence, JsonObject
from bot.platforms.port import PlatformError
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.heard import Attached

log = structlog.get_logger(__name__)

MAX_FILES: Final = 5
MAX_BYTES: Final = 1_048_576
MAX_EXCERPT_CHARS: Final = 2_000
MAX_NAME_CHARS: Final = 120
FETCH_S: Final = 8
TOOL: Final = "slack.file"
TEXT_TYPES: Final = frozenset(
    {
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/x-yaml",
        "application/yaml",
        "application/csv",
        "application/sql",
        "application/x-sh",
        "application/toml",
    }
)
TEXT_ENDINGS: Final = frozenset(
    {".conf", ".csv", ".err", ".ini", ".json", ".jsonl", ".log", ".md", ".ndjson", ".out"}
    | {".properties", ".py", ".sh", ".sql", ".toml", ".trace", ".tsv", ".txt", ".xml"}
    | {".yaml", ".yml"}
)
_HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read of a message's files, and a sentence for each that was left out."""

    files: tuple[tuple[Attached, str], ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def facts(self) -> list[JsonObject]:
        """What a goal says of its files: an excerpt, and where the whole stands."""
        return [
            {
                "name": file.name[:MAX_NAME_CHARS],
                "evidence_id": evidence_id(file.id),
                "lines": text.count("\n") + 1,
                "excerpt": text[:MAX_EXCERPT_CHARS],
            }
            for file, text in self.files
        ]

    @property
    def note(self) -> str:
        """What a running agent is told of them."""
        parts = [
            f"{file.name[:MAX_NAME_CHARS]} is {evidence_id(file.id)}" for file, _ in self.files
        ]
        return f"Attached as evidence: {'; '.join(parts)}." if parts else ""

    def evidence(self, run_id: str, step_id: str, at: float) -> list[Evidence]:
        """Return the files as evidence of a run: outside text, of which lines may be cited."""
        return [
            Evidence(
                id=evidence_id(file.id),
                run_id=run_id,
                step_id=step_id,
                tool=TOOL,
                title=file.name[:MAX_NAME_CHARS],
                text=text,
                at=at,
            )
            for file, text in self.files
        ]


def evidence_id(file_id: str) -> str:
    """Return the id that a file has as evidence."""
    return f"ev-file-{file_id}"


def objection(file: Attached) -> str:
    """Return why a file is not read; empty when it is worth a try."""
    name = file.name[:MAX_NAME_CHARS]
    if file.size > MAX_BYTES:
        return f"{name} is larger than {MAX_BYTES // 1024} KiB"
    kind = file.media_type.partition(";")[0].strip().lower()
    ending = PurePosixPath(file.name.lower()).suffix
    if not (kind.startswith("text/") or kind in TEXT_TYPES or ending in TEXT_ENDINGS):
        return f"{name} is no text"
    return ""


class Attachments:
    """Fetches files from Slack. `clients` know the token of each workspace."""

    def __init__(self, clients: SlackClients) -> None:
        self._clients = clients

    async def fetch(self, team: str, files: Sequence[Attached]) -> Fetched:
        """Return what can be read of the files; it never fails as a whole."""
        left_out = [f"{file.name[:MAX_NAME_CHARS]} is one too many" for file in files[MAX_FILES:]]
        wanted: list[Attached] = []
        for file in files[:MAX_FILES]:
            if problem := objection(file):
                left_out.append(problem)
            else:
                wanted.append(file)
        results = await asyncio.gather(*(self._read(team, file) for file in wanted))
        read: list[tuple[Attached, str]] = []
        for file, (text, problem) in zip(wanted, results, strict=True):
            if problem:
                left_out.append(f"{file.name[:MAX_NAME_CHARS]} {problem}")
            else:
                read.append((file, text))
        return Fetched(tuple(read), tuple(left_out))

    async def _read(self, team: str, file: Attached) -> tuple[str, str]:
        """Return the text of a file, or why there is none."""
        try:
            file = file if file.url else await self._looked_up(team, file)
            client = await self._clients.for_team(team)
            if not is_of_slack(file.url, str(client.base_url)):
                return "", "is kept outside Slack; share it as a link instead"
            data, kind = await _download(file.url, str(client.token))
        except (PlatformError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("slack_file_not_read", file=file.id, reason=str(error)[:200])
            return "", "could not be fetched"
        if kind == _HTML and _HTML not in file.media_type:
            return "", "could not be fetched: Muster's token lacks the scope files:read"
        if len(data) > MAX_BYTES:
            return "", f"is larger than {MAX_BYTES // 1024} KiB"
        if b"\x00" in data:
            return "", "is no text"
        text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").strip()
        return (text, "") if text else ("", "is empty")

    async def _looked_up(self, team: str, file: Attached) -> Attached:
        """Return the file with its address: in shared channels events leave it out."""
        answer = await self._clients.call(team, "files.info", file=file.id)
        found = answer.get("file") or {}
        return Attached(
            file.id,
            str(found.get("name") or file.name),
            str(found.get("mimetype") or file.media_type),
            int(found.get("size") or file.size),
            str(found.get("url_private_download") or found.get("url_private") or ""),
        )


def is_of_slack(url: str, api_url: str) -> bool:
    """Whether the token may be sent to an address: to Slack's own, or that of its API."""
    parts, api = urlsplit(url), urlsplit(api_url)
    if (parts.scheme, parts.netloc) == (api.scheme, api.netloc):
        return True
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))


async def _download(url: str, token: str) -> tuple[bytes, str]:
    timeout = aiohttp.ClientTimeout(total=FETCH_S)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise OSError(f"HTTP {response.status}")
        data = await response.content.read(MAX_BYTES + 1)
        while len(data) <= MAX_BYTES and (part := await response.content.read(MAX_BYTES)):
            data += part
        return data, response.content_type

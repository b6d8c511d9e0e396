"""Files into Slack: announced, sent, then kept for a message or shared in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.platforms.port import Upload
from bot.platforms.slack.book import Book
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.places import Place

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_NAME_CHARS: Final = 100
NOT_THERE: Final = "file_not_found"


@dataclass(frozen=True, slots=True)
class Uploads:
    """Uploads once per key, as well as can be: a crash may leave a file that nobody sees."""

    clients: SlackClients
    book: Book

    async def keep(self, team: str, upload: Upload, key: str) -> str:
        """Upload a file for a picture in a message; return its id."""
        if known := await self.book.file(key):
            return known
        file_id = await self._send(team, upload)
        await self._complete(team, upload, file_id)
        await self.book.keep_file(key, file_id)
        return file_id

    async def share(self, place: Place, thread_ts: str, upload: Upload, key: str) -> str:
        """Upload a file and show it in a thread; return its id."""
        known = await self.book.file(key)
        if known and await self._is_there(place.team, known):
            return known
        file_id = await self._send(place.team, upload)
        # Remembered before it is shown: whoever comes after a lost answer finds it there.
        await self.book.keep_file(key, file_id)
        await self._complete(place.team, upload, file_id, place.channel, thread_ts)
        return file_id

    async def _send(self, team: str, upload: Upload) -> str:
        if not 0 < len(upload.data) <= MAX_BYTES:
            raise SlackRefusedError("upload_size", f"{len(upload.data):,} bytes")
        name = upload.name[-MAX_NAME_CHARS:]
        answer = await self.clients.call(
            team, "files.getUploadURLExternal", filename=name, length=len(upload.data)
        )
        await self.clients.put(str(answer["upload_url"]), upload.data)
        return str(answer["file_id"])

    async def _complete(
        self, team: str, upload: Upload, file_id: str, channel: str = "", thread_ts: str = ""
    ) -> None:
        await self.clients.call(
            team,
            "files.completeUploadExternal",
            files=[{"id": file_id, "title": upload.title[:MAX_NAME_CHARS]}],
            channel_id=channel or None,
            thread_ts=thread_ts or None,
        )

    async def _is_there(self, team: str, file_id: str) -> bool:
        try:
            await self.clients.call(team, "files.info", file=file_id)
        except SlackRefusedError as refused:
            if refused.code != NOT_THERE:
                raise
            return False
        return True

"""Posts what a step says into the thread of its run: the `Poster` of `agents.tools.chat`."""

from __future__ import annotations

from agents.tool import ToolFailed
from jobs import commands as c
from jobs.commands import Refused
from jobs.patience import patiently
from jobs.service import Runs, UnknownRunError


class RunPoster:
    """Makes a message an event of its run, once for each key; the bot shows it in the thread."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def post(
        self, run_id: str, step_id: str, key: str, text: str, mentions: tuple[str, ...]
    ) -> None:
        """See `agents.tools.chat.Poster.post`; ToolFailed when the run takes no message."""
        command = c.PostMessage(key=key, step_id=step_id, text=text, mentions=mentions)
        try:
            await patiently(lambda: self._runs.send(run_id, command))
        except (Refused, UnknownRunError) as refusal:
            raise ToolFailed(f"it was not posted: {refusal}") from refusal


class NoThread:
    """Where there is no run: the tool is only described, never called."""

    async def post(
        self, run_id: str, step_id: str, key: str, text: str, mentions: tuple[str, ...]
    ) -> None:
        """Say that there is no thread."""
        raise ToolFailed("there is no thread here")

"""An answer's charts, uploaded so that they can be seen in its message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bot.platforms.port import PlatformError, Upload
from bot.platforms.slack.answer import chart_ids
from bot.platforms.slack.uploads import Uploads
from bot.views import AnswerView, View
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

ENDINGS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}

ReadData = Callable[[str, str], Awaitable[bytes | None]]
"""Returns the file of a piece of evidence, by run and evidence id."""


@dataclass(frozen=True, slots=True)
class Charts:
    """Uploads charts. One that cannot be uploaded is left out: its link is shown instead."""

    uploads: Uploads
    read_data: ReadData | None

    async def of(self, team: str, view: View) -> dict[str, str]:
        """Return Slack's ids of the view's charts, by evidence id."""
        if not isinstance(view, AnswerView) or self.read_data is None:
            return {}
        kinds = {item.id: item.media_type for item in view.evidence}
        files: dict[str, str] = {}
        for evidence_id in chart_ids(view):
            if (ending := ENDINGS.get(kinds[evidence_id])) is None:
                continue
            earlier, separator, own = evidence_id.partition("/")
            run_id, own_id = (earlier, own) if separator else (view.run_id, evidence_id)
            try:
                data = await self.read_data(run_id, own_id)
                if not data:
                    continue
                title = next(item.title for item in view.evidence if item.id == evidence_id)
                upload = Upload(f"{own_id}.{ending}", title or "Chart", data)
                key = f"{team}:{run_id}:{own_id}"
                files[evidence_id] = await self.uploads.keep(team, upload, key)
            except StoreUnavailableError:
                raise
            except PlatformError as error:
                log.warning("slack_chart_not_uploaded", evidence=evidence_id, reason=str(error))
        return files

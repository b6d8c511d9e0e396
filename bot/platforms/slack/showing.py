"""A view as a workspace takes it: what Slack refuses is shown more simply, down to bare text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import structlog

from bot.platforms.port import PlatformError
from bot.platforms.slack.book import Book
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import BAD_BLOCKS, TOO_LONG, SlackRefusedError
from bot.platforms.slack.people import SlackPeople
from bot.platforms.slack.places import Place
from bot.platforms.slack.render import render
from bot.platforms.slack.style import Rendered, Style
from bot.views import NoteView, View
from jobs.observe import report_error

log = structlog.get_logger(__name__)

MAX_TEXT_BYTES: Final = 3_900
"""`chat.update` counts bytes, and refuses more than 4,000."""
ENTITY_CHARS: Final = 5
CUT: Final = "…"
UNKNOWN_WORDS: Final = ("unsupported", "unknown", "not supported", "invalid type")

T = TypeVar("T")
Send = Callable[[Rendered], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to show a view; each is simpler than the one before."""

    style: Style
    has_blocks: bool = True


def rungs(style: Style) -> Iterator[Rung]:
    """Yield the ways to show a view, the best first."""
    yield Rung(style)
    if style.files:
        style = replace(style, files={})
        yield Rung(style)
    if style.is_native:
        style = replace(style, is_native=False)
        yield Rung(style)
    yield Rung(style, has_blocks=False)


@dataclass(slots=True)
class Showing:
    """Renders views for workspaces, and remembers which of them take plain blocks only."""

    clients: SlackClients
    book: Book
    people: SlackPeople
    public_url: str = ""

    async def show(self, place: Place, view: View, files: Mapping[str, str], send: Send[T]) -> T:
        """Send the view in the best way that Slack takes; return what `send` returned."""
        style = replace(await self.style(place.team, view), files=files)
        refusals: list[tuple[Rung, SlackRefusedError]] = []
        for rung in rungs(style):
            try:
                sent = await send(fitted(render(view, rung.style), has_blocks=rung.has_blocks))
            except SlackRefusedError as refused:
                if refused.code not in BAD_BLOCKS and refused.code != TOO_LONG:
                    raise
                refusals.append((rung, refused))
                log.warning(
                    "slack_blocks_refused",
                    is_native=rung.style.is_native,
                    code=refused.code,
                    problems=refused.problems,
                )
            else:
                await self._learn(place.team, rung, refusals)
                return sent
        raise refusals[-1][1]

    async def style(self, team: str, view: View) -> Style:
        """Return how the workspace is written to; the view's pings are looked up."""
        pings: Mapping[str, str] = {}
        workspace_url = ""
        try:
            me = await self.clients.identity(team)
            workspace_url = me.url
            if isinstance(view, NoteView) and view.mentions:
                pings = await self.people.pings(me.team, view.mentions)
        except PlatformError as error:
            # What is said matters more than its links; names stand where pings would.
            log.warning("slack_style_is_poor", team=team, reason=str(error))
        return Style(
            is_native=not await self.book.is_plain(team),
            public_url=self.public_url,
            workspace_url=workspace_url,
            pings=pings,
        )

    async def _learn(
        self, team: str, taken: Rung, refusals: list[tuple[Rung, SlackRefusedError]]
    ) -> None:
        natives = [refused for rung, refused in refusals if rung.style.is_native]
        if natives and taken.has_blocks and not taken.style.is_native:
            if any(is_about_kinds(refused) for refused in natives):
                log.warning("slack_workspace_takes_plain_blocks", team=team)
                await self.book.make_plain(team)
        elif not taken.has_blocks and refusals:
            report_error(refusals[-1][1], team=team)


def is_about_kinds(refused: SlackRefusedError) -> bool:
    """Whether blocks were refused for what they are, and not for what is in them."""
    said = " ".join(refused.problems).lower()
    return not said or any(word in said for word in UNKNOWN_WORDS)


def fitted(content: Rendered, *, has_blocks: bool = True) -> Rendered:
    """Return the content with a text that Slack takes everywhere, and without blocks if asked."""
    text = fitted_text(content.text)
    return replace(content, text=text, blocks=content.blocks if has_blocks else [])


def fitted_text(text: str) -> str:
    """Return the text within Slack's limit in bytes, without half an entity at its end."""
    data = text.encode()
    if len(data) <= MAX_TEXT_BYTES:
        return text
    kept = data[: MAX_TEXT_BYTES - len(CUT.encode())].decode(errors="ignore")
    start = kept.rfind("&", len(kept) - ENTITY_CHARS)
    if start >= 0 and ";" not in kept[start:]:
        kept = kept[:start]
    return kept + CUT

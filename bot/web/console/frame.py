"""The frame around every page: navigation, theme, and who is signed in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from bot.web.console.render import Templates
from bot.web.console.screens import Parts

THEME_COOKIE = "muster_theme"
THEMES = ("auto", "light", "dark")


def theme_of(request: Request) -> str:
    """Return the theme that the browser remembers."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else THEMES[0]


async def page(
    request: Request, parts: Parts, template: str, *, status_code: int = 200, **values: Any
) -> HTMLResponse:
    """Render a page for somebody who is signed in."""
    deps = parts.web.deps
    waiting = await parts.waiting()
    stored = await deps.console.channels()
    defaults = {"live": None, "channel": deps.channels[0]}
    html = parts.render(
        template,
        **{
            **defaults,
            "theme": theme_of(request),
            "person": parts.person,
            "waiting": sum(not item.obstacle for item in waiting),
            "channels": list(dict.fromkeys([*deps.channels, *stored])),
            "path": request.url.path,
            **values,
        },
    )
    return HTMLResponse(html, status_code)


def plain_page(
    request: Request, templates: Templates, template: str, *, status_code: int = 200, **values: Any
) -> HTMLResponse:
    """Render a page for somebody who may not be signed in."""
    html = templates.render(
        template,
        theme=theme_of(request),
        person=None,
        live=None,
        csrf="",
        now=0,
        path=request.url.path,
        **values,
    )
    return HTMLResponse(html, status_code)

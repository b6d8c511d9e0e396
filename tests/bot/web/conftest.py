"""The house and its doors: clients for people, and a server where streams are tested."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from bot.web.deps import DemoSignIn
from tests.bot.web.sample import DEMO_KEY, House, Story

STEP_S = 0.005
MAX_STEPS = 1_000


@pytest.fixture
def house() -> House:
    """Return a house with a demo sign-in."""
    return House(demo=DemoSignIn(DEMO_KEY, ("alice", "bob")))


@pytest.fixture
def story(house: House) -> Story:
    """Return an incident that can be played."""
    return Story(house)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that is nobody yet."""
    async with client_of(house) as opened:
        yield opened


def client_of(house: House) -> httpx.AsyncClient:
    """Return a fresh browser, so to say, on this machine."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app), base_url="http://muster.test"
    )


def token(name: str = "alice") -> dict[str, str]:
    """Return the header that identifies a person to the API."""
    return {"Authorization": f"Bearer {name}-secret"}


async def sign_in(client: httpx.AsyncClient, name: str = "alice") -> str:
    """Sign in with the person's token and return the session's CSRF token."""
    answer = await client.post("/login", data={"token": f"{name}-secret"})
    assert answer.status_code == 303, answer.text
    page = await client.get("/runs")
    return page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    """Serve the house on a loopback port, for what streams, and return its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(house.app, log_config=None, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        for _ in range(MAX_STEPS):
            if server.started:
                break
            await asyncio.sleep(STEP_S)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        house.app.state.live.close()
        server.should_exit = True
        await serving

"""litellm, imported once for all tests of a process, and a server it can talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from agents.models import lite
from config.specs import ModelSpec
from tests.model_server import ModelServer

KEY = "muster-test-key-0123456789"
PATIENCE_S = 10.0


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that happens in the server's thread."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def warmed() -> None:
    """Import litellm as the parent of the workers does."""
    lite.warm()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ModelServer]:
    """Start one server for all tests of this process."""
    with ModelServer(key=KEY) as server:
        yield server


@pytest.fixture
async def model_server(warmed: None, shared_server: ModelServer) -> AsyncIterator[ModelServer]:
    """Return a server without a script; no test may leave a request that it refused."""
    shared_server.reset()
    yield shared_server
    await lite.close()
    assert shared_server.ledger.refused == []


@pytest.fixture
def spec(model_server: ModelServer) -> ModelSpec:
    """Return the entry of the server's model."""
    return ModelSpec(
        model="test-model", base_url=model_server.base_url, key_env="TEST_KEY", timeout_s=20
    )

"""The server in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import uvicorn

from tests.model_server.app import make_app
from tests.model_server.asked import Asked
from tests.model_server.counting import Ledger
from tests.model_server.replies import Reply
from tests.model_server.rules import Rule, scripted

LOOPBACK = "127.0.0.1"
BACKLOG = 512
START_S = 10.0
STOP_S = 5.0


class ModelServer:
    """Answers by a script (replies in order) or by a rule; `follow` changes it at any time."""

    def __init__(
        self, answers: Iterable[Reply] | Rule = (), *, key: str = "", port: int = 0
    ) -> None:
        self.ledger = Ledger()
        self._rule = answers if callable(answers) else scripted(answers)
        self._socket = _listener(port)
        self.port = int(self._socket.getsockname()[1])
        app = make_app(self._answer, lambda: self.ledger, key)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            lifespan="off",
            access_log=False,
            timeout_graceful_shutdown=0,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._serve, name="model-server", daemon=True)

    @property
    def base_url(self) -> str:
        """The address to give as `base_url` or MUSTER_MODEL_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> list[Asked]:
        """All calls that were taken, in order."""
        return self.ledger.calls

    def follow(self, answers: Iterable[Reply] | Rule) -> None:
        """Answer by another script or rule from now on."""
        self._rule = answers if callable(answers) else scripted(answers)

    def reset(self) -> None:
        """Forget all calls and the script, as if just started."""
        self.ledger = Ledger()
        self.follow(())

    def start(self) -> None:
        """Serve from now on; returns when the server answers."""
        self._thread.start()
        if not self._server.is_up.wait(START_S):
            raise RuntimeError("the model server did not start")

    def stop(self) -> None:
        """Drop all connections and end the thread."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(STOP_S)
        self._socket.close()

    def serve(self) -> None:
        """Serve in this thread until the process is asked to end."""
        self._server.run(sockets=[self._socket])

    def _answer(self, asked: Asked) -> Reply:
        return self._rule(asked)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def _listener(port: int) -> socket.socket:
    """Return a bound socket; asyncio sends at once only on sockets that say they are TCP."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    listener.listen(BACKLOG)
    return listener


class _Server(uvicorn.Server):
    """Tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        self.is_up.set()

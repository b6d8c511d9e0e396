"""Slow down whoever guesses tokens."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from bot.web.limits import LOGIN_FAILURES, LOGIN_WINDOW_S, MAX_CLIENTS_REMEMBERED


class FailureLimit:
    """Counts failures per client address; `clock` gives Unix seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        most: int = LOGIN_FAILURES,
        window_s: float = LOGIN_WINDOW_S,
    ) -> None:
        self._clock = clock
        self._most = most
        self._window_s = window_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Return how long this client has to wait; 0 when it may try."""
        known = self._failures.get(client)
        if not known or len(known) < self._most:
            return 0.0
        return max(0.0, known[0] + self._window_s - self._clock())

    def failed(self, client: str) -> None:
        """Count a failure; only the latest of them matter."""
        known = self._failures.setdefault(client, deque(maxlen=self._most))
        known.append(self._clock())
        self._failures.move_to_end(client)
        while len(self._failures) > MAX_CLIENTS_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget the client's failures."""
        self._failures.pop(client, None)

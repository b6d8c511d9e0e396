"""The ledger, reached over a small pool of connections."""

import asyncio
from collections import deque
from random import SystemRandom

from demo.runtime import Runtime

WRITE_S = 0.070
WRITE_SPREAD_S = 0.012
ACQUIRE_TIMEOUT_S = 3.0
SLOW_ACQUIRE_S = 0.25

chance = SystemRandom()


class LedgerBusyError(Exception):
    """No ledger connection became free in time."""


class Connection:
    """One connection to the ledger."""

    def __init__(self) -> None:
        self.entries = 0

    async def write(self) -> None:
        """Book one entry."""
        await asyncio.sleep(max(0.02, chance.gauss(WRITE_S, WRITE_SPREAD_S)))
        self.entries += 1


class Pool:
    """Lend connections, first come first served."""

    def __init__(self, runtime: Runtime, size: int) -> None:
        self._log = runtime.log
        self._size = size
        self._free = [Connection() for _ in range(size)]
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._in_use = runtime.gauge("ledger_pool_in_use", "Ledger connections lent out.")
        runtime.gauge("ledger_pool_size", "Ledger connections there are.").set(size)

    async def acquire(self) -> Connection:
        """Borrow a connection; it must be given back with `release`."""
        if self._free:
            self._in_use.inc()
            return self._free.pop()
        turn: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        warning = asyncio.get_running_loop().call_later(SLOW_ACQUIRE_S, self._warn)
        try:
            return await asyncio.wait_for(turn, ACQUIRE_TIMEOUT_S)
        except TimeoutError as error:
            raise LedgerBusyError("no ledger connection became free") from error
        finally:
            warning.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def release(self, connection: Connection) -> None:
        """Give a connection back, or hand it to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        self._free.append(connection)
        self._in_use.dec()

    def _warn(self) -> None:
        in_use = f"{self._size - len(self._free)}/{self._size}"
        self._log.warning("ledger pool exhausted", waiting=len(self._waiting), in_use=in_use)

"""The routes of payments."""

import asyncio
from random import SystemRandom

from demo.runtime import Payload, Reply, Route, Runtime

from .ledger import LedgerBusyError, Pool

LEDGER_POOL_SIZE = 4
UNREACHABLE_ISSUERS = frozenset({"fjordbank"})
SLOW_ISSUERS = frozenset({"norrsken"})
SLOW_ISSUER_S = 0.45
ISSUER_RETRY_SHARE = 0.01

chance = SystemRandom()


class Payments:
    """Charge and refund cards, and book both in the ledger."""

    def __init__(self, runtime: Runtime) -> None:
        self._log = runtime.log
        self._ledger = Pool(runtime, LEDGER_POOL_SIZE)
        self._booked = 0
        self._batch = 4100
        runtime.every(7.0, self._append_batch)
        runtime.every(11.0, self._checkpoint)

    async def charge(self, charge: Payload, trace: str) -> Reply:
        """Charge a card and book it."""
        issuer = charge["issuer"]
        if issuer in UNREACHABLE_ISSUERS:
            self._log.error("issuer unreachable", issuer=issuer, order=charge["order"], trace=trace)
            return Reply(503, {"reason": "issuer_unreachable"})
        if issuer in SLOW_ISSUERS:
            await asyncio.sleep(SLOW_ISSUER_S)
        elif chance.random() < ISSUER_RETRY_SHARE:
            self._log.warning("issuer answered on second try", issuer=issuer, order=charge["order"])
        try:
            connection = await self._ledger.acquire()
        except LedgerBusyError:
            return self._busy(charge["order"], trace)
        try:
            await connection.write()
        finally:
            self._ledger.release(connection)
        self._booked += 1
        self._log.info(
            "charge captured",
            order=charge["order"],
            amount=charge["amount"],
            issuer=issuer,
            trace=trace,
        )
        return Reply(200, {"captured": charge["amount"]})

    async def refund(self, refund: Payload, trace: str) -> Reply:
        """Send money back for an order and book it."""
        try:
            connection = await self._ledger.acquire()
        except LedgerBusyError:
            return self._busy(refund["order"], trace)
        if refund["currency"] != refund["captured_currency"]:
            self._log.warning(
                "refund refused",
                order=refund["order"],
                reason="currency_mismatch",
                currency=refund["currency"],
                trace=trace,
            )
            return Reply(422, {"reason": "currency_mismatch"})
        await connection.write()
        self._ledger.release(connection)
        self._booked += 1
        self._log.info("refund booked", order=refund["order"], amount=refund["amount"], trace=trace)
        return Reply(200, {"refunded": refund["amount"]})

    def _busy(self, order: int, trace: str) -> Reply:
        self._log.error("ledger unavailable", order=order, trace=trace)
        return Reply(503, {"reason": "ledger_unavailable"})

    def _append_batch(self) -> None:
        self._batch += 1
        self._log.info("settlement batch appended", batch=self._batch, entries=self._booked)

    def _checkpoint(self) -> None:
        self._log.info("ledger checkpoint written", entries=self._booked)


def routes(runtime: Runtime) -> dict[str, Route]:
    """Return what payments answers, by path."""
    payments = Payments(runtime)
    return {"/charges": payments.charge, "/refunds": payments.refund}

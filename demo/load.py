"""The load generator: everyday traffic at a bounded rate, and odd requests on demand."""

import argparse
import asyncio
import json
import os
import random
import time

from demo import carts, child, wire
from demo.runtime import new_trace

RATE_PER_S = 20.0
JITTER = 0.4
MAX_CONCURRENT = 48
REQUEST_TIMEOUT_S = 5.0
# Refunds in a foreign currency, one after the other.
FOREIGN_REFUNDS = 3
FOREIGN_REFUND_GAP_S = 0.7
# Cards of one issuer that is unreachable and of one that is slow, for a moment.
BLIP = ("norrsken", "fjordbank", "norrsken", "norrsken", "fjordbank", "norrsken")
BLIP_GAP_S = 0.4


class Load:
    """Send requests to checkout, never more than a bounded number at once."""

    def __init__(self, checkout_url: str, chance: random.Random) -> None:
        self._url = checkout_url
        self._chance = chance
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send everyday traffic until cancelled; a shop that hangs slows the customers down."""
        due = time.monotonic()
        while True:
            due += (1 + self._chance.uniform(-JITTER, JITTER)) / RATE_PER_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            # After a stall (a busy machine) the missed requests are not made up in a burst.
            due = max(due, time.monotonic() - 1 / RATE_PER_S)
            if len(self._under_way) < MAX_CONCURRENT:
                self._send(carts.ask(self._chance))

    async def refund_in_foreign_currency(self) -> None:
        """Send the refunds that payments mishandles."""
        for _ in range(FOREIGN_REFUNDS):
            self._send(carts.Ask("/refunds", carts.refund(self._chance, is_foreign=True)))
            await asyncio.sleep(FOREIGN_REFUND_GAP_S)

    async def blip(self) -> None:
        """Send a few orders whose issuers have a bad moment."""
        for issuer in BLIP:
            self._send(carts.Ask("/orders", carts.cart(self._chance, issuer)))
            await asyncio.sleep(BLIP_GAP_S)

    def _send(self, ask: carts.Ask) -> None:
        task = asyncio.create_task(self._post(ask))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _post(self, ask: carts.Ask) -> None:
        try:
            await wire.call(
                "POST",
                self._url + ask.path,
                body=json.dumps(ask.payload).encode(),
                headers={"content-type": "application/json", "x-trace-id": new_trace()},
                timeout_s=REQUEST_TIMEOUT_S,
            )
        except (TimeoutError, wire.WireError):
            return  # a customer who got no answer; the shop's own metrics tell why


async def generate(checkout_url: str) -> None:
    """Follow the director: start the traffic, add odd requests."""
    load = Load(checkout_url, random.Random())  # noqa: S311 - customers, not secrets
    tasks = set()
    child.report("ready")
    async for order in child.orders():
        work = {"serve": load.run, "refunds": load.refund_in_foreign_currency, "blip": load.blip}
        if order in work:
            tasks.add(asyncio.create_task(work[order]()))
        if order == "serve":
            child.report("serving")
        elif order == "drain":
            child.report("drained")
            return


def main() -> None:
    """Generate load until the director ends it."""
    parser = argparse.ArgumentParser(prog="demo.load")
    parser.add_argument("--checkout", required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    child.die_with_parent(arguments.parent)
    asyncio.run(generate(arguments.checkout))
    os._exit(0)


if __name__ == "__main__":
    main()

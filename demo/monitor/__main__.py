"""The monitor's process: scrape, record, evaluate, notify, answer queries."""

import argparse
import asyncio
import os
import socket
import time

import structlog
from prometheus_client.parser import text_string_to_metric_families

from demo import child, oplog, wire
from demo.monitor.alerts import AlertBook, load_rules
from demo.monitor.api import Api
from demo.monitor.rules import record
from demo.monitor.series import SeriesStore
from demo.monitor.webhook import Notifier

SCRAPE_INTERVAL_S = 1.0
SCRAPE_TIMEOUT_S = 0.9

_log = structlog.get_logger()


class Monitor:
    """Watch the services: one round a second, at whole seconds."""

    def __init__(self, services: dict[str, str], store: SeriesStore, book: AlertBook) -> None:
        self._services = services
        self._store = store
        self._book = book

    async def run(self) -> None:
        """Do one round a second until cancelled."""
        while True:
            now = time.time()
            await asyncio.sleep(SCRAPE_INTERVAL_S - now % SCRAPE_INTERVAL_S)
            await self._round(float(round(time.time())))

    async def _round(self, now: float) -> None:
        await asyncio.gather(*(self._scrape(*service, now) for service in self._services.items()))
        for service in self._services:
            for value in record(self._store, service, now):
                self._store.add(value.name, {"service": value.service}, now, value.value)
        self._book.evaluate(self._store, now)

    async def _scrape(self, service: str, url: str, now: float) -> None:
        is_up = False
        try:
            response = await wire.call("GET", f"{url}/metrics", timeout_s=SCRAPE_TIMEOUT_S)
            is_up = response.status == 200
        except (TimeoutError, wire.WireError) as error:
            _log.warning("scrape_failed", service=service, error=str(error) or "timeout")
        self._store.add("up", {"job": service, "service": service}, now, float(is_up))
        if is_up:
            for family in text_string_to_metric_families(response.body.decode()):
                for sample in family.samples:
                    self._store.add(sample.name, sample.labels, now, sample.value)


async def watch(arguments: argparse.Namespace) -> None:
    """Follow the director: start watching, stop."""
    store = SeriesStore()
    book = AlertBook(load_rules(is_touchy=arguments.touchy))
    services = dict(item.split("=", 1) for item in arguments.service)
    server = wire.Server(Api(store, book, time.time).handle)
    tasks = []
    child.report("ready")
    async for order in child.orders():
        if order == "serve":
            sock = socket.socket(fileno=arguments.fd)
            tasks.append(asyncio.create_task(Monitor(services, store, book).run()))
            if arguments.webhook:
                token = os.environ.get(arguments.webhook_token_env or "")
                notifier = Notifier(arguments.webhook, token, wire.url_of(sock), book.alerts)
                tasks.append(asyncio.create_task(notifier.run()))
            for task in tasks:
                task.add_done_callback(_end_on_bug)
            await server.start(sock)
            child.report("serving")
        elif order == "drain":
            child.report("drained")
            return


def _end_on_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("monitor_failed", exc_info=task.exception())
        os._exit(1)


def main() -> None:
    """Monitor the shop until the director ends it."""
    parser = argparse.ArgumentParser(prog="demo.monitor")
    parser.add_argument("--service", action="append", required=True, help="name=url")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--touchy", action="store_true")
    parser.add_argument("--webhook")
    parser.add_argument("--webhook-token-env")
    arguments = parser.parse_args()
    oplog.configure()
    child.die_with_parent(arguments.parent)
    asyncio.run(watch(arguments))
    os._exit(0)


if __name__ == "__main__":
    main()

"""Puts the bot process together: the one place that knows everything it is made of."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Any

import redis.asyncio as aioredis
import structlog
import uvicorn
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from bot.access import (
    Server,
    people_with_local,
    read_sign_in,
    secret_key,
    write_server,
)
from bot.address import console_url
from bot.conversation import Conversation
from bot.desk import Desk
from bot.forms import Forms
from bot.intake import Intake
from bot.live.leader import RedisElection, lead
from bot.live.outbox import Outbox, RedisOutboxStore
from bot.live.progress import Progress
from bot.live.progress_store import RedisProgressStore
from bot.live.retention import Retention
from bot.platforms.console.adapter import ConsolePlatform
from bot.platforms.console.redis_store import RedisConsoleStore
from bot.platforms.port import Platform
from bot.platforms.slack.wanted import is_wanted as wants_slack
from bot.platforms.slack.wanted import setting_problems as slack_problems
from bot.present import Presenter
from bot.web.app import create_app
from bot.web.deps import DemoSignIn, Readiness, WebDeps
from config.confidential import known_secrets
from config.contents import Catalogue
from config.models import effective_models
from config.settings import Settings
from jobs.assembly import all_tools, read_catalogue, rules_of
from jobs.broker import live_workers
from jobs.incident_store import RedisIncidentStore
from jobs.keeper import Keeper
from jobs.observe import configure_logging, configure_sentry
from jobs.redis_client import connect
from jobs.redis_store import RedisStore
from jobs.service import Runs
from jobs.store import StoreUnavailableError

if TYPE_CHECKING:
    from bot.platforms.slack import assembly as slack

log = structlog.get_logger(__name__)

SHUTDOWN_S = 5
PING_S = 2.0


@dataclass(frozen=True, slots=True)
class BotProcess:
    """The bot of one state directory: HTTP, live progress, outbox, intake, and a keeper."""

    settings: Settings
    environ: Mapping[str, str]
    redis_url: str
    catalogue: Catalogue
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What is taken out of goals and alerts."""
    aliases: frozenset[str] = frozenset()
    """The aliases that have a model."""

    async def serve(self) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        client = connect(self.redis_url)
        store = RedisStore(client)
        runs = Runs(store, time)
        keep_s = timedelta(days=self.settings.retention_days) // timedelta(seconds=1)
        incidents = RedisIncidentStore(client, keep_s)
        toolbox = all_tools(incidents)
        presenter = Presenter(self.catalogue, toolbox)
        console = RedisConsoleStore(client)
        on_console = ConsolePlatform(console, time)
        platforms: dict[str, Platform] = {"console": on_console}
        spoken = self._slack_outward(client, store, on_console)
        if spoken is not None:
            platforms[spoken.platform.name] = spoken.platform
        posts = RedisOutboxStore(client)
        outbox = Outbox(posts, platforms)
        intake = Intake(
            catalogue=self.catalogue,
            runs=runs,
            incidents=incidents,
            platforms=platforms,
            secrets=self.secrets,
            aliases=self.aliases,
        )
        forms = Forms(
            catalogue=self.catalogue,
            runs=runs,
            incidents=incidents,
            platforms=platforms,
            secrets=self.secrets,
        )
        progress = Progress(
            store=store,
            incidents=incidents,
            platforms=platforms,
            outbox=outbox,
            presenter=presenter,
            memory=RedisProgressStore(client),
        )
        retention = Retention(
            store=store, incidents=incidents, console=console, posts=posts, keep_s=keep_s
        )
        desk = Desk(
            runs=runs,
            intake=intake,
            forms=forms,
            incidents=incidents,
            presenter=presenter,
            toolbox=toolbox,
            rules=rules_of(self.catalogue, self.secrets),
        )

        heard = self._slack_inward(client, spoken, desk) if spoken is not None else None

        async def lead_everything(token: int) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(progress.run(token))
                group.create_task(outbox.run())
                group.create_task(intake.keep_reconciling())
                group.create_task(retention.keep())

        chores = [
            asyncio.create_task(lead(RedisElection(client), lead_everything), name="lead"),
            asyncio.create_task(Keeper(runs, time).keep(), name="keeper"),
            *(
                asyncio.create_task(chore(), name="slack")
                for chore in (heard.chores if heard else ())
            ),
        ]
        routers = (heard.routes,) if heard is not None and heard.routes is not None else ()
        deps = self._web_deps(desk, console, posts, client, routers)
        try:
            await self._serve_http(deps, chores)
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            if spoken is not None:
                await spoken.aclose()
            await client.aclose()

    def _slack_outward(
        self, client: aioredis.Redis, store: RedisStore, console: Platform
    ) -> slack.Outward | None:
        """Return what Slack is spoken to with; None when it is not set up, or not rightly."""
        problems = slack_problems(self.settings)
        for problem in problems:
            log.error("slack_not_started", reason=problem.sentence)
        if problems or not wants_slack(self.settings):
            return None
        from bot.platforms.slack import assembly as slack  # 30 MB that only Slack needs.

        async def requester_of(run_id: str) -> str:
            run = await store.load(run_id)
            return run.goal.requester_id if run is not None else ""

        return slack.outward(
            self.settings,
            client,
            console=console,
            people=self.catalogue.people,
            read_data=store.evidence_data,
            requester_of=requester_of,
            secret=self._secret,
        )

    def _slack_inward(
        self, client: aioredis.Redis, spoken: slack.Outward, desk: Desk
    ) -> slack.Inward:
        from bot.platforms.slack import assembly as slack

        async def health() -> str:
            checks = (await readiness(client, has_slack=True)).checks
            return ", ".join(f"{name}: {state}" for name, state in checks.items())

        conversation = Conversation(desk, time)
        return slack.inward(
            self.settings,
            client,
            spoken,
            desk=desk,
            conversation=conversation,
            health=health,
            clock=time,
        )

    @property
    def _secret(self) -> str:
        configured = self.settings.secret_key
        return secret_key(
            self.settings.state_dir, configured.get_secret_value() if configured else ""
        )

    def _web_deps(
        self,
        desk: Desk,
        console: RedisConsoleStore,
        posts: RedisOutboxStore,
        client: Any,
        routers: tuple[APIRouter, ...],
    ) -> WebDeps:
        settings = self.settings
        sign_in = read_sign_in(settings.state_dir)
        return WebDeps(
            desk=desk,
            console=console,
            people=people_with_local(self.catalogue, sign_in),
            sources=self.catalogue.sources,
            environ=self.environ,
            secret_key=self._secret,
            clock=time,
            readiness=lambda: readiness(client, has_slack=wants_slack(self.settings)),
            laid_aside=posts.count_laid_aside,
            registry=CollectorRegistry(),
            public_url=settings.public_url or "",
            demo=DemoSignIn(sign_in.key, sign_in.people) if sign_in else None,
            channels=channels(self.catalogue),
            webhook_body_limit_bytes=settings.webhook_body_limit_bytes,
            routers=routers,
        )

    async def _serve_http(self, deps: WebDeps, chores: list[asyncio.Task[None]]) -> None:
        app = create_app(deps)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=self.settings.host,
                port=self.settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
                lifespan="on",
            )
        )

        def leave() -> None:
            app.state.live.close()
            server.should_exit = True

        loop = asyncio.get_running_loop()
        serving = asyncio.create_task(server.serve(), name="http")
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, leave)
        if server.started:
            port = server.servers[0].sockets[0].getsockname()[1]
            self._announce(port)
        done, _ = await asyncio.wait({serving, *chores}, return_when=asyncio.FIRST_COMPLETED)
        leave()
        await serving
        for task in done:
            task.result()

    def _announce(self, port: int) -> None:
        """Tell commands on this machine where the bot is."""
        sign_in = read_sign_in(self.settings.state_dir)
        url = console_url(self.settings.host, port)
        write_server(self.settings.state_dir, Server(url, sign_in.token if sign_in else ""))
        log.info("serving", url=url)


async def readiness(client: aioredis.Redis, *, has_slack: bool = False) -> Readiness:
    """Look whether Redis answers and a worker is alive; say where Slack refuses the bot."""
    checks: dict[str, str] = {}
    try:
        async with asyncio.timeout(PING_S):
            await client.ping()
            checks["redis"] = "ok"
            workers = await live_workers(client)
            troubles = await _slack_troubles(client) if has_slack else ""
    except (aioredis.RedisError, StoreUnavailableError, OSError, TimeoutError) as error:
        return Readiness(False, {**checks, "redis": f"cannot be reached: {error}"})
    checks["workers"] = f"{len(workers)} alive" if workers else "none alive: start muster worker"
    if troubles:
        checks["slack"] = f"{troubles}: see the channel slack in the console"
    return Readiness(bool(workers), checks)


async def _slack_troubles(client: aioredis.Redis) -> str:
    from bot.platforms.slack.health import RedisTroubleStore

    troubles = await RedisTroubleStore(client).all()
    return ", ".join(f"{trouble.code} in {trouble.where}" for trouble in troubles)


def channels(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the console's channels, that of the first route first."""
    named = [route.channel for route in catalogue.routes if route.platform == "console"]
    return tuple(dict.fromkeys(named)) or ("incidents",)


def run_bot(settings: Settings, environ: Mapping[str, str], redis_url: str) -> int:
    """Run the bot process until it is told to stop; returns its exit code."""
    catalogue = read_catalogue(settings)
    secrets = known_secrets(settings, catalogue.token_variables, environ, redis_url)
    configure_logging(settings.log_level, as_json=settings.log_json, secrets=secrets)
    if settings.sentry_dsn is not None:
        dsn = settings.sentry_dsn.get_secret_value()
        configure_sentry(dsn, settings.environment, "bot", secrets)
    models = effective_models(catalogue.models, catalogue.agents.values(), settings)
    aliases = frozenset(alias for alias, one in models.models.items() if one)
    process = BotProcess(settings, environ, redis_url, catalogue, secrets, aliases)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(process.serve())
    return 0

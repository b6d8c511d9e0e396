"""Puts a worker process together: the one place that knows everything a worker is made of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import time

import redis.asyncio as aioredis

from agents.models import lite
from agents.registry import report_outputs, tool_schemas
from agents.tool import Toolbox
from agents.tools import confined_tools
from agents.tools.alerts import AlertBook, alert_tools
from agents.tools.chat import Poster, chat_tools
from agents.tools.memory import memory_tools
from config.catalogue import load_catalogue
from config.confidential import known_secrets
from config.contents import Catalogue
from config.models import effective_models, model_keys
from config.settings import Settings
from config.specs import ModelsFile
from jobs.calling import Rules
from jobs.executor import Executor
from jobs.incident_store import MemoryIncidentStore, RedisIncidentStore
from jobs.keeper import Keeper
from jobs.memory_book import MemoryFacts, RedisFacts
from jobs.modelling import shared_models
from jobs.observe import configure_logging, configure_sentry
from jobs.parent import run_parent
from jobs.past import NoRuns, StoredRuns
from jobs.posting import NoThread, RunPoster
from jobs.redis_client import connect
from jobs.redis_store import LEASE_S, RedisStore
from jobs.service import Runs
from jobs.store import Store
from jobs.ticket_queue import release_worker
from jobs.worker import AsyncWorker

RENEWALS_PER_LEASE = 5
NO_THREAD = NoThread()
"""For whoever only describes the tools."""


def all_tools(book: AlertBook, poster: Poster = NO_THREAD) -> Toolbox:
    """Return every tool; alerts are read from `book`, and what is said goes through `poster`.

    What is remembered is forgotten with the toolbox; `remembering` gives it a memory that lasts.
    """
    memory = memory_tools(MemoryFacts(), NoRuns())
    return Toolbox((*confined_tools(), *alert_tools(book), *chat_tools(poster), *memory))


def remembering(toolbox: Toolbox, client: aioredis.Redis, store: Store) -> Toolbox:
    """Return the tools with a memory that all workers share, and that outlives them."""
    return Toolbox((*toolbox.values(), *memory_tools(RedisFacts(client), StoredRuns(store))))


def read_catalogue(settings: Settings) -> Catalogue:
    """Return the checked catalogue; CatalogueError lists what is wrong with it."""
    tools = all_tools(MemoryIncidentStore())
    return load_catalogue(settings.config_dir, tool_schemas(tools), report_outputs())


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """What each worker of one parent shares; made before the fork, so without connections."""

    settings: Settings
    catalogue: Catalogue
    redis_url: str
    tools: Callable[[AlertBook, Poster], Toolbox] = all_tools
    lease_s: float = LEASE_S
    """How long a worker that is not heard of keeps its steps."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What is taken out of whatever tools give."""
    models: ModelsFile = field(default_factory=ModelsFile)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The keys of models, by the environment variable that models.yaml names."""

    async def serve(self, name: str) -> None:
        """Be one worker until told to leave."""
        client = connect(self.redis_url)
        runs = Runs(RedisStore(client, lease_s=self.lease_s), time)
        executor = Executor(
            runs=runs,
            agents=self.catalogue.agents,
            toolbox=remembering(
                self.tools(RedisIncidentStore(client), RunPoster(runs)), client, runs.store
            ),
            rules=rules_of(self.catalogue, self.secrets),
            clock=time,
            worker=name,
            renew_s=self.lease_s / RENEWALS_PER_LEASE,
            models=shared_models(self.models, self.keys, client, time, self._keep_s),
            workflows=self.catalogue.workflows,
            budgets=self.models.budgets,
        )
        worker = AsyncWorker(
            self.redis_url,
            name,
            executor.run_ticket,
            slots=self.settings.slots,
            drain_s=self.settings.drain_s,
        )
        chores = [
            asyncio.create_task(executor.keep_leases()),
            asyncio.create_task(Keeper(runs, time, keep_s=self._keep_s).keep()),
        ]
        try:
            await worker.serve()
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await lite.close()
            await client.aclose()

    @property
    def warm(self) -> Callable[[], None] | None:
        """What the parent does once before it forks: import what calls models, if any is."""
        return lite.warm if self.models.models else None

    @property
    def _keep_s(self) -> float:
        return timedelta(days=self.settings.retention_days).total_seconds()

    def bury(self, name: str) -> None:
        """End a dead worker's leases and tickets at once: its steps go to others in a moment."""

        async def expire() -> None:
            client = connect(self.redis_url)
            runs = Runs(RedisStore(client), time)
            await runs.store.expire_worker(name)
            await Keeper(runs, time).tick()  # Other keepers would look within half a second.
            await client.aclose()

        asyncio.run(expire())
        release_worker(self.redis_url, name)


def rules_of(catalogue: Catalogue, secrets: tuple[str, ...] = ()) -> Rules:
    """Return what workers need of the catalogue besides agents."""
    return Rules(world=catalogue.world, policies=catalogue.policies, secrets=secrets)


def run_workers(settings: Settings, redis_url: str) -> int:
    """Run the worker parent until it is told to stop; returns its exit code."""
    return serve_workers(make_process(settings, redis_url))


def make_process(settings: Settings, redis_url: str) -> WorkerProcess:
    """Return what the workers share, with logging set up for it."""
    catalogue = read_catalogue(settings)
    secrets = known_secrets(settings, catalogue.token_variables, os.environ, redis_url)
    configure_logging(settings.log_level, as_json=settings.log_json, secrets=secrets)
    if settings.sentry_dsn is not None:
        dsn = settings.sentry_dsn.get_secret_value()
        configure_sentry(dsn, settings.environment, "worker", secrets)
    models = effective_models(catalogue.models, catalogue.agents.values(), settings)
    return WorkerProcess(
        settings,
        catalogue,
        redis_url,
        secrets=secrets,
        models=models,
        keys=model_keys(models, os.environ, settings),
    )


def serve_workers(process: WorkerProcess) -> int:
    """Fork workers and keep them alive until told to stop; returns the exit code."""
    workers = process.settings.workers
    return run_parent(workers, process.serve, process.warm, process.bury)

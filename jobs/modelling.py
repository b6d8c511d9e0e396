"""Puts together the models of a worker: router, breakers, budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import redis.asyncio as aioredis

from agents.models.absent import AbsentModel
from agents.models.port import Model
from agents.models.router import ModelRouter
from config.specs import ModelsFile
from jobs.metered import MeteredModels
from jobs.model_gate import RedisGate
from jobs.spending_store import RedisLedger
from jobs.state import Run
from jobs.thinking import Models


class NoModels:
    """`jobs.thinking.Models` of an installation without models."""

    def for_run(self, run: Run) -> Model:
        """Return a model that says that there is none."""
        del run
        return AbsentModel()

    def offers(self, alias: str) -> bool:
        """Return False."""
        del alias
        return False


def shared_models(
    models: ModelsFile,
    keys: Mapping[str, str],
    client: aioredis.Redis,
    clock: Callable[[], float],
    keep_s: float,
) -> Models:
    """Return the configured models; breakers, places and budgets are shared through Redis.

    What a run or a thread used is kept for `keep_s` after its last call.
    """
    if not models.models:
        return NoModels()
    router = ModelRouter(models, RedisGate(client), keys)
    return MeteredModels(router, RedisLedger(client, models.budgets, keep_s=keep_s), clock)

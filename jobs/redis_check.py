"""Whether a Redis or Valkey server is fit to hold Muster's state, in plain sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jobs.redis_binary import MIN_REDIS_VERSION

CHECK_TIMEOUT_S = 5.0
CONFIG_KEYS = ("maxmemory-policy", "appendonly", "appendfsync", "save")
SAFE_POLICY = "noeviction"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change. A fatal one keeps Muster from starting, the others are warnings."""

    sentence: str
    is_fatal: bool

    def __str__(self) -> str:
        return self.sentence


async def check(url: str) -> list[Problem]:
    """Ask the server at `url` about itself; an empty list means that it is fit."""
    try:
        client = aioredis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=CHECK_TIMEOUT_S,
            socket_connect_timeout=CHECK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        return [_fatal(f"MUSTER_REDIS_URL is not an address of a Redis: {error}")]
    try:
        info = await client.info("everything")
        config = await _config(client)
    except redis.AuthenticationError as error:
        return [_fatal(f"Redis at {without_password(url)} refuses the login ({error}). {_SET_URL}")]
    except (redis.RedisError, OSError) as error:
        return [
            _fatal(
                f"Redis at {without_password(url)} does not answer ({error}). "
                f"Start it or check the network. {_SET_URL}"
            )
        ]
    finally:
        await client.aclose()
    return problems(info, config)


def problems(info: Mapping[str, Any], config: Mapping[str, Any]) -> list[Problem]:
    """Judge what INFO and CONFIG GET say; `config` may be empty where CONFIG is forbidden."""
    judged = [
        _version_problem(info),
        _mode_problem(info),
        _role_problem(info),
        _eviction_problem(info, config),
        _persistence_problem(info, config),
    ]
    return [problem for problem in judged if problem is not None]


def without_password(url: str) -> str:
    """Return the address as it may be shown and logged."""
    without_user = re.sub(r"(?<=://)[^/?#]*@", "", url)
    return re.sub(r"(?i)(password|username)=[^&]*", r"\1=***", without_user)


_SET_URL = "Set MUSTER_REDIS_URL to a server that Muster may use."


async def _config(client: aioredis.Redis) -> Mapping[str, Any]:
    """Read the settings that matter; managed services forbid it, then INFO has to do."""
    try:
        answer: dict[Any, Any] = await client.config_get(*CONFIG_KEYS)
    except redis.ResponseError:
        return {}
    return answer


def _fatal(sentence: str) -> Problem:
    return Problem(sentence, is_fatal=True)


def _warning(sentence: str) -> Problem:
    return Problem(sentence, is_fatal=False)


def _version_problem(info: Mapping[str, Any]) -> Problem | None:
    """Every Valkey has what we use; Redis has it from 6.2 on (BLMOVE)."""
    if info.get("server_name") == "valkey" or info.get("valkey_version"):
        return None
    text = str(info.get("redis_version", "unknown"))
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if version >= MIN_REDIS_VERSION:
        return None
    return _fatal(f"Redis {text} is too old: Muster needs Redis 6.2 or newer, or any Valkey.")


def _mode_problem(info: Mapping[str, Any]) -> Problem | None:
    """Refuse clusters: they refuse scripts whose keys live on several shards."""
    mode = str(info.get("redis_mode") or info.get("server_mode") or "standalone")
    if mode == "sentinel":
        return _fatal(
            "This is a Sentinel, not a data server: set MUSTER_REDIS_URL to the primary it watches."
        )
    if mode == "cluster" or str(info.get("cluster_enabled", 0)) == "1":
        return _fatal(
            "Redis runs in cluster mode, where one commit cannot span shards: use a server with "
            "cluster-enabled no (on a managed service: cluster mode disabled)."
        )
    return None


def _role_problem(info: Mapping[str, Any]) -> Problem | None:
    """Refuse replicas: they take no writes, or lose them."""
    if str(info.get("role", "master")) == "master":
        return None
    primary = info.get("master_host")
    where = f" ({primary}:{info.get('master_port')})" if primary else ""
    return _fatal(f"Redis is a replica: set MUSTER_REDIS_URL to its primary{where}.")


def _eviction_problem(info: Mapping[str, Any], config: Mapping[str, Any]) -> Problem | None:
    """Refuse a server that evicts keys: it would lose runs without a word."""
    policy = config.get("maxmemory-policy") or info.get("maxmemory_policy")
    if policy is None:
        return _warning(
            "Redis does not say what it does when its memory is full: make sure that "
            f"maxmemory-policy is {SAFE_POLICY}, or it may drop runs."
        )
    if str(policy) == SAFE_POLICY:
        return None
    return _fatal(
        f"Redis may drop runs when its memory is full: set maxmemory-policy to {SAFE_POLICY} "
        f"(it is {policy})."
    )


def _persistence_problem(info: Mapping[str, Any], config: Mapping[str, Any]) -> Problem | None:
    """Warn when a restart of the server loses data; some people can live with that."""
    is_append_only = str(config.get("appendonly") or info.get("aof_enabled", "")) in ("yes", "1")
    if is_append_only:
        if config.get("appendfsync") == "no":
            return _warning(
                "Redis leaves it to the system when to write its append-only file: a crash of the "
                "machine can lose accepted work. Set appendfsync to always (or everysec)."
            )
        return None
    if config.get("save"):
        return _warning(
            "Redis only takes snapshots: a restart loses the work of the last minutes. "
            "Set appendonly to yes and appendfsync to always."
        )
    return _warning(
        "Redis keeps its data in memory alone: a restart loses every run. "
        "Set appendonly to yes and appendfsync to always."
    )

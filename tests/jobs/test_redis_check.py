"""The check at start: what makes a server unfit, and what the sentence says to do."""

from __future__ import annotations

import pytest

from jobs.redis_binary import is_new_enough
from jobs.redis_check import Problem, check, problems, without_password

FIT_INFO = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
}
FIT_CONFIG = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}


def only(found: list[Problem]) -> Problem:
    """Return the one problem that was found."""
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_fit_server_has_no_problems() -> None:
    """A primary with an append-only file and noeviction is fit."""
    assert problems(FIT_INFO, FIT_CONFIG) == []


def test_fit_server_needs_no_config() -> None:
    """Where CONFIG is forbidden, INFO alone proves the same."""
    assert problems(FIT_INFO, {}) == []


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "6.0.16"}, "6.2 or newer"),
        ({"redis_version": "unknown"}, "6.2 or newer"),
        ({"redis_mode": "cluster"}, "cluster-enabled no"),
        ({"cluster_enabled": "1"}, "cluster-enabled no"),
        ({"redis_mode": "sentinel"}, "primary it watches"),
        ({"role": "slave", "master_host": "db1", "master_port": 6379}, "primary (db1:6379)"),
        ({"maxmemory_policy": "allkeys-lru"}, "set maxmemory-policy to noeviction"),
    ],
)
def test_unfit_server_is_refused(info: dict[str, object], words: str) -> None:
    """What would lose runs is fatal, and the sentence says what to set."""
    problem = only(problems({**FIT_INFO, **info}, {}))

    assert problem.is_fatal
    assert words in problem.sentence


def test_any_valkey_is_new_enough() -> None:
    """Valkey reports a Redis version for old clients; its own name decides."""
    info = {**FIT_INFO, "server_name": "valkey", "redis_version": "5.0.0"}

    assert problems(info, FIT_CONFIG) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"appendonly": "no", "save": "3600 1"}, "only takes snapshots"),
        ({"appendonly": "no", "save": ""}, "in memory alone"),
        ({"appendonly": "yes", "appendfsync": "no"}, "appendfsync to always"),
    ],
)
def test_weak_persistence_is_a_warning(config: dict[str, str], words: str) -> None:
    """Somebody may choose to lose data on a restart, knowing it."""
    problem = only(problems({**FIT_INFO, "aof_enabled": 0}, config))

    assert not problem.is_fatal
    assert words in problem.sentence


def test_silent_eviction_policy_is_a_warning() -> None:
    """A service that hides its policy is not refused, but named."""
    info = {key: value for key, value in FIT_INFO.items() if key != "maxmemory_policy"}

    problem = only(problems(info, {}))

    assert not problem.is_fatal
    assert "maxmemory-policy" in problem.sentence


async def test_embedded_server_is_fit(redis_url: str) -> None:
    """The server that we start ourselves passes our own check."""
    assert await check(redis_url) == []


async def test_absent_server_is_one_sentence() -> None:
    """A server that does not answer gives advice, not a traceback, and shows no password."""
    problem = only(await check("redis://me:hunter2@127.0.0.1:1/0"))

    assert problem.is_fatal
    assert "127.0.0.1:1" in problem.sentence
    assert "MUSTER_REDIS_URL" in problem.sentence
    assert "hunter2" not in problem.sentence


async def test_wrong_address_is_one_sentence() -> None:
    """An address that is none is reported as such."""
    problem = only(await check("http://example.test"))

    assert problem.is_fatal
    assert "MUSTER_REDIS_URL" in problem.sentence


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rediss://me:secret@db:6380/1", "rediss://db:6380/1"),
        ("unix:///run/r.sock?db=1&password=secret", "unix:///run/r.sock?db=1&password=***"),
    ],
)
def test_password_is_not_shown(url: str, shown: str) -> None:
    """Addresses are logged without what opens them."""
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("line", "is_fit"),
    [
        ("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31", True),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", True),
        ("Redis server v=6.2.0 sha=0", True),
        ("Redis server v=6.0.16 sha=0", False),
        ("something else", False),
    ],
)
def test_binary_says_its_version(line: str, is_fit: bool) -> None:
    """A binary is judged by what it prints for --version."""
    assert is_new_enough(line) is is_fit

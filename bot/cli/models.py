"""`muster models`: which language models answer, how fast, at what price; keys are never shown."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.models import lite
from agents.models.naming import breaker_name
from agents.models.port import Message, ModelError, ModelRequest, Role
from bot.cli.plain_text import plain
from config.catalogue import CatalogueError
from config.contents import Catalogue
from config.models import effective_models, model_keys, needed_aliases
from config.settings import Settings
from config.specs import ModelsFile, ModelSpec
from jobs.assembly import read_catalogue
from jobs.embedded import attach
from jobs.model_gate import Breaker, RedisGate
from jobs.redis_client import connect
from jobs.store import StoreUnavailableError

PROBE_S = 10.0
"""How long a model may take to answer."""
REDIS_S = 3.0
PROBE_TEXT = "Say ok."
PROBE_TOKENS = 64
"""Room for an answer; some models need some of it to think."""
MILLION = 1_000_000
BAD_CATALOGUE = 2
HOW_TO = (
    "One model for everything: set MUSTER_MODEL_NAME (such as anthropic/claude-sonnet-4-5) and",
    "MUSTER_MODEL_KEY. A server of your own that speaks OpenAI's protocol: MUSTER_MODEL_NAME and",
    "MUSTER_MODEL_BASE_URL (such as http://127.0.0.1:11434/v1). Several models with fallbacks:",
    "models.yaml in your configuration folder. docs/models.md has it all.",
)

_out = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """What one tiny call to a model found; `reason` says why it did not answer."""

    latency_s: float | None = None
    reason: str = ""

    @property
    def is_reachable(self) -> bool:
        """Whether it answered."""
        return self.latency_s is not None


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost in and out; None where nobody knows."""

    input_usd: float | None
    output_usd: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that is known of one model of an alias; no breaker without Redis."""

    alias: str
    spec: ModelSpec
    probe: Probe
    price: Price
    breaker: Breaker | None


def run_models(settings: Settings, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print what is known of each model; returns 1 when an alias that agents need has none."""
    try:
        catalogue = read_catalogue(settings)
    except CatalogueError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_CATALOGUE
    agents = catalogue.agents.values()
    models = effective_models(catalogue.models, agents, settings)
    found: Sequence[Found] = ()
    if any(models.models.values()):
        keys = model_keys(models, environ, settings)
        found = asyncio.run(look(models, keys, _redis_url(settings)))
    missing = unanswered(needed_aliases(agents), found) if found else []
    if as_json:
        sys.stdout.write(f"{json.dumps(as_data(found, missing), indent=2)}\n")
    elif found:
        _out.print(table(found))
        for sentence in reasons(found):
            _out.print(Text(sentence), soft_wrap=True)
        for alias in missing:
            _out.print(Text(missing_sentence(alias, catalogue), style="yellow"), soft_wrap=True)
    else:
        _out.print(Text(none_sentence(catalogue)), soft_wrap=True)
    return 1 if missing else 0


async def look(models: ModelsFile, keys: Mapping[str, str], redis_url: str) -> Sequence[Found]:
    """Return what is known of every model of every alias; each is called once, all at a time."""
    specs = list(dict.fromkeys(spec for one in models.models.values() for spec in one))
    # Prices need litellm, which takes seconds to import: that must not count as slowness.
    prices = await asyncio.to_thread(lambda: {spec: price(spec) for spec in specs})
    try:
        async with asyncio.TaskGroup() as group:
            breakers = group.create_task(_breakers(specs, redis_url))
            probes = {spec: group.create_task(probe(spec, keys)) for spec in specs}
    finally:
        await lite.close()
    return [
        Found(
            alias,
            spec,
            probes[spec].result(),
            prices[spec],
            breakers.result().get(breaker_name(spec)),
        )
        for alias, listed in models.models.items()
        for spec in listed
    ]


async def probe(spec: ModelSpec, keys: Mapping[str, str]) -> Probe:
    """Make one tiny call."""
    if spec.key_env is not None and spec.key_env not in keys:
        return Probe(reason=f"{spec.key_env} is not set")
    hurried = spec.model_copy(update={"timeout_s": min(spec.timeout_s, PROBE_S)})
    request = ModelRequest(
        alias="",
        messages=(Message(Role.USER, PROBE_TEXT),),
        max_output_tokens=PROBE_TOKENS,
        purpose="probe",
    )
    try:
        reply = await lite.attempt(hurried, keys.get(spec.key_env or ""), request)
    except ModelError as error:
        return Probe(reason=str(error))
    return Probe(latency_s=reply.duration_s)


def price(spec: ModelSpec) -> Price:
    """Return what a million tokens cost."""
    return Price(lite.price_usd(spec, MILLION, 0), lite.price_usd(spec, 0, MILLION))


async def _breakers(specs: Iterable[ModelSpec], redis_url: str) -> Mapping[str, Breaker]:
    """Return how the breakers stand; nothing when there is no Redis to ask."""
    if not redis_url:
        return {}
    client = connect(redis_url)
    try:
        async with asyncio.timeout(REDIS_S):
            return await RedisGate(client).breakers(breaker_name(spec) for spec in specs)
    except (StoreUnavailableError, TimeoutError):
        return {}
    finally:
        await client.aclose()


def _redis_url(settings: Settings) -> str:
    if settings.redis_url:
        return settings.redis_url
    running = attach(settings.state_dir)
    return running.url if running else ""


def unanswered(aliases: Iterable[str], found: Iterable[Found]) -> list[str]:
    """Return the aliases for which no model answered."""
    answered = {one.alias for one in found if one.probe.is_reachable}
    return [alias for alias in aliases if alias not in answered]


def as_data(found: Sequence[Found], missing: Sequence[str]) -> dict[str, object]:
    """Return it all for programs."""
    return {
        "is_configured": bool(found),
        "models": [
            {
                "alias": one.alias,
                "model": one.spec.model,
                "base_url": one.spec.base_url,
                "is_reachable": one.probe.is_reachable,
                "reason": one.probe.reason,
                "latency_s": one.probe.latency_s,
                "input_usd_per_million": one.price.input_usd,
                "output_usd_per_million": one.price.output_usd,
                "breaker": None
                if one.breaker is None
                else {
                    "is_open": one.breaker.is_open,
                    "failures": one.breaker.failures,
                    "retry_in_s": one.breaker.retry_in_s,
                },
            }
            for one in found
        ],
        "missing": list(missing),
    }


def table(found: Sequence[Found]) -> Table:
    """Return it all for people."""
    grid = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("alias", "model", "answers", "took", "$/M in", "$/M out", "breaker"):
        grid.add_column(title, justify="right" if title[0] == "$" else "left")
    shown = ""
    for one in found:
        took = "" if one.probe.latency_s is None else f"{one.probe.latency_s:.2f} s"
        grid.add_row(
            Text("" if one.alias == shown else one.alias),
            Text(plain(breaker_name(one.spec)), overflow="fold"),
            Text("yes", style="green") if one.probe.is_reachable else Text("no", style="red"),
            Text(took),
            Text(_usd(one.price.input_usd)),
            Text(_usd(one.price.output_usd)),
            Text(breaker_words(one.breaker)),
        )
        shown = one.alias
    return grid


def reasons(found: Iterable[Found]) -> list[str]:
    """Return why models did not answer, each once."""
    silent = {one.spec: one.probe.reason for one in found if not one.probe.is_reachable}
    return [plain(f"{breaker_name(spec)}: {reason}") for spec, reason in silent.items()]


def breaker_words(breaker: Breaker | None) -> str:
    """Return how a breaker stands, for people."""
    if breaker is None:
        return "-"
    if not breaker.is_open:
        return f"closed, {breaker.failures} failed" if breaker.failures else "closed"
    if breaker.retry_in_s > 0:
        return f"open, tries again in {breaker.retry_in_s:.0f} s"
    return "open, tries with the next call"


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def none_sentence(catalogue: Catalogue) -> str:
    """Return what to tell somebody who has no model yet."""
    idle = sorted(agent.name for agent in catalogue.agents.values() if agent.runbook is None)
    lines = [
        "No language model is configured. Agents follow their runbooks, which need none;",
        "answers say that no model was used.",
    ]
    if idle:
        lines.append(f"These have no runbook and cannot work without one: {', '.join(idle)}.")
    return "\n".join([*lines, "", *HOW_TO])


def missing_sentence(alias: str, catalogue: Catalogue) -> str:
    """Return what to tell whose agents are left without a model."""
    agents = sorted(agent.name for agent in catalogue.agents.values() if agent.model == alias)
    return (
        f"No model answers for {alias}, which {', '.join(agents)} "
        f"{'names' if len(agents) == 1 else 'name'}."
    )

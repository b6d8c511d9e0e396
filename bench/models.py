"""What model-driven runs cost beside their model calls, with the real litellm over HTTP.

The model is a local server that takes 200 ms for each answer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import yaml

from agents.domain import JsonObject, Plan, Step
from agents.plan import plan_from_workflow
from bench.figures import Figure, at_most
from bench.graph import CRITICAL_PATH_S, STEP_S, WIDTH, goal
from bench.model_rules import SLEEP_S, STEPS, TURNS
from bench.overhead import burst, run_all
from bench.proc import pss_mb, tree
from bench.rig import BenchError, Engine, engine, program, state_dir
from config.settings import Settings
from demo import wire
from demo.customers.database import TABLES, build
from demo.customers.office import Office
from demo.customers.posts import Posts
from jobs.assembly import read_catalogue
from jobs.events import PlanRevised, StepStarted, StepSucceeded
from jobs.state import Status

SINGLES = 10
BURSTS = 3
TRIAGES = 5
SLOTS = 10
TURN_S = 0.05
"""How long the model takes for each of many turns: short, so that what is added shows."""
TODAY = date(2026, 11, 20)
CUSTOMER = "ada@lumenbooks.example"
QUESTION = "How do I export my orders as CSV?"
PARENT = "goal"
RULES = Path(__file__).resolve().parent / "model_rules.py"
SERVICES = {"services": {"checkout": {"description": "Takes carts"}}}
INSTRUCTIONS = "You do your part of a measurement, quickly and without a word too many."


async def measure() -> list[Figure]:
    """Return the figures of model-driven runs."""
    with model_server(STEP_S) as url:
        async with engine(catalogue(url)) as rig:
            await rig.add_parent()
            figures = await _graph(rig)
        async with engine(catalogue(url)) as rig:
            await rig.add_parent(workers=1, slots=SLOTS)
            figures += await _ten(rig)
        async with office() as world, engine({**catalogue(url), "services.yaml": world}) as rig:
            await rig.add_parent()
            figures += [*await _triage(rig), *await _support(rig)]
    with model_server(TURN_S) as url:
        async with engine(catalogue(url)) as rig:
            await rig.add_parent()
            figures += await _turns(rig, url)
    return figures


@asynccontextmanager
async def office() -> AsyncIterator[str]:
    """Run the demo's office for customers; give the services.yaml that names it."""
    with state_dir() as folder:
        database, sock = folder / "customers.sqlite", wire.listen()
        url = wire.url_of(sock)
        build(database, url, TODAY)
        posts = Posts(folder / "updates.jsonl", "upd"), Posts(folder / "mails.jsonl", "mail")
        server = wire.Server(Office(database, *posts).handle)
        await server.start(sock)
        body = {name: f"{{{{ args.{name} }}}}" for name in ("to", "subject", "text")}
        mail = {"url": f"{url}/mailbox", "body": body, "honours_key": True}
        try:
            yield yaml.safe_dump(
                {
                    "http": {"allow_hosts": [url.removeprefix("http://")]},
                    "databases": {"customers": {"path": str(database), "tables": list(TABLES)}},
                    "outlets": {"customer-mail": mail},
                }
            )
        finally:
            server.stop_accepting()


@contextmanager
def model_server(latency_s: float) -> Iterator[str]:
    """Run the model in a process of its own; give its address."""
    options = ("--rules", str(RULES), "--port", "0", "--latency-s", str(latency_s))
    with program(("-m", "tests.model_server", *options)) as line:
        yield line.partition("=")[2]


def catalogue(model_url: str) -> dict[str, str]:
    """Return the agents of the benchmarks and the model that they all use, without limits."""
    free = {"input_usd_per_million": 0, "output_usd_per_million": 0}
    spec = {"model": "openai/test-model", "base_url": model_url, **free}
    no_limit: dict[str, object] = {}
    models = {
        "models": {"smart": [spec], "fast": [spec]},
        "providers": {"openai": {"max_concurrent": 1_000}},
        "budgets": dict.fromkeys(("run", "thread", "channel_day", "day"), no_limit),
    }
    agents: dict[str, dict[str, object]] = {
        "thinker": {},
        "sleeper": {},
        "turner": {"tools": ["alerts.related"], "max_turns": TURNS + 1},
        "planner": {"supervises": True, "team": ["bench-sleeper"]},
        "sorter": {},
        "clerk": {"tools": ["sql.query"]},
        "router": {},
        "writer": {},
    }
    files = {"models.yaml": yaml.safe_dump(models), "services.yaml": yaml.safe_dump(SERVICES)}
    for name, fields in agents.items():
        agent = {
            "name": f"bench-{name}",
            "title": f"Bench {name}",
            "description": f"Is the {name} of the benchmarks.",
            "instructions": INSTRUCTIONS,
            "model": "smart",
            **fields,
        }
        files[f"agents/bench-{name}.yaml"] = yaml.safe_dump(agent)
    return files


def agent_step(step_id: str, agent: str, *needs: str) -> Step:
    """Return a step of one of the agents."""
    return Step(
        id=step_id,
        title=step_id,
        agent=f"bench-{agent}",
        instruction="Do your part.",
        needs=needs,
        timeout_s=120,
    )


def twelve_steps() -> Plan:
    """Return the graph 1 -> 8 -> 1 -> 1 -> 1 whose every step is one model call."""
    wide = [f"look-{number}" for number in range(WIDTH)]
    steps = (
        agent_step("begin", "thinker"),
        *(agent_step(name, "thinker", "begin") for name in wide),
        agent_step("join", "thinker", *wide),
        agent_step("check", "thinker", "join"),
        agent_step("answer", "thinker", "check"),
    )
    return Plan(workflow="bench", steps=steps, answer="answer")


def triage() -> Plan:
    """Return four agents that triage a ticket: sort and look up, then route, then write."""
    steps = (
        agent_step("sort", "sorter"),
        agent_step("account", "clerk"),
        agent_step("route", "router", "sort", "account"),
        agent_step("reply", "writer", "route"),
    )
    return Plan(workflow="bench", steps=steps, answer="reply")


def one(agent: str) -> Plan:
    """Return a run of one agent."""
    return Plan(workflow="bench", steps=(agent_step(PARENT, agent),), answer=PARENT)


async def _graph(rig: Engine) -> list[Figure]:
    """Measure the twelve steps alone and fifty at once."""
    plan = twelve_steps()
    await run_all(rig, 1, plan)  # The first run opens connections.
    ratios, tokens = [], []
    for _ in range(SINGLES):
        wall_s, (run_id,) = await run_all(rig, 1, plan)
        ratios.append(wall_s / CRITICAL_PATH_S)
        spent = (await rig.runs.get(run_id)).spent
        tokens.append(spent.input_tokens / len(plan.steps))
    idle_mb = _memory_mb(rig)
    bursts = [await burst(rig, plan) for _ in range(BURSTS)]
    rates, worker_ms, redis_ms, _ = zip(*bursts, strict=True)
    both = [w + r for w, r in zip(worker_ms, redis_ms, strict=True)]
    return [
        Figure("model_run_overhead", statistics.median(ratios), "wall/critical", at_most(1.10)),
        Figure("model_run_overhead_worst", max(ratios), "wall/critical"),
        Figure("model_burst_rate", statistics.median(rates), "runs/s"),
        Figure("model_burst_cpu", statistics.median(both), "ms/run", at_most(100)),
        Figure("model_burst_cpu_workers", statistics.median(worker_ms), "ms/run"),
        Figure("model_burst_cpu_redis", statistics.median(redis_ms), "ms/run"),
        Figure("model_memory", idle_mb, "MB PSS"),
        Figure("model_memory_after_burst", _memory_mb(rig), "MB PSS"),
        Figure("model_step_tokens", statistics.median(tokens), "prompt tokens"),
    ]


def _memory_mb(rig: Engine) -> float:
    return sum(pss_mb(pid) for parent in rig.parent_pids for pid in tree(parent))


async def _turns(rig: Engine, url: str) -> list[Figure]:
    """Measure one agent of many turns against as many bare calls to the same server."""
    plan = one("turner")
    await run_all(rig, 1, plan)
    took, tokens = [], []
    for _ in range(BURSTS):
        _, (run_id,) = await run_all(rig, 1, plan)
        times = [
            stored.event.at
            for stored in await rig.store.events(run_id)
            if isinstance(stored.event, StepStarted | StepSucceeded)
        ]
        took.append((times[-1] - times[0]) / TURNS)
        tokens.append((await rig.runs.get(run_id)).spent.input_tokens / TURNS)
    bare = await _bare_call_s(url)
    return [
        Figure("model_call_bare", bare * 1_000, "ms"),
        Figure("model_turn_overhead", (statistics.median(took) - bare) * 1_000, "ms/turn"),
        Figure("model_turn_tokens", statistics.median(tokens), "prompt tokens"),
    ]


async def _bare_call_s(url: str) -> float:
    """Return how long a call takes without anything of Muster or litellm."""
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": "Go."}]
    body = {"model": "test-model", "messages": messages}
    took = []
    async with httpx.AsyncClient() as http:
        for _ in range(TURNS):
            began = time.perf_counter()
            (await http.post(f"{url}/chat/completions", json=body)).raise_for_status()
            took.append(time.perf_counter() - began)
    return statistics.median(took)


async def _ten(rig: Engine) -> list[Figure]:
    """Measure ten planned steps of 1 s on ten slots, from the plan until the last has ended."""
    await run_all(rig, 1, one("sleeper"))
    planning, working = [], []
    for _ in range(BURSTS):
        _, (run_id,) = await run_all(rig, 1, one("planner"))
        events = [stored.event for stored in await rig.store.events(run_id)]
        planned = next(event.at for event in events if isinstance(event, PlanRevised))
        ended = [e.at for e in events if isinstance(e, StepSucceeded) and e.step_id != PARENT]
        if len(ended) != STEPS:
            raise BenchError(f"{run_id} has {len(ended)} planned steps instead of {STEPS}")
        planning.append(planned - events[0].at)
        working.append(max(ended) - planned)
    return [
        Figure("ten_steps_planning", statistics.median(planning), "s"),
        Figure("ten_steps", statistics.median(working), "s", at_most(1.3 * SLEEP_S)),
    ]


async def _triage(rig: Engine) -> list[Figure]:
    """Measure four agents with a model on one ticket."""
    took = [(await run_all(rig, 1, triage()))[0] for _ in range(TRIAGES)]
    return [Figure("triage", statistics.median(took), "s", at_most(3))]


async def _support(rig: Engine) -> list[Figure]:
    """Measure the shipped workflow, from the ticket to the mail that its customer gets."""
    workflow = read_catalogue(Settings()).workflows["support"]
    inputs: JsonObject = {"text": QUESTION, "customer": CUSTOMER, "via": "mail"}
    wanted = replace(goal(), inputs=inputs)
    took = []
    for _ in range(TRIAGES):
        wall_s, (run_id,) = await run_all(rig, 1, plan_from_workflow(workflow), wanted)
        run = await rig.runs.get(run_id)
        if run.steps["send"].status is not Status.SUCCEEDED:
            raise BenchError(f"the reply was not sent: {run.steps['send'].reason}")
        took.append(wall_s)
    return [Figure("triage_shipped", statistics.median(took), "s", at_most(3))]

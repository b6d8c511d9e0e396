"""The `muster` command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from bot.cli.client import Client
    from config.settings import Settings

app = typer.Typer(
    name="muster",
    help="Muster: an alert or a goal becomes a supervised team of jobs in your chat.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

T = TypeVar("T")

FAULTS = ("bad-release", "slow-payments", "none")


@app.command()
def up() -> None:
    """Start everything on this machine: Redis, the bot with its web console, workers."""
    from bot.cli.up import run_up

    sys.exit(run_up(_settings(), _environ()))


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help=f"What goes wrong: {', '.join(FAULTS)}.")] = FAULTS[0],
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Let a script approve, and judge the outcome.")
    ] = False,
    deny: Annotated[bool, typer.Option("--deny", help="Unattended: deny instead.")] = False,
    baseline_s: Annotated[
        float, typer.Option(min=5, max=600, help="Healthy seconds before the fault.")
    ] = 25.0,
) -> None:
    """Show Muster at work on a small shop that really breaks."""
    from bot.cli.demo import DemoOptions, run_demo

    if fault not in FAULTS:
        _fail(f"There is no fault {fault!r}; choose one of: {', '.join(FAULTS)}.")
    options = DemoOptions(
        fault=fault, is_unattended=unattended or deny, is_denied=deny, baseline_s=baseline_s
    )
    sys.exit(run_demo(_settings(), _environ(), options))


@app.command()
def worker() -> None:
    """Start workers alone, for a Redis that others share (MUSTER_REDIS_URL)."""
    from bot.cli.up import run_workers_alone

    sys.exit(run_workers_alone(_settings()))


@app.command(hidden=True)
def serve() -> None:
    """Start the bot alone; `up` does it."""
    from bot.cli.up import run_serve

    sys.exit(run_serve(_settings(), _environ()))


@app.command()
def check(
    schemas: Annotated[
        Path | None, typer.Option(help="Also write JSON Schemas for editors into this folder.")
    ] = None,
) -> None:
    """Check settings, YAML and Redis, and say what is wrong and where."""
    from bot.cli.checking import run_check

    sys.exit(run_check(_settings(), _environ(), schemas))


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show which language models answer, how fast, and what they cost."""
    from bot.cli.models import run_models

    sys.exit(run_models(_settings(), _environ(), as_json=as_json))


@app.command()
def preview(
    platform: Annotated[str, typer.Argument(help="Which chat platform: slack.")],
    out: Annotated[Path | None, typer.Option(help="Write the page into this folder.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Serve it here; 0: a free one.")] = 0,
) -> None:
    """Draw what a chat platform shows, in a page for the browser."""
    from bot.cli.preview import run_preview

    sys.exit(run_preview(platform, out, port))


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Where the scenario files are.")],
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often each case runs.")] = 1,
    mode: Annotated[str, typer.Option(help="runbook, model or both.")] = "both",
    label: Annotated[
        list[str] | None, typer.Option(help="Only cases with this label; may be repeated.")
    ] = None,
    min_cases: Annotated[int, typer.Option(min=1, help="Refuse to report on fewer.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the report as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write it as a web page.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Cases at a time.")] = 4,
) -> None:
    """Try Muster on scenarios with a known outcome, and report how often it was right."""
    from bot.cli.evals import EvalOptions, run_evals
    from bot.evals.runner import MODES, Selection

    if mode not in MODES:
        _fail(f"There is no mode {mode!r}; choose one of: {', '.join(MODES)}.")
    selection = Selection(tuple(label or ()), min_cases, mode)
    options = EvalOptions(folder, selection, runs=runs, jobs=jobs, out=out, html=html)
    sys.exit(run_evals(_settings(), _environ(), options))


@app.command()
def goal(
    text: Annotated[str, typer.Argument(help="What you want to know or have done.")],
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until the answer.")] = False,
    channel: Annotated[str, typer.Option(help="Where to report.")] = "",
) -> None:
    """Give Muster a goal."""
    from bot.cli.terminal import watch_run

    client = _client()
    body = {"text": text, **({"channel": channel} if channel else {})}
    accepted = _asked(lambda: client.post("/api/goals", body))
    typer.echo(accepted["sentence"])
    typer.echo(f"Run {accepted['run_id']}: {client.address(accepted['url'])}")
    if wait:
        sys.exit(_asked(lambda: watch_run(client, accepted["run_id"])))


@app.command()
def runs(
    active: Annotated[bool, typer.Option("--active", help="Only those that go on.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """List runs, newest first."""
    from bot.cli.terminal import print_runs

    client = _client()
    query = {"limit": limit, **({"active": "true"} if active else {})}
    print_runs(_asked(lambda: client.get("/api/runs", **query))["runs"])


@app.command()
def show(run_id: str) -> None:
    """Show a run: its steps, what it waits for, its answer."""
    from bot.cli.terminal import print_run

    client = _client()
    print_run(_asked(lambda: client.get(f"/api/runs/{run_id}")))


@app.command()
def approve(
    approval_id: Annotated[str, typer.Argument(help="Default: the only one that waits.")] = "",
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Approve what waits for a decision."""
    _decide(approval_id, "approve", comment, yes)


@app.command()
def deny(
    approval_id: Annotated[str, typer.Argument(help="Default: the only one that waits.")] = "",
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Deny what waits for a decision."""
    _decide(approval_id, "deny", comment, yes)


@app.command()
def stop(run_id: str, reason: Annotated[str, typer.Option(help="Kept with the run.")] = "") -> None:
    """Stop a run; a write that has begun is finished first."""
    client = _client()
    outcome = _asked(lambda: client.post(f"/api/runs/{run_id}/stop", {"reason": reason}))
    typer.echo(outcome["sentence"])


@app.command()
def answer(
    run_id: Annotated[str, typer.Argument(help="The run that asks.")],
    question_id: Annotated[str, typer.Argument(help="`muster show RUN` names it.")],
    text: Annotated[str, typer.Argument(help="One of its options, or your own words.")],
) -> None:
    """Answer what a run asks."""
    client = _client()
    body = {"answer": text, "run_id": run_id}
    outcome = _asked(lambda: client.post(f"/api/questions/{question_id}", body))
    typer.echo(outcome["sentence"])


@app.command()
def reply(
    run_id: Annotated[str, typer.Argument(help="A run in the thread.")],
    text: Annotated[str, typer.Argument(help="A hint, an answer, a follow-up, or stop.")],
) -> None:
    """Write in a run's thread, as people do in the chat."""
    client = _client()
    thread = _asked(lambda: client.get(f"/api/runs/{run_id}"))["run"]["thread"]
    path = f"/api/threads/{thread['id']}/messages"
    taken = _asked(lambda: client.post(path, {"text": text}))
    typer.echo(taken["sentence"])
    if taken["outcome"] == "started":
        typer.echo(f"Run {taken['run_id']}: {client.address(taken['url'])}")


def _decide(approval_id: str, decision: str, comment: str, is_sure: bool) -> None:
    from bot.cli.terminal import choose_approval, print_approval

    client = _client()
    waiting = _asked(lambda: client.get("/api/approvals"))["approvals"]
    chosen = _asked(lambda: choose_approval(waiting, approval_id))
    print_approval(chosen)
    if not is_sure and not typer.confirm(f"{decision.capitalize()} this?"):
        raise typer.Exit(1)
    body = {
        "decision": decision,
        "revision": chosen["revision"],
        "digest": chosen["digest"],
        "comment": comment,
    }
    outcome = _asked(lambda: client.post(f"/api/approvals/{chosen['id']}", body))
    typer.echo(outcome["sentence"])


def _environ() -> dict[str, str]:
    from config.settings import variables

    return {**os.environ, **variables(os.environ)}


def _settings() -> Settings:
    from config.settings import SettingsError, load_settings

    try:
        return load_settings(os.environ)
    except SettingsError as error:
        _fail(str(error))


def _client() -> Client:
    from bot.cli.client import Client, find_server

    return _asked(lambda: Client(find_server(_settings())))


def _asked(ask: Callable[[], T]) -> T:
    """Return what was asked for; a bot that is away or refuses ends the command."""
    from bot.cli.client import ClientError

    try:
        return ask()
    except ClientError as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    app(prog_name="muster")

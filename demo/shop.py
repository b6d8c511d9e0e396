"""The demo shop from the command line: start, run, stop, status, rollback, restart."""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from demo import oplog, wire
from demo.director import (
    CODE_ROOT,
    RELEASE_PATTERN,
    TOKEN_HEADER,
    Director,
    Options,
)
from demo.info import DirectoryInUseError, Layout, ShopInfo, ShopNotRunningError, health
from demo.muster_config import muster_config
from demo.process import ProcessError
from demo.prometheus_config import write_prometheus_config
from demo.releases import SERVICES, GitError
from demo.scenario import BASELINE_S, Fault

__all__ = ["ShopInfo", "health", "main", "muster_config", "write_prometheus_config"]

KEY_VARIABLE = "MUSTER_IDEMPOTENCY_KEY"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
CONTROL_TIMEOUT_S = 45.0

FAILED = 1
BAD_USAGE = 2
UNKNOWN_RELEASE = 3
NOT_RUNNING = 4
KEY_CONFLICT = 5
_EXIT_BY_STATUS = {400: BAD_USAGE, 404: UNKNOWN_RELEASE, 409: KEY_CONFLICT}


class CommandError(Exception):
    """A command failed; carries the exit code."""

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        self.exit_code = exit_code
        super().__init__(text)


def run(arguments: argparse.Namespace) -> None:
    """Run the shop in the foreground until a signal."""
    oplog.configure()
    options = Options(
        directory=arguments.dir,
        fault=Fault(arguments.fault),
        webhook=arguments.webhook,
        webhook_token_env=arguments.webhook_token_env,
        pace=arguments.pace,
        baseline_s=arguments.baseline_s,
        parent=os.getppid() if arguments.die_with_parent else None,
    )
    asyncio.run(Director(options).run())


def start(arguments: argparse.Namespace) -> None:
    """Start the shop in the background and return when it is ready."""
    layout = Layout(arguments.dir.absolute())
    if layout.is_locked():
        raise DirectoryInUseError(f"a shop already runs in {layout.root}; stop it first")
    command = [sys.executable, "-m", "demo.shop", "run", "--dir", str(layout.root)]
    command += ["--fault", arguments.fault, "--pace", str(arguments.pace)]
    command += ["--baseline-s", str(arguments.baseline_s)]
    if arguments.webhook:
        command += ["--webhook", arguments.webhook]
    if arguments.webhook_token_env:
        command += ["--webhook-token-env", arguments.webhook_token_env]
    layout.claim()
    errors = layout.director_log
    with errors.open("wb") as stderr:
        director = subprocess.Popen(  # noqa: S603 - this program itself
            command,
            cwd=CODE_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and director.poll() is None:
        try:
            info = ShopInfo.load(layout.root)
        except ShopNotRunningError:
            time.sleep(0.05)
            continue
        _print({"ready": True, "dir": info.dir, "urls": info.urls, "pids": info.pids})
        return
    lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if director.poll() is None:
        director.terminate()
    raise CommandError(
        lines[-1].removeprefix("demo.shop: ") if lines else f"the shop did not start; see {errors}"
    )


def stop(arguments: argparse.Namespace) -> None:
    """Stop the shop and wait until it is gone."""
    info = ShopInfo.load(arguments.dir)
    os.kill(info.pids["director"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if not info.layout.is_locked():
            _print({"stopped": True})
            return
        time.sleep(0.05)
    raise CommandError(f"the director (pid {info.pids['director']}) does not stop")


def status(arguments: argparse.Namespace) -> None:
    """Print which versions run and how they do."""
    _print(asyncio.run(health(ShopInfo.load(arguments.dir))))


def rollback(arguments: argparse.Namespace) -> None:
    """Make a service run a release that ran before."""
    _order(arguments, "rollback", {"release": arguments.release})


def restart(arguments: argparse.Namespace) -> None:
    """Restart a service with the release it runs."""
    _order(arguments, "restart", {})


def _order(arguments: argparse.Namespace, kind: str, details: dict[str, str]) -> None:
    info = ShopInfo.load(arguments.dir)
    order = {"service": arguments.service, **details}
    if key := os.environ.get(KEY_VARIABLE):
        order["key"] = key
    token = info.layout.control_token.read_text(encoding="utf-8")
    try:
        response = asyncio.run(
            wire.call(
                "POST",
                f"{info.urls['control']}/{kind}",
                body=json.dumps(order).encode(),
                headers={"content-type": "application/json", TOKEN_HEADER: token},
                timeout_s=CONTROL_TIMEOUT_S,
            )
        )
        answer = response.json()
    except (TimeoutError, wire.WireError, ValueError) as error:
        raise CommandError(f"the director did not answer: {error or 'timeout'}") from error
    if response.status != 200 or not isinstance(answer, dict):
        text = answer.get("error") if isinstance(answer, dict) else None
        code = _EXIT_BY_STATUS.get(response.status, FAILED)
        raise CommandError(str(text or f"the director answered {response.status}"), code)
    _print(answer)
    if answer["outcome"] != "done":
        raise CommandError(f"{arguments.service} does not answer after the {kind}")


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def _release(text: str) -> str:
    if not RELEASE_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError("a release is 7 to 40 hexadecimal digits of a commit id")
    return text


def _webhook(text: str) -> str:
    if not text.startswith("http://"):
        raise argparse.ArgumentTypeError("the shop can only call http:// addresses")
    return text


def _variable(text: str) -> str:
    if not os.environ.get(text):
        raise argparse.ArgumentTypeError(f"the variable {text} is not set; put the token in it")
    return text


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("give a positive number")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}; see {self.prog} --help\n")
        sys.exit(BAD_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="demo.shop", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        added.add_argument("--dir", type=Path, required=True, help="the shop's own directory")
        added.set_defaults(function=function)
        return added

    for name, function in (("run", run), ("start", start)):
        added = command(name, function)
        added.add_argument(
            "--fault", choices=[fault.value for fault in Fault], default="bad-release"
        )
        added.add_argument("--webhook", type=_webhook, help="where alerts go")
        added.add_argument(
            "--webhook-token-env", type=_variable, help="variable that holds the bearer token"
        )
        added.add_argument("--pace", type=_positive, default=1.0, help="stretches every wait")
        added.add_argument(
            "--baseline-s", type=_positive, default=BASELINE_S, help="healthy seconds at first"
        )
        if name == "run":
            added.add_argument(
                "--die-with-parent", action="store_true", help="stop when the caller is gone"
            )
    command("stop", stop)
    command("status", status)
    for name, function in (("rollback", rollback), ("restart", restart)):
        added = command(name, function)
        added.add_argument("--service", choices=SERVICES, required=True)
        if name == "rollback":
            added.add_argument("--release", type=_release, required=True, help="a commit id")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.function(arguments)
    except CommandError as error:
        return _fail(error, error.exit_code)
    except ShopNotRunningError as error:
        return _fail(error, NOT_RUNNING)
    except (DirectoryInUseError, GitError, ProcessError) as error:
        return _fail(error, FAILED)
    return 0


def _fail(error: Exception, exit_code: int) -> int:
    sys.stderr.write(f"demo.shop: {error}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())

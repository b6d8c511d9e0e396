"""The director: starts the shop's processes, deploys and rolls back, and stages the fault."""

import asyncio
import contextlib
import fcntl
import hmac
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import structlog

from demo import wire
from demo.customers import database
from demo.customers.office import Office
from demo.customers.posts import Posts
from demo.effects import Effect, EffectLog, KeyConflictError
from demo.history import Change
from demo.info import DirectoryInUseError, Layout, ShopInfo
from demo.process import READY_TIMEOUT_S, Process, ProcessError
from demo.releases import SERVICES, GitError, Repository, UnknownReleaseError
from demo.scenario import BASELINE_S, Act, Fault, Scene, recent_history, scenes
from demo.wire import Request, Response, Server, json_response

CODE_ROOT = Path(__file__).resolve().parent.parent
RELEASE_PATTERN = re.compile(r"[0-9a-f]{7,40}")
KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,200}")
ROLLBACK = "rollback"
RESTART = "restart"
TOKEN_HEADER = "x-shop-token"  # noqa: S105 - the name of a header
DRAIN_EXIT_S = 3.0
RESPAWN_PAUSE_S = 0.5
PARENT_LOOK_S = 0.25
_PROBE_TIMEOUT_S = 2.0
_PROBES = 20

_log = structlog.get_logger()


class BadRequestError(Exception):
    """A control request that makes no sense; the sentence says what would."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the shop shall run."""

    directory: Path
    fault: Fault = Fault.BAD_RELEASE
    webhook: str | None = None
    webhook_token_env: str | None = None
    pace: float = 1.0
    baseline_s: float = BASELINE_S
    parent: int | None = None
    """Stop when this process, which started the director, is gone."""


class Director:
    """Own the shop's processes from start to stop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._layout = Layout(options.directory.absolute())
        self._sockets: dict[str, socket.socket] = {}
        self._processes: dict[str, Process] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._repository: Repository
        self._effects: EffectLog
        self._info: ShopInfo
        self._token = secrets.token_hex(16)
        self._control = Server(self._handle)
        self._office: Server | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run the shop until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        with _locked(self._layout):
            _clear(self._layout)
            try:
                await self._start()
                await self._stop.wait()
            finally:
                await self._shut_down()

    async def _start(self) -> None:
        layout, fault = self._layout, self._options.fault
        now = datetime.now(UTC)
        self._effects = EffectLog(layout.effects)
        _write_secret(layout.control_token, self._token)
        for name in (*SERVICES, "monitor", "control", "office"):
            self._sockets[name] = wire.listen()
        # These two need no release, so they may load while git works.
        self._processes["monitor"] = await self._spawn("monitor")
        self._processes["load"] = await self._spawn("load")
        self._repository = await asyncio.to_thread(
            Repository.create, layout.releases, now, recent_history(fault)
        )
        for service in SERVICES:
            self._point(service, self._repository.deployed(service).release)
            self._processes[service] = await self._spawn(service)
        order = ("payments", "checkout", "monitor", "load")
        for name in order:
            await self._processes[name].expect("ready", READY_TIMEOUT_S)
        for name in order:
            await self._processes[name].tell("serve")
            await self._processes[name].expect("serving")
        await self._control.start(self._sockets["control"].dup())
        await self._open_office(now.date())
        self._info = ShopInfo(
            dir=str(layout.root),
            fault=fault.value,
            started_at=time.time(),
            baseline_s=self._options.baseline_s * self._options.pace,
            python=sys.executable,
            cwd=str(CODE_ROOT),
            pids={},
            urls={name: wire.url_of(sock) for name, sock in self._sockets.items()},
            logs={service: str(layout.log(service)) for service in SERVICES},
            repository=str(layout.releases),
        )
        self._save_pids()
        self._note("started")
        for name in order:
            self._watch(self._processes[name])
        self._spawn_task(self._stage())
        if self._options.parent is not None:
            self._spawn_task(self._stop_with(self._options.parent))
        _log.info("shop_ready", directory=str(layout.root), fault=fault.value)

    async def _open_office(self, today: date) -> None:
        """Make the customers' database anew, and answer for it."""
        layout, sock = self._layout, self._sockets["office"]
        database.build(layout.customers, wire.url_of(sock), today)
        updates, mails = Posts(layout.updates, "upd"), Posts(layout.mails, "mail")
        self._office = Server(Office(layout.customers, updates, mails).handle)
        await self._office.start(sock.dup())

    async def _stop_with(self, parent: int) -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells a process of this
            await asyncio.sleep(PARENT_LOOK_S)
        _log.info("parent_gone", parent=parent)
        self._stop.set()

    async def _shut_down(self) -> None:
        self._stop.set()
        self._control.stop_accepting()
        if self._office is not None:
            self._office.stop_accepting()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*(process.end() for process in self._processes.values()))
        for sock in self._sockets.values():
            sock.close()
        self._layout.info.unlink(missing_ok=True)
        _log.info("shop_stopped")

    # Processes

    async def _spawn(self, name: str) -> Process:
        layout = self._layout
        url = {name: wire.url_of(sock) for name, sock in self._sockets.items()}
        parent = ["--parent", str(os.getpid())]
        fds = [self._sockets[name].fileno()] if name in self._sockets else []
        listening = ["--fd", str(fds[0])] if fds else []
        environment = {
            key: value
            for key, value in os.environ.items()
            if key != self._options.webhook_token_env
        } | {"PYTHONUNBUFFERED": "1"}
        if name == "monitor":
            arguments = ["demo.monitor", *(f"--service={s}={url[s]}" for s in SERVICES)]
            if self._options.fault is Fault.NONE:
                arguments.append("--touchy")
            if self._options.webhook:
                arguments += ["--webhook", self._options.webhook]
            variable = self._options.webhook_token_env
            if variable and variable in os.environ:
                arguments += ["--webhook-token-env", variable]
                environment[variable] = os.environ[variable]
        elif name == "load":
            arguments = ["demo.load", "--checkout", url["checkout"]]
        else:
            arguments = ["demo.service", name, "--pointer", str(layout.pointer(name))]
            arguments += ["--log", str(layout.log(name))]
            if name == "checkout":
                arguments += ["--upstream", f"payments={url['payments']}"]
        return await Process.spawn(
            name,
            [*arguments, *listening, *parent],
            cwd=CODE_ROOT,
            environment=environment,
            errors=layout.logs / f"{name}.stderr",
            fds=fds,
        )

    def _watch(self, process: Process) -> None:
        self._spawn_task(self._respawn_when_dead(process))

    async def _respawn_when_dead(self, process: Process) -> None:
        code = await process.wait()
        name = process.name
        while self._processes[name] is process and not self._stop.is_set():
            _log.error("process_died", process=name, exit_code=code)
            await asyncio.sleep(RESPAWN_PAUSE_S)
            with contextlib.suppress(ProcessError):
                async with self._changing:
                    if self._processes[name] is process:
                        await self._replace(name)

    async def _replace(self, name: str) -> None:
        """Start a new process and let it take over the socket, without dropping a request."""
        old = self._processes[name]
        new = await self._spawn(name)
        try:
            await new.expect("ready", READY_TIMEOUT_S)
        except ProcessError:
            await new.end(grace_s=0.2)
            raise
        await self._hand_over(old, new)

    async def _hand_over(self, old: Process, new: Process) -> None:
        if not old.has_ended:
            await old.tell("drain")
            with contextlib.suppress(ProcessError):
                await old.expect("drained")
        self._processes[new.name] = new
        self._watch(new)
        await new.tell("serve")
        await new.expect("serving")
        self._spawn_task(old.end(grace_s=DRAIN_EXIT_S, is_polite=False))
        self._save_pids()

    # Releases

    def _point(self, service: str, release: str) -> None:
        target = self._layout.export(service, release)
        if not target.exists():
            self._repository.export(service, release, target)
        pointer = self._layout.pointer(service)
        pointer.parent.mkdir(exist_ok=True)
        draft = pointer.with_name(f".{service}.new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.replace(pointer)

    async def _run_release(self, service: str, release: str, kind: str) -> None:
        """Let a release of the service take over; if it does not start, the old one stays."""
        previous = self._repository.deployed(service).release
        await asyncio.to_thread(self._point, service, release)
        old = self._processes[service]
        new = await self._spawn(service)
        try:
            await new.expect("ready", READY_TIMEOUT_S)
        except ProcessError:
            await asyncio.to_thread(self._point, service, previous)
            await new.end(grace_s=0.2)
            raise
        await asyncio.to_thread(
            self._repository.tag_deploy, service, release, datetime.now(UTC), kind
        )
        await self._hand_over(old, new)

    # The fault

    async def _stage(self) -> None:
        start = time.monotonic()
        for scene in scenes(self._options.fault, self._options.baseline_s, self._options.pace):
            await asyncio.sleep(max(0.0, start + scene.at_s - time.monotonic()))
            await self._play(scene)

    async def _play(self, scene: Scene) -> None:
        if scene.act is Act.DEPLOY and scene.change is not None:
            await self._deploy(scene.change)
        else:
            self._note(scene.act.value)
            await self._processes["load"].tell(scene.act.value)

    async def _deploy(self, change: Change) -> None:
        async with self._changing:
            release = await asyncio.to_thread(self._repository.commit, change, datetime.now(UTC))
            await self._run_release(change.service, release, "deploy")
        self._note("deploy", service=change.service, release=release, version=change.version)

    # Requests from outside

    async def _handle(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, ""), self._token):
            return json_response(401, {"error": f"wrong token; read {self._layout.control_token}"})
        kind = request.path.removeprefix("/")
        if request.method != "POST" or kind not in {ROLLBACK, RESTART}:
            return json_response(404, {"error": "the director answers POST /rollback and /restart"})
        # In a task of its own: the effect is completed and recorded even if the caller is killed.
        task = asyncio.create_task(self._perform(kind, request.body))
        try:
            effect = await asyncio.shield(task)
        except BadRequestError as error:
            return json_response(400, {"error": str(error)})
        except UnknownReleaseError as error:
            return json_response(404, {"error": str(error)})
        except KeyConflictError as error:
            return json_response(409, {"error": str(error)})
        except (ProcessError, GitError) as error:
            return json_response(500, {"error": str(error)})
        return json_response(200, asdict(effect))

    async def _perform(self, kind: str, body: bytes) -> Effect:
        service, wanted, key = _read_order(kind, body)
        async with self._changing:
            previous = self._repository.deployed(service).release
            release = self._repository.find_release(service, wanted) if wanted else None
            done = self._effects.find(key, kind, service, release)
            if done is not None:
                _log.info("effect_repeated", kind=kind, service=service)
                return done
            if release is None:
                release = previous
                await self._replace(service)
            else:
                await self._run_release(service, release, kind)
            version = self._repository.version_of(service, release)
            is_up = await self._answers(service, release)
            effect = Effect(
                time=time.time(),
                kind=kind,
                service=service,
                release=release,
                key=key,
                version=version,
                previous=previous,
                outcome="done" if is_up else "not answering",
            )
            self._effects.add(effect)
        self._note(kind, service=service, release=release, version=version)
        return effect

    async def _answers(self, service: str, release: str) -> bool:
        for _ in range(_PROBES):
            with contextlib.suppress(TimeoutError, wire.WireError, ValueError):
                response = await wire.call(
                    "GET", f"{self._info.urls[service]}/healthz", timeout_s=_PROBE_TIMEOUT_S
                )
                state = response.json()
                if isinstance(state, dict) and state.get("release") == release:
                    return True
            await asyncio.sleep(0.1)
        return False

    # Book-keeping

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("director_task_failed", exc_info=task.exception())
            self._stop.set()

    def _save_pids(self) -> None:
        pids = {name: process.pid for name, process in self._processes.items()}
        self._info = replace(self._info, pids={"director": os.getpid(), **pids})
        self._info.save()

    def _note(self, event: str, **details: str) -> None:
        _log.info("staged", act=event, **details)
        with self._layout.timeline.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time.time(), "event": event, **details}) + "\n")


def _read_order(kind: str, body: bytes) -> tuple[str, str | None, str | None]:
    try:
        order = json.loads(body)
    except ValueError:
        raise BadRequestError("the body must be JSON") from None
    if not isinstance(order, dict):
        raise BadRequestError("the body must be a JSON object")
    service, release, key = order.get("service"), order.get("release"), order.get("key")
    if service not in SERVICES:
        raise BadRequestError(f"unknown service {service!r}; there are: {', '.join(SERVICES)}")
    if kind == ROLLBACK and not (isinstance(release, str) and RELEASE_PATTERN.fullmatch(release)):
        raise BadRequestError("a release is 7 to 40 hexadecimal digits of a commit id")
    if key is not None and not (isinstance(key, str) and KEY_PATTERN.fullmatch(key)):
        raise BadRequestError("a key is 1 to 200 printable characters without spaces")
    return service, release if kind == ROLLBACK else None, key


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """Hold the directory for one director."""
    layout.claim()
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DirectoryInUseError(
            f"a shop already runs in {layout.root}; stop it with: "
            f"python -m demo.shop stop --dir {layout.root}"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _clear(layout: Layout) -> None:
    """Remove what an earlier shop left; nothing else."""
    for folder in ("releases", "exports", "current", "logs"):
        if (layout.root / folder).exists():
            shutil.rmtree(layout.root / folder)
    kept = (layout.info, layout.effects, layout.timeline, layout.control_token)
    for file in (*kept, layout.customers, layout.updates, layout.mails):
        file.unlink(missing_ok=True)
    layout.logs.mkdir()

"""The receiver processes as the daemon sees them: started, watched, started again, and stopped before the drain."""

import asyncio
import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from collector.accept import Acceptor
from collector.config import Config, split_endpoint
from collector.errors import StartError
from collector.net.sockets import bound
from collector.part import Part
from collector.receive.receiver import Receiver
from collector.spool import Spool
from collector.spool.shares import collect, share
from collector.telemetry import Sample, catalogue
from collector.waiting import wait_for
from collector.workers.channel import Channel, MessageKind

log = structlog.get_logger("spanmeter.workers")

# Settings that receiving does not need are not sent to them.
_NOT_FOR_WORKERS = {"store", "pricing", "budgets", "enforcement", "ledger", "webhooks"}

_FIRST_PAUSE = 0.25
_MAX_PAUSE = 10.0
# Less while others do not accept spans either: somebody has to be there.
_MAX_PAUSE_ALONE = 1.0
_PAUSE_POLL = 0.1
_STEADY_SECONDS = 30.0
_ANSWER_SECONDS = 2.0
_PORT_PATIENCE = 5.0
_PORT_POLL = 0.05
_KILL_AFTER = 5.0


class Workers(Part):
    """As many receiver processes as `config.processes`, on the same ports. What they seal is taken up by `spool`."""

    name = "receivers"
    settings = ("receivers", "auth", "limits", "capture", "budgets", "dedupe", "processes")
    reloadable = ("auth", "capture", "budgets")

    def __init__(self, config: Config, spool: Spool, own: Receiver) -> None:
        """`own` is this process's, whose ports are never opened: what the web port takes goes through it."""
        self._config = config
        self._spool = spool
        self._own = own
        self._published = asyncio.Event()
        self._workers = [
            _Worker(number, spool.directory, self._published.set, self._others_accept)
            for number in range(config.processes)
        ]
        self._reserved: list[socket.socket] = []
        self._ports: dict[str, int] = {}

    @property
    def acceptor(self) -> Acceptor:
        """The write path of this process."""
        return self._own.acceptor

    @property
    def ports(self) -> Mapping[str, int]:
        return self._ports

    async def open(self) -> None:
        """Serve `grpc` and `http`. Raises StartError when a port cannot be had."""
        protocols = self._config.receivers.otlp.protocols
        endpoints = {"grpc": protocols.grpc.endpoint, "http": protocols.http.endpoint}
        ports = {name: await self._reserve(endpoint, f"OTLP/{name}") for name, endpoint in endpoints.items()}
        settings = self._config.model_dump(mode="json", exclude=_NOT_FOR_WORKERS) | _reloadable(self._config)
        settings["data_dir"] = str(self._config.directory.absolute())
        for name, port in ports.items():
            settings["receivers"]["otlp"]["protocols"][name]["endpoint"] = _with_port(endpoints[name], port)
        for worker in self._workers:
            worker.settings = settings
        self._running = asyncio.gather(*[worker.run() for worker in self._workers])
        self._reclaiming = asyncio.create_task(self._reclaim_published(), name="reclaim")
        try:
            # All at once: clients reconnect to whoever listens first, and stay there.
            await self._all(worker.ready for worker in self._workers)
            for worker in self._workers:
                worker.serve()
            await self._all(worker.serving for worker in self._workers)
        except StartError:
            await self.stop(0.0)
            raise
        self._ports = ports

    async def _all(self, steps: Iterable["asyncio.Future[None]"]) -> None:
        """Wait until every worker has come so far. Raises StartError when one has not."""
        done = asyncio.gather(*steps)
        await asyncio.wait({done, self._running}, return_when=asyncio.FIRST_COMPLETED)
        await (done if done.done() else self._running)

    async def _reserve(self, endpoint: str, what: str) -> int:
        """Hold a port for the workers, taking none of its connections; its number."""
        deadline = asyncio.get_running_loop().time() + _PORT_PATIENCE
        while True:
            try:
                # Alone first: another daemon's workers would share the port with ours, and get half of the spans.
                bound(endpoint, what, shared=False).close()
                sock = bound(endpoint, what, shared=True)
            except StartError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_PORT_POLL)
            else:
                self._reserved.append(sock)
                return int(sock.getsockname()[1])

    async def run(self) -> None:
        """Keep them running; return once stopped."""
        ended: set[asyncio.Future[Any]] = {self._running, self._reclaiming}
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        await (self._running if self._running.done() else self._reclaiming)

    async def _reclaim_published(self) -> None:
        """Take up what is published, also while the drain is busy with a store that is away: it counts as spooled."""
        while True:
            await self._published.wait()
            self._published.clear()
            await asyncio.to_thread(self._spool.reclaim)

    async def stop(self, grace: float) -> None:
        """Let them take no more requests, give those in flight `grace` seconds, and take up what they have spooled."""
        for worker in self._workers:
            worker.stop()
        await asyncio.wait({self._running}, timeout=grace + _KILL_AFTER)
        for worker in self._workers:
            worker.kill()
        await self._running
        self._reclaiming.cancel()
        await asyncio.to_thread(self._spool.reclaim)
        for sock in self._reserved:
            sock.close()

    async def reload(self, config: Config) -> None:
        """Use these tokens, and what may be captured, from the next request on."""
        await self._own.reload(config)
        for worker in self._workers:
            worker.reload(_reloadable(config))

    def unready_reason(self) -> str:
        """Why not all of them accept spans, as a sentence; empty when they do."""
        missing = [str(worker.number) for worker in self._workers if not worker.accepting]
        return f"These receiver processes do not accept spans now: {', '.join(missing)}." if missing else ""

    def _others_accept(self, worker: "_Worker") -> bool:
        return all(other.accepting for other in self._workers if other is not worker)

    async def worker_metrics(self) -> dict[str, str]:
        """The metrics of each by `worker`, as text; of those that do not answer in time, none."""
        texts = await asyncio.gather(*[worker.worker_metrics() for worker in self._workers])
        return {str(worker.number): text for worker, text in zip(self._workers, texts, strict=True)}

    def readings(self) -> Iterable[Sample]:
        accepting = sum(worker.accepting for worker in self._workers)
        yield Sample(catalogue.WORKERS_ACCEPTING, accepting)
        restarts = sum(worker.restarts for worker in self._workers)
        yield Sample(catalogue.WORKER_RESTARTS, restarts)


class _Worker:
    """One receiver process after the other under one number."""

    def __init__(
        self, number: int, spool: Path, published: Callable[[], None], others_accept: Callable[["_Worker"], bool]
    ) -> None:
        self.number = number
        self.accepting = False
        self.restarts = 0
        self.settings: dict[str, object] = {}
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.serving: asyncio.Future[None] = loop.create_future()
        self._spool = spool
        self._published = published
        self._others_accept = others_accept
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._asked: deque[asyncio.Future[str]] = deque()
        self._may_serve = False
        self._failure = ""

    async def run(self) -> None:
        """Keep a process running until stopped."""
        pause, loop = _FIRST_PAUSE, asyncio.get_running_loop()
        while not self._stopping.is_set():
            begun = loop.time()
            code = await self._live()
            await self._collect()
            if self._stopping.is_set():
                return
            if not self.serving.done():
                failed = self.serving if self.ready.done() else self.ready
                failed.set_exception(StartError(self._failure or f"A receiver process ended with code {code}."))
                return
            pause = _FIRST_PAUSE if loop.time() - begun > _STEADY_SECONDS else pause
            log.error(
                "A receiver process has ended and is started again.",
                worker=self.number,
                exit_code=code,
                why=self._failure,
                retry_in=self._bounded(pause),
            )
            self.restarts += 1
            await self._rest(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    async def _rest(self, pause: float) -> None:
        """Wait before the next start, no longer than a moment while others are down too."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not self._stopping.is_set():
            left = begun + self._bounded(pause) - loop.time()
            if left <= 0:
                return
            await wait_for(self._stopping, min(left, _PAUSE_POLL))

    def _bounded(self, pause: float) -> float:
        return pause if self._others_accept(self) else min(pause, _MAX_PAUSE_ALONE)

    async def _live(self) -> int | None:
        """Start a process and listen to it to its end; its exit code, None when it could not be started."""
        self._failure = ""
        ours, theirs = socket.socketpair()
        channel = self._channel = await Channel.over(ours)
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "collector", "worker"), stdin=theirs.fileno(), env=_environment()
                )
            channel.send(MessageKind.CONFIG, {"worker": self.number, "config": self.settings})
            if self._stopping.is_set():
                channel.finish()
            while message := await channel.receive():
                self._take(*message)
            self.accepting = False
            return await self._process.wait()
        except OSError as error:
            self._failure = str(error)
            return None
        finally:
            self.accepting = False
            self._process = None
            self._channel = None
            await channel.close()
            while self._asked:
                self._asked.popleft().cancel()

    def _take(self, kind: MessageKind, value: str) -> None:
        if kind is MessageKind.PUBLISHED:
            self._published()
        elif kind is MessageKind.READY:
            if self._may_serve:
                self.serve()
            elif not self.ready.done():
                self.ready.set_result(None)
        elif kind is MessageKind.ACCEPTING:
            self.accepting = True
            if not self.serving.done():
                self.serving.set_result(None)
        elif kind is MessageKind.METRICS:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result(value)
        elif kind is MessageKind.FAILED:
            self._failure = value

    async def _collect(self) -> None:
        """Take up what the process has left in its folder."""
        try:
            await asyncio.to_thread(collect, share(self._spool, self.number), self._spool)
        except (OSError, StartError) as error:
            log.error("Segments of a receiver process stay in its folder.", worker=self.number, why=str(error))
        self._published()

    def serve(self) -> None:
        """Let the process, and those after it, take connections."""
        self._may_serve = True
        if self._channel:
            self._channel.send(MessageKind.SERVE)

    def stop(self) -> None:
        self._stopping.set()
        if self._channel:
            self._channel.finish()

    def kill(self) -> None:
        """End the process at once, if it is still there."""
        if self._process:
            log.warning("A receiver process did not end in time and is killed.", worker=self.number)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def reload(self, changed: Mapping[str, object]) -> None:
        self.settings = {**self.settings, **changed}
        if self._channel:
            self._channel.send(MessageKind.RELOAD, changed)

    async def worker_metrics(self) -> str:
        """Its metrics as text; empty when it does not answer."""
        if not self._channel or not self.accepting:
            return ""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._channel.send(MessageKind.METRICS)
        await asyncio.wait({answer}, timeout=_ANSWER_SECONDS)
        return answer.result() if answer.done() and not answer.cancelled() else ""


def _reloadable(config: Config) -> dict[str, object]:
    """The settings that receiver processes take while they run. They know no budgets, but what these are kept for."""
    return {"auth": config.auth.model_dump(mode="json"), "capture": config.captured.model_dump(mode="json")}


def _environment() -> dict[str, str]:
    """Ours, so that the process imports the package we were imported from, and never one in the current directory."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _with_port(endpoint: str, port: int) -> str:
    _, configured = split_endpoint(endpoint)
    return endpoint if configured else f"{endpoint.rpartition(':')[0]}:{port}"

"""The composition root: opens every part, runs them, and stops them in the order the data flows."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from collector import __version__, decode, enrich
from collector.admit import validate
from collector.admit.auth import Gate
from collector.billing.across_batches import Billing
from collector.billing.price_refresh import installed_catalogue, keep_fresh
from collector.billing.reprice import Outcome, Selection, apply, compare
from collector.config import AuthConfig, Config, PricingConfig, is_loopback, schema_root
from collector.drain import Drain
from collector.enrich import Enricher, RecentTraces, conventions
from collector.enrich.prices.catalogue import Catalogue
from collector.errors import ConfigError, Reason, SpanmeterError, StartError, Unavailable
from collector.jobs import Jobs
from collector.model.clock import Clock, SystemClock
from collector.model.progress import Progress
from collector.net import http2
from collector.net.asgi.server import Listener, http_server
from collector.net.sockets import listen
from collector.query.service import Query
from collector.receive.receiver import Receiver, spool_readings
from collector.runtime import collect_cycles
from collector.spending.budgeting import Budgeting
from collector.spending.feed import Feed, Keys
from collector.spending.views import BudgetViews
from collector.spool import DeadLetter, Spool
from collector.spool.shares import collect_all
from collector.store import Store, migrate, open_store
from collector.telemetry import Metrics, Sample, expose
from collector.web.app import web_app
from collector.web.operation import Readiness, Services
from collector.workers.supervisor import Workers

log = structlog.get_logger("spanmeter")

# Spans whose place in their trace is kept in memory, at roughly 200 bytes each.
_RECENT_SPANS = 200_000

_PORTS_FILE = "ports.json"
_FIRST_PAUSE = 0.25

# Spend that waits for longer than this, besides `spool.flush_interval`, is not known to those who ask.
_LAG_SECONDS = 10.0


class Receivers(Protocol):
    """What takes spans and spools them: this process, or several others."""

    async def start(self) -> dict[str, int]:
        """Serve; the ports taken, by `grpc` and `http`. Raises StartError when one cannot be had."""

    async def run(self) -> None:
        """Return once stopped; raise what must end the daemon."""

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those in flight `grace` seconds: what is durable is in the spool then."""

    def reload(self, auth: AuthConfig) -> None:
        """Use these tokens from the next request on."""

    def unready_reason(self) -> str:
        """Why spans are not accepted, as a sentence; empty when they are."""

    async def worker_metrics(self) -> dict[str, str]:
        """The metrics of other processes by `worker`, as text."""

    def readings(self) -> Iterable[Sample]:
        """The metrics of this process."""


class Daemon:
    """One spanmeter on one data directory: it receives, or lets workers receive, stores, and answers the web port.

    `run` returns when a signal or `stop` ends it.
    """

    def __init__(self, config: Config, reload: Callable[[], Config], clock: Clock | None = None) -> None:
        self._config = config
        self._reload = reload
        self._clock = clock or SystemClock()
        self._metrics = Metrics(CollectorRegistry())
        self._store: Store | None = None
        self._unready_reason = "The store is not open yet."
        self._stopping = asyncio.Event()
        self._reloading: asyncio.Future[None] | None = None  # kept, or it would be collected while it runs
        directory = config.directory
        spooling = config.spool.with_defaults_for(embedded=config.store.embedded)
        self._spool = Spool(directory / "spool", spooling, self._clock)
        self._deadletter = DeadLetter(directory / "spool" / "deadletter", config.spool.dead_letter_max_bytes)
        self._gate = Gate(config.auth)
        self._jobs = Jobs(self._clock)
        self._pricing = config.pricing
        self._enricher = enricher(config.pricing, config.directory)
        self._budgeting = Budgeting(config, directory, self._ready_store, self._lagging, self._clock, self._metrics)
        self._drain = Drain(
            self._spool,
            self._deadletter,
            self._ready_store,
            Billing(self._enricher, RecentTraces(_RECENT_SPANS)),
            self._clock,
            self._metrics,
            flush_interval=config.spool.flush_interval,
            retry_max_interval=config.store.retry_max_interval,
            writing=self._budgeting.spending.writing,
        )
        self._receivers = self._made_receivers()
        self._metrics.watch(self._readings)

    def _made_receivers(self) -> Receivers:
        if self._config.processes > 1:
            return Workers(self._config, self._spool)
        return Receiver(self._config, self._spool, self._clock, self._metrics)

    async def run(self) -> None:
        """Serve until stopped. Raises StartError when something cannot be opened."""
        await self._collect()
        # Before anything answers: whoever finds a port open may signal at once, and an unhandled SIGHUP would kill.
        self._on_signals()
        listeners, ports = await self._open_ports()
        report_native(self._metrics)
        self._announce(ports)
        try:
            async with asyncio.TaskGroup() as tasks:
                servers = [tasks.create_task(server.serve(sockets=[sock])) for server, sock in listeners]
                store = tasks.create_task(self._open_store(), name="store")
                drain = tasks.create_task(self._drain.run(), name="drain")
                prices = tasks.create_task(
                    keep_fresh(self._enricher, lambda: self._pricing, self._config.directory), name="prices"
                )
                receivers = tasks.create_task(self._receivers.run(), name="receivers")
                budgets = tasks.create_task(self._budgeting.run(), name="budgets")
                garbage = tasks.create_task(collect_cycles(), name="garbage")
                await _first(self._stopping, drain, receivers, budgets)
                prices.cancel()
                garbage.cancel()
                await self._stop([server for server, _ in listeners], servers, store, drain)
                self._budgeting.stop()
        except BaseExceptionGroup as group:
            raise _cause(group) from group
        finally:
            self._jobs.close()
            self._drain.close()
            self._budgeting.close()
            self._spool.close()
            if self._store:
                self._store.close()
            log.info("Stopped.", spooled_bytes=self._spool.statistics().bytes)

    def stop(self) -> None:
        """End `run` in an orderly way."""
        self._stopping.set()

    # -- start ----------------------------------------------------------------------------------------------------

    async def _collect(self) -> None:
        """Take up what receiver processes of an earlier run have left, however many there were."""
        await asyncio.to_thread(collect_all, self._spool.directory, self._config.shutdown_timeout)
        await asyncio.to_thread(self._spool.reclaim)

    async def _open_ports(self) -> tuple[list[tuple[Listener, Any]], dict[str, int]]:
        http = self._config.receivers.otlp.protocols.http
        limits = {
            "read_header_timeout": http.read_header_timeout,
            "read_timeout": http.read_timeout,
            "idle_timeout": http.idle_timeout,
        }
        web = http_server(
            self._web_app(),
            self._config.web.tls,
            "the web port",
            max_connections=self._config.web.max_connections,
            **limits,
        )
        self._metrics.watch(lambda: _web_readings(web))
        web_socket = listen(self._config.web.endpoint, "the web port")
        ports = {**await self._receivers.start(), "web": web_socket.getsockname()[1]}
        return [(web, web_socket)], ports

    def _web_app(self) -> Starlette:
        enforcement = self._budgeting.enforcement
        services = Services(
            query=Query(self._ready_store),
            enforcement=enforcement,
            budgets=BudgetViews(enforcement, self._budgeting.stored, self._clock),
            jobs=self._jobs,
            reprice=self._reprice,
            metrics_text=self._metrics_text,
            readiness=self._readiness,
        )
        return web_app(services, self._gate)

    def _announce(self, ports: dict[str, int]) -> None:
        path = self._config.directory / _PORTS_FILE
        try:
            path.write_text(json.dumps(ports) + "\n")
        except OSError as error:
            raise StartError(f"Cannot write {path}: {error.strerror}.") from None
        facts = {"version": __version__, "data_dir": str(self._config.directory), "processes": self._config.processes}
        log.info("Accepting spans.", **facts, **ports)

    async def _open_store(self) -> None:
        """Connect and migrate, for as long as it takes; spans are spooled meanwhile."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._store = await asyncio.to_thread(self._open_and_migrate)
            except Unavailable as error:
                self._unready_reason = str(error)
                log.warning("The store is not available; spans are spooled.", why=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._config.store.retry_max_interval)
            else:
                self._metrics.ready.set(1)
                log.info("The store is ready.", database=self._store.database)
                return

    def _open_and_migrate(self) -> Store:
        store = open_store(self._config.store, self._config.directory)
        try:
            migrate(store, int(self._config.store.ttl))
            self._budgeting.start(store)
        except BaseException:
            store.close()
            raise
        return store

    def _ready_store(self) -> Store:
        if self._store is None:
            raise Unavailable(Reason.STORE, self._unready_reason)
        return self._store

    def _lagging(self) -> str | None:
        """Why what was spent may not all be counted yet; None when it is, but for the last seconds."""
        if self._store is None:
            return self._unready_reason
        drain = self._drain.statistics()
        if drain.attempts_failing:
            return "The store does not take spans at the moment; what was spent lately is not counted yet."
        if drain.lag > self._config.spool.flush_interval + _LAG_SECONDS:
            return f"Spans have been waiting for {drain.lag:.0f} s to be counted."
        return None

    def _reprice(self, selection: Selection, dry_run: bool, progress: Progress) -> Outcome:
        """Price stored calls again, or only compare. Blocking; writes through a connection of its own."""
        store = self._ready_store().clone()
        try:
            if dry_run:
                return compare(store, self._enricher, selection, progress)
            return apply(store, self._enricher, selection, self._counted, progress)
        finally:
            store.close()

    def _counted(self, _: Store, keys: Keys, again: bool) -> AbstractContextManager[Feed]:
        """Budgets read through the daemon's own connection: the one that re-pricing writes through is closed soon."""
        return self._budgeting.spending.writing(self._ready_store(), keys, again)

    def _readiness(self) -> Readiness:
        unready_reason = self._receivers.unready_reason() if self._store else self._unready_reason
        return Readiness(not unready_reason, unready_reason)

    async def _metrics_text(self) -> bytes:
        return expose(self._metrics.registry, await self._receivers.worker_metrics())

    # -- signals --------------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_settings)

    def _reload_settings(self) -> None:
        try:
            config = self._reload()
        except ConfigError as error:
            log.error("The configuration was not reloaded; tokens and prices stay as they were.", why=str(error))
            return
        exposed = not all(map(is_loopback, self._config.endpoints().values()))
        if exposed and not config.auth.tokens and not config.auth.allow_anonymous:
            log.error("The settings were not reloaded: without a token, anyone could use the addresses now bound.")
            return
        self._gate.reload(config.auth)
        self._receivers.reload(config.auth)
        self._pricing = config.pricing
        self._enricher.catalogue = installed_catalogue(config.pricing, self._config.directory)
        log.info("Tokens and price overrides reloaded.", tokens=len(config.auth.tokens))
        self._reloading = asyncio.ensure_future(self._reload_budgets(config))

    async def _reload_budgets(self, config: Config) -> None:
        try:
            await self._budgeting.reload(config)
        except SpanmeterError as error:
            log.error("Budgets and webhooks were not reloaded.", why=str(error))
        else:
            log.info("Budgets and webhooks reloaded.", budgets=len(config.budgets), webhooks=len(config.webhooks))

    # -- stop -----------------------------------------------------------------------------------------------------

    async def _stop(
        self,
        listeners: Sequence[Listener],
        servers: Sequence["asyncio.Task[None]"],
        store: "asyncio.Task[None]",
        drain: "asyncio.Task[None]",
    ) -> None:
        """Stop taking requests, finish those in flight, then empty the spool, all within `shutdown_timeout`."""
        log.info("Stopping.", deadline_seconds=self._config.shutdown_timeout)
        deadline = asyncio.get_running_loop().time() + self._config.shutdown_timeout
        for listener in listeners:
            listener.config.timeout_graceful_shutdown = max(1, int(self._config.shutdown_timeout / 2))
            listener.should_exit = True
        grace = self._config.shutdown_timeout / 2
        await asyncio.gather(self._receivers.stop(grace), *servers)
        self._drain.stop()
        if self._store is None:
            store.cancel()
            drain.cancel()
            return
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(drain)
        except TimeoutError:
            left = self._spool.statistics().bytes
            log.warning("The spool was not empty at the deadline; the next start continues.", spooled_bytes=left)
            drain.cancel()

    def _readings(self) -> Iterable[Sample]:
        spool, dead, drain = self._spool.statistics(), self._deadletter.statistics(), self._drain.statistics()
        yield from spool_readings(self._spool)
        yield "gauge", "spanmeter_spool_capacity_bytes", "Bytes the spool may hold.", spool.capacity
        yield "gauge", "spanmeter_drain_lag_seconds", "Age of the oldest span not yet stored.", drain.lag
        yield "gauge", "spanmeter_drain_failing_attempts", "Failed attempts in a row.", drain.attempts_failing
        yield "gauge", "spanmeter_dead_letter_entries", "Entries in the dead letter.", dead.entries
        yield "gauge", "spanmeter_dead_letter_bytes", "Bytes in the dead letter.", dead.bytes
        yield from self._receivers.readings()


def _web_readings(web: Listener) -> Iterable[Sample]:
    yield "gauge", "spanmeter_web_connections", "Connections open at the web port.", web.open
    text = "Connections to the web port that were closed, as there were enough."
    yield "counter", "spanmeter_web_refused_connections", text, web.refused


def report_native(metrics: Metrics) -> None:
    """Say which modules run compiled, and warn of those that do not."""
    modules = {
        "decode": decode.NATIVE,
        "scan": validate.NATIVE,
        "enrich": enrich.NATIVE,
        "traces": enrich.NATIVE_TRACES,
        "http2": http2.NATIVE,
    }
    for name, native in modules.items():
        metrics.native.labels(name).set(native)
    missing = [name for name, native in modules.items() if not native]
    if missing:
        log.warning("Not compiled, at many times the CPU per span: install with a C++ compiler.", modules=missing)


def enricher(pricing: PricingConfig, directory: Path | None = None) -> Enricher:
    """Conventions and prices as installed, refreshed in a data directory, and configured. Raises ConfigError."""
    catalogue = installed_catalogue(pricing, directory) if directory else Catalogue.bundled(pricing)
    return Enricher(conventions.load(schema_root()), catalogue)


async def _first(event: asyncio.Event, *tasks: "asyncio.Task[None]") -> None:
    """Wait until `event` is set or one of `tasks` ends by itself, which only a failure makes it do."""
    waiter = asyncio.ensure_future(event.wait())
    await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


def _cause(group: BaseExceptionGroup) -> BaseException:
    """The failure that ended the daemon: the first of ours, else the first of all."""
    first = group.exceptions[0]
    ours, _ = group.split(SpanmeterError)
    return ours.exceptions[0] if ours else first


def read_ports(directory: Path) -> dict[str, int]:
    """The ports a running daemon took, by `grpc`, `http`, `web`."""
    ports: dict[str, int] = json.loads((directory / _PORTS_FILE).read_text())
    return ports

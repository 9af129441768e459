"""The composition root: the list of parts, in the order the data flows, and the supervisor that runs them."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from collector import __version__
from collector.admit.auth import Gate
from collector.backups import Backups, refuse_unfinished
from collector.bi.port import BiPort
from collector.billing import spans
from collector.billing.across_batches import Billing
from collector.billing.completing import Completer
from collector.billing.late_content import LateContent
from collector.billing.log_content import LoggedContent
from collector.billing.models_above import ModelsAbove
from collector.billing.price_refresh import Prices
from collector.billing.purposes_above import PurposesAbove
from collector.billing.repricer import Repricer
from collector.billing.session_events import SessionReader
from collector.billing.session_metrics import SessionMetrics
from collector.billing.sessions import SessionWriter
from collector.config import Config, split_endpoint
from collector.drain import Drain
from collector.enrich import RecentTraces
from collector.enrich.conventions.expiring import content_rules
from collector.enrich.sessions import sources
from collector.errors import Reason, SpanmeterError, StartError
from collector.evals.judging import Judging
from collector.evals.service import EvalService
from collector.evals.verdict_export import VerdictExport
from collector.evals.writing import EvaluationWriter
from collector.files import PORTS_FILE, make_private
from collector.jobs import Jobs
from collector.model.clock import Clock, SystemClock
from collector.model.envelope import Receipt, Signal, Transport
from collector.model.principal import judge_of
from collector.part import Part
from collector.query.service import Query
from collector.receive.receiver import Receiver
from collector.reloading import Reloading
from collector.retention import Retention
from collector.runtime import collect_cycles
from collector.schema import schema_root
from collector.spending.budgeting import Budgeting
from collector.spending.views import BudgetViews
from collector.spool.queue import Queue
from collector.store import ENGINE_NAMES, embedded_path
from collector.store.connection import StoreConnection
from collector.storing import Poison, TimeLimits, each, log_path, metric_path, span_path
from collector.summing import Summing
from collector.telemetry import Metrics, expose
from collector.web.app import web_app
from collector.web.callers import Callers
from collector.web.native import report_native
from collector.web.operation import Facts, Services
from collector.web.port import WebPort
from collector.workers.supervisor import Workers

log = structlog.get_logger("spanmeter")

# Spans whose place in their trace is kept in memory, at roughly 200 bytes each.
_RECENT_SPANS = 200_000

# Most of them wait for their turn at the store, and none of what is quick should wait behind these.
_THREADS = 32

# What closing files may take beyond `shutdown_timeout`.
_CLOSING_SECONDS = 1.0

# How the names begin of what the daemon keeps in its data directory.
_OWN_NAMES = (
    "backups",
    "spool",
    "store",
    "leases.db",
    "webhooks.db",
    "judgements.db",
    "verdicts.db",
    "prices.json",
    PORTS_FILE,
)


def parts_of(config: Config, clock: Clock, metrics: Metrics) -> list[Part]:
    """Everything that runs, in the order the data flows. Raises StartError and ConfigError."""
    queue = Queue(config, clock)
    receivers = _receivers(config, queue, clock, metrics)
    prices, store = Prices(config), StoreConnection(config, metrics)

    def lag_reason() -> str | None:
        return drain.lag_reason()

    def web_port() -> int:
        return web.ports.get("web", 0)

    budgets = Budgeting(config, store.ready, lag_reason, clock, metrics, lambda: prices.enricher.catalogue, web_port)
    store.on_open(budgets.start)
    billing = Billing(prices.enricher, RecentTraces(_RECENT_SPANS))
    limits = TimeLimits.of_seconds(config.store.max_future, config.store.oldest)
    families, writing = prices.enricher.families, budgets.spending.writing
    set_aside = Poison(queue.deadletter, metrics).set_aside
    sessions = SessionWriter(SessionReader(sources(families), metrics), billing, writing, metrics, set_aside)
    metered = SessionMetrics(families, metrics)
    completer = Completer(billing, writing, set_aside)
    contents = LoggedContent(families, completer)
    follow = spans.each(
        contents.follow_spans,
        ModelsAbove(families, completer).follow,
        PurposesAbove(completer).follow,
        LateContent(completer).follow,
    )
    drain = Drain(
        queue.spool,
        queue.deadletter,
        store.ready,
        {
            Signal.TRACES: span_path(billing, metrics, writing, limits, follow),
            Signal.LOGS: log_path(metrics, limits, each(sessions.write, contents.follow_logs)),
            Signal.METRICS: metric_path(metrics, limits, metered.follow),
        },
        clock,
        metrics,
        flush_interval=config.spool.flush_interval,
        retry_max_interval=config.store.retry_max_interval,
    )
    gate = Gate(config.auth)

    async def metrics_text() -> bytes:
        return expose(metrics.registry, await receivers.worker_metrics())

    def unready_reason() -> str:
        return next(filter(None, (part.unready_reason() for part in parts)), "")

    def facts() -> Facts:
        otlp, ports = config.receivers.otlp.protocols, receivers.ports
        return Facts(
            grpc=f"{split_endpoint(otlp.grpc.endpoint)[0]}:{ports.get('grpc', 0)}",
            http=f"{split_endpoint(otlp.http.endpoint)[0]}:{ports.get('http', 0)}",
            otlp_url=config.otlp_url(ports.get("http", 0)),
            needs_token=gate.needs_token,
            store="embedded, ready" if config.store.embedded else "a ClickHouse server, ready",
            prices=prices.enricher.catalogue.version,
        )

    def judged(project: str, request: bytes) -> Coroutine[Any, Any, Receipt]:
        return receivers.acceptor.record(judge_of(project), request, transport=Transport.JUDGE)

    jobs, summing = Jobs(clock), Summing(store.ready, clock)
    verdicts = VerdictExport(config, store.ready, clock)
    writer = EvaluationWriter(verdicts.outbox)
    judging = Judging(
        config, store.ready, clock, budgets.enforcement, lambda: prices.enricher.catalogue, judged, writer
    )

    def misdirected(signal: Signal) -> None:
        metrics.count_refused(signal, "web", Reason.PROTOCOL, clock)

    services = Services(
        query=Query(store.ready, config.reads, summing.want),
        evals=EvalService(
            store.ready, lambda: judging.evaluators, clock, judging.bench, lambda: judging.commands, writer
        ),
        enforcement=budgets.enforcement,
        budgets=BudgetViews(budgets.enforcement, budgets.stored, clock),
        jobs=jobs,
        reprice=Repricer(store.ready, prices.enricher, budgets.spending.writing).reprice,
        backup=Backups(config, store.ready, (drain.between_segments, summing.between_steps), clock).taken,
        metrics_text=metrics_text,
        unready_reason=unready_reason,
        deliveries=budgets,
        facts=facts,
        record=receivers.acceptor.record,
        misdirected=misdirected,
    )
    read_timeout = config.receivers.otlp.protocols.http.read_timeout
    web = WebPort(config, web_app(Callers(gate, config.web), services, read_timeout), gate, services.streams)
    retention = Retention(config, store.ready, content_rules(prices.enricher.families, schema_root()), clock)
    bi = BiPort(config, store.ready, gate)
    # Closed in the reverse order: what finds verdicts before their outbox.
    parts: list[Part] = [queue, receivers, web, bi, jobs, verdicts, drain, summing, judging]
    parts += [retention, prices, store, budgets]
    return parts


def _receivers(config: Config, queue: Queue, clock: Clock, metrics: Metrics) -> Receiver | Workers:
    """What takes spans and spools them: this process, or several others."""
    receiver = Receiver(config, queue.spool, clock, metrics)
    return Workers(config, queue.spool, receiver) if config.processes > 1 else receiver


class Daemon:
    """One spanmeter on one data directory. `run` returns when a signal or `stop` ends it.

    From then on the process has `shutdown_timeout` to end by itself.
    """

    def __init__(self, config: Config, reload: Callable[[], Config], clock: Clock | None = None) -> None:
        """`reload` reads the settings again, on SIGHUP. Raises StartError and ConfigError."""
        self._config = config
        refuse_unfinished(config.directory)
        _keep_private(config)
        self._metrics = Metrics(CollectorRegistry())
        self._parts = parts_of(config, clock or SystemClock(), self._metrics)
        self._reloading = Reloading(self._parts, config, reload)
        self._stopping = asyncio.Event()
        self._end: threading.Timer | None = None
        for part in self._parts:
            self._metrics.watch(part.readings)

    async def run(self) -> None:
        """Open every part, run them all, and stop them in order. Raises StartError, or what has ended a part."""
        try:
            # Before a port answers: whoever finds one open may signal at once, and an unhandled SIGHUP would kill.
            self._handle_signals()
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "spanmeter"))
            await self._open()
            report_native(self._metrics)
            self._announce()
            await self._supervise()
        except BaseExceptionGroup as group:
            raise _cause(group) from group
        finally:
            self._end_in_time(code=0 if self._stopping.is_set() else 1)
            if self._stopping.is_set() and any(part.busy for part in self._parts):
                self._end_now(0)
            for part in reversed(self._parts):
                part.close()
            log.info("Stopped.")

    def stop(self) -> None:
        """End `run` in an orderly way."""
        self._stopping.set()

    def _end_in_time(self, code: int) -> None:
        """End the process once `shutdown_timeout` and what closing files may take have passed, whatever still runs."""
        if self._end is None:
            self._end = threading.Timer(self._config.shutdown_timeout + _CLOSING_SECONDS, self._end_now, [code])
            self._end.daemon = True
            self._end.start()

    def _end_now(self, code: int) -> None:
        """What was acknowledged is on disk at any moment: an insert under way is repeated by the next start."""
        for part in self._parts:
            part.abandon()
        log.warning("Stopped at the deadline, before all work had ended. The next start continues.")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    async def _open(self) -> None:
        """Open every part; when one cannot be, stop those that could."""
        for position, part in enumerate(self._parts):
            try:
                await part.open()
            except BaseException:
                for opened in self._parts[:position]:
                    await opened.stop(0.0)
                raise

    async def _supervise(self) -> None:
        """Run the parts until a stop is asked for or one of them fails."""
        async with asyncio.TaskGroup() as tasks:
            running = [(part, tasks.create_task(part.run(), name=part.name)) for part in self._parts]
            garbage = tasks.create_task(collect_cycles(), name="garbage")
            await self._stopping.wait()
            self._end_in_time(code=0)
            garbage.cancel()
            await self._stop(running)

    async def _stop(self, running: list[tuple[Part, "asyncio.Task[None]"]]) -> None:
        """Stop part after part within `shutdown_timeout`; clients of a port may use half of what is left of it."""
        log.info("Stopping.", deadline_seconds=self._config.shutdown_timeout)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.shutdown_timeout
        for part, task in running:
            left = max(0.0, deadline - loop.time())
            await part.stop(left / 2 if part.ports else left)
            task.cancel()

    def _announce(self) -> None:
        ports = {name: port for part in self._parts for name, port in part.ports.items()}
        path = self._config.directory / PORTS_FILE
        try:
            path.write_text(json.dumps(ports) + "\n")
        except OSError as error:
            raise StartError(f"Cannot write {path}: {error.strerror}.") from None
        facts = {"version": __version__, "data_dir": str(self._config.directory), "processes": self._config.processes}
        log.info("Accepting spans.", **facts, **ports)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reloading.request)


def _keep_private(config: Config) -> None:
    """Prompts and completions are for the daemon's user only, also those that earlier versions have stored."""
    directories: dict[Path, tuple[str, ...]] = {config.directory: _OWN_NAMES}
    if config.store.embedded:
        directories[embedded_path(config.store, config.directory)] = ENGINE_NAMES
    for directory, names in directories.items():
        try:
            opened = make_private(directory, names)
        except OSError as error:
            log.warning(
                "Other users of this machine may be able to read a data directory: its permissions could not be set. "
                "Make the daemon's user its owner.",
                directory=str(directory),
                why=error.strerror,
            )
        else:
            if opened:
                log.warning(
                    "Other users of this machine could read a data directory; now only its owner can.",
                    directory=str(directory),
                    paths=len(opened),
                )


def _cause(group: BaseExceptionGroup) -> BaseException:
    """The failure that ended the daemon: the first of ours, else the first of all."""
    ours, _ = group.split(SpanmeterError)
    return ours.exceptions[0] if ours else group.exceptions[0]

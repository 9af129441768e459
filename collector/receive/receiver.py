"""What receives: the OTLP ports of one process, the admission behind them, and the spool they fill."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from collector.accept import Acceptor
from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits, RequestLimits
from collector.capture import Capture
from collector.config import Config
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.model.capture import Keeper
from collector.model.clock import Clock
from collector.model.envelope import Envelope
from collector.net import http2
from collector.part import Part
from collector.receive.http import OtlpHttp
from collector.schema import schema_root
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics, Sample, catalogue

if http2.NATIVE:
    from collector.receive.grpc import GrpcServer
else:
    from collector.receive.grpcio import GrpcServer  # type: ignore[assignment]


class Receiver(Part):
    """The receivers of one process. With `config.processes` above 1 it is one of as many that share the ports."""

    name = "receivers"
    settings = ("receivers", "auth", "limits", "capture", "budgets", "dedupe", "processes")
    reloadable = ("auth", "capture", "budgets")

    def __init__(self, config: Config, spool: Spool, clock: Clock, metrics: Metrics) -> None:
        self._config = config
        self._spool = spool
        self._gate = Gate(config.auth)
        self._limits = Limits(config.limits.max_in_flight_bytes // config.processes)
        self._window = DedupeWindow[SpoolAck](config.dedupe, clock)
        limits = RequestLimits(config.limits.max_request_items, config.limits.max_request_elements)
        self._capture = Capture(config.capture, self._keeper, metrics)
        self._acceptor = Acceptor(self._gate, self._limits, self._window, spool, clock, metrics, self._capture, limits)
        self._servers: dict[str, GrpcServer | OtlpHttp] = {}
        self._ports: dict[str, int] = {}

    @property
    def acceptor(self) -> Acceptor:
        """The write path of this process."""
        return self._acceptor

    @property
    def ports(self) -> Mapping[str, int]:
        return self._ports

    async def open(self) -> None:
        """Serve `grpc` and `http`. Raises StartError when a port cannot be had."""
        self.restore(self._spool.recent)
        protocols, shared = self._config.receivers.otlp.protocols, self._config.processes > 1
        http = OtlpHttp(self._acceptor, protocols.http, shared=shared)
        grpc = GrpcServer(self._acceptor, protocols.grpc, shared=shared)
        self._ports = {"grpc": await grpc.start(), "http": await http.start()}
        self._servers = {"grpc": grpc, "http": http}

    def restore(self, spooled: Callable[[int], Iterable[Envelope]]) -> None:
        """Recognise envelopes when they come again; `spooled` names those received since a time (Unix ns)."""
        self._window.restore(spooled(self._window.horizon))

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those in flight `grace` seconds."""
        await asyncio.gather(*[server.stop(grace) for server in self._servers.values()])

    async def reload(self, config: Config) -> None:
        """Use these tokens, and what may be captured, from the next request on."""
        self._config = config
        self._gate.reload(config.auth)
        await asyncio.to_thread(self._capture.reload, config.capture)

    def _keeper(self) -> tuple[Keeper, frozenset[str]]:
        """What capture policies keep, and the attributes that name an agent."""
        families = load(schema_root()).families
        return KeptFacts(families, schema_root(), self._config.captured.keep), agent_keys(families)

    async def worker_metrics(self) -> dict[str, str]:
        """The metrics of other processes by `worker`, as text: here there are none."""
        return {}

    def readings(self) -> Iterable[Sample]:
        window = self._window.statistics()
        yield Sample(catalogue.DEDUPE_HITS, window.hits)
        yield Sample(catalogue.DEDUPE_ENTRIES, window.entries)
        yield Sample(catalogue.IN_FLIGHT_BYTES, self._acceptor.in_flight_bytes)
        for transport, server in self._servers.items():
            yield Sample(catalogue.RECEIVER_CONNECTIONS, server.open, (transport,))
        for transport, server in self._servers.items():
            yield Sample(catalogue.RECEIVER_REFUSED_CONNECTIONS, server.refused, (transport,))

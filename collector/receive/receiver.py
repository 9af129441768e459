"""What receives: the OTLP ports of one process, the admission behind them, and the spool they fill."""

import asyncio
from collections.abc import Callable, Iterable

from collector.accept import Acceptor
from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits
from collector.config import AuthConfig, Config
from collector.model.clock import Clock
from collector.model.envelope import Envelope
from collector.net import http2
from collector.receive.http import OtlpHttp
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics, Sample

if http2.NATIVE:
    from collector.receive.grpc import GrpcServer
else:
    from collector.receive.grpcio import GrpcServer  # type: ignore[assignment]


class Receiver:
    """The receivers of one process. With `config.processes` above 1 it is one of as many that share the ports."""

    def __init__(self, config: Config, spool: Spool, clock: Clock, metrics: Metrics) -> None:
        self._config = config
        self._spool = spool
        self._gate = Gate(config.auth)
        self._limits = Limits(config.limits.max_in_flight_bytes // config.processes)
        self._window = DedupeWindow[SpoolAck](config.dedupe, clock)
        self._acceptor = Acceptor(self._gate, self._limits, self._window, spool, clock, metrics)
        self._servers: dict[str, GrpcServer | OtlpHttp] = {}
        self._stopped = asyncio.Event()

    async def start(self) -> dict[str, int]:
        """Serve; the ports taken, by `grpc` and `http`. Raises StartError when one cannot be had."""
        self.restore(self._spool.recent)
        protocols, shared = self._config.receivers.otlp.protocols, self._config.processes > 1
        http = OtlpHttp(self._acceptor, protocols.http, shared=shared)
        grpc = GrpcServer(self._acceptor, protocols.grpc, shared=shared)
        ports = {"grpc": await grpc.start(), "http": await http.start()}
        self._servers = {"grpc": grpc, "http": http}
        return ports

    def restore(self, spooled: Callable[[int], Iterable[Envelope]]) -> None:
        """Recognise envelopes when they come again; `spooled` names those received since a time (Unix ns)."""
        self._window.restore(spooled(self._window.horizon))

    async def run(self) -> None:
        """Return once stopped."""
        await self._stopped.wait()

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those in flight `grace` seconds."""
        await asyncio.gather(*[server.stop(grace) for server in self._servers.values()])
        self._stopped.set()

    def reload(self, auth: AuthConfig) -> None:
        """Use these tokens from the next request on."""
        self._gate.reload(auth)

    def unready_reason(self) -> str:
        """Why it does not accept spans, as a sentence; empty when it does."""
        return ""

    async def worker_metrics(self) -> dict[str, str]:
        """The metrics of other processes by `worker`, as text: here there are none."""
        return {}

    def readings(self) -> Iterable[Sample]:
        window, limits = self._window.statistics(), self._limits.statistics()
        yield "counter", "spanmeter_dedupe_hits", "Retried exports answered from memory.", window.hits
        yield "gauge", "spanmeter_dedupe_entries", "Digests remembered.", window.entries
        yield "gauge", "spanmeter_in_flight_bytes", "Request bytes in memory.", limits.in_flight_bytes
        opened = {name: server.open for name, server in self._servers.items()}
        refused = {name: server.refused for name, server in self._servers.items()}
        yield "gauge", "spanmeter_receiver_connections", "Connections open.", opened
        yield "counter", "spanmeter_receiver_refused_connections", "Connections closed, as there were enough.", refused


def spool_readings(spool: Spool) -> Iterable[Sample]:
    """What one process holds on disk."""
    held = spool.statistics()
    yield "gauge", "spanmeter_spool_bytes", "Bytes waiting for the store.", held.bytes
    yield "gauge", "spanmeter_spool_segments", "Segments waiting for the store.", held.segments
    yield "gauge", "spanmeter_spool_oldest_seconds", "Age of the oldest segment.", held.oldest_age
    yield "counter", "spanmeter_spool_fsyncs", "Group commits forced to disk.", held.fsyncs
    yield "counter", "spanmeter_spool_fsync_seconds", "Time spent in fsync.", held.fsync_seconds
    yield "counter", "spanmeter_spool_write_errors", "Failed writes or syncs.", held.write_errors

"""OTLP exporters that do what the specification says on a failure: the same bytes again when, and only when, it may."""

import http.client
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from collector.model.envelope import Signal
from tests.support.spans import DAY_NS, request

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METHODS = {
    Signal.TRACES: EXPORT,
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
# By their code alone; RESOURCE_EXHAUSTED only with RetryInfo, which the daemon sends when it may be.
RETRYABLE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
_RETRYABLE_GRPC = RETRYABLE | {grpc.StatusCode.RESOURCE_EXHAUSTED}
_RETRYABLE_HTTP = {429, 502, 503, 504}
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a connection each, as exporters of different processes have
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]


# A request with so many items of this identity.
Content = Callable[[int, int], bytes]


def spans(identity: int, items: int) -> bytes:
    """Spans of one trace, whose id is `identity`."""
    start = time.time_ns() - identity % 3 * DAY_NS
    return request(identity, [f"span-{n}" for n in range(items)], start_ns=start, text="x" * 1000)


class Exporter(threading.Thread, ABC):
    """Sends one request after the other until told to stop, each until it is acknowledged.

    `acknowledged` is items by identity (hex, of spans the trace id); `failures` are answers that must not be retried.
    """

    def __init__(
        self,
        number: int,
        port: int,
        *,
        pause: float = 0.0,
        signal: Signal = Signal.TRACES,
        content: Content = spans,
    ) -> None:
        super().__init__(name=f"exporter-{number}", daemon=True)
        self.acknowledged: dict[str, int] = {}
        self.failures: list[str] = []
        self.retries = 0
        self._number = number
        self._port = port
        self._pause = pause
        self._signal = signal
        self._content = content
        self._random = random.Random(number)
        self._stopping = threading.Event()
        self._deadline = float("inf")

    @abstractmethod
    def send(self, body: bytes) -> str | None:
        """Send once: None when acknowledged, "retry", or why it must not be sent again."""

    @abstractmethod
    def close(self) -> None:
        """Release the connection."""

    def run(self) -> None:
        sequence = 0
        while not self._stopping.is_set():
            sequence += 1
            identity = (self._number << 64) | sequence
            items = self._random.randint(1, 40)
            body = self._content(identity, items)
            answer = self.send(body)
            while answer == "retry" and time.monotonic() < self._deadline:
                self.retries += 1
                time.sleep(0.05)
                answer = self.send(body)
            if answer is None:
                self.acknowledged[f"{identity:032x}"] = items
            else:
                self.failures.append(answer)
            self._stopping.wait(self._pause)
        self.close()

    def finish(self, seconds: float = 60) -> None:
        """Let the request in flight be acknowledged, then stop."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()
        self.join(seconds + 30)
        assert not self.is_alive(), f"{self.name} hangs"


class GrpcExporter(Exporter):
    def __init__(self, number: int, port: int, **options: Any) -> None:
        super().__init__(number, port, **options)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
        self._export = self._channel.unary_unary(METHODS[self._signal])

    def send(self, body: bytes) -> str | None:
        try:
            self._export(body, timeout=10)
        except grpc.RpcError as error:
            return "retry" if error.code() in _RETRYABLE_GRPC else f"{error.code()}: {error.details()}"
        return None

    def close(self) -> None:
        self._channel.close()


class HttpExporter(Exporter):
    def __init__(self, number: int, port: int, **options: Any) -> None:
        super().__init__(number, port, **options)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def send(self, body: bytes) -> str | None:
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            self._connection.request("POST", f"/v1/{self._signal}", body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return "retry"
        if response.status == 200:
            return None
        return "retry" if response.status in _RETRYABLE_HTTP else f"{response.status}: {answer!r}"

    def close(self) -> None:
        self._connection.close()


def sending(ports: Mapping[str, int], count: int, **options: Any) -> list[Exporter]:
    """Running exporters of both transports, numbered so that their identities differ; options are an Exporter's."""
    made: list[Exporter] = [
        GrpcExporter(number, ports["grpc"], **options) if number % 2 else HttpExporter(number, ports["http"], **options)
        for number in range(1, count + 1)
    ]
    for sender in made:
        sender.start()
    return made


def finish(senders: list[Exporter]) -> None:
    """Let what is in flight be acknowledged, and stop."""
    for sender in senders:
        sender.finish()


def acknowledgements(senders: list[Exporter]) -> int:
    """Requests that have been acknowledged so far."""
    return sum(len(sender.acknowledged) for sender in senders)


def retries(senders: list[Exporter]) -> int:
    return sum(sender.retries for sender in senders)


def acknowledged_by(senders: list[Exporter]) -> dict[str, int]:
    """Items by identity of exporters that have finished and were never told that a request is at fault."""
    assert [failure for sender in senders for failure in sender.failures] == []
    return {identity: items for sender in senders for identity, items in sender.acknowledged.items()}

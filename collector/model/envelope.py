"""What travels from the socket to the store: one export request, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

NO_DIGEST = bytes(16)


class Encoding(StrEnum):
    """How an OTLP request is encoded on the wire; values are the HTTP media types."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class Signal(StrEnum):
    """The OTLP signals; values are metric labels."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


class Transport(StrEnum):
    """The ways in; values are metric labels, the receivers' as the Collector names them."""

    GRPC = "grpc"
    HTTP = "http"
    MCP = "mcp"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One accepted export request of a signal.

    `payload` is the request in protobuf; `received_at` is Unix nanoseconds; `items` counts its valid spans, log records
    or data points; `digest` (16 bytes) is that of the request body as the client sent it, so that a retry is recognised
    after a restart.
    """

    project: str
    received_at: int
    items: int
    payload: bytes
    digest: bytes = NO_DIGEST
    signal: Signal = Signal.TRACES


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one export request: how many items were refused for good, and why."""

    accepted: int = 0
    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What tells a request that is stated again from another one: a key of the sender's, and all that was stated."""

    key: str
    stated: bytes

"""What has arrived from programs since some time, and what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class UnpricedCalls:
    """Calls of one model that have no price, and why: a value of `PriceStatus`."""

    provider: str
    model: str
    status: str


@dataclass(frozen=True, slots=True)
class ArrivedService:
    """What one service sent. `spans` are those it sent itself, without those made of its logs; `run` is its latest."""

    name: str
    spans: int = 0
    log_records: int = 0
    metric_points: int = 0
    calls: int = 0
    priced_calls: int = 0
    with_content: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None
    run: str = ""
    unpriced: Sequence[UnpricedCalls] = ()


@dataclass(frozen=True, slots=True)
class RefusedRequests:
    """The last request that was answered with this error, in Unix seconds. `transport` is grpc, http or web."""

    signal: str
    transport: str
    reason: str
    last: float

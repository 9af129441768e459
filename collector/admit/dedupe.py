"""The window in which a byte-identical export is known to be a retry, and answered without storing it again.

This saves work and keeps `ReplacingMergeTree` from carrying duplicates; correctness does not rest on it, because rows
are keyed by project, trace id and span id.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from collector.config import DedupeConfig
from collector.model.clock import Clock
from collector.model.envelope import NO_DIGEST, Envelope, Receipt


@dataclass(frozen=True, slots=True)
class DedupeStatistics:
    entries: int
    hits: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A payload in the window: its receipt, and the future that says whether it became durable."""

    receipt: Receipt
    durable: "asyncio.Future[None] | None"
    until: float


class DedupeWindow:
    """Digests of recent payloads by project. Belongs to the event loop."""

    def __init__(self, config: DedupeConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._seen: OrderedDict[tuple[str, bytes], Seen] = OrderedDict()
        self._hits = 0

    def digest(self, body: bytes) -> bytes:
        """16 bytes that stand for `body`; collision-resistant, because a collision would lose spans."""
        return hashlib.sha256(body).digest()[:16] if self._config.window else NO_DIGEST

    def find(self, project: str, digest: bytes) -> Seen | None:
        """The earlier delivery of these bytes, if it is in the window and did not fail."""
        seen = self._seen.get((project, digest))
        if seen is None or seen.until < self._clock.monotonic() or _failed(seen):
            return None
        self._hits += 1
        return seen

    def remember(self, project: str, digest: bytes, receipt: Receipt, durable: "asyncio.Future[None] | None") -> None:
        """Note a delivery. One whose `durable` future fails is forgotten: its retry is stored."""
        if not self._config.window:
            return
        now = self._clock.monotonic()
        self._seen[project, digest] = Seen(receipt, durable, now + self._config.window)
        self._seen.move_to_end((project, digest))
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) <= self._config.max_entries and self._seen[oldest].until >= now:
                break
            del self._seen[oldest]

    def restore(self, envelopes: Iterable[Envelope]) -> None:
        """Remember envelopes found durable at start, so that retries across a restart are known."""
        for envelope in envelopes:
            if envelope.digest != NO_DIGEST:
                self.remember(envelope.project, envelope.digest, Receipt(accepted=envelope.spans), None)

    @property
    def horizon(self) -> int:
        """Unix nanoseconds before which deliveries are forgotten."""
        return self._clock.time_ns() - int(self._config.window * 1e9)

    def statistics(self) -> DedupeStatistics:
        return DedupeStatistics(len(self._seen), self._hits)


def _failed(seen: Seen) -> bool:
    durable = seen.durable
    return durable is not None and durable.done() and (durable.cancelled() or durable.exception() is not None)

"""What can never be stored goes to the dead letter with its bytes and the reason, and is counted."""

from dataclasses import dataclass

import structlog

from collector.errors import Reason, Rejected
from collector.model.envelope import Envelope
from collector.spool import Damage, DeadLetter, Segment
from collector.telemetry import Metrics

log = structlog.get_logger("spanmeter.drain")


@dataclass(frozen=True, slots=True)
class Poison:
    """Sets aside. Raises Unavailable when the dead letter is full or cannot be written."""

    deadletter: DeadLetter
    metrics: Metrics

    def set_aside(self, name: str, error: Rejected, envelope: Envelope) -> None:
        self.deadletter.keep(name, error.reason, str(error), envelope)
        self.metrics.dead_lettered.labels(error.reason.value).inc(max(envelope.items, 1))
        log.error("An envelope cannot be stored and was set aside.", entry=name, signal=envelope.signal, why=str(error))

    def set_damage_aside(self, segment: Segment, damage: Damage) -> None:
        if damage.torn:
            return
        why = f"{len(damage.data)} bytes at offset {damage.offset} of segment {segment.id} are damaged."
        self.deadletter.keep_bytes(f"{segment.id}-damage-{damage.offset}", why, damage.data)
        self.metrics.dead_lettered.labels(Reason.CORRUPT.value).inc()
        log.error("Spooled bytes are damaged and were set aside.", segment=segment.id, offset=damage.offset)

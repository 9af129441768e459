"""The spool and its dead letter as a part of the daemon."""

import asyncio
from collections.abc import Iterable

import structlog

from collector.config import Config
from collector.model.clock import Clock
from collector.part import Part
from collector.spool.deadletter import DeadLetter
from collector.spool.shares import collect_all
from collector.spool.spool import Spool
from collector.telemetry import Sample, catalogue

log = structlog.get_logger("spanmeter.spool")


class Queue(Part):
    """Owns `spool` and `deadletter`. Raises StartError when the data directory cannot be used."""

    name = "spool"
    settings = ("data_dir", "spool")

    def __init__(self, config: Config, clock: Clock) -> None:
        directory = config.directory / "spool"
        self.spool = Spool(directory, config.spool.with_defaults_for(embedded=config.store.embedded), clock)
        self.deadletter = DeadLetter(directory / "deadletter", config.spool.dead_letter_max_bytes)
        self._collect_timeout = config.shutdown_timeout

    async def open(self) -> None:
        """Take up what receiver processes of an earlier run have left, however many there were."""
        await asyncio.to_thread(collect_all, self.spool.directory, self._collect_timeout)
        await asyncio.to_thread(self.spool.reclaim)

    def close(self) -> None:
        self.spool.close()
        log.info("The spool is closed.", spooled_bytes=self.spool.statistics().bytes)

    def unready_reason(self) -> str:
        if missing := self.spool.missing():
            return f"{missing} Requests are refused. Restore data_dir and start spanmeter again."
        return ""

    def readings(self) -> Iterable[Sample]:
        spool, dead = self.spool.statistics(), self.deadletter.statistics()
        yield from spool_readings(self.spool)
        yield Sample(catalogue.SPOOL_CAPACITY_BYTES, spool.capacity)
        yield Sample(catalogue.DEAD_LETTER_ENTRIES, dead.entries)
        yield Sample(catalogue.DEAD_LETTER_BYTES, dead.bytes)


def spool_readings(spool: Spool) -> Iterable[Sample]:
    """What one process holds on disk."""
    held = spool.statistics()
    yield Sample(catalogue.SPOOL_BYTES, held.bytes)
    yield Sample(catalogue.SPOOL_SEGMENTS, held.segments)
    yield Sample(catalogue.SPOOL_OLDEST_SECONDS, held.oldest_age)
    yield Sample(catalogue.SPOOL_FSYNCS, held.fsyncs)
    yield Sample(catalogue.SPOOL_FSYNC_SECONDS, held.fsync_seconds)
    yield Sample(catalogue.SPOOL_WRITE_ERRORS, held.write_errors)

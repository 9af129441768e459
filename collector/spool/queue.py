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
from collector.telemetry import Sample

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

    def readings(self) -> Iterable[Sample]:
        spool, dead = self.spool.statistics(), self.deadletter.statistics()
        yield from spool_readings(self.spool)
        yield "gauge", "spanmeter_spool_capacity_bytes", "Bytes the spool may hold.", spool.capacity
        yield "gauge", "spanmeter_dead_letter_entries", "Entries in the dead letter.", dead.entries
        yield "gauge", "spanmeter_dead_letter_bytes", "Bytes in the dead letter.", dead.bytes


def spool_readings(spool: Spool) -> Iterable[Sample]:
    """What one process holds on disk."""
    held = spool.statistics()
    yield "gauge", "spanmeter_spool_bytes", "Bytes waiting for the store.", held.bytes
    yield "gauge", "spanmeter_spool_segments", "Segments waiting for the store.", held.segments
    yield "gauge", "spanmeter_spool_oldest_seconds", "Age of the oldest segment.", held.oldest_age
    yield "counter", "spanmeter_spool_fsyncs", "Group commits forced to disk.", held.fsyncs
    yield "counter", "spanmeter_spool_fsync_seconds", "Time spent in fsync.", held.fsync_seconds
    yield "counter", "spanmeter_spool_write_errors", "Failed writes or syncs.", held.write_errors

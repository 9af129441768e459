"""One of several receiver processes: OTLP ports -> admission -> its own spool -> the process that drains.

It gets its settings from the daemon that started it, opens neither store nor web port, and ends when the daemon says
so or is gone.
"""

import asyncio
import signal
import socket
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from collector.config import AuthConfig, CaptureConfig, Config
from collector.errors import SpanmeterError, StartError
from collector.files import sync_directory
from collector.model.clock import Clock, SystemClock
from collector.receive.receiver import Receiver
from collector.runtime import collect_cycles
from collector.spool import Spool, recent, segments_in
from collector.spool.queue import spool_readings
from collector.spool.shares import Elsewhere, share
from collector.telemetry import Metrics, set_up_logs
from collector.workers.channel import Channel, MessageKind
from collector.workers.publisher import Publisher


class Worker:
    """Receiver process `number` of the daemon at the other end of `channel`."""

    def __init__(self, number: int, config: Config, channel: Channel, clock: Clock) -> None:
        self._config = config
        self._channel = channel
        self._metrics = Metrics(CollectorRegistry())
        target = config.directory / "spool"
        own = share(target, number)
        elsewhere = Elsewhere(target, own, clock)
        spooling = config.spool.with_defaults_for(embedded=config.store.embedded)
        self._spool = Spool(own, spooling, clock, elsewhere.bytes)
        sync_directory(target)  # a folder that was just made must not go in a power cut with what is acknowledged in it
        self._intake = Receiver(config, self._spool, clock, self._metrics)
        # What any of them has spooled before this start lies with the daemon now.
        self._intake.restore(lambda since: recent(segments_in(target), since))
        self._publisher = Publisher(
            self._spool, elsewhere, target, self._tell_published, clock, config.spool.flush_interval
        )
        self._metrics.watch(self._intake.readings)
        self._metrics.watch(lambda: spool_readings(self._spool))

    async def run(self) -> None:
        """Serve until the daemon says so, or is gone."""
        try:
            self._channel.send(MessageKind.READY)
            if not await self._obey(until=MessageKind.SERVE):
                return
            await self._intake.open()
            self._channel.send(MessageKind.ACCEPTING)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publisher.run(), name="publisher")
                garbage = tasks.create_task(collect_cycles(), name="garbage")
                await self._obey()
                await self._intake.stop(self._config.shutdown_timeout / 2)
                self._publisher.stop()
                garbage.cancel()
        finally:
            self._spool.close()

    def _tell_published(self) -> None:
        self._channel.send(MessageKind.PUBLISHED)

    async def _obey(self, until: MessageKind | None = None) -> bool:
        """Do what the daemon says: until it says `until` (True), or says no more (False)."""
        while message := await self._channel.receive():
            kind, value = message
            if kind is until:
                return True
            if kind is MessageKind.RELOAD:
                changed = {
                    "auth": AuthConfig.model_validate(value["auth"]),
                    "capture": CaptureConfig.model_validate(value["capture"]),
                }
                await self._intake.reload(self._config.model_copy(update=changed))
            elif kind is MessageKind.METRICS:
                self._channel.send(MessageKind.METRICS, generate_latest(self._metrics.registry).decode())
        return False


async def run_worker(sock: socket.socket) -> None:
    """Be the receiver process that the daemon at the other end of `sock` has started. Raises SpanmeterError."""
    loop = asyncio.get_running_loop()
    channel = await Channel.over(sock)
    try:
        first = await channel.receive()
        if first is None:
            return
        _, settings = first
        await _run(settings, channel, loop)
    except SpanmeterError as error:
        channel.send(MessageKind.FAILED, str(error))
        raise
    finally:
        await channel.close()


async def _run(settings: dict[str, Any], channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    number, config = settings["worker"], Config.model_validate(settings["config"])
    set_up_logs(config.telemetry.log_level, config.telemetry.log_format)
    structlog.contextvars.bind_contextvars(worker=number)
    # A terminal or a supervisor signals the whole group of processes; the daemon alone says when its workers end.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signal_number, lambda: None)
    try:
        worker = Worker(number, config, channel, SystemClock())
    except OSError as error:
        raise StartError(f"Cannot read the spool: {error}.") from error
    await worker.run()

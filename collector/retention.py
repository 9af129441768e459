"""Content that leaves before its span or log record does: `store.content_ttl`, kept by a round every ten minutes.

Rows expire by the engine's own TTL (`store.ttl`, `store.logs_ttl`). Content cannot: most of it is some attributes of a
map.
"""

import asyncio
from collections.abc import Callable

import structlog

from collector.config import Config
from collector.errors import SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.model.content import ContentRules
from collector.part import Part
from collector.store.client import Store
from collector.store.content_expiry import expire_content
from collector.waiting import wait_for

log = structlog.get_logger("spanmeter.retention")

_INTERVAL_SECONDS, _SOON_SECONDS = 600.0, 5.0
_SECOND = 1_000_000_000
# Spans of one day arrive over a day: it is rewritten once they have all expired, or when the first are this late.
_GRACE = 86_400 * _SECOND


class Retention(Part):
    """Has the store empty content that is older than `store.content_ttl`."""

    name = "retention"
    settings = ("store.content_ttl",)
    reloadable = ("store.content_ttl",)

    def __init__(self, config: Config, store: Callable[[], Store], rules: ContentRules, clock: Clock) -> None:
        self._content_ttl = config.store.content_ttl
        self._store = store
        self._rules = rules
        self._clock = clock
        self._reloaded = asyncio.Event()

    async def run(self) -> None:
        """A round now and again, for ever. What fails is tried again in the next."""
        while True:
            self._reloaded.clear()
            pause = await asyncio.to_thread(self._round) if self._content_ttl else None
            await wait_for(self._reloaded, pause)

    async def reload(self, config: Config) -> None:
        self._content_ttl = config.store.content_ttl
        self._reloaded.set()

    def _round(self) -> float:
        """The seconds until the next: soon while there is more to do, or while the store is not open."""
        cutoff = self._clock.time_ns() - int(self._content_ttl * _SECOND)
        try:
            connection = self._store().clone()
        except Unavailable:
            return _SOON_SECONDS
        try:
            days = expire_content(connection, self._rules, cutoff, cutoff - _GRACE)
        except SpanmeterError as error:
            log.warning("Content was not expired; the next round tries again.", why=str(error))
            return _INTERVAL_SECONDS
        finally:
            connection.close()
        if days:
            log.info("The content of some days expires.", days=days)
        return _SOON_SECONDS if days else _INTERVAL_SECONDS

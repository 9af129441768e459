"""Runs as they happen: those that are new or differ, second by second, as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from collector.errors import SpanmeterError
from collector.model.json_text import json_bytes
from collector.model.principal import Principal
from collector.query.run_filter import RunFilter
from collector.query.run_rows import RunRow
from collector.query.service import Query
from collector.web.operation import Call, Result, Services
from collector.web.run_answers import summary
from collector.web.run_inputs import Matching, wanted_of
from collector.web.streams import Streams

EVENTS: Final = "text/event-stream"
HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
MINUTES: Final = 30
_ROWS: Final = 50
_SECOND: Final = 10**9
_STEP_SECONDS: Final = 1.0
_QUIET_STEPS: Final = 15  # after which a line says that the stream still lives

Rows = Sequence[Mapping[str, Any]]


async def live(services: Services, call: Call[None, Matching, None]) -> Result:
    """Raises as any other question for as long as no event has been sent."""
    query, who = services.query, call.principal

    def read() -> Rows:
        return [summary(run) for run in recent_runs(query, who, call.query)]

    services.streams.check()
    rows = await asyncio.to_thread(read)
    return Result(b"", headers=HEADERS, media_type=EVENTS, events=watched(services.streams, read, rows))


def recent_runs(query: Query, principal: Principal, matching: Matching | None = None) -> Sequence[RunRow]:
    """The newest runs of the last minutes, newest first: 50 at most."""
    now = time.time_ns()
    asked = RunFilter(now - MINUTES * 60 * _SECOND, now + 60 * _SECOND, folded=False)
    return query.search(principal, wanted_of(matching.narrowed(asked) if matching else asked, _ROWS, None)).runs


async def watched(streams: Streams, read: Callable[[], Rows], rows: Rows | None = None) -> AsyncIterator[bytes]:
    """The rows that are new or differ since they were sent, every second, until the port stops.

    `rows` are what was read already. Each row has its `trace_id`; it differs with any other value.
    """
    sent: dict[str, Mapping[str, Any]] = {}
    with streams.one():
        yield b"retry: 2000\n\n"
        quiet = 0
        while True:
            try:
                rows = await asyncio.to_thread(read) if rows is None else rows
            except SpanmeterError as error:
                yield _event("trouble", str(error))
                rows = list(sent.values())
            changed = [row for row in rows if sent.get(row["trace_id"]) != row]
            sent, rows = {row["trace_id"]: row for row in rows}, None
            quiet = 0 if changed else quiet + 1
            if changed:
                yield _event("runs", changed)
            elif quiet % _QUIET_STEPS == 0:
                yield b": nothing new\n\n"
            if not await streams.pause(_STEP_SECONDS):
                return


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(data) + b"\n\n"

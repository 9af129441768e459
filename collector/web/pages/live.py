"""Runs as they happen: a table, and the events that keep it up to date (server-sent events)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import StreamingResponse

from collector.errors import SpanmeterError
from collector.query.listing import RunsWanted
from collector.web.pages.page import Asked, Shown
from collector.web.pages.runs import rows_of

EVENTS: Final = "text/event-stream"
_MINUTES: Final = 30
_ROWS: Final = 50
_STEP_SECONDS: Final = 1.0
_QUIET_STEPS: Final = 15  # after which a line says that the stream still lives


async def page(asked: Asked) -> Shown:
    rows = await asyncio.to_thread(_rows, asked)
    return Shown("live.html", "Live", "Live", {"rows": rows, "minutes": _MINUTES}, ("live",))


def _rows(asked: Asked) -> list[dict[str, Any]]:
    now = time.time_ns()
    wanted = RunsWanted(now - _MINUTES * 60 * 10**9, now + 60 * 10**9, limit=_ROWS)
    runs = asked.services.query.search(asked.principal, wanted).runs
    return rows_of(replace(asked, now=now), runs, asked.services.query.inputs(asked.principal, runs))


def stream(asked: Asked, request: Request) -> StreamingResponse:
    """The rows that are new or differ, every second, until the browser goes or the port stops."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return StreamingResponse(_events(asked, request), 200, headers, EVENTS)


async def _events(asked: Asked, request: Request) -> AsyncIterator[bytes]:
    sent: dict[str, dict[str, Any]] = {}
    with asked.services.streams.one():
        yield b"retry: 2000\n\n"
        quiet = 0
        while not await request.is_disconnected():
            try:
                rows = await asyncio.to_thread(_rows, asked)
            except SpanmeterError as error:
                yield _event("trouble", str(error))
                rows = list(sent.values())
            changed = [row for row in rows if sent.get(row["trace_id"]) != row]
            sent = {row["trace_id"]: row for row in rows}
            quiet = 0 if changed else quiet + 1
            if changed:
                yield _event("runs", changed)
            elif quiet % _QUIET_STEPS == 0:
                yield b": nothing new\n\n"
            if not await asked.services.streams.pause(_STEP_SECONDS):
                return


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

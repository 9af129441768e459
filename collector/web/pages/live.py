"""Runs as they happen: a table, and the events that keep it up to date."""

import asyncio
import time
from dataclasses import replace
from typing import Any

from starlette.responses import StreamingResponse

from collector.web.live import EVENTS, HEADERS, MINUTES, recent_runs, watched
from collector.web.pages.page import Asked, Shown
from collector.web.pages.runs import rows_of
from collector.web.unseen import shown


async def page(asked: Asked) -> Shown:
    rows = await asyncio.to_thread(_rows, asked)
    return Shown("live.html", "Live", "Live", {"rows": rows, "minutes": MINUTES}, ("live",))


def _rows(asked: Asked) -> list[dict[str, Any]]:
    runs = recent_runs(asked.services.query, asked.principal)
    rows = rows_of(replace(asked, now=time.time_ns()), runs, asked.services.query.inputs(asked.principal, runs))
    return [{name: shown(value) for name, value in row.items()} for row in rows]


def stream(asked: Asked) -> StreamingResponse:
    """The rows that are new or differ, every second, until the browser goes or the port stops."""
    return StreamingResponse(watched(asked.services.streams, lambda: _rows(asked)), 200, HEADERS, EVENTS)

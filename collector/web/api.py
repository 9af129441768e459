"""REST under `/api/v1`."""

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collector.admit.auth import Gate
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.principal import Scope
from collector.query.service import Dimension, Query
from collector.web.spans import rows_json, spans_json

_HTTP = {Reason.UNAUTHENTICATED: 401, Reason.FORBIDDEN: 403, Reason.NOT_FOUND: 404, Reason.MALFORMED: 400}
_DEFAULT_PERIOD = timedelta(days=7)
_DEFAULT_RUNS = 100


def routes(query: Query, gate: Gate) -> list[Route]:
    """The API's routes."""

    async def trace(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        trace_id = request.path_params["trace_id"]
        spans = spans_json(await asyncio.to_thread(query.trace, principal, trace_id))
        if not spans:
            raise Rejected(Reason.NOT_FOUND, f"No span of trace {trace_id} is stored in project {principal.project}.")
        return JSONResponse({"trace_id": trace_id.lower(), "spans": spans})

    async def runs(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        since, until = _period(request)
        limit = _integer(request, "limit", _DEFAULT_RUNS)
        return JSONResponse({"runs": rows_json(await asyncio.to_thread(query.runs, principal, since, until, limit))})

    async def spend(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        since, until = _period(request)
        by = _dimension(request)
        rows = rows_json(await asyncio.to_thread(query.spend, principal, by, since, until))
        return JSONResponse({"by": by.value, "spend": rows})

    return [
        Route("/api/v1/traces/{trace_id}", trace),
        Route("/api/v1/runs", runs),
        Route("/api/v1/spend", spend),
    ]


def _period(request: Request) -> tuple[datetime, datetime]:
    """`since` and `until` (ISO 8601, UTC when no zone is named); by default the last seven days."""
    until = _instant(request, "until", datetime.now(UTC) + timedelta(minutes=1))
    return _instant(request, "since", until - _DEFAULT_PERIOD), until


def _instant(request: Request, name: str, default: datetime) -> datetime:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected(
            Reason.MALFORMED, f"{name}={text!r} is not a time; write for example 2026-11-21T08:00:00Z."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise Rejected(Reason.MALFORMED, f"{name}={text!r} is not a whole number.")
    return int(text)


def _dimension(request: Request) -> Dimension:
    text = request.query_params.get("by", Dimension.MODEL.value)
    try:
        return Dimension(text)
    except ValueError:
        known = ", ".join(Dimension)
        raise Rejected(Reason.MALFORMED, f"Spend cannot be broken down by {text!r}; choose one of {known}.") from None


async def error_response(_: Request, error: Exception) -> Response:
    """Every failure in one shape: `{"error": {"reason", "message"}}`."""
    assert isinstance(error, SpanmeterError)
    reason = getattr(error, "reason", Reason.STORE)
    headers = {"retry-after": str(max(1, round(error.retry_after)))} if isinstance(error, Unavailable) else {}
    status = 503 if isinstance(error, Unavailable) else _HTTP.get(reason, 400)
    body = {"error": {"reason": reason.value, "message": str(error)}}
    return JSONResponse(body, status_code=status, headers=headers)

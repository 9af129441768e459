"""REST under `/api/v1`."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.admit.auth import Gate
from collector.billing.reprice import Outcome, Selection, outcome_json
from collector.errors import Reason, Rejected, SpanmeterError
from collector.model.http_status import http_status, retry_after
from collector.model.principal import Principal, Scope
from collector.query.listing import RunKey, RunsWanted
from collector.query.service import Dimension, Query
from collector.runs import read_spans, run_of
from collector.web.bodies import JsonAnswer
from collector.web.run import run_json
from collector.web.spans import rows_json, spans_json

_Row = TypeVar("_Row")
_DEFAULT_PERIOD = timedelta(days=7)
_DEFAULT_RUNS = 100
_MAX_DIGITS = 9
_RUN_KEY = re.compile(r"([0-9]{1,18}|[1-8][0-9]{18})-([0-9a-f]{32})\Z")  # nanoseconds that fit 63 bits


def routes(query: Query, gate: Gate, reprice: Callable[[Selection, bool], Outcome]) -> list[Route]:
    """The API's routes. `reprice` prices a selection again, or only compares (True)."""

    async def trace(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        return await asyncio.to_thread(_trace_response, query, principal, request.path_params["trace_id"])

    async def run(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        return await asyncio.to_thread(_run_response, query, principal, request.path_params["trace_id"])

    async def runs(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        wanted = _runs_wanted(request)
        rows = rows_json(await asyncio.to_thread(query.runs, principal, wanted))
        more = f"{rows[-1]['Start']}-{rows[-1]['TraceId']}" if len(rows) == wanted.limit else None
        return JsonAnswer({"runs": rows, "next": more})

    async def spend(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        since, until = _period(request)
        by = _dimension(request)
        rows = rows_json(await asyncio.to_thread(query.spend, principal, by, since, until))
        return JsonAnswer({"by": by.value, "spend": rows})

    async def unpriced(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        return JsonAnswer({"models": rows_json(await asyncio.to_thread(query.unpriced, principal))})

    async def price_again(request: Request) -> Response:
        gate.admit(request.headers.items(), Scope.ADMIN)
        selection, dry_run = _selection(await _json_object(request))
        return JsonAnswer(outcome_json(await asyncio.to_thread(reprice, selection, dry_run)))

    return [
        Route("/api/v1/prices/unpriced", unpriced),
        Route("/api/v1/reprice", price_again, methods=["POST"]),
        Route("/api/v1/traces/{trace_id}", trace),
        Route("/api/v1/runs", runs),
        Route("/api/v1/runs/{trace_id}", run),
        Route("/api/v1/spend", spend),
    ]


def _trace_response(query: Query, principal: Principal, trace_id: str) -> Response:
    spans = _found(spans_json(query.trace(principal, trace_id)), principal, trace_id)
    return JsonAnswer({"trace_id": trace_id.lower(), "spans": spans})


def _run_response(query: Query, principal: Principal, trace_id: str) -> Response:
    spans = _found(read_spans(query.run_spans(principal, trace_id)), principal, trace_id)
    return JsonAnswer(run_json(trace_id.lower(), run_of(spans)))


def _found(spans: list[_Row], principal: Principal, trace_id: str) -> list[_Row]:
    if not spans:
        raise Rejected(Reason.NOT_FOUND, f"No span of trace {trace_id} is stored in project {principal.project}.")
    return spans


def _period(request: Request) -> tuple[datetime, datetime]:
    """`since` and `until` (ISO 8601, UTC when no zone is named); by default the last seven days."""
    until = _instant(request, "until", datetime.now(UTC) + timedelta(minutes=1))
    return _instant(request, "since", until - _DEFAULT_PERIOD), until


def _runs_wanted(request: Request) -> RunsWanted:
    """The list's period, `limit`, `model` and `feature`, and as `after` the `next` of the page before."""
    since, until = _period(request)
    return RunsWanted(
        since=since,
        until=until,
        limit=_integer(request, "limit", _DEFAULT_RUNS),
        after=_run_key(request.query_params.get("after", "")),
        model=request.query_params.get("model", ""),
        feature=request.query_params.get("feature", ""),
    )


def _run_key(text: str) -> RunKey | None:
    if not text:
        return None
    found = _RUN_KEY.match(text)
    if not found:
        raise Rejected(Reason.MALFORMED, f"after={text[:60]!r} is not the `next` of a page of runs.")
    return RunKey(int(found[1]), found[2])


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Rejected(Reason.MALFORMED, "The body must be a JSON object.")
    return body


def _selection(body: Mapping[str, Any]) -> tuple[Selection, bool]:
    """The calls to price again, and whether to compare only, which is the default."""
    unknown = body.keys() - {"since", "until", "model", "as_model", "dry_run"}
    if unknown:
        raise Rejected(Reason.MALFORMED, f"Unknown fields: {', '.join(sorted(unknown))}.")
    texts = {name: body.get(name, "") for name in ("since", "until", "model", "as_model")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Rejected(Reason.MALFORMED, "since, until, model and as_model are strings.")
    if not texts["since"]:
        raise Rejected(Reason.MALFORMED, "since is required, for example 2026-11-01T00:00:00Z.")
    until = _parsed("until", texts["until"]) if texts["until"] else datetime.now(UTC)
    dry_run = body.get("dry_run", True) is not False
    if texts["as_model"] and not dry_run:
        raise Rejected(Reason.MALFORMED, "as_model only compares; send dry_run: true.")
    return Selection(_parsed("since", texts["since"]), until, texts["model"], texts["as_model"]), dry_run


def _instant(request: Request, name: str, default: datetime) -> datetime:
    text = request.query_params.get(name)
    return default if text is None else _parsed(name, text)


def _parsed(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if 1970 < moment.year < 2106:  # the years of ClickHouse's DateTime
            return moment
    except (ValueError, OverflowError):
        pass
    raise Rejected(Reason.MALFORMED, f"{name}={text[:40]!r} is not a time; write for example 2026-11-21T08:00:00Z.")


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise Rejected(Reason.MALFORMED, f"{name}={text[:40]!r} is not a whole number.")
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
    after = retry_after(error)
    body = {"error": {"reason": reason.value, "message": str(error)}}
    headers = {"retry-after": after} if after else {}
    return JsonAnswer(body, status_code=http_status(error), headers=headers)

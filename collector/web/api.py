"""REST under `/api/v1`."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collector.admit.auth import Gate
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.principal import Scope
from collector.query.service import Query
from collector.web.spans import spans_json

_HTTP = {Reason.UNAUTHENTICATED: 401, Reason.FORBIDDEN: 403, Reason.NOT_FOUND: 404, Reason.MALFORMED: 400}


def routes(query: Query, gate: Gate) -> list[Route]:
    """The API's routes."""

    async def trace(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        trace_id = request.path_params["trace_id"]
        spans = spans_json(await asyncio.to_thread(query.trace, principal, trace_id))
        if not spans:
            raise Rejected(Reason.NOT_FOUND, f"No span of trace {trace_id} is stored in project {principal.project}.")
        return JSONResponse({"trace_id": trace_id.lower(), "spans": spans})

    return [Route("/api/v1/traces/{trace_id}", trace)]


async def error_response(_: Request, error: Exception) -> Response:
    """Every failure in one shape: `{"error": {"reason", "message"}}`."""
    assert isinstance(error, SpanmeterError)
    reason = getattr(error, "reason", Reason.STORE)
    headers = {"retry-after": str(max(1, round(error.retry_after)))} if isinstance(error, Unavailable) else {}
    status = 503 if isinstance(error, Unavailable) else _HTTP.get(reason, 400)
    body = {"error": {"reason": reason.value, "message": str(error)}}
    return JSONResponse(body, status_code=status, headers=headers)

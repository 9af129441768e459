"""Operations as ASGI: callers are admitted by the operation's scope, here only, and every failure has one shape."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.envelope import Signal
from collector.model.http_status import http_status, retry_after
from collector.model.principal import Principal
from collector.web.answers import Failure, FailureText
from collector.web.callers import Callers
from collector.web.compression import MIN_BYTES, accepted_coding, compressed
from collector.web.operation import AnyOperation, Call, Input, Result, Services, answer
from collector.web.reading import json_object, reader

log = structlog.get_logger("spanmeter.web")

_ANYONE = Principal("anyone", "", frozenset())

_Model = TypeVar("_Model", bound=Input)


def route(operation: AnyOperation, services: Services, callers: Callers, read_timeout: float) -> Route:
    """The operation behind its path and method. A body has `read_timeout` seconds to arrive."""
    methods = None if operation.method == "ANY" else [operation.method]
    return Route(operation.routed_path, _Endpoint(operation, services, callers, read_timeout), methods=methods)


def unrouted(services: Services, request: Request, error: Exception) -> tuple[Rejected, Mapping[str, str]]:
    """Why nothing answers, an unknown path, or another method than the path has; and headers that say so."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    signal = next((each for each in Signal if request.url.path.rstrip("/").endswith(f"/v1/{each.value}")), None)
    if signal and request.method == "POST":
        services.misdirected(signal)
        there = f" at {services.facts().otlp_url}" if services.facts else ""
        failure = Rejected(Reason.NOT_FOUND, f"This is the web port; OTLP/HTTP has a port of its own{there}.")
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        failure = Rejected(Reason.METHOD, f"{path} does not take {request.method}; it takes {allowed}.")
    else:
        failure = Rejected(Reason.NOT_FOUND, f"There is nothing at {path}; /api/v1/docs lists what there is.")
    return failure, error.headers or {}


def failed(error: SpanmeterError) -> Result:
    """Every failure in one shape: `{"error": {"reason", "message"}}`."""
    after = retry_after(error)
    reason: Reason = getattr(error, "reason", Reason.STORE)
    body = Failure(error=FailureText(reason=reason.value, message=str(error)))
    return answer(body, http_status(error), {"retry-after": after} if after else {})


_DEFECT = answer(
    Failure(
        error=FailureText(
            reason=Reason.INTERNAL.value, message="This is a defect of spanmeter; its log has the details."
        )
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR,
)


class _Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, operation: AnyOperation, services: Services, callers: Callers, read_timeout: float) -> None:
        self._operation = operation
        self._read_timeout = read_timeout
        self._services = services
        self._callers = callers
        self._path = _reader(operation.path_input, "part of the path")
        self._query = _reader(_query_input(operation), "parameter")
        self._body = _reader(operation.body_input, "field")

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            result = await self._result(request)
        except ClientDisconnect:
            return  # nobody waits for an answer
        except asyncio.CancelledError:  # the server stops, and this request is the only thing that is cancelled
            result = failed(Unavailable(Reason.STOPPING, "spanmeter is stopping; send the request again."))
        response = await _response(result, request)
        await response(scope, receive, send)

    async def _result(self, request: Request) -> Result:
        try:
            return await self._operation.handler(self._services, await self._call(request))
        except SpanmeterError as error:
            return failed(error)
        except ClientDisconnect:
            raise
        except Exception:  # a defect is answered in the one shape too, and logged
            log.exception("An operation failed.", operation=self._operation.name)
            return _DEFECT

    def _parameters(self, request: Request) -> dict[str, object]:
        """The query by name. Raises Rejected where one that counts is given twice."""
        values: dict[str, object] = dict(request.query_params)
        given = Counter(name for name, _ in request.query_params.multi_items())
        if given.total() > len(values):
            for name in (name for name, times in given.items() if times > 1 and self._counts(name)):
                raise Rejected(Reason.MALFORMED, f"{name[:100]!r} is given more than once.")
        return values

    def _counts(self, name: str) -> bool:
        """Whether a parameter is looked at: gateways forward what their clients send as well."""
        model = self._operation.query_input
        return self._operation.method != "ANY" or not model or name in model.model_fields or name.startswith(ATTRIBUTE)

    async def _call(self, request: Request) -> Call[Any, Any, Any]:
        scope = self._operation.scope
        principal = _ANYONE if scope is None else self._callers.admit(request.method, request.headers, scope)
        return Call(
            principal=principal,
            path=self._path(request.path_params) if self._path else None,
            query=self._query(self._parameters(request)) if self._query else None,
            body=self._body(await json_object(request, self._read_timeout)) if self._body else None,
            headers=request.headers,
        )


def _query_input(operation: AnyOperation) -> type[Input] | None:
    """What is read of the query: of the API's operations everything, so that none is passed over without a word."""
    if operation.query_input is None and operation.scope is not None and operation.method != "ANY":
        return Input
    return operation.query_input


def _reader(model: type[_Model] | None, what: str) -> Callable[[Mapping[str, object]], _Model] | None:
    return reader(model, what) if model else None


async def _response(result: Result, request: Request) -> Response:
    if result.events is not None and request.method != "HEAD":
        return StreamingResponse(result.events, result.status, result.headers, result.media_type)
    # A range counts bytes of what is stored, which a compressed answer has not.
    if len(result.body) < MIN_BYTES or "accept-ranges" in result.headers:
        return Response(result.body, result.status, result.headers, result.media_type)
    coding = accepted_coding(request.headers.get("accept-encoding", ""))
    body = await compressed(result.body, coding) if coding else result.body
    response = Response(body, result.status, result.headers, result.media_type)
    response.headers.add_vary_header("accept-encoding")
    if coding:
        response.headers["content-encoding"] = coding
    return response

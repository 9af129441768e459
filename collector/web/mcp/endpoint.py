"""`/mcp` as ASGI: who asks, how large and how slow a request may be. What answers is loaded at the first request."""

import asyncio
import importlib
from typing import Any, Final, Protocol

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.http_status import http_status, retry_after
from collector.web.callers import Callers
from collector.web.operation import JSON, Services
from collector.web.reading import body_of

log = structlog.get_logger("spanmeter.mcp")

_INVALID_REQUEST: Final = -32600  # as JSON-RPC numbers it
MAX_BODY_BYTES: Final = 1024 * 1024  # a run that is recorded has its texts with it


class Answering(Protocol):
    """What answers requests that may be answered."""

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None: ...


class McpEndpoint:
    """Streamable HTTP without sessions: each POST is answered by itself, and nothing is kept between two."""

    def __init__(self, services: Services, callers: Callers, read_timeout: float) -> None:
        self._services = services
        self._callers = callers
        self._read_timeout = read_timeout
        self._loading: asyncio.Task[Answering] | None = None

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            scope["state"] = {"principal": self._callers.client(request.headers)}
            body = await body_of(request, self._read_timeout, MAX_BODY_BYTES)
            answering = await self._loaded()
            await answering(scope, _replayed(body, receive), send)
        except ClientDisconnect:
            return
        except SpanmeterError as error:
            await _refuse(error, scope, receive, send)
        except asyncio.CancelledError:  # the server stops, and this request is the only thing that is cancelled
            stopping = Unavailable(Reason.STOPPING, "spanmeter is stopping; send the request again.")
            await _refuse(stopping, scope, receive, send)
        except Exception:  # a defect is answered in the one shape too, and logged
            log.exception("A request to /mcp failed.")
            defect = Rejected(Reason.INTERNAL, "This is a defect of spanmeter; its log has the details.")
            await _refuse(defect, scope, receive, send)

    async def _loaded(self) -> Answering:
        """The tools and the SDK take a second to import, in a thread, and stay."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(_load, self._services), name="mcp")
        return await asyncio.shield(self._loading)


def _load(services: Services) -> Answering:
    module: Any = importlib.import_module("collector.web.mcp.server")
    loaded: Answering = module.McpServer(services)
    return loaded


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What has been read, and then what else the connection tells."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _refuse(error: SpanmeterError, scope: AsgiScope, receive: Receive, send: Send) -> None:
    """An error in the protocol's own shape, which clients show."""
    after = retry_after(error)
    reason = getattr(error, "reason", Reason.STORE)
    shown = {"code": _INVALID_REQUEST, "message": str(error), "data": {"reason": reason.value}}
    body = orjson.dumps({"jsonrpc": "2.0", "id": None, "error": shown})
    headers = {"retry-after": after} if after else {}
    await Response(body, http_status(error), headers, JSON)(scope, receive, send)

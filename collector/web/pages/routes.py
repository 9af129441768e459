"""The pages as routes: who may look, what is answered when something is wrong, and how one signs in."""

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs, quote

import structlog
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from collector.errors import Reason, Rejected, SpanmeterError
from collector.model.http_status import http_status, retry_after
from collector.web.callers import Callers, cookie_token
from collector.web.compression import accepted_coding, compressed
from collector.web.labels import LabelInput, store_label
from collector.web.operation import Services
from collector.web.pages import budgets, compare, connect, live, replay, run, runs, span, spend
from collector.web.pages.assets import by_path
from collector.web.pages.page import Asked, Handler, Moved, Shown, asked
from collector.web.pages.rendering import HEADERS, HTML, render
from collector.web.reading import known_only
from collector.web.routing import failed

log = structlog.get_logger("spanmeter.web")

_MAX_FORM_BYTES: Final = 8192
_YEAR: Final = 365 * 86_400

_EVERYWHERE: Final = ("tz", "part")  # a time zone, and the piece of a page that a script asks for
_PERIOD: Final = ("last", "since", "until")
# By path: the handler, and the parameters that the page and its modules read.
PAGES: Final[Mapping[str, tuple[Handler, tuple[str, ...]]]] = {
    "/runs": (runs.page, runs.PARAMETERS),
    "/live": (live.page, ()),
    "/spend": (spend.page, ("by", "purpose", *_PERIOD)),
    "/compare": (compare.page, ("a", "b", "agent", "only", "prompt")),
    "/connect": (connect.page, ("program", "content", "since")),
    "/budgets": (budgets.page, ()),
    "/budgets/{name:path}": (budgets.one, ("after",)),
    "/runs/{trace_id}": (run.page, run.PARAMETERS),
    "/runs/{trace_id}/replay": (replay.page, ("step",)),
    "/runs/{trace_id}/spans/{span_id}": (span.page, ()),
    "/runs/{trace_id}/spans/{span_id}/{side}": (span.text_page, ("as",)),
}


def page_routes(services: Services, callers: Callers, read_timeout: float) -> list[Route]:
    """Every page, the files they need, and signing in and out. A form has `read_timeout` seconds to arrive."""
    session = _Session(callers, read_timeout, services)
    found = [Route(path, _Page(*page, services, callers), methods=["GET"]) for path, page in PAGES.items()]
    return [
        Route("/", _home, methods=["GET"]),
        *found,
        Route("/live/events", _Events(services, callers), methods=["GET"]),
        Route("/sign-in", session.form, methods=["GET"]),
        Route("/sign-in", session.sign_in, methods=["POST"]),
        Route("/sign-out", session.sign_out, methods=["POST"]),
        Route("/runs/{trace_id}/labels", session.label, methods=["POST"]),
        Route("/deliveries/replay", session.replay, methods=["POST"]),
        Route("/static/{file}", _file, methods=["GET"]),
    ]


class _Page:
    """One page as an ASGI endpoint."""

    def __init__(self, handler: Handler, parameters: tuple[str, ...], services: Services, callers: Callers) -> None:
        self._handler = handler
        self._parameters = (*parameters, *_EVERYWHERE)
        self._services = services
        self._callers = callers

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        question: Asked | None = None
        try:
            principal = self._callers.reader(request.headers)
            question = asked(request, self._services, principal, time.time_ns())
            known_only(question.query, self._parameters, "parameter")
            shown = await self._handler(question)
            if isinstance(shown, Moved):
                return RedirectResponse(shown.location, 303, HEADERS)
            return await html(request, shown, question)
        except SpanmeterError as error:
            if getattr(error, "reason", None) is Reason.UNAUTHENTICATED:
                return _to_sign_in(request)
            shown, headers = failure(error)
            return await html(request, shown, question, headers)
        except asyncio.CancelledError:
            raise
        except Exception:  # a defect is a page too, and logged
            log.exception("A page failed.", path=request.url.path[:200])
            return await html(request, _DEFECT, question)


class _Events:
    """The stream behind the page of live runs."""

    def __init__(self, services: Services, callers: Callers) -> None:
        self._services = services
        self._callers = callers

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            principal = self._callers.reader(request.headers)
            question = asked(request, self._services, principal, time.time_ns())
            response: Response = live.stream(question)
        except SpanmeterError as error:
            result = failed(error)
            response = Response(result.body, result.status, result.headers, result.media_type)
        await response(scope, receive, send)


_DEFECT: Final = Shown(
    "error.html",
    "Something is wrong with spanmeter",
    context={"message": "This is a defect of spanmeter; its log has the details.", "hint": ""},
    status=500,
)


def failure(error: SpanmeterError) -> tuple[Shown, dict[str, str]]:
    """What is shown when a page cannot be."""
    status, after = http_status(error), retry_after(error)
    title = {404: "Not found", 400: "That cannot be asked", 403: "Not for this token"}.get(status, "Not now")
    hint = "Open the page again in a moment." if after else ""
    return Shown("error.html", title, context={"message": str(error), "hint": hint}, status=status), (
        {"retry-after": after} if after else {}
    )


async def failure_page(
    request: Request, error: SpanmeterError, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """The failure as a page, with further headers."""
    shown, own = failure(error)
    return await html(request, shown, None, {**headers, **own})


async def html(
    request: Request, shown: Shown, question: Asked | None, headers: Mapping[str, str] | None = None
) -> Response:
    """The page, compressed as it is asked for."""
    body = await asyncio.to_thread(render, shown, question, signed_in=bool(cookie_token(request.headers)))
    coding = accepted_coding(request.headers.get("accept-encoding", ""))
    response = Response(body, shown.status, {**HEADERS, **(headers or {})}, HTML)
    response.headers.add_vary_header("accept-encoding")
    if coding:
        response.body = await compressed(body, coding)
        response.headers["content-encoding"] = coding
        response.headers["content-length"] = str(len(response.body))
    return response


async def _home(_: Request) -> Response:
    return RedirectResponse("/runs", 302, HEADERS)


async def _file(request: Request) -> Response:
    found = by_path().get(request.url.path)
    if found is None:
        return Response("There is no such file.\n", 404, HEADERS, "text/plain")
    headers = {"cache-control": f"public, max-age={_YEAR}, immutable", "x-content-type-options": "nosniff"}
    headers["vary"] = "accept-encoding"
    if accepted_coding(request.headers.get("accept-encoding", "")):
        return Response(found.zipped, 200, {**headers, "content-encoding": "gzip"}, found.media_type)
    return Response(found.body, 200, headers, found.media_type)


def _to_sign_in(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(path, safe='')}", 302, HEADERS)


class _Session:
    """Signing in takes a token once and keeps it in a cookie that no script can read."""

    def __init__(self, callers: Callers, read_timeout: float, services: Services) -> None:
        self._callers = callers
        self._services = services
        self._read_timeout = read_timeout

    async def form(self, request: Request) -> Response:
        try:
            self._callers.check_host(request.headers)
        except Rejected as error:
            return await failure_page(request, error)
        if self._callers.is_open():
            return RedirectResponse("/runs", 302, HEADERS)
        return await html(request, _sign_in(request.query_params.get("next", "")), None)

    async def sign_in(self, request: Request) -> Response:
        try:
            self._callers.check_origin(request.headers)
            fields = await self._fields(request)
        except SpanmeterError as error:
            return await failure_page(request, error)
        token, after = fields.get("token", "").strip(), fields.get("next", "")
        if not token.isascii() or not token.isprintable() or ";" in token or not self._callers.may_read(token):
            wrong = "That is no token with the scope traces:read."
            return await html(request, _sign_in(after, wrong), None)
        return RedirectResponse(_own_path(after), 303, {**HEADERS, "set-cookie": self._callers.cookie(token)})

    async def sign_out(self, request: Request) -> Response:
        try:
            self._callers.check_origin(request.headers)
        except SpanmeterError as error:
            return await failure_page(request, error)
        return RedirectResponse("/sign-in", 303, {**HEADERS, "set-cookie": self._callers.cookie("")})

    async def replay(self, request: Request) -> Response:
        """Queue a delivery again: for admins, from a form of these pages."""
        try:
            self._callers.check_origin(request.headers)
            self._callers.admin(request.headers)
            fields = await self._fields(request)
            if self._services.deliveries is None:
                raise Rejected(Reason.NOT_FOUND, "No webhooks are known here.")
            event, endpoint = fields.get("event", ""), fields.get("endpoint", "")
            await asyncio.to_thread(self._services.deliveries.replay, event, endpoint)
        except SpanmeterError as error:
            return await failure_page(request, error)
        return RedirectResponse(_own_path(fields.get("next", "/budgets")), 303, HEADERS)

    async def label(self, request: Request) -> Response:
        """Store what a person found of a run or span: for who may write evaluations, from a form of these pages."""
        try:
            self._callers.check_origin(request.headers)
            principal = self._callers.labeler(request.headers)
            label = _label(request.path_params["trace_id"], await self._fields(request))
            await asyncio.to_thread(store_label, self._services, principal, label)
        except SpanmeterError as error:
            return await failure_page(request, error)
        base = f"/runs/{label.trace_id.lower()}"
        return RedirectResponse(f"{base}/spans/{label.span_id.lower()}" if label.span_id else base, 303, HEADERS)

    async def _fields(self, request: Request) -> dict[str, str]:
        """The fields of a small form. Raises Rejected for a large one, and for one that does not arrive."""
        body = b""
        try:
            async with asyncio.timeout(self._read_timeout):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > _MAX_FORM_BYTES:
                        raise Rejected(Reason.TOO_LARGE, f"The form is larger than {_MAX_FORM_BYTES} bytes.")
        except TimeoutError:
            raise Rejected(Reason.SLOW, f"The form did not arrive within {self._read_timeout:g} s.") from None
        return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _label(trace_id: str, fields: Mapping[str, str]) -> LabelInput:
    """What a form says. Raises Rejected(MALFORMED)."""
    known = {name: fields[name] for name in ("evaluator", "span_id", "verdict", "reason") if name in fields}
    try:
        return LabelInput.model_validate({"trace_id": trace_id, **known})
    except ValidationError:
        text = "The form is not complete: open the run again, choose an evaluator, and press pass or fail."
        raise Rejected(Reason.MALFORMED, text) from None


def _sign_in(after: str, wrong: str = "") -> Shown:
    context = {"after": _own_path(after), "wrong": wrong}
    return Shown("sign_in.html", "Sign in", context=context, status=401 if wrong else 200)


def _own_path(after: str) -> str:
    """`after` when it is a path of this host, else the first page."""
    own = after.startswith("/") and not after.startswith("//") and "\\" not in after and after.isprintable()
    return after if own else "/runs"

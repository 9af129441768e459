"""The table of operations against what the server does: routes, scopes, documents, failures, bodies, compression."""

import asyncio
import gzip
import http.client
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from starlette.routing import Route
from structlog.testing import capture_logs

from collector.admit.auth import hash_token
from collector.config import DIMENSIONS
from collector.model.principal import Scope
from collector.web.budget_inputs import GatewayHeaders, GatewayQuery, RunInput
from collector.web.compression import accepted_coding
from collector.web.documents import html
from collector.web.operation import AnyOperation
from collector.web.operations import DAEMON, OPERATIONS
from tests.support.budgets import MONTH, Desk
from tests.support.webserver import Web, serving
from tests.support.webservices import application, services

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCOPED = [operation for operation in OPERATIONS if operation.scope]
WITH_BODY = [operation for operation in OPERATIONS if operation.body_input]
TOKENS = [{"name": scope.value, "sha256": hash_token(scope.value), "scopes": [scope.value]} for scope in Scope]


def defect() -> NoReturn:
    raise ZeroDivisionError


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, *({**MONTH, "name": f"budget-{number}"} for number in range(20)))
    yield desk
    desk.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    parts = services(desk.enforcement, desk.clock, store=defect)
    with serving(application(parts, TOKENS)) as web:
        yield web
    parts.jobs.close()


def sample(operation: AnyOperation) -> tuple[str, str]:
    """A method and a path of an operation."""
    return operation.methods[0], re.sub(r"\{\w+\}", "0" * 32, operation.path)


# -- the table --------------------------------------------------------------------------------------------------------


def test_every_operation_states_a_scope_and_what_it_does() -> None:
    assert {operation.name for operation in OPERATIONS if operation.scope is None} == {
        operation.name for operation in DAEMON
    }
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation.name)
        for text in (operation.summary, operation.description):
            assert text.endswith((".", "?")), operation.name
        assert min(operation.answers) < 300


def test_the_routes_are_the_table(desk: Desk) -> None:
    parts = services(desk.enforcement, desk.clock)
    routes = [route for route in application(parts).routes if isinstance(route, Route)][: len(OPERATIONS)]
    parts.jobs.close()
    served = [(route.path.replace(":any", ""), sorted(route.methods or {"ANY"})) for route in routes]
    stated = [
        (operation.path, ["GET", "HEAD"] if operation.method == "GET" else [operation.method])
        for operation in OPERATIONS
    ]
    assert served == stated


def test_a_run_is_described_by_all_that_budgets_match_by() -> None:
    for model in (RunInput, GatewayHeaders, GatewayQuery):
        assert set(DIMENSIONS) - {"project"} <= set(model.model_fields)


def test_the_page_for_people_needs_nothing_else(web: Web) -> None:
    page = html(OPERATIONS)
    assert not re.search(r"src=|<link|<script|@import|url\(", page)
    for operation in OPERATIONS:
        assert f'id="{operation.name}"' in page
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request("GET", "/api/v1/docs")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("content-type")) == (200, "text/html; charset=utf-8")
    assert answer.read().decode() == page
    connection.close()


def test_the_document_lists_every_operation(web: Web) -> None:
    document = web.ask("GET", "/api/v1/openapi.json").body
    assert document["openapi"] == "3.1.0"
    listed = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(operation.path, method) for operation in OPERATIONS for method in operation.methods}
    check = document["paths"]["/api/v1/budgets/check"]["post"]
    assert {"bearer": ["budgets:check"]} in check["security"]
    assert "project" not in document["components"]["schemas"]["RunInput"]["properties"]


# -- scopes and failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", SCOPED, ids=lambda operation: operation.name)
def test_only_the_scope_admits(web: Web, operation: AnyOperation) -> None:
    method, path = sample(operation)
    assert web.ask(method, path).status == 401
    assert web.ask(method, path, token="unknown").status == 401
    for scope in Scope:
        answer = web.ask(method, path, token=scope.value)
        refused = answer.body.get("error", {}).get("reason") == "forbidden"
        assert refused == (scope not in {operation.scope, Scope.ADMIN}), scope


@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "sentence"),
    [
        ("GET", "/nowhere", 404, "not_found", "There is nothing at /nowhere; /api/v1/docs lists what there is."),
        ("PUT", "/api/v1/reprice", 405, "method_not_allowed", "/api/v1/reprice does not take PUT; it takes POST."),
        ("GET", "/api/v1/runs", 500, "internal", "This is a defect of spanmeter; its log has the details."),
    ],
)
def test_every_failure_has_one_shape(web: Web, method: str, path: str, status: int, reason: str, sentence: str) -> None:
    answer = web.ask(method, path, token="admin")
    assert (answer.status, answer.body) == (status, {"error": {"reason": reason, "message": sentence}})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
def test_bodies_are_bounded(web: Web, operation: AnyOperation) -> None:
    method, path = sample(operation)

    def failure(body: bytes) -> tuple[int, str]:
        answer = web.ask(method, path, body, token="admin")
        return answer.status, answer.body["error"]["reason"]

    assert failure(b'{"a": "' + b"x" * 1_000_000 + b'"}') == (413, "too_large")
    assert failure(b'{"a": ' + b"[" * 32 + b"1" + b"]" * 32 + b"}") == (400, "too_deep")
    assert failure(b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}") == (400, "malformed")
    assert failure(b'{"a": ' + b"[" * 31 + b"1" + b"]" * 31 + b"}") == (400, "malformed"), "only its name is unknown"
    assert failure(b"[]") == (400, "malformed")


# -- compression ------------------------------------------------------------------------------------------------------


def encoded(web: Web, method: str, path: str, accept: str) -> tuple[bytes, str | None, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request(method, path, headers={"accept-encoding": accept, "x-api-key": "admin"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body, answer.getheader("content-encoding"), answer.getheader("vary")


def test_answers_are_compressed_as_asked(web: Web) -> None:
    for asked in (("GET", "/api/v1/openapi.json"), ("POST", "/api/v1/budgets/check")):  # in a thread, and at once
        plain, coding, vary = encoded(web, *asked, "identity")
        assert (coding, vary) == (None, "accept-encoding")
        body, coding, vary = encoded(web, *asked, "gzip, deflate, br, zstd")
        assert (zstd.decompress(body), coding, vary) == (plain, "zstd", "accept-encoding")
        body, coding, vary = encoded(web, *asked, "gzip")
        assert (gzip.decompress(body), coding, vary) == (plain, "gzip", "accept-encoding")
        assert len(body) < len(plain) / 2


def test_small_answers_are_left_as_they_are(web: Web) -> None:
    body, coding, vary = encoded(web, "GET", "/healthz", "gzip, zstd")
    assert (json.loads(body), coding, vary) == ({"status": "ok"}, None, None)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("br", ""),
        ("GZIP", "gzip"),
        ("gzip;q=0", ""),
        ("zstd;q=0, gzip;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *;q=0.1", "gzip"),
        ("gzip;q=high", ""),
        ("gzip ; q=0.1, , zstd", "zstd"),
        ("zstd;q=0.1, gzip;q=0.9", "gzip"),
    ],
)
def test_what_a_client_accepts(accept: str, coding: str) -> None:
    assert accepted_coding(accept) == coding


# -- what clients do wrong --------------------------------------------------------------------------------------------

ADMIN = Scope.ADMIN.value


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/api/v1/runs/xyz", 400, "is not a trace id"),
        ("/api/v1/traces/null,null", 400, "is not a trace id"),
        ("/api/v1/prices/unpriced?x=1", 400, "'x' is not a known parameter"),
        ("/api/v1/jobs?limit=1&limit=2", 400, "'limit' is given more than once"),
        ("/api/v1/jobs/", 404, "There is nothing at"),
    ],
)
def test_a_wrong_path_or_query_is_a_sentence(web: Web, path: str, status: int, part: str) -> None:
    answer = web.ask("GET", path, token=ADMIN)
    assert answer.status == status
    assert part in answer.body["error"]["message"]


@pytest.mark.parametrize("path", ["/api/v1/budgets", "/api/v1/jobs"])
def test_an_empty_cursor_is_the_first_page(web: Web, path: str) -> None:
    assert web.ask("GET", f"{path}?after=", token=ADMIN).body == web.ask("GET", path, token=ADMIN).body


def test_what_is_no_request_is_answered_in_the_shape_of_failures(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as client:
        client.sendall(b"FOO /api/v1/runs HTTP/1.1\r\nhost: a\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["reason"] == "malformed"


def test_a_body_that_stalls_is_408_and_a_client_that_goes_is_no_defect(desk: Desk) -> None:
    parts = services(desk.enforcement, desk.clock)
    head = b"POST /api/v1/budgets/check HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{"
    with capture_logs() as logs, serving(application(parts, read_timeout=0.2)) as web:
        with socket.create_connection(("127.0.0.1", web.port), timeout=10) as client:
            client.sendall(head)
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection(("127.0.0.1", web.port), timeout=10) as client:
            client.sendall(head)
        assert web.ask("GET", "/healthz").status == 200
    parts.jobs.close()
    assert not [line for line in logs if line["log_level"] == "error"]


def test_a_request_that_a_stop_cuts_off_is_told_to_come_again(desk: Desk) -> None:
    parts = services(desk.enforcement, desk.clock)
    endpoint = next(
        route.endpoint
        for route in application(parts, read_timeout=60.0).routes
        if isinstance(route, Route) and route.path == "/api/v1/budgets/check"
    )
    sent: list[dict[str, Any]] = []

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "path_params": {}}
        task = asyncio.create_task(endpoint(scope, never, send))
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(run())
    parts.jobs.close()
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["error"]["reason"] == "stopping"

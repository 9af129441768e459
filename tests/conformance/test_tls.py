"""TLS and mutual TLS on both transports, with certificates made for the occasion."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.config import TlsConfig
from tests.support.certificates import Authority, Pair
from tests.support.daemon import Daemon, running
from tests.support.otlp import request, span, trace_id
from tests.support.webserver import serving
from tests.support.wire import Connection, call, succeeded


@dataclass(frozen=True)
class Served:
    daemon: Daemon
    ca: Path
    client: Pair
    stranger: Pair


def settings(pair: Pair, client_ca: Path | None) -> list[str]:
    found = []
    for transport in ("grpc", "http"):
        tls = f"receivers.otlp.protocols.{transport}.tls"
        found += [f"{tls}.cert_file={pair.cert}", f"{tls}.key_file={pair.key}"]
        if client_ca:
            found.append(f"{tls}.client_ca_file={client_ca}")
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mutual"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("certificates")
    authority, other = Authority(directory, "authority"), Authority(directory, "other")
    server, client, stranger = authority.issue("server"), authority.issue("client"), other.issue("stranger")
    data = tmp_path_factory.mktemp("data")
    with running(data, settings(server, authority.file if request.param else None)) as daemon:
        yield Served(daemon, authority.file, client, stranger)


@pytest.fixture
def mutual(request: pytest.FixtureRequest, served: Served) -> bool:
    return "mutual" in request.node.callspec.id


def over_http(served: Served, pair: Pair | None, body: bytes) -> None:
    context = ssl.create_default_context(cafile=str(served.ca))
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    with Connection(served.daemon.ports["http"], tls=context) as connection:
        connection.send(connection.head(len(body)) + body)
        succeeded(connection.answer())


def over_grpc(served: Served, pair: Pair | None, body: bytes) -> grpc.StatusCode:
    files = (pair.key.read_bytes(), pair.cert.read_bytes()) if pair else (None, None)
    return call(served.daemon.grpc, body, credentials=grpc.ssl_channel_credentials(served.ca.read_bytes(), *files)).code


def test_a_client_with_a_certificate_is_served(served: Served) -> None:
    traces = [trace_id(), trace_id()]
    first, second = (request(span(trace_id=trace)).SerializeToString() for trace in traces)
    over_http(served, served.client, first)
    assert over_grpc(served, served.client, second) is grpc.StatusCode.OK
    for trace in traces:
        served.daemon.trace(trace)


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_without_a_known_certificate_only_plain_tls_lets_in(served: Served, mutual: bool, who: str) -> None:
    pair = served.stranger if who == "stranger" else None
    body = request(span()).SerializeToString()
    if mutual:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            over_http(served, pair, body)
        assert over_grpc(served, pair, body) is grpc.StatusCode.UNAVAILABLE
    else:
        over_http(served, pair, body)
        assert over_grpc(served, pair, body) is grpc.StatusCode.OK


def test_plain_text_is_not_served(served: Served) -> None:
    body = request(span()).SerializeToString()
    with Connection(served.daemon.ports["http"]) as connection:
        connection.send(connection.head(len(body)) + body)
        assert connection.ends()
    assert call(served.daemon.grpc, body).code is grpc.StatusCode.UNAVAILABLE
    over_http(served, served.client, body)


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    pair = Authority(tmp_path, "authority").issue("server")
    wrong = Pair(pair.cert, tmp_path / "none.key")
    with (
        pytest.raises(AssertionError, match=r"Cannot (use|read) the TLS file"),
        running(tmp_path / "data", settings(wrong, None)),
    ):
        pass


def test_the_web_port_and_a_client_that_never_shakes_hands(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("server")

    async def hello(_: Request) -> Response:
        return Response("hello")

    with contextlib.ExitStack() as stack:
        tls = TlsConfig(cert_file=pair.cert, key_file=pair.key)
        web = stack.enter_context(serving(Starlette(routes=[Route("/", hello)]), tls))
        stack.enter_context(socket.create_connection(("127.0.0.1", web.port)))
        context = ssl.create_default_context(cafile=str(authority.file))
        asking = http.client.HTTPSConnection("localhost", web.port, timeout=10, context=context)
        stack.callback(asking.close)
        asking.request("GET", "/")
        assert asking.getresponse().read() == b"hello"

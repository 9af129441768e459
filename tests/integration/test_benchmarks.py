"""The benchmarks' parts against a real daemon: what is sent arrives, and the sink counts what came."""

import http.client
import json
from pathlib import Path

import pytest

from benchmarks.daemon import daemon
from benchmarks.inserted import inserted
from benchmarks.load import Shape, sender
from benchmarks.sink import MANIFEST, SinkProcess, sink
from benchmarks.stored import active_parts

FEW = ("--distinct", "64")


def ask(endpoint: SinkProcess, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(endpoint.address, timeout=30)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_sink_counts_inserts_of_spans_and_runs_everything_else(tmp_path: Path) -> None:
    with sink() as endpoint:
        insert = "/?query=INSERT%20INTO%20otel_traces%20(A)%20FORMAT%20RowBinary&decompress=1"
        assert [ask(endpoint, insert, body) for body in (b"one", b"three")] == [(200, b"")] * 2
        assert ask(endpoint, "/", b"SELECT 40 + 2") == (200, b"42\n")
        assert ask(endpoint, "/", b"SELECT 1 FROM otel_traces_x")[0] == 404
        counts = endpoint.counts()
        assert (counts["inserts"], counts["bytes"]) == (2, 8)
        endpoint.save(tmp_path)
        entries = json.loads((tmp_path / MANIFEST).read_text())
        assert [(tmp_path / entry["body"]).read_bytes() for entry in entries] == [b"one", b"three"]
        assert entries[0]["native_compression"]
        endpoint.reset()
        assert endpoint.counts()["inserts"] == 0


@pytest.mark.slow
def test_every_span_sent_arrives_once(tmp_path: Path) -> None:
    shapes = [Shape("grpc", 512, connections=2, in_flight=2), Shape("http", 16), Shape("json", 16, gzip=True)]
    shapes.append(Shape("grpc", 16, gzip=True))
    with sink() as endpoint, daemon([f"store.url={endpoint.url}"]) as server:
        for shape in shapes:
            with sender(shape, *FEW) as load:
                load.open(server.address(shape.transport), 6)
                load.start()
                sent = load.finish()
            assert (sent["acknowledged"], sent["failed"]) == (6 * shape.spans, 0)
        total = sum(6 * shape.spans for shape in shapes)
        server.wait_until_stored(total)
        endpoint.save(tmp_path)
    counts = inserted(tmp_path, "spanmeter")
    assert (counts["rows"], counts["distinct"], counts["rows_without_resource"]) == (total, total, 0)
    assert counts["rows_priced"] == total


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "why"), [("grpc", "gRPC status 8"), ("http", "HTTP 413|connection lost")])
def test_a_refused_request_is_a_failure_and_not_a_figure(transport: str, why: str) -> None:
    limits = (
        "receivers.otlp.protocols.grpc.max_recv_msg_size_mib=1",
        "receivers.otlp.protocols.http.max_request_body_size=1MiB",
    )
    shape = Shape(transport, 64, 30_000)
    with daemon(limits, ready=False) as server, sender(shape, *FEW) as load:
        load.open(server.address(transport), 8)
        load.start()
        with pytest.raises(RuntimeError, match=why):
            load.finish()


def test_parts_contained_in_others_are_not_counted(tmp_path: Path) -> None:
    table = tmp_path / "store" / "store" / "abc" / "abcdef"
    for name in ("20261122_1_1_0", "20261122_2_2_0", "20261122_1_2_1", "20261122_3_3_0", "20261121_1_1_0", "detached"):
        (table / name).mkdir(parents=True)
    assert active_parts(tmp_path) == 3

"""Small requests that hold millions of things: refused in a sentence, at little cost, while others are served."""

import gzip
import json
from collections.abc import Callable

import grpc
import pytest

from collector.admit import validate
from tests.support.daemon import Daemon
from tests.support.exporters import EXPORT
from tests.support.memory import Growth
from tests.support.otlp import field_bytes, request, span, wrapped
from tests.support.wire import JSON, PROTOBUF, post, succeeded
from tests.support.witness import witnessed

pytestmark = pytest.mark.skipif(not validate.NATIVE, reason="without the native modules items are counted afterwards")

MIB = 1024 * 1024
SIZE = 60 * MIB
SPAN = span().SerializeToString()
LONGEST_SECONDS = 1.5  # the goal on an idle machine is 0.1


def spans_around(inner: bytes) -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + inner + b"]}]}]}"


# Made where they are sent: each takes 60 MiB.
ATTACKS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "empty events": ("/v1/traces", PROTOBUF, lambda: wrapped(SPAN + field_bytes(11, b"") * (SIZE // 2))),
    "empty links": ("/v1/traces", PROTOBUF, lambda: wrapped(SPAN + field_bytes(13, b"") * (SIZE // 2))),
    "minimal spans": ("/v1/traces", PROTOBUF, lambda: wrapped(b"") * (SIZE // 8)),
    "empty resources": ("/v1/traces", PROTOBUF, lambda: b"\x0a\x00" * (SIZE // 2)),
    "groups in groups": ("/v1/traces", PROTOBUF, lambda: b"\x0b" * SIZE),
    "groups": ("/v1/traces", PROTOBUF, lambda: b"\x0b\x0c" * (SIZE // 2)),
    "empty metrics": (
        "/v1/metrics",
        PROTOBUF,
        lambda: field_bytes(1, field_bytes(2, field_bytes(2, b"") * 1000)) * 20_000,
    ),
    "empty log records": (
        "/v1/logs",
        PROTOBUF,
        lambda: field_bytes(1, field_bytes(2, field_bytes(2, b"") * 1000)) * 20_000,
    ),
    "text that is not UTF-8, then events": (
        "/v1/traces",
        PROTOBUF,
        lambda: wrapped(field_bytes(5, b"\xff") + SPAN + field_bytes(11, b"") * (SIZE // 2)),
    ),
    "JSON, empty spans": ("/v1/traces", JSON, lambda: spans_around(b"{}," * (SIZE // 3) + b"{}")),
    "JSON, empty resources": ("/v1/traces", JSON, lambda: b'{"resourceSpans":[' + b"{}," * (SIZE // 3) + b"{}]}"),
    "JSON, unknown members": ("/v1/traces", JSON, lambda: b'{"x":[' + b"1," * (SIZE // 2) + b"1]}"),
    "JSON, unknown objects": ("/v1/traces", JSON, lambda: b'{"x":[' + b"{}," * (SIZE // 3) + b"{}]}"),
    "JSON, wrong at its end": ("/v1/traces", JSON, lambda: b'{"x":[' + b"{}," * 900_000 + b'{}],"resourceSpans":3}'),
    "JSON, a name twice": (
        "/v1/traces",
        JSON,
        lambda: b'{"resourceSpans":[],"x":[' + b"1," * (SIZE // 2) + b'1],"resourceSpans":[]}',
    ),
    "JSON, a name twice, lone surrogates": (
        "/v1/traces",
        JSON,
        lambda: spans_around(b'{"spanId":"ab","name":"","name":"' + rb"\ud800" * (SIZE // 6) + b'"}'),
    ),
}


@pytest.fixture(params=ATTACKS)
def attack(request: pytest.FixtureRequest) -> tuple[str, str, str, bytes]:
    path, media_type, body = ATTACKS[request.param]
    return request.param, path, media_type, gzip.compress(body(), 6)


def test_a_request_that_holds_millions(
    attack: tuple[str, str, str, bytes], daemon: Daemon, say: Callable[[str], None]
) -> None:
    name, path, media_type, body = attack
    before = daemon.cpu_seconds()
    growth: Growth
    with witnessed(daemon) as witness, daemon.growth() as growth:
        answers = [post(daemon.ports["http"], body, media_type, {"Content-Encoding": "gzip"}, path) for _ in range(3)]
    cpu = (daemon.cpu_seconds() - before) / 3
    say(
        f"{name}: {len(body)} bytes, {answers[0].status}, {cpu:.2f} s of CPU each, {growth.mib:.0f} MiB, "
        f"longest wait {1000 * witness.longest:.0f} ms"
    )
    for answer in answers:
        assert answer.status in (200, 400, 413)
        assert answer.status == 200 or b"spans" in answer.body or b"JSON" in answer.body
    assert growth.mib < 300
    assert cpu < 3
    assert witness.longest < LONGEST_SECONDS
    assert witness.failures == 0
    witness.assert_stored(daemon)


def test_a_large_request_of_usual_spans_is_taken(daemon: Daemon) -> None:
    message = request(*(span({f"k{n}": "x" * 40 for n in range(30)}) for _ in range(8_192)))
    succeeded(post(daemon.ports["http"], message.SerializeToString()))


def test_the_limits_are_settings(daemon: Daemon) -> None:
    answer = post(daemon.ports["http"], json.dumps({"resourceSpans": [{}] * 1_000_001}).encode(), JSON)
    assert answer.status == 413
    assert b"limits.max_request_elements" in answer.body


def test_what_is_refused_is_let_go_at_once(daemon: Daemon, say: Callable[[str], None]) -> None:
    """Also where the collector of cycles, which runs every ten minutes, has not come by."""
    body = b"\x0a\x00" * (20 * MIB // 2)
    packed = gzip.compress(body, 6)
    growth: Growth
    with daemon.growth() as growth:
        for _ in range(8):
            answers = [
                post(daemon.ports["http"], packed, PROTOBUF, {"Content-Encoding": "gzip"}),
                post(daemon.ports["http"], body, PROTOBUF),
                post(daemon.ports["http"], packed[:-9], PROTOBUF, {"Content-Encoding": "gzip"}),
            ]
            assert [answer.status for answer in answers] == [413, 413, 400]
            assert called(daemon.ports["grpc"], body) is grpc.StatusCode.RESOURCE_EXHAUSTED
    say(f"{8 * 4} refused requests of 20 MiB: {growth.mib:.0f} MiB")
    assert growth.mib < 150


def called(port: int, message: bytes) -> grpc.StatusCode:
    """The status of an export of `message`."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", compression=grpc.Compression.Gzip) as channel:
        try:
            channel.unary_unary(EXPORT)(message, timeout=30)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK

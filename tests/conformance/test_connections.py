"""HTTP/1.1 as clients really speak it: slow, chunked, pipelined, broken, and too large."""

import gzip
import itertools
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.support.daemon import Daemon
from tests.support.memory import MIB
from tests.support.otlp import chunks, json_of, request, span, trace_id
from tests.support.wire import JSON, Answer, Connection, post, status_message, succeeded

BODY = request(span({"k": "v"})).SerializeToString()
TOO_LONG = "did not arrive within 1 seconds"


def connect(daemon: Daemon) -> Connection:
    return Connection(daemon.ports["http"])


def chunked(data: bytes, size: int) -> bytes:
    return b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in chunks(data, size)) + b"0\r\n\r\n"


def padded(size: int) -> bytes:
    """A sound request of about `size` bytes."""
    body: bytes = request(span({"pad": "x" * size})).SerializeToString()
    return body


# -- forms of a request -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_chunked(daemon: Daemon, size: int) -> None:
    trace = trace_id()
    body = request(span({"pad": "x" * 300}, trace_id=trace)).SerializeToString()
    with connect(daemon) as connection:
        connection.send(connection.head(headers={"Transfer-Encoding": "chunked"}))
        connection.send(chunked(body, size))
        succeeded(connection.answer())
        connection.send(connection.head(len(BODY)) + BODY)
        succeeded(connection.answer())
    daemon.trace(trace)


def test_a_byte_at_a_time(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        for byte in connection.head(len(BODY)) + BODY:
            connection.send(bytes([byte]))
        succeeded(connection.answer())


def test_a_hundred_requests_on_one_connection(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        for _ in range(100):
            body = request(span()).SerializeToString()
            connection.send(connection.head(len(body)) + body)
            succeeded(connection.answer())


def test_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    traces = [trace_id() for _ in range(10)]
    with connect(daemon) as connection:
        out = b""
        for number, trace in enumerate(traces):
            message = request(span(trace_id=trace))
            if number % 3 == 2:
                out += connection.head(3, JSON) + b"[1]"
            body = message.SerializeToString()
            out += connection.head(len(body)) + body
        connection.send(out)
        for number in range(len(traces)):
            if number % 3 == 2:
                status_message(connection.answer(), 400, JSON)
            succeeded(connection.answer())
    for trace in traces:
        daemon.trace(trace)


def test_expect_100_continue(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(len(BODY), headers={"Expect": "100-continue"}))
        assert b" 100 " in connection.line()
        assert connection.line() == b""
        connection.send(BODY)
        succeeded(connection.answer())


def test_a_body_that_will_be_refused_is_not_asked_for(tight: Daemon) -> None:
    with connect(tight) as connection:
        connection.send(connection.head(2 * MIB, headers={"Expect": "100-continue"}))
        answer = connection.answer()
        status_message(answer, 413)
        assert answer.interim == []


def test_http_1_0_is_answered_and_closed(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(len(BODY), version="1.0") + BODY)
        succeeded(connection.answer())
        assert connection.ends()


def test_connection_close_is_honoured(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(len(BODY), headers={"Connection": "close"}) + BODY)
        succeeded(connection.answer())
        assert connection.ends()


@pytest.mark.parametrize("form", ["length", "chunked", "in pieces"])
def test_an_offer_to_upgrade_is_declined_and_the_body_kept(daemon: Daemon, form: str) -> None:
    """Java's client offers HTTP/2 on every plain connection."""
    traces = [trace_id(), trace_id()]
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABk"}
    with connect(daemon) as connection:
        for trace in traces:
            body = request(span(trace_id=trace)).SerializeToString()
            if form == "chunked":
                connection.send(connection.head(headers={**offer, "Transfer-Encoding": "chunked"}) + chunked(body, 50))
            else:
                for part in chunks(
                    connection.head(len(body), headers=offer) + body, 40 if form == "in pieces" else 9999
                ):
                    connection.send(part)
            succeeded(connection.answer())
    for trace in traces:
        daemon.trace(trace)


def test_connect_is_no_request_for_us(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert connection.answer().status in (400, 404, 405)


def test_no_host_is_a_bad_request(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        head = connection.head(len(BODY)).split(b"\r\n")
        connection.send(b"\r\n".join(line for line in head if not line.startswith(b"Host")) + BODY)
        status_message(connection.answer(), 400)


def test_a_client_that_has_finished_sending_still_gets_its_answers(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        bodies = [request(span()).SerializeToString() for _ in range(3)]
        connection.send(b"".join(connection.head(len(body)) + body for body in bodies))
        connection.socket.shutdown(socket.SHUT_WR)
        for _ in bodies:
            succeeded(connection.answer())
        assert connection.ends()


def test_what_follows_the_last_request_of_a_connection_is_ignored(daemon: Daemon) -> None:
    first, second = span(), span()
    with connect(daemon) as connection:
        bodies = [request(item).SerializeToString() for item in (first, second)]
        close = {"Connection": "close"}
        connection.send(connection.head(len(bodies[0]), headers=close) + bodies[0])
        connection.send(connection.head(len(bodies[1])) + bodies[1])
        answer = connection.answer()
        succeeded(answer)
        assert answer.headers["connection"] == "close"
        assert connection.ends()
    daemon.trace(first.trace_id)
    assert daemon.get(f"/api/v1/traces/{second.trace_id.hex()}")[0] == 404


def test_the_answer_to_head_has_no_body(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(method="HEAD") + connection.head(len(BODY)) + BODY)
        assert connection.line() == b"HTTP/1.1 405 Method Not Allowed"
        while connection.line():
            pass
        succeeded(connection.answer())


def test_answers_have_a_date(daemon: Daemon) -> None:
    answer = post(daemon.ports["http"], BODY)
    age = datetime.now(UTC) - parsedate_to_datetime(answer.headers["date"])
    assert abs(age.total_seconds()) < 5


def test_more_pipelined_requests_than_are_taken_at_once(daemon: Daemon) -> None:
    """The port stops reading while many answers are due, and reads on afterwards."""
    with connect(daemon) as connection:
        for _ in range(10):
            bodies = [request(span()).SerializeToString() for _ in range(100)]
            connection.send(b"".join(connection.head(len(body)) + body for body in bodies))
        for _ in range(1000):
            succeeded(connection.answer())


def test_a_client_that_reads_no_answers_is_cut_off(tight: Daemon) -> None:
    with connect(tight) as connection, tight.growth() as growth:
        refused = connection.head(0, path="/" + "x" * 1000) * 1000
        with pytest.raises(ConnectionError):  # noqa: PT012 - the port stops reading, and then hangs up
            for _ in range(1000):
                connection.send(refused)
    assert growth.mib < 32


@pytest.mark.parametrize("how", ["one trailer", "many trailers", "extension"])
def test_what_comes_beside_a_chunked_body_has_a_limit(daemon: Daemon, how: str) -> None:
    begin, more = {
        "one trailer": (b"0\r\nX: ", b"a" * 10_000),
        "many trailers": (b"0\r\n", b"X-Trailer: value\r\n" * 600),
        "extension": (b"5;x=", b"a" * 10_000),
    }[how]
    with connect(daemon) as connection, daemon.growth() as growth:
        head = connection.head(headers={"Transfer-Encoding": "chunked"}) + chunked(BODY, 50).removesuffix(b"0\r\n\r\n")
        connection.send_until_answered([head + begin, *itertools.repeat(more, 4000)])
        assert "trailers are too large" in status_message(connection.answer(), 400)
        assert connection.ends()
    assert growth.mib < 32


def test_requests_pipelined_to_the_web_port_are_counted_one_by_one(daemon: Daemon) -> None:
    """However the bytes come: here each time with a head that is not whole."""
    with Connection(daemon.ports["web"]) as connection:
        one = connection.head(None, None, "/healthz", "GET", {"X-Pad": "x" * 3000})
        connection.send(one * 12 + one[:1500])
        for _ in range(4):
            for _ in range(12):
                assert connection.answer().status == 200
            connection.send(one[1500:] + one * 11 + one[:1500])


@pytest.mark.parametrize("begin", [b"GET /healthz HTTP/1.1\r\nX: ", None])
def test_a_head_or_trailer_at_the_web_port_has_a_limit(daemon: Daemon, begin: bytes | None) -> None:
    with Connection(daemon.ports["web"]) as connection, daemon.growth() as growth:
        head = connection.head(path="/healthz", method="GET", headers={"Transfer-Encoding": "chunked"})
        block = itertools.repeat(b"a" * 65536, 2000)
        if begin:
            connection.send_until_answered([begin, *block])
        else:
            connection.send(head + b"0\r\nX: ")
            assert connection.answer().status == 200
            connection.send_until_answered(block)
        assert connection.ends()
    assert growth.mib < 32


# -- ambiguous and malformed requests ---------------------------------------------------------------------------------


def test_content_length_beside_chunked_ends_the_connection(daemon: Daemon) -> None:
    """RFC 9112 section 6.3: what follows may be a smuggled request."""
    with connect(daemon) as connection:
        connection.send(connection.head(len(BODY), headers={"Transfer-Encoding": "chunked"}) + chunked(BODY, 9))
        assert connection.answer().status in (200, 400)
        assert connection.ends()


@pytest.mark.parametrize(
    "line",
    ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: abc", "Content-Length: 5, 6", "Content-Length: 99999999999999999999999", "Content-Length: +5", "Transfer-Encoding: gzip", "Bad Header: x", "X: a\r\n b\x00"],
)  # fmt: skip
def test_a_malformed_head_is_refused_and_the_connection_ends(daemon: Daemon, line: str) -> None:
    with connect(daemon) as connection:
        head = connection.head().removesuffix(b"\r\n")
        connection.send(head + line.encode() + b"\r\n\r\nabcdefgh")
        assert connection.answer().status == 400
        assert connection.ends()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        bytes(64),
        b"SSH-2.0-x\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/traces HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_is_cut_off(daemon: Daemon, garbage: bytes) -> None:
    with connect(daemon) as connection:
        connection.send(garbage)
        assert connection.ends()
    succeeded(post(daemon.ports["http"], BODY))


def test_a_head_cut_in_two_with_a_large_body_behind_it(daemon: Daemon) -> None:
    """The bytes that end a head may come with a body larger than any head."""
    body = padded(2 * MIB)
    with connect(daemon) as connection, connect(daemon) as other:
        head = connection.head(len(body))
        connection.send(head[:40])
        other.send(other.head(len(BODY)) + BODY)
        succeeded(other.answer())  # by now the first part has been read by itself
        connection.send(head[40:] + body)
        succeeded(connection.answer())


@pytest.mark.parametrize("how", ["one header", "many headers", "path"])
def test_a_huge_head_is_cut_off(daemon: Daemon, how: str) -> None:
    endless = {
        "one header": (b"POST /v1/traces HTTP/1.1\r\nX: ", b"a" * 10_000),
        "many headers": (b"POST /v1/traces HTTP/1.1\r\n", b"X-Header: value\r\n" * 600),
        "path": (b"POST /", b"a" * 10_000),
    }[how]
    with connect(daemon) as connection, daemon.growth() as growth:
        connection.send_until_answered([endless[0], *itertools.repeat(endless[1], 2000)])
        assert connection.ends()
    assert growth.mib < 32


def test_a_broken_body_behind_an_early_answer_is_not_answered_again(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(path="/nothing", headers={"Transfer-Encoding": "chunked"}) + b"2\r\nab")
        status_message(connection.answer(), 404)
        connection.send(b"no chunk\r\n")
        with pytest.raises(EOFError):
            connection.answer()


def test_what_is_sent_before_the_broken_request_is_answered_first(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.send(connection.head(len(BODY)) + BODY + b"no HTTP\r\n\r\n")
        succeeded(connection.answer())
        assert connection.answer().status == 400
        assert connection.ends()


# -- slow clients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n", b"POST /v1/traces HTTP/1.1\r\nX: "]
)
def test_a_slow_head_is_cut_off(tight: Daemon, sent: bytes) -> None:
    begin = time.monotonic()
    with connect(tight) as connection:
        connection.send(sent)
        assert connection.ends()
        assert time.monotonic() - begin > 0.5


def test_a_head_that_trickles_is_cut_off(tight: Daemon) -> None:
    with connect(tight) as connection:
        connection.send(b"POST /v1/traces HTTP/1.1\r\n")
        for _ in range(300):
            if connection.ends(0.1):
                return
            try:
                connection.send(b"X: y\r\n")
            except OSError:
                return
    pytest.fail("a head may take for ever")


@pytest.mark.parametrize("after", [b"", b"\r\n", b"POST /v1"])
def test_a_connection_is_closed_when_the_next_request_does_not_come(tight: Daemon, after: bytes) -> None:
    """Blank lines between requests are legal, and begin none."""
    with connect(tight) as connection:
        connection.send(connection.head(len(BODY)) + BODY)
        succeeded(connection.answer())
        connection.send(after)
        assert connection.ends()


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_slow_body_is_answered_and_cut_off(tight: Daemon, form: str) -> None:
    with connect(tight) as connection:
        if form == "length":
            connection.send(connection.head(1000) + b"\x0a")
        else:
            connection.send(connection.head(headers={"Transfer-Encoding": "chunked"}) + b"5\r\nab")
        assert TOO_LONG in status_message(connection.answer(), 408)
        assert connection.ends()


def test_a_body_that_trickles_is_answered_and_cut_off(tight: Daemon) -> None:
    with connect(tight) as connection:
        connection.send(connection.head(1000))
        connection.socket.settimeout(0.1)
        for _ in range(300):
            connection.send(b"x")
            try:
                answer = connection.answer()
            except TimeoutError:
                continue
            assert TOO_LONG in status_message(answer, 408)
            return
    pytest.fail("a body may take for ever")


def test_clients_that_hang_up_leave_no_trace(daemon: Daemon) -> None:
    for _ in range(50):
        with connect(daemon) as connection:
            connection.send(connection.head(100) + b"\x0a")
    succeeded(post(daemon.ports["http"], BODY))
    assert daemon.metric("spanmeter_in_flight_bytes") < 100_000


# -- too large --------------------------------------------------------------------------------------------------------


def endless(connection: Connection, form: str, size: int) -> Iterator[bytes]:
    block = b"a" * 65536
    if form == "length":
        yield connection.head(size)
        yield from itertools.repeat(block, size // len(block))
    else:
        yield connection.head(headers={"Transfer-Encoding": "chunked"})
        yield from itertools.repeat(b"%x\r\n%s\r\n" % (len(block), block), size // len(block))
        yield b"0\r\n\r\n"


def oversize(daemon: Daemon, form: str, size: int) -> Answer:
    with connect(daemon) as connection:
        connection.send_until_answered(endless(connection, form, size))
        return connection.answer()


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_large_body_is_refused_before_it_is_all_read(tight: Daemon, form: str) -> None:
    with tight.growth() as growth:
        answer = oversize(tight, form, 64 * MIB)
    assert "larger than 1048576 bytes" in status_message(answer, 413)
    assert "retry-after" not in answer.headers
    assert growth.mib < 32


def test_the_limit_holds_after_decompression(tight: Daemon) -> None:
    body = gzip.compress(padded(MIB))
    assert len(body) < 10_000
    answer = post(tight.ports["http"], body, headers={"Content-Encoding": "gzip"})
    assert "larger than 1048576 bytes once decompressed" in status_message(answer, 413)


def test_just_below_the_limit_is_taken(tight: Daemon) -> None:
    succeeded(post(tight.ports["http"], padded(MIB - 200)))


def test_a_length_that_is_only_claimed_allocates_nothing(daemon: Daemon) -> None:
    with connect(daemon) as connection, daemon.growth() as growth:
        connection.send(connection.head(1 << 40))
        status_message(connection.answer(), 413)
    assert growth.mib < 16


def test_the_json_error_of_a_large_body_is_json(tight: Daemon) -> None:
    document = json_of(request(span({"pad": "x" * MIB})))
    status_message(post(tight.ports["http"], document, JSON), 413, JSON)

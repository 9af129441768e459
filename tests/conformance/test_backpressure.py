"""What cannot be taken now is refused in the one way that every SDK sends again, and told apart from bad data."""

import gzip
import json
from collections.abc import Iterator

import grpc
import pytest

from tests.support.daemon import Daemon, running
from tests.support.memory import MIB
from tests.support.otlp import json_of, request, span
from tests.support.wire import JSON, PROTOBUF, call, post, status_message, succeeded

LARGE = request(span({"pad": "x" * 10_000}))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A spool that never has room for more than a small request."""
    with running(tmp_path_factory.mktemp("full"), ["spool.max_bytes=8KiB"]) as started:
        yield started


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_a_full_spool_over_http(full: Daemon, media_type: str) -> None:
    body = LARGE.SerializeToString() if media_type == PROTOBUF else json.dumps(json_of(LARGE)).encode()
    answer = post(full.ports["http"], body, media_type)
    status_message(answer, 503, media_type)
    assert int(answer.headers["retry-after"]) >= 1
    name = "spanmeter_receiver_refused_requests_total"
    assert full.metric(name, transport="http", reason="spool_full", signal="traces") >= 1


def test_a_full_spool_over_grpc(full: Daemon) -> None:
    called = call(full.grpc, LARGE.SerializeToString())
    assert called.code is grpc.StatusCode.UNAVAILABLE
    assert called.retry


def test_bad_data_stays_final_when_the_spool_is_full(full: Daemon) -> None:
    assert "retry-after" not in post(full.ports["http"], b"\xff").headers
    called = call(full.grpc, b"\xff")
    assert (called.code, called.retry) == (grpc.StatusCode.INVALID_ARGUMENT, False)


def test_what_fits_is_still_taken_and_a_refusal_is_no_delivery(full: Daemon) -> None:
    item = span()
    body = request(item).SerializeToString()
    post(full.ports["http"], LARGE.SerializeToString())
    succeeded(post(full.ports["http"], body))
    full.trace(item.trace_id)
    status_message(post(full.ports["http"], LARGE.SerializeToString()), 503)  # not answered from the retry window


def test_too_many_bytes_in_flight(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A request larger than the whole budget passes when it is alone: told to come back, it would for ever."""
    with running(tmp_path_factory.mktemp("budget"), ["limits.max_in_flight_bytes=64KiB"]) as daemon:
        item = span({"pad": "x" * MIB})
        body = request(item).SerializeToString()
        succeeded(post(daemon.ports["http"], body))
        succeeded(post(daemon.ports["http"], gzip.compress(body), headers={"Content-Encoding": "gzip"}))
        daemon.trace(item.trace_id)
        assert daemon.metric("spanmeter_in_flight_bytes") == 0

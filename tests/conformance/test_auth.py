"""Tokens at the real doors: how they are presented, what they allow, and how they change."""

import base64
import signal
from pathlib import Path

import grpc
import pytest
import yaml

from tests.support.daemon import Daemon, running
from tests.support.memory import MIB
from tests.support.otlp import request, span, trace_id
from tests.support.ports import answers
from tests.support.tokens import ALL_TOKENS, OTHER, READER, WRITER, token_config
from tests.support.waiting import wait_until
from tests.support.wire import JSON, PROTOBUF, Answer, Called, Connection, call, post, status_message, succeeded


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


GOOD = {
    "bearer": ("authorization", f"Bearer {WRITER}"),
    "bearer lower": ("authorization", f"bearer {WRITER}"),
    "basic password": ("authorization", basic("anyone", WRITER)),
    "api key": ("x-api-key", WRITER),
}
BAD = {
    "wrong": ("authorization", "Bearer nope"),
    "empty": ("authorization", ""),
    "no scheme": ("authorization", WRITER),
    "basic user": ("authorization", basic(WRITER, "")),
    "basic garbage": ("authorization", "Basic %%%"),
    "prefix": ("authorization", f"Bearer {WRITER[:-1]}"),
    "suffix": ("authorization", f"Bearer {WRITER}x"),
    "wrong key": ("x-api-key", "nope"),
    "none": ("x-other", WRITER),
}


def body(trace: bytes | None = None) -> bytes:
    encoded: bytes = request(span(trace_id=trace or trace_id())).SerializeToString()
    return encoded


def over_http(daemon: Daemon, header: tuple[str, str], trace: bytes | None = None) -> Answer:
    return post(daemon.ports["http"], body(trace), PROTOBUF, dict([header]))


def over_grpc(daemon: Daemon, header: tuple[str, str], trace: bytes | None = None) -> Called:
    return call(daemon.grpc, body(trace), metadata=[header])


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD)
def test_a_token_lets_in(guarded: Daemon, header: tuple[str, str]) -> None:
    traces = [trace_id(), trace_id()]
    succeeded(over_http(guarded, header, traces[0]))
    assert over_grpc(guarded, header, traces[1]).code is grpc.StatusCode.OK
    for trace in traces:
        assert guarded.trace(trace)[0]["Project"] == "one"


@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_anything_else_does_not(guarded: Daemon, header: tuple[str, str]) -> None:
    answer = over_http(guarded, header)
    assert status_message(answer, 401).startswith("A known token is required")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    called = over_grpc(guarded, header)
    assert called.code is grpc.StatusCode.UNAUTHENTICATED
    assert called.message.startswith("A known token is required")
    assert not called.retry


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics", "/any/v1/traces"])
def test_every_path_and_encoding_is_guarded(guarded: Daemon, path: str) -> None:
    status_message(post(guarded.ports["http"], b"{}", JSON, path=path), 401, JSON)


@pytest.mark.parametrize("signal_name", ["trace", "logs", "metrics"])
def test_every_grpc_service_is_guarded(guarded: Daemon, signal_name: str) -> None:
    method = f"/opentelemetry.proto.collector.{signal_name}.v1.{signal_name.capitalize()}Service/Export"
    assert call(guarded.grpc, b"", method=method).code is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_without_the_scope_is_forbidden(guarded: Daemon) -> None:
    header = ("authorization", f"Bearer {READER}")
    assert "does not have the scope traces:write" in status_message(over_http(guarded, header), 403)
    assert over_grpc(guarded, header).code is grpc.StatusCode.PERMISSION_DENIED


def test_projects_do_not_see_each_other(guarded: Daemon) -> None:
    trace = trace_id()
    succeeded(over_http(guarded, ("x-api-key", OTHER), trace))
    assert guarded.trace(trace, token=OTHER)[0]["Project"] == "two"
    assert guarded.get(f"/api/v1/traces/{trace.hex()}", WRITER)[0] == 404
    assert guarded.get(f"/api/v1/traces/{trace.hex()}", "nope")[0] == 401


def test_the_same_bytes_of_two_projects_are_two_spans(guarded: Daemon) -> None:
    trace = trace_id()
    same = body(trace)
    for token in (WRITER, OTHER):
        succeeded(post(guarded.ports["http"], same, PROTOBUF, {"x-api-key": token}))
    assert {guarded.trace(trace, token=token)[0]["Project"] for token in (WRITER, OTHER)} == {"one", "two"}


def test_a_large_body_without_a_token_is_refused_before_it_is_read(guarded: Daemon) -> None:
    with Connection(guarded.ports["http"]) as connection, guarded.growth() as growth:
        blocks = (b"a" * MIB for _ in range(60))
        connection.send_until_answered([connection.head(60 * MIB), *blocks])
        status_message(connection.answer(), 401)
    assert growth.mib < 32


def test_operational_pages_need_no_token(guarded: Daemon) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert guarded.get(path, "nope")[0] == 200


def test_sighup_takes_new_tokens_and_keeps_the_old_ones_when_the_file_is_broken(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(token_config(*ALL_TOKENS))
    with running(tmp_path / "data", config=config, token=WRITER) as daemon:
        config.write_text("auth: {tokens: [{name: broken}]}")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "was not reloaded" in daemon.log(), 20, "a refused reload")
        succeeded(over_http(daemon, ("x-api-key", WRITER)))
        config.write_text(token_config(("spm_new", "three", ["traces:write", "traces:read"])))
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: daemon.log().count('"Reloaded."') == 3, 20, "a reload of all that check tokens")
        status_message(over_http(daemon, ("x-api-key", WRITER)), 401)
        assert over_grpc(daemon, ("x-api-key", WRITER)).code is grpc.StatusCode.UNAUTHENTICATED
        trace = trace_id()
        succeeded(over_http(daemon, ("x-api-key", "spm_new"), trace))
        assert daemon.trace(trace, token="spm_new")[0]["Project"] == "three"
    assert WRITER not in daemon.log()
    assert "spm_new" not in daemon.log().replace('"spm_new"', "")


def endpoints(daemon: Daemon, host: str) -> str:
    """Configuration text of its ports at an address."""
    where = {name: {"endpoint": f"{host}:{port}"} for name, port in daemon.ports.items()}
    others = {name: where.pop(name) for name in ("web", "query")}
    return yaml.safe_dump({"receivers": {"otlp": {"protocols": where}}, **others})


def test_sighup_that_would_leave_an_open_address_without_a_token_is_refused(tmp_path: Path) -> None:
    """The new file is sound by itself, but the addresses stay those of the start."""
    config = tmp_path / "config.yaml"
    daemon = Daemon(tmp_path / "data", config=config, keeps_ports=True)
    daemon.settings.clear()  # all of them are in the file
    config.write_text(endpoints(daemon, "0.0.0.0") + token_config(*ALL_TOKENS))
    daemon.start()
    try:
        daemon.wait_for_ports()
        config.write_text(endpoints(daemon, "127.0.0.1"))
        daemon.signal(signal.SIGHUP)
        refusal = "Without a token, anyone could use the addresses now bound"
        wait_until(lambda: refusal in daemon.log_tail(), 20, "a refused reload")
        status_message(post(daemon.ports["http"], body()), 401)
        succeeded(post(daemon.ports["http"], body(), PROTOBUF, {"x-api-key": WRITER}))
    finally:
        daemon.kill()


def test_sighup_the_moment_the_first_port_answers_reloads(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data", keeps_ports=True)
    daemon.start()
    try:
        while not answers(daemon.ports["grpc"]):
            assert daemon.process.poll() is None
        daemon.signal(signal.SIGHUP)
        wait_until(
            lambda: "The configuration was reloaded; no setting has changed." in daemon.log_tail(), 20, "a reload"
        )
    finally:
        daemon.kill()

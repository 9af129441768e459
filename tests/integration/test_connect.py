"""`spanmeter connect` against a real daemon: tokens, what arrives through real exporters, and what is missing."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from collector.admit.auth import hash_token
from collector.cli import main
from collector.cli.arrivals import arrivals_of
from collector.connect.findings import Finding, arrived_of, is_complete, problems
from collector.connect.programs import programs
from collector.net import http2
from collector.web.times import rfc3339
from tests.support.daemon import Daemon, running
from tests.support.tokens import READER, token_config
from tests.support.waiting import wait_until

PROGRAM = programs()["otel"]
GPT = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("open") / "data", ["query.enabled=false"]) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own files are those of the test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_STATE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)


def send_call(exporter: SpanExporter, service: str, **attributes: Any) -> None:
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    attributes = {"gen_ai.operation.name": "chat", **attributes}
    provider.get_tracer("test").start_span("chat", attributes=attributes).end()
    provider.shutdown()


def over_http(url: str, **headers: str) -> OTLPSpanExporter:
    return OTLPSpanExporter(f"{url}/v1/traces", headers=headers, timeout=5)


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_from_nothing_to_a_priced_call(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings in place, a call through an exporter that reads them, and its cost."""
    file, printed, codes = tmp_path / "my-agent" / ".env", [], []
    options = ["--data-dir", str(daemon.directory), "--file", str(file)]
    command = ["connect", "otel", *options, "--write", "--wait", "60"]
    waiting = threading.Thread(target=lambda: codes.append(main(command)))
    waiting.start()

    def says_it_waits() -> bool:
        printed.append(capsys.readouterr().out)
        return "Waiting for" in "".join(printed)

    wait_until(says_it_waits, 30, "waiting")
    settings = dotenv_values(file)
    assert settings["OTEL_SERVICE_NAME"] == "my-agent"
    send_call(over_http(str(settings["OTEL_EXPORTER_OTLP_ENDPOINT"])), str(settings["OTEL_SERVICE_NAME"]), **GPT)
    waiting.join(60)
    text = "".join(printed) + capsys.readouterr().out
    assert codes == [0]
    assert "s from my-agent: 1 span." in text
    assert "1 call, 1,200 tokens in, 300 out: $0.006." in text
    run = next(line for line in text.split("\n") if "/runs/" in line)
    with urllib.request.urlopen(run.strip(), timeout=30) as page:
        assert page.status == 200
    assert f"set -a; . {file}; set +a;" in text
    assert main(["connect", "otel", *options, "--undo"]) == 0
    assert not file.exists()
    assert f"{file} is removed again" in capsys.readouterr().out


def test_nothing_comes(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data-dir", str(daemon.directory), "--service", "never", "--file", str(tmp_path / ".env")]
    assert main(["connect", "otel", *options, "--wait", "0"]) == 1
    assert "have it call a model" in capsys.readouterr().out


# -- what is missing --------------------------------------------------------------------------------------------------


def post(port: int, path: str, media_type: str = "application/json") -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", b"{}", {"content-type": media_type})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)


def only_metrics(daemon: Daemon) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{daemon.http}/v1/metrics"))
    provider = MeterProvider([reader], Resource({"service.name": "only-metrics"}))
    provider.get_meter("test").create_counter("calls").add(1)
    provider.shutdown()


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


NO_USAGE = {"gen_ai.request.model": "gpt-4o"}
UNKNOWN = {**GPT, "gen_ai.request.model": "my-model"}
SAID = {**GPT, "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'}
Sending = Callable[[Daemon], None]
MISSING: Mapping[str, tuple[Sending, str, str]] = {
    "only-metrics": (only_metrics, "Only metrics have come", "OTEL_TRACES_EXPORTER=otlp"),
    "no-usage": (
        lambda daemon: send_call(over_http(daemon.http), "no-usage", **NO_USAGE),
        "does not say how many tokens",
        "",
    ),
    "unpriced": (
        lambda daemon: send_call(over_http(daemon.http), "unpriced", **UNKNOWN),
        "No price is known for my-model",
        "- model: my-model",
    ),
    "no-calls": (
        lambda daemon: send_call(over_http(daemon.http), "no-calls", **{"gen_ai.operation.name": "x"}),
        "No call of a model has come yet",
        "python agent.py",
    ),
    "http-to-grpc": (lambda daemon: post(port_of(daemon.grpc), "/v1/traces"), "port of gRPC", "ENDPOINT={http}"),
    "grpc-to-http": (
        lambda daemon: send_call(GrpcSpanExporter(daemon.http, insecure=True, timeout=1), "lost"),
        "to the port of HTTP",
        "ENDPOINT={http}",
    ),
    "web": (lambda daemon: post(port_of(daemon.web), "/v1/logs"), "to the web port", "ENDPOINT={http}"),
    "path": (lambda daemon: post(port_of(daemon.http), "/v1/spans"), "its path is none", "ENDPOINT={http}"),
    "media-type": (
        lambda daemon: post(port_of(daemon.http), "/v1/traces", "text/plain"),
        "neither protobuf nor JSON",
        "PROTOCOL=http/protobuf",
    ),
}


@pytest.mark.filterwarnings("ignore")  # of exporters that are sent to the wrong port
@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_has_a_line_that_mends_it(daemon: Daemon, case: str) -> None:
    if case == "http-to-grpc" and not http2.NATIVE:
        pytest.skip("grpcio, which serves where nothing was compiled, does not say what else came")
    send, text, mend = MISSING[case]
    since = time.time_ns()
    send(daemon)
    url = daemon.http
    found: list[Finding] = []

    def is_said() -> bool:
        status, body = daemon.get(f"/api/v1/arrivals?since={rfc3339(since)}")
        services, refused = arrivals_of(json.loads(body))
        arrived = arrived_of(PROGRAM, services, case)
        assert not is_complete(arrived)
        found[:] = problems(PROGRAM, arrived, refused, url, content=False)
        return status == 200 and any(text in one.text for one in found)

    wait_until(is_said, 30, text)
    (finding,) = [one for one in found if text in one.text]
    assert mend.replace("{http}", url) in finding.mend


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_made_accepted_and_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    before = "# tokens of the team\n" + token_config((READER, "team", ["traces:read"]))
    config.write_text(before)
    settings = tmp_path / "home" / ".claude" / "settings.json"
    monkeypatch.setenv("SPANMETER_TOKEN", READER)
    with running(tmp_path / "data", ["query.enabled=false"], config, READER) as daemon:
        options = ["--data-dir", str(daemon.directory), "--config", str(config), "--project", "team"]
        assert main(["connect", "claude-code", *options, "--write"]) == 0
        env = json.loads(settings.read_text())["env"]
        header, _, token = env["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")
        assert token not in capsys.readouterr().out
        assert settings.stat().st_mode & 0o777 == 0o600
        assert [each["name"] for each in yaml.safe_load(config.read_text())["auth"]["tokens"]] == [
            READER,
            "claude-code",
        ]

        def takes(token: str) -> bool:
            request = urllib.request.Request(f"{env['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces", b"{}", {header: token})
            request.add_header("content-type", "application/json")
            try:
                return bool(urllib.request.urlopen(request, timeout=10).status == 200)
            except urllib.error.HTTPError as error:
                return error.code != 401

        wait_until(lambda: takes(token), 10, "the new token")
        assert main(["connect", "claude-code", *options, "--write"]) == 0, "a second time makes no token more"
        assert "has these settings already" in capsys.readouterr().out
        assert len(yaml.safe_load(config.read_text())["auth"]["tokens"]) == 2

        assert not takes("spm_wrong")
        assert main(["connect", "claude-code", *options, "--wait", "0"]) == 1
        text = capsys.readouterr().out
        assert "Nothing has come" in text  # it was refused before that

        assert main(["connect", "claude-code", *options, "--undo"]) == 0
        assert (config.read_text(), settings.exists()) == (before, False)
        wait_until(lambda: not takes(token), 10, "the end of the token")
        assert token not in daemon.log()


# -- without a daemon -------------------------------------------------------------------------------------------------


@pytest.fixture
def team(tmp_path: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text("# tokens of the team\n" + token_config((READER, "team", ["traces:read"])))
    return config


def accepted(config: Path, token: str) -> bool:
    entries = yaml.safe_load(config.read_text())["auth"]["tokens"]
    return hash_token(token) in {entry["sha256"] for entry in entries}


def test_a_token_is_shown_where_nothing_is_written(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = team.read_text()
    assert main(["connect", "codex", "--config", str(team), "--project", "team"]) == 0
    text = capsys.readouterr().out
    token = re.findall(r'x-api-key = "(spm_[^"]+)"', text)[0]
    entry = yaml.safe_load(text[text.index("  - name") : text.index("Codex sends")])[0]
    assert entry == {"name": "codex", "sha256": hash_token(token), "project": "team", "scopes": ["traces:write"]}
    assert team.read_text() == before
    assert not Path.home().exists()


def test_a_program_without_a_setting_for_it_gets_its_token_from_the_shell(
    team: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["connect", "gemini", "--config", str(team), "--write"]
    assert main(command) == 0
    (token,) = re.findall(r"export OTEL_EXPORTER_OTLP_HEADERS=x-api-key=(spm_\S+)", capsys.readouterr().out)
    assert accepted(team, token)
    assert main(command) == 0
    assert "accepts a token for Gemini CLI already" in capsys.readouterr().out
    assert len(yaml.safe_load(team.read_text())["auth"]["tokens"]) == 2


def test_a_token_of_a_variable_is_sent(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = team.read_text()
    monkeypatch.setenv("TEAM_TOKEN", "spm_given")
    command = ["connect", "claude-code", "--config", str(team), "--write", "--send-token-env", "TEAM_TOKEN"]
    assert main([*command, "--endpoint", "https://spans.example.com:4318/"]) == 0
    env = json.loads((Path.home() / ".claude" / "settings.json").read_text())["env"]
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://spans.example.com:4318"
    assert env["OTEL_EXPORTER_OTLP_HEADERS"] == "x-api-key=spm_given"
    assert team.read_text() == before


FAILING: Mapping[str, tuple[list[str], int, str]] = {
    "no JSON": (["claude-code", "--write"], 1, "settings.json was left as it is: it is not JSON"),
    "no token": (["codex", "--send-token-env", "NO_SUCH"], 2, "The variable NO_SUCH holds no token"),
    "no daemon": (["codex", "--wait"], 3, "No daemon has run in"),
}


@pytest.mark.parametrize("case", FAILING)
def test_what_cannot_be_done_is_a_sentence(tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, code, sentence = FAILING[case]
    file = Path.home() / ".claude" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text("[]")
    assert main(["connect", *arguments, "--data-dir", str(tmp_path / "none")]) == code
    assert sentence in capsys.readouterr().err
    assert file.read_text() == "[]"


def test_nothing_to_undo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "vercel", "--undo"]) == 0
    assert "there is nothing to undo" in capsys.readouterr().out

"""`spanmeter capture check` against a daemon that has stored spans: what settings would do, and nothing readable."""

from pathlib import Path

import pytest
import yaml

from collector.cli import main
from tests.support.daemon import running
from tests.support.otlp import request, span, trace_id
from tests.support.wire import PROTOBUF, post, succeeded

SETTINGS = {
    "capture": {
        "policies": [{"service": "clinic", "policy": "metadata"}],
        "redact": [{"builtin": "email"}],
    }
}


def test_a_dry_run_tells_what_would_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(yaml.safe_dump(SETTINGS))
    with running(tmp_path / "data", ["query.enabled=false"]) as daemon:
        for service in ("clinic", "shop"):
            trace = trace_id()
            said = {"gen_ai.input.messages": "the question", "note": "jane@example.com", "gen_ai.request.model": "m"}
            message = request(span(said, trace_id=trace), resource={"service.name": service})
            succeeded(post(daemon.ports["http"], message.SerializeToString(), PROTOBUF))
            daemon.trace(trace)
        assert main(["capture", "check", "--config", str(wanted), "--url", daemon.web]) == 0
        told = capsys.readouterr().out
        assert daemon.trace(trace)[0]["SpanAttributes"]["note"] == "jane@example.com"
    assert "2 spans looked at; nothing was changed. Policies: metadata for 1." in told
    assert "rule email: 1 texts" in told
    assert "dropped in 1 spans: attribute gen_ai.input.messages   xxx xxxxxxxx" in told
    assert "shortened in 1 spans: attribute note   xxxx@xxxxxxx.xxx" in told
    assert "jane" not in told
    assert "gen_ai.request.model" not in told

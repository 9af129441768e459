"""Installed without a compiler, spanmeter works on its Python modules and says so."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from collector.telemetry import Metrics
from collector.web.native import native_modules, report_native
from tests.support.otlp import request, span

_WITHOUT = textwrap.dedent("""
    import sys
    for name in ("decode._kernel", "admit._scan", "enrich.columns._columns",
                 "enrich.billed._traces", "net.http2._codec", "capture._rewrite"):
        sys.modules[f"collector.{name}"] = None
    from collector import capture, decode, enrich
    from collector.billing.price_refresh import enricher
    from collector.config import PricingConfig
    from collector.admit import validate
    from collector.net import http2
    from collector.model.envelope import Encoding, Envelope
    body = sys.stdin.buffer.read()
    found = validate.validate_traces(body, Encoding.PROTOBUF)
    used = enricher(PricingConfig())
    reading = used.read(decode.decode([Envelope("p", 1, 1, body)]))
    billed = enrich.RecentTraces(100).absorb(reading.spans).billed
    rows = used.finish(reading, billed).num_rows
    print(decode.NATIVE, validate.NATIVE, enrich.NATIVE, enrich.NATIVE_TRACES, http2.NATIVE, capture.NATIVE, found.receipt.accepted, rows)
""")


def test_the_python_modules_serve_where_nothing_was_compiled() -> None:
    body = request(span(), span()).SerializeToString()
    done = subprocess.run([sys.executable, "-c", _WITHOUT], input=body, capture_output=True, check=True)
    assert done.stdout.split() == [b"False"] * 6 + [b"2", b"2"]


def test_metrics_say_which_modules_were_compiled() -> None:
    registry = CollectorRegistry()
    report_native(Metrics(registry))
    text = generate_latest(registry).decode()
    assert set(native_modules()) == {"decode", "scan", "enrich", "traces", "http2", "capture"}
    for module, native in native_modules().items():
        assert f'spanmeter_native{{module="{module}"}} {float(native)}' in text


def test_a_missing_compiler_does_not_end_the_installation(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--force"]
    command += ["--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")]
    root = Path(__file__).parents[2]
    environment = os.environ | {"CC": "/bin/false", "CXX": "/bin/false"}
    subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    assert list(tmp_path.rglob("*.so")) == []

"""Installed without a compiler, spanmeter works on its Python modules and says so."""

import subprocess
import sys
import textwrap

from prometheus_client import CollectorRegistry, generate_latest

from collector import decode
from collector.admit import validate
from collector.app import report_native
from collector.telemetry import Metrics
from tests.support.otlp import request, span

_WITHOUT = textwrap.dedent("""
    import sys
    sys.modules["collector.decode._kernel"] = sys.modules["collector.admit._scan"] = None
    from collector import decode
    from collector.admit import validate
    from collector.model.envelope import Encoding, Envelope
    body = sys.stdin.buffer.read()
    found = validate.validate_traces(body, Encoding.PROTOBUF)
    rows = decode.decode([Envelope("p", 1, 1, body)]).num_rows
    print(decode.NATIVE, validate.NATIVE, found.receipt.accepted, rows)
""")


def test_the_python_modules_serve_where_nothing_was_compiled() -> None:
    body = request(span(), span()).SerializeToString()
    done = subprocess.run([sys.executable, "-c", _WITHOUT], input=body, capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False", b"2", b"2"]


def test_metrics_say_which_modules_were_compiled() -> None:
    registry = CollectorRegistry()
    report_native(Metrics(registry))
    text = generate_latest(registry).decode()
    for module, native in {"decode": decode.NATIVE, "scan": validate.NATIVE}.items():
        assert f'spanmeter_native{{module="{module}"}} {float(native)}' in text

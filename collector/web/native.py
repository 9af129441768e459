"""Which modules run compiled: for the log and `/metrics`."""

import structlog

from collector import capture, decode, enrich
from collector.admit import validate
from collector.net import http2
from collector.telemetry import Metrics

log = structlog.get_logger("spanmeter")


def native_modules() -> dict[str, bool]:
    """The modules that can be compiled, and whether they are."""
    return {
        "decode": decode.NATIVE,
        "scan": validate.NATIVE,
        "capture": capture.NATIVE,
        "enrich": enrich.NATIVE,
        "traces": enrich.NATIVE_TRACES,
        "http2": http2.NATIVE,
    }


def report_native(metrics: Metrics) -> None:
    """Say which modules run compiled, and warn of those that do not."""
    modules = native_modules()
    for name, native in modules.items():
        metrics.native.labels(name).set(native)
    missing = [name for name, native in modules.items() if not native]
    if missing:
        log.warning("Not compiled, at many times the CPU per span: install with a C++ compiler.", modules=missing)

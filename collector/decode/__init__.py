"""OTLP bytes to Arrow: a RecordBatch of each signal's columns from envelopes. Pure; raises Rejected."""

from collector.decode.logs import one_log
from collector.decode.points import one_point, points_in
from collector.decode.reference import one_span

try:
    from collector.decode._kernel import decode, decode_logs, decode_metrics

    NATIVE = True
except ImportError:  # installed without a compiler
    from collector.decode.logs import decode_logs
    from collector.decode.points import decode_metrics
    from collector.decode.reference import decode

    NATIVE = False

__all__ = ["NATIVE", "decode", "decode_logs", "decode_metrics", "one_log", "one_point", "one_span", "points_in"]

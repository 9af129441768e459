"""OTLP bytes to Arrow: `decode(envelopes) -> RecordBatch` of `model.columns.DECODED_SCHEMA`. Pure; raises Rejected."""

from collector.decode.reference import one_span

try:
    from collector.decode._kernel import decode

    NATIVE = True
except ImportError:  # installed without a compiler
    from collector.decode.reference import decode

    NATIVE = False

__all__ = ["NATIVE", "decode", "one_span"]

"""OTLP bytes to Arrow: `decode(envelopes) -> RecordBatch` of `model.columns.DECODED_SCHEMA`. Pure; raises Rejected."""

from collector.decode.reference import decode, one_span

__all__ = ["decode", "one_span"]

-- What an export needs to be the OTLP that was sent (collector/decode/details.py). Rows stored before have none: their
-- attributes are exported as strings.
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS OtlpDetails LowCardinality(String) CODEC(Default) AFTER DroppedLinksCount;

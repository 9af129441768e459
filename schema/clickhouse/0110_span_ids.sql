-- A span by its id alone. Parts stored before have the index once they are merged; until then they are read as they are.
ALTER TABLE otel_traces ADD INDEX IF NOT EXISTS idx_span_id SpanId TYPE bloom_filter(0.01) GRANULARITY 1;

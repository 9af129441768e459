-- Which capture policy was applied to what was sent: full, metadata or off. Rows carry it among their attributes, so that
-- what is made of them again (a reprice, rows made of logs, exports) has it too.
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS CapturePolicy LowCardinality(String)
        DEFAULT
            if(SpanAttributes['spanmeter.capture.policy'] IN ('metadata', 'off'), SpanAttributes['spanmeter.capture.policy'], 'full')
        CODEC(Default);

ALTER TABLE otel_logs
    ADD COLUMN IF NOT EXISTS CapturePolicy LowCardinality(String)
        DEFAULT
            if(LogAttributes['spanmeter.capture.policy'] IN ('metadata', 'off'), LogAttributes['spanmeter.capture.policy'], 'full')
        CODEC(Default);

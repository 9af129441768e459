-- What spans were made for, when that is not the product. Spans of evaluators stored before have theirs by their kind.
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS Purpose LowCardinality(String) DEFAULT if(Kind = 'eval', 'judge', '') CODEC(Default);

-- That of a run's root, else of its earliest span.
ALTER TABLE run_sums ADD COLUMN IF NOT EXISTS Purpose LowCardinality(String) AFTER Folded;

-- Runs of evaluators are summed again: in batches of their hours, apart from those of the migration that summed all.
INSERT INTO runs_touched
SELECT fromUnixTimestamp64Nano(toInt64(toUnixTimestamp(toStartOfHour(min(Timestamp)))) + 1, 'UTC'), Project, TraceId
FROM otel_traces
WHERE Kind = 'eval' AND ParentSpanId = '' AND TraceId != ''
GROUP BY Project, TraceId;

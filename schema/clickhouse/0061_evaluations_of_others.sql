-- Evaluations that other tools send by OTLP: log records and events of spans named gen_ai.evaluation.result, and spans
-- that are an evaluator's. Each becomes a row of its own as it is stored; delivered again, it has the same key.
--
-- A label that says pass or fail, or a score of 0 or 1, is a verdict; anything else leaves it empty. With an error there
-- is neither.
CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_of_logs_mv TO evaluations
AS WITH
    LogAttributes AS said,
    said['gen_ai.evaluation.name'] AS name,
    said['error.type'] AS failure,
    toFloat64OrNull(said['gen_ai.evaluation.score.value']) AS value,
    lower(said['gen_ai.evaluation.score.label']) AS word,
    lower(hex(RowKey)) AS key
SELECT
    concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
        [toString(Project), TraceId, SpanId, name, said['gen_ai.evaluation.evaluator.version'], key, 'otlp', '0'],
        '\n')))), 1, 24)) AS Id,
    Timestamp AS At, Project, TraceId, SpanId, SessionId AS ConversationId,
    if(SpanId = '', 'run', 'span') AS Target, name AS Evaluator, 'external' AS Kind,
    said['gen_ai.evaluation.evaluator.version'] AS Revision, key AS InputHash, 'otlp' AS Batch,
    if(failure = '', 'ok', 'error') AS Status, failure AS ErrorType,
    multiIf(failure != '', '', word IN ('pass', 'passed', 'true'), 'pass', word IN ('fail', 'failed', 'false'), 'fail',
        word != '', '', value = 1, 'pass', value = 0, 'fail', '') AS Verdict,
    if(failure = '', value, NULL) AS Score, said['gen_ai.evaluation.score.label'] AS Label,
    said['gen_ai.evaluation.explanation'] AS Reason, ResourceAttributes['service.version'] AS Release,
    1 AS Probability, toUInt64(toUnixTimestamp64Nano(ReceivedAt)) AS Version
FROM otel_logs
WHERE Event = 'gen_ai.evaluation.result' AND name != '' AND TraceId != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_of_events_mv TO evaluations
AS WITH
    one.2 AS said,
    said['gen_ai.evaluation.name'] AS name,
    said['error.type'] AS failure,
    toFloat64OrNull(said['gen_ai.evaluation.score.value']) AS value,
    lower(said['gen_ai.evaluation.score.label']) AS word,
    toString(toUnixTimestamp64Nano(one.3)) AS key
SELECT
    concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
        [toString(Project), TraceId, SpanId, name, said['gen_ai.evaluation.evaluator.version'], key, 'otlp', '0'],
        '\n')))), 1, 24)) AS Id,
    one.3 AS At, Project, TraceId, SpanId, ConversationId, 'span' AS Target, name AS Evaluator, 'external' AS Kind,
    said['gen_ai.evaluation.evaluator.version'] AS Revision, key AS InputHash, 'otlp' AS Batch,
    if(failure = '', 'ok', 'error') AS Status, failure AS ErrorType,
    multiIf(failure != '', '', word IN ('pass', 'passed', 'true'), 'pass', word IN ('fail', 'failed', 'false'), 'fail',
        word != '', '', value = 1, 'pass', value = 0, 'fail', '') AS Verdict,
    if(failure = '', value, NULL) AS Score, said['gen_ai.evaluation.score.label'] AS Label,
    said['gen_ai.evaluation.explanation'] AS Reason, ResourceAttributes['service.version'] AS Release,
    1 AS Probability, AgentName AS Agent, Feature,
    if(ResponseModel = '', RequestModel, ResponseModel) AS Model,
    toUInt64(toUnixTimestamp64Nano(ReceivedAt)) AS Version
FROM otel_traces
ARRAY JOIN arrayZip(Events.Name, Events.Attributes, Events.Timestamp) AS one
WHERE has(Events.Name, 'gen_ai.evaluation.result') AND one.1 = 'gen_ai.evaluation.result' AND name != ''
  AND TraceId != '';

-- The span of an evaluator names what it found, and judges the span above it.
CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_of_spans_mv TO evaluations
AS WITH
    SpanAttributes AS said,
    said['gen_ai.evaluation.name'] AS name,
    if(said['error.type'] != '', said['error.type'], if(StatusCode = 'Error', 'error', '')) AS failure,
    toFloat64OrNull(said['gen_ai.evaluation.score.value']) AS value,
    lower(said['gen_ai.evaluation.score.label']) AS word
SELECT
    concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
        [toString(Project), TraceId, ParentSpanId, name, said['gen_ai.evaluation.evaluator.version'], span.SpanId, 'otlp',
         '0'], '\n')))), 1, 24)) AS Id,
    addNanoseconds(Timestamp, toInt64(least(Duration, 2000000000000000000))) AS At, Project, TraceId,
    ParentSpanId AS SpanId, ConversationId, if(ParentSpanId = '', 'run', 'span') AS Target, name AS Evaluator,
    'external' AS Kind, said['gen_ai.evaluation.evaluator.version'] AS Revision, span.SpanId AS InputHash,
    'otlp' AS Batch, if(failure = '', 'ok', 'error') AS Status, failure AS ErrorType,
    multiIf(failure != '', '', word IN ('pass', 'passed', 'true'), 'pass', word IN ('fail', 'failed', 'false'), 'fail',
        word != '', '', value = 1, 'pass', value = 0, 'fail', '') AS Verdict,
    if(failure = '', value, NULL) AS Score, said['gen_ai.evaluation.score.label'] AS Label,
    said['gen_ai.evaluation.explanation'] AS Reason, TraceId AS JudgeTraceId, span.SpanId AS JudgeSpanId,
    Cost AS JudgeCost, span.Duration AS Duration, ResourceAttributes['service.version'] AS Release, 1 AS Probability,
    AgentName AS Agent, Feature, toUInt64(toUnixTimestamp64Nano(ReceivedAt)) AS Version
FROM otel_traces AS span
WHERE mapContains(SpanAttributes, 'gen_ai.evaluation.name') AND name != '' AND TraceId != '';

-- Evaluations that spanmeter sent (collector/exports/evaluations.py) become the rows that they were, with the same key:
-- sent again, also to where they came from, they add none. Those of other tools are mapped as before.
DROP VIEW IF EXISTS evaluations_of_logs_mv;

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
WHERE Event = 'gen_ai.evaluation.result' AND name != '' AND TraceId != ''
  AND NOT mapContains(LogAttributes, 'spanmeter.evaluation.kind');

CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_returned_mv TO evaluations
AS WITH
    LogAttributes AS said,
    said['gen_ai.evaluation.name'] AS name,
    said['gen_ai.evaluation.evaluator.version'] AS version,
    said['spanmeter.evaluation.input_hash'] AS input,
    said['spanmeter.evaluation.batch'] AS sent_batch,
    toUInt16OrZero(said['spanmeter.evaluation.vote']) AS sent_vote,
    said['spanmeter.evaluation.status'] AS sent_status,
    said['spanmeter.evaluation.verdict'] AS sent_verdict
SELECT
    concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
        [toString(Project), TraceId, SpanId, name, version, input, sent_batch, toString(sent_vote)],
        '\n')))), 1, 24)) AS Id,
    Timestamp AS At, Project, TraceId, SpanId, said['gen_ai.conversation.id'] AS ConversationId,
    if(said['spanmeter.evaluation.target'] IN ('span', 'run', 'conversation', 'case'),
        said['spanmeter.evaluation.target'], 'run') AS Target,
    name AS Evaluator,
    if(said['spanmeter.evaluation.kind'] IN ('check', 'judge', 'human', 'external'),
        said['spanmeter.evaluation.kind'], 'external') AS Kind,
    version AS Revision, input AS InputHash, sent_batch AS Batch, sent_vote AS Vote,
    if(sent_status IN ('ok', 'error', 'skipped'), sent_status, 'error') AS Status,
    said['spanmeter.evaluation.error_type'] AS ErrorType,
    if(Status = 'ok' AND sent_verdict IN ('pass', 'fail'), sent_verdict, '') AS Verdict,
    if(Status = 'ok', toFloat64OrNull(said['gen_ai.evaluation.score.value']), NULL) AS Score,
    toFloat64OrNull(said['spanmeter.evaluation.score_min']) AS ScoreMin,
    toFloat64OrNull(said['spanmeter.evaluation.score_max']) AS ScoreMax,
    said['spanmeter.evaluation.label'] AS Label, said['gen_ai.evaluation.explanation'] AS Reason,
    if(isValidJSON(said['spanmeter.evaluation.evidence']), said['spanmeter.evaluation.evidence'], '') AS Evidence,
    JSONExtract(said['spanmeter.evaluation.flags'], 'Array(String)') AS Flags,
    toFloat64OrNull(said['spanmeter.evaluation.agreement']) AS Agreement,
    said['spanmeter.evaluation.judge.model'] AS JudgeModel, said['spanmeter.evaluation.judge.provider'] AS JudgeProvider,
    said['spanmeter.evaluation.judge.trace_id'] AS JudgeTraceId, said['spanmeter.evaluation.judge.span_id'] AS JudgeSpanId,
    toDecimal64OrNull(said['spanmeter.evaluation.judge.cost_usd'], 12) AS JudgeCost,
    toUInt64OrZero(said['spanmeter.evaluation.judge.input_tokens']) AS JudgeInputTokens,
    toUInt64OrZero(said['spanmeter.evaluation.judge.output_tokens']) AS JudgeOutputTokens,
    toUInt64OrZero(said['spanmeter.evaluation.duration']) AS Duration,
    said['spanmeter.evaluation.labeler'] AS Labeler, said['spanmeter.evaluation.case'] AS Case,
    toUInt16OrZero(said['spanmeter.evaluation.trial']) AS Trial, said['spanmeter.evaluation.release'] AS Release,
    ifNull(toFloat64OrNull(said['spanmeter.evaluation.probability']), 1) AS Probability,
    said['spanmeter.evaluation.agent'] AS Agent, said['spanmeter.evaluation.feature'] AS Feature,
    said['spanmeter.evaluation.model'] AS Model, toUInt64(toUnixTimestamp64Nano(Timestamp)) AS Version
FROM otel_logs
WHERE Event = 'gen_ai.evaluation.result' AND name != '' AND TraceId != ''
  AND mapContains(LogAttributes, 'spanmeter.evaluation.kind');

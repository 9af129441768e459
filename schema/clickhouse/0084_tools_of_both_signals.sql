-- A run of a tool that spans and log records tell of counts once: of the two signals the one that tells of more counts.
CREATE OR REPLACE VIEW runs AS
SELECT
    span.Project AS Project,
    span.TraceId AS TraceId,
    min(span.Timestamp) AS Start,
    max(addNanoseconds(span.Timestamp, toInt64(least(span.Duration, 2000000000000000000)))) AS End,
    toUInt64(max(toUnixTimestamp64Nano(span.Timestamp) + toInt64(least(span.Duration, 2000000000000000000)))
        - min(toUnixTimestamp64Nano(span.Timestamp))) AS Duration,
    count() AS Spans,
    countIf(span.StatusCode = 'Error') AS Errors,
    countIf(span.PriceStatus IN ('priced', 'reported', 'unknown_model')
        OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage')) AS LlmCalls,
    greatest(
        countIf(span.Kind = 'tool' AND NOT startsWith(span.ScopeName, 'spanmeter.sessions.')),
        countIf(span.Kind = 'tool' AND startsWith(span.ScopeName, 'spanmeter.sessions.'))) AS ToolCalls,
    sumIf(span.InputTokens, span.PriceStatus != 'rolled_up') AS InputTokens,
    sumIf(span.OutputTokens, span.PriceStatus != 'rolled_up') AS OutputTokens,
    sum(span.Cost) AS Cost,
    countIf(span.UnpricedCall) AS UnpricedCalls,
    arraySort(groupUniqArrayIf(if(span.ResponseModel = '', span.RequestModel, span.ResponseModel),
        span.PriceStatus NOT IN ('rolled_up', 'not_a_call') AND (span.ResponseModel != '' OR span.RequestModel != '')))
        AS Models,
    argMin(span.SpanName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS RootName,
    argMin(span.ServiceName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS ServiceName,
    argMinIf(span.AgentName, (span.Timestamp, span.SpanId), span.AgentName != '') AS AgentName,
    argMinIf(span.Feature, (span.Timestamp, span.SpanId), span.Feature != '') AS Feature,
    argMinIf(span.UserId, (span.Timestamp, span.SpanId), span.UserId != '') AS UserId,
    argMinIf(span.ConversationId, (span.Timestamp, span.SpanId), span.ConversationId != '') AS ConversationId
FROM otel_traces AS span FINAL
GROUP BY span.Project, span.TraceId;

ALTER TABLE runs
    COMMENT COLUMN Project 'Project of the token that sent it.',
    COMMENT COLUMN TraceId 'The run: a trace.',
    COMMENT COLUMN Start 'When its first span began, UTC.',
    COMMENT COLUMN End 'When its last span ended, UTC.',
    COMMENT COLUMN Duration 'From its start to its end, in nanoseconds.',
    COMMENT COLUMN Spans 'Spans.',
    COMMENT COLUMN Errors 'Spans that failed.',
    COMMENT COLUMN LlmCalls 'Calls of models.',
    COMMENT COLUMN ToolCalls 'Spans of tools, of senders or made of log records, whichever are more.',
    COMMENT COLUMN InputTokens 'Tokens in of its calls.',
    COMMENT COLUMN OutputTokens 'Tokens out of its calls.',
    COMMENT COLUMN Cost 'USD of the calls that have a price; NULL where none has.',
    COMMENT COLUMN UnpricedCalls 'Calls whose cost is not known.',
    COMMENT COLUMN Models 'Models that answered.',
    COMMENT COLUMN RootName 'Name of its first span without a parent, else of its first span.',
    COMMENT COLUMN ServiceName 'Service of that span.',
    COMMENT COLUMN AgentName 'The earliest agent that a span names.',
    COMMENT COLUMN Feature 'The earliest feature that a span names.',
    COMMENT COLUMN UserId 'The earliest user that a span names.',
    COMMENT COLUMN ConversationId 'The earliest conversation that a span names.';

ALTER TABLE runs MODIFY COMMENT 'Runs: one row a trace.';

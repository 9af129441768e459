-- Views for BI tools say what spans were made for, so that judging can be told from the product: a column at the end of each.
-- Whoever does not ask for it has the same sums as before.

CREATE OR REPLACE VIEW calls
SQL SECURITY INVOKER
AS SELECT
    span.Project AS Project, span.Timestamp AS Timestamp, span.TraceId AS TraceId, span.SpanId AS SpanId,
    span.ParentSpanId AS ParentSpanId, span.ServiceName AS ServiceName, span.Operation AS Operation,
    span.Provider AS Provider, if(span.ResponseModel = '', span.RequestModel, span.ResponseModel) AS Model,
    span.RequestModel AS RequestModel, span.AgentName AS AgentName, span.Feature AS Feature, span.UserId AS UserId,
    span.ConversationId AS ConversationId, span.Duration AS DurationNs,
    CAST(span.StatusCode = 'Error', 'Bool') AS IsError,
    span.FinishReason AS FinishReason, span.InputTokens AS InputTokens, span.OutputTokens AS OutputTokens,
    span.CacheReadTokens AS CacheReadTokens, span.CacheWriteTokens AS CacheWriteTokens,
    span.ReasoningTokens AS ReasoningTokens, span.Cost AS Cost, span.CostDetails AS CostDetails,
    span.PriceStatus AS PriceStatus, span.PriceRef AS PriceRef, span.UnpricedCall AS IsUnpriced,
    span.CapturePolicy AS CapturePolicy, span.Purpose AS Purpose
FROM otel_traces AS span FINAL
WHERE span.PriceStatus IN ('priced', 'reported', 'unknown_model')
   OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage')
COMMENT 'Calls of models: one row a call, however many spans tell of it.';

ALTER TABLE calls
    COMMENT COLUMN Project 'Project of the token that sent it.',
    COMMENT COLUMN Timestamp 'When the call began, UTC.',
    COMMENT COLUMN TraceId 'Its run.',
    COMMENT COLUMN SpanId 'Its span.',
    COMMENT COLUMN ParentSpanId 'The span it was made in; empty for the first of a run.',
    COMMENT COLUMN ServiceName 'Service that made it (service.name).',
    COMMENT COLUMN Operation 'chat, embeddings, ... in the words of OpenTelemetry.',
    COMMENT COLUMN Provider 'Provider, in the words of OpenTelemetry: openai, anthropic, aws.bedrock, ...',
    COMMENT COLUMN Model 'Model that answered, else the one that was asked for.',
    COMMENT COLUMN RequestModel 'Model that was asked for.',
    COMMENT COLUMN AgentName 'Agent, where the span of the call names one.',
    COMMENT COLUMN Feature 'Feature of the product, where the span of the call names one.',
    COMMENT COLUMN UserId 'User, where the span of the call names one.',
    COMMENT COLUMN ConversationId 'Conversation, where the span of the call names one.',
    COMMENT COLUMN DurationNs 'How long it took, in nanoseconds.',
    COMMENT COLUMN IsError 'Whether it failed.',
    COMMENT COLUMN FinishReason 'Why the model stopped.',
    COMMENT COLUMN InputTokens 'Tokens in, those from the cache included.',
    COMMENT COLUMN OutputTokens 'Tokens out, reasoning included.',
    COMMENT COLUMN CacheReadTokens 'Of the tokens in, those read from the cache.',
    COMMENT COLUMN CacheWriteTokens 'Of the tokens in, those written to the cache.',
    COMMENT COLUMN ReasoningTokens 'Of the tokens out, those of reasoning.',
    COMMENT COLUMN Cost 'USD; NULL where no price is known, which is not 0.',
    COMMENT COLUMN CostDetails 'USD by bucket: the receipt, whose sum is Cost.',
    COMMENT COLUMN PriceStatus 'priced, reported (by the sender), unknown_model or no_usage.',
    COMMENT COLUMN PriceRef 'The price entry it was priced by.',
    COMMENT COLUMN IsUnpriced 'Whether the call cost something that is not known.',
    COMMENT COLUMN CapturePolicy 'How much of its span was stored: full, metadata (no content) or off.',
    COMMENT COLUMN Purpose 'What the call was made for: empty for the product, else judge, ...';

CREATE OR REPLACE VIEW spend_hourly
SQL SECURITY INVOKER
AS SELECT
    Project, toStartOfHour(Timestamp) AS Hour, ServiceName, Provider, Model, Feature,
    ifNull(sum(call.Cost), toDecimal128(0, 12)) AS Cost, count() AS Calls, countIf(IsUnpriced) AS UnpricedCalls,
    countIf(IsError) AS Errors, sum(call.InputTokens) AS InputTokens, sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens, sum(call.CacheWriteTokens) AS CacheWriteTokens,
    sum(call.ReasoningTokens) AS ReasoningTokens, Purpose
FROM calls AS call
GROUP BY Project, Hour, ServiceName, Provider, Model, Feature, Purpose
COMMENT 'Spend by hour, service, provider, model, feature and purpose.';

ALTER TABLE spend_hourly
    COMMENT COLUMN Project 'Project of the tokens that sent the calls.',
    COMMENT COLUMN Hour 'Hour in which the calls began, UTC.',
    COMMENT COLUMN ServiceName 'Service that made them.',
    COMMENT COLUMN Provider 'Provider.',
    COMMENT COLUMN Model 'Model that answered, else the one that was asked for.',
    COMMENT COLUMN Feature 'Feature, where the span of the call names one.',
    COMMENT COLUMN Cost 'USD of the calls that have a price.',
    COMMENT COLUMN Calls 'Calls.',
    COMMENT COLUMN UnpricedCalls 'Of them, those whose cost is not known.',
    COMMENT COLUMN Errors 'Of them, those that failed.',
    COMMENT COLUMN InputTokens 'Tokens in, those from the cache included.',
    COMMENT COLUMN OutputTokens 'Tokens out, reasoning included.',
    COMMENT COLUMN CacheReadTokens 'Of the tokens in, those read from the cache.',
    COMMENT COLUMN CacheWriteTokens 'Of the tokens in, those written to the cache.',
    COMMENT COLUMN ReasoningTokens 'Of the tokens out, those of reasoning.',
    COMMENT COLUMN Purpose 'What they were made for: empty for the product, else judge, ...';

CREATE OR REPLACE VIEW spend_daily
SQL SECURITY INVOKER
AS SELECT
    Project, toDate(Timestamp) AS Day, ServiceName, Provider, Model, Feature,
    ifNull(sum(call.Cost), toDecimal128(0, 12)) AS Cost, count() AS Calls, countIf(IsUnpriced) AS UnpricedCalls,
    countIf(IsError) AS Errors, sum(call.InputTokens) AS InputTokens, sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens, sum(call.CacheWriteTokens) AS CacheWriteTokens,
    sum(call.ReasoningTokens) AS ReasoningTokens, Purpose
FROM calls AS call
GROUP BY Project, Day, ServiceName, Provider, Model, Feature, Purpose
COMMENT 'Spend by day, service, provider, model, feature and purpose.';

ALTER TABLE spend_daily
    COMMENT COLUMN Project 'Project of the tokens that sent the calls.',
    COMMENT COLUMN Day 'Day on which the calls began, UTC.',
    COMMENT COLUMN ServiceName 'Service that made them.',
    COMMENT COLUMN Provider 'Provider.',
    COMMENT COLUMN Model 'Model that answered, else the one that was asked for.',
    COMMENT COLUMN Feature 'Feature, where the span of the call names one.',
    COMMENT COLUMN Cost 'USD of the calls that have a price.',
    COMMENT COLUMN Calls 'Calls.',
    COMMENT COLUMN UnpricedCalls 'Of them, those whose cost is not known.',
    COMMENT COLUMN Errors 'Of them, those that failed.',
    COMMENT COLUMN InputTokens 'Tokens in, those from the cache included.',
    COMMENT COLUMN OutputTokens 'Tokens out, reasoning included.',
    COMMENT COLUMN CacheReadTokens 'Of the tokens in, those read from the cache.',
    COMMENT COLUMN CacheWriteTokens 'Of the tokens in, those written to the cache.',
    COMMENT COLUMN ReasoningTokens 'Of the tokens out, those of reasoning.',
    COMMENT COLUMN Purpose 'What they were made for: empty for the product, else judge, ...';

CREATE OR REPLACE VIEW tool_calls
SQL SECURITY INVOKER
AS SELECT
    span.Project AS Project, span.Timestamp AS Timestamp, span.TraceId AS TraceId, span.SpanId AS SpanId,
    span.ParentSpanId AS ParentSpanId, span.ServiceName AS ServiceName, span.ToolName AS ToolName,
    span.AgentName AS AgentName, span.Feature AS Feature, span.UserId AS UserId,
    span.ConversationId AS ConversationId, span.Duration AS DurationNs,
    CAST(span.StatusCode = 'Error', 'Bool') AS IsError,
    span.StatusMessage AS StatusMessage, span.Input AS Input, span.Output AS Output,
    span.CapturePolicy AS CapturePolicy, span.Purpose AS Purpose
FROM otel_traces AS span FINAL
WHERE span.Kind = 'tool'
COMMENT 'Spans of tools: one row a span. Layers that record one run of a tool twice are two.';

ALTER TABLE tool_calls
    COMMENT COLUMN Project 'Project of the token that sent it.',
    COMMENT COLUMN Timestamp 'When the tool began, UTC.',
    COMMENT COLUMN TraceId 'Its run.',
    COMMENT COLUMN SpanId 'Its span.',
    COMMENT COLUMN ParentSpanId 'The span it ran in.',
    COMMENT COLUMN ServiceName 'Service that ran it.',
    COMMENT COLUMN ToolName 'Tool.',
    COMMENT COLUMN AgentName 'Agent, where the span names one.',
    COMMENT COLUMN Feature 'Feature, where the span names one.',
    COMMENT COLUMN UserId 'User, where the span names one.',
    COMMENT COLUMN ConversationId 'Conversation, where the span names one.',
    COMMENT COLUMN DurationNs 'How long it took, in nanoseconds.',
    COMMENT COLUMN IsError 'Whether its span says that it failed.',
    COMMENT COLUMN StatusMessage 'What the span says of the failure.',
    COMMENT COLUMN Input 'Arguments, as sent.',
    COMMENT COLUMN Output 'Result, as sent.',
    COMMENT COLUMN CapturePolicy 'How much of its span was stored: full, metadata (no arguments, no result) or off.',
    COMMENT COLUMN Purpose 'What it ran for: empty for the product, else judge, ...';

CREATE OR REPLACE VIEW rounds
SQL SECURITY INVOKER
AS SELECT
    step.Project AS Project, step.TraceId AS TraceId, step.Round AS Round,
    argMinIf(step.SpanId, step.Timestamp, step.IsCall) AS SpanId, minIf(step.Timestamp, step.IsCall) AS Timestamp,
    anyIf(step.ServiceName, step.IsCall) AS ServiceName, anyIf(step.Model, step.IsCall) AS Model,
    anyIf(step.DurationNs, step.IsCall) AS DurationNs,
    CAST(countIf(step.IsCall AND step.IsError) > 0, 'Bool') AS IsError,
    anyIf(step.FinishReason, step.IsCall) AS FinishReason, sumIf(step.InputTokens, step.IsCall) AS InputTokens,
    sumIf(step.OutputTokens, step.IsCall) AS OutputTokens, sumIf(step.Cost, step.IsCall) AS Cost,
    countIf(NOT step.IsCall) AS ToolCalls, countIf(NOT step.IsCall AND step.IsError) AS ToolErrors,
    arraySort(groupUniqArrayIf(step.ToolName, NOT step.IsCall AND step.ToolName != '')) AS Tools,
    anyIf(step.Purpose, step.IsCall) AS Purpose
FROM
(
    SELECT
        span.Project AS Project, span.TraceId AS TraceId, span.SpanId AS SpanId, span.Timestamp AS Timestamp,
        span.Kind != 'tool' AS IsCall,
        sum(span.Kind != 'tool') OVER (PARTITION BY span.Project, span.TraceId ORDER BY span.Timestamp, span.SpanId
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS Round,
        span.ServiceName AS ServiceName, if(span.ResponseModel = '', span.RequestModel, span.ResponseModel) AS Model,
        span.Duration AS DurationNs, CAST(span.StatusCode = 'Error', 'Bool') AS IsError,
        span.FinishReason AS FinishReason,
        span.InputTokens AS InputTokens, span.OutputTokens AS OutputTokens, span.Cost AS Cost,
        span.ToolName AS ToolName, span.Purpose AS Purpose
    FROM otel_traces AS span FINAL
    WHERE span.Kind = 'tool' OR span.PriceStatus IN ('priced', 'reported', 'unknown_model')
       OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage')
) AS step
WHERE step.Round > 0
GROUP BY step.Project, step.TraceId, step.Round
COMMENT 'Rounds of runs: a call and the tools after it.';

ALTER TABLE rounds
    COMMENT COLUMN Project 'Project of the token that sent it.',
    COMMENT COLUMN TraceId 'The run.',
    COMMENT COLUMN Round 'Calls of the run are numbered from 1, by when they began.',
    COMMENT COLUMN SpanId 'The span of the call.',
    COMMENT COLUMN Timestamp 'When the call began, UTC.',
    COMMENT COLUMN ServiceName 'Service that made the call.',
    COMMENT COLUMN Model 'Model that answered, else the one that was asked for.',
    COMMENT COLUMN DurationNs 'How long the call took, in nanoseconds.',
    COMMENT COLUMN IsError 'Whether the call failed.',
    COMMENT COLUMN FinishReason 'Why the model stopped.',
    COMMENT COLUMN InputTokens 'Tokens in, those from the cache included.',
    COMMENT COLUMN OutputTokens 'Tokens out, reasoning included.',
    COMMENT COLUMN Cost 'USD; NULL where no price is known.',
    COMMENT COLUMN ToolCalls 'Spans of tools that began after the call and before the next one of the run.',
    COMMENT COLUMN ToolErrors 'Of them, those that failed.',
    COMMENT COLUMN Tools 'Their names, each once.',
    COMMENT COLUMN Purpose 'What the call was made for: empty for the product, else judge, ...';

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
    argMinIf(span.ConversationId, (span.Timestamp, span.SpanId), span.ConversationId != '') AS ConversationId,
    argMin(span.Purpose, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS Purpose
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
    COMMENT COLUMN ConversationId 'The earliest conversation that a span names.',
    COMMENT COLUMN Purpose 'What it was made for: empty for the product, else judge, ...';

ALTER TABLE runs MODIFY COMMENT 'Runs: one row a trace.';

-- Views for BI tools: names and columns that stay. A column is added at the end, and none changes its meaning; what has
-- to change gets a new name. docs/bi.md is rendered from the comments. Days and hours are those of the engine's time
-- zone, which is UTC when it is embedded.
--
-- They run with the rights of whoever asks (SQL SECURITY INVOKER), so that row policies of the tables hold for them.

-- A call is the one span that is billed for it.
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
    span.PriceStatus AS PriceStatus, span.PriceRef AS PriceRef, span.UnpricedCall AS IsUnpriced
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
    COMMENT COLUMN IsUnpriced 'Whether the call cost something that is not known.';

CREATE OR REPLACE VIEW spend_hourly
SQL SECURITY INVOKER
AS SELECT
    Project, toStartOfHour(Timestamp) AS Hour, ServiceName, Provider, Model, Feature,
    ifNull(sum(call.Cost), toDecimal128(0, 12)) AS Cost, count() AS Calls, countIf(IsUnpriced) AS UnpricedCalls,
    countIf(IsError) AS Errors, sum(call.InputTokens) AS InputTokens, sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens, sum(call.CacheWriteTokens) AS CacheWriteTokens,
    sum(call.ReasoningTokens) AS ReasoningTokens
FROM calls AS call
GROUP BY Project, Hour, ServiceName, Provider, Model, Feature
COMMENT 'Spend by hour, service, provider, model and feature.';

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
    COMMENT COLUMN ReasoningTokens 'Of the tokens out, those of reasoning.';

CREATE OR REPLACE VIEW spend_daily
SQL SECURITY INVOKER
AS SELECT
    Project, toDate(Timestamp) AS Day, ServiceName, Provider, Model, Feature,
    ifNull(sum(call.Cost), toDecimal128(0, 12)) AS Cost, count() AS Calls, countIf(IsUnpriced) AS UnpricedCalls,
    countIf(IsError) AS Errors, sum(call.InputTokens) AS InputTokens, sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens, sum(call.CacheWriteTokens) AS CacheWriteTokens,
    sum(call.ReasoningTokens) AS ReasoningTokens
FROM calls AS call
GROUP BY Project, Day, ServiceName, Provider, Model, Feature
COMMENT 'Spend by day, service, provider, model and feature.';

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
    COMMENT COLUMN ReasoningTokens 'Of the tokens out, those of reasoning.';

CREATE OR REPLACE VIEW tool_calls
SQL SECURITY INVOKER
AS SELECT
    span.Project AS Project, span.Timestamp AS Timestamp, span.TraceId AS TraceId, span.SpanId AS SpanId,
    span.ParentSpanId AS ParentSpanId, span.ServiceName AS ServiceName, span.ToolName AS ToolName,
    span.AgentName AS AgentName, span.Feature AS Feature, span.UserId AS UserId,
    span.ConversationId AS ConversationId, span.Duration AS DurationNs,
    CAST(span.StatusCode = 'Error', 'Bool') AS IsError,
    span.StatusMessage AS StatusMessage, span.Input AS Input, span.Output AS Output
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
    COMMENT COLUMN Output 'Result, as sent.';

-- By time alone: a call and the tools that began after it, before the next call of its run. The page of a run looks at
-- ids, names and arguments too.
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
    arraySort(groupUniqArrayIf(step.ToolName, NOT step.IsCall AND step.ToolName != '')) AS Tools
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
        span.ToolName AS ToolName
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
    COMMENT COLUMN Tools 'Their names, each once.';

CREATE OR REPLACE VIEW budget_history
SQL SECURITY INVOKER
AS SELECT
    event.Id AS Id, event.CreatedAt AS Timestamp, event.Type AS Type, event.Budget AS Budget, event.Scope AS Scope,
    event.PeriodStart AS PeriodStart, event.PeriodEnd AS PeriodEnd, event.Threshold AS Threshold,
    JSONExtractString(event.Data, 'unit') AS Unit,
    toDecimal128OrNull(JSONExtractString(event.Data, 'spend'), 12) AS Spend,
    toDecimal128OrNull(JSONExtractString(event.Data, 'limit'), 12) AS Limit,
    JSONExtractUInt(event.Data, 'calls') AS Calls, JSONExtractUInt(event.Data, 'unpriced_calls') AS UnpricedCalls,
    CAST(JSONExtractBool(event.Data, 'hard'), 'Bool') AS IsHard, event.Webhooks AS Webhooks, event.Data AS Data
FROM budget_events AS event FINAL
COMMENT 'What budgets told, one row an event. Seen by administrators: a budget may be shared by projects.';

ALTER TABLE budget_history
    COMMENT COLUMN Id 'Id of the event; a webhook carries it too.',
    COMMENT COLUMN Timestamp 'When it was decided, UTC.',
    COMMENT COLUMN Type 'budget.threshold_reached, budget.breached, budget.forecast, ...',
    COMMENT COLUMN Budget 'Name of the budget.',
    COMMENT COLUMN Scope 'Values of the dimensions that the budget counts by, in the order of its per.',
    COMMENT COLUMN PeriodStart 'When its period begins, UTC.',
    COMMENT COLUMN PeriodEnd 'When its period ends, UTC.',
    COMMENT COLUMN Threshold 'Fraction of the limit that was reached; empty for other events.',
    COMMENT COLUMN Unit 'What spend and limit count: usd or tokens.',
    COMMENT COLUMN Spend 'What was spent in the period, in the unit.',
    COMMENT COLUMN Limit 'The limit, in the unit.',
    COMMENT COLUMN Calls 'Calls that counted.',
    COMMENT COLUMN UnpricedCalls 'Of them, those whose cost is not known.',
    COMMENT COLUMN IsHard 'Whether the budget refuses runs.',
    COMMENT COLUMN Webhooks 'Endpoints that the event went to.',
    COMMENT COLUMN Data 'The event as its webhook has it, JSON.';

ALTER TABLE runs
    COMMENT COLUMN Project 'Project of the token that sent it.',
    COMMENT COLUMN TraceId 'The run: a trace.',
    COMMENT COLUMN Start 'When its first span began, UTC.',
    COMMENT COLUMN End 'When its last span ended, UTC.',
    COMMENT COLUMN Duration 'From its start to its end, in nanoseconds.',
    COMMENT COLUMN Spans 'Spans.',
    COMMENT COLUMN Errors 'Spans that failed.',
    COMMENT COLUMN LlmCalls 'Calls of models.',
    COMMENT COLUMN ToolCalls 'Spans of tools.',
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

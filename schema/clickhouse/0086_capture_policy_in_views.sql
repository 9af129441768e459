-- Views whose rows have content say which capture policy was applied: what is empty may not have been captured.
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
    span.CapturePolicy AS CapturePolicy
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
    COMMENT COLUMN CapturePolicy 'How much of its span was stored: full, metadata (no content) or off.';

CREATE OR REPLACE VIEW tool_calls
SQL SECURITY INVOKER
AS SELECT
    span.Project AS Project, span.Timestamp AS Timestamp, span.TraceId AS TraceId, span.SpanId AS SpanId,
    span.ParentSpanId AS ParentSpanId, span.ServiceName AS ServiceName, span.ToolName AS ToolName,
    span.AgentName AS AgentName, span.Feature AS Feature, span.UserId AS UserId,
    span.ConversationId AS ConversationId, span.Duration AS DurationNs,
    CAST(span.StatusCode = 'Error', 'Bool') AS IsError,
    span.StatusMessage AS StatusMessage, span.Input AS Input, span.Output AS Output,
    span.CapturePolicy AS CapturePolicy
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
    COMMENT COLUMN CapturePolicy 'How much of its span was stored: full, metadata (no arguments, no result) or off.';

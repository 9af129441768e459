-- Of every span of one trace in one project what the waterfall shows: no content, no attributes. In the order of the
-- table's key, which costs no sorting: when there are more than the limit, spans of the first hours are answered.
WITH lookup AS
(
    -- include trace_hours
)
SELECT
    Timestamp, SpanId, ParentSpanId, SpanName, ScopeName, Duration, StatusCode,
    substringUTF8(StatusMessage, 1, 200) AS StatusMessage,
    Kind, Operation, RequestModel, ResponseModel, ResponseId, ServiceName, AgentName, ToolName, FinishReason,
    Feature, UserId, ConversationId,
    InputTokens, OutputTokens, CacheReadTokens, Cost, PriceStatus, UnpricedCall, ReceivedAt, ContentExpired,
    CapturePolicy
FROM otel_traces FINAL
WHERE
  -- include spans_of_trace
ORDER BY Project, toStartOfHour(Timestamp), TraceId, SpanId
LIMIT {limit:UInt64}

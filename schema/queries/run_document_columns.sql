-- A part: what of a span the document of a run is made from (collector/runs/stored.py).
Timestamp, ReceivedAt, SpanId, ParentSpanId, SpanName, ScopeName, SpanAttributes, Duration, StatusCode,
Events.Name, Events.Attributes,
Kind, Operation, Provider, RequestModel, ResponseModel, ResponseId, AgentName, ToolName,
InputTokens, OutputTokens, CacheReadTokens, CacheWriteTokens, ReasoningTokens,
Cost, PriceStatus, FinishReason, Input, Output, InputKey, OutputKey, Purpose, ContentExpired, CapturePolicy

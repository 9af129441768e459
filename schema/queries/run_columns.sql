-- A part: what a run is, from its spans `span` by (Project, TraceId). Tokens and calls leave out spans that only repeat
-- the usage of others (rolled_up). What a span says of the whole run counts for the run; of several, the earliest.
-- Where spans and log records tell of tools, the signal counts that tells of more: rows made of records have a scope of ours.
-- `Features` are the run's own and those of calls that count for them. A run fails with its root; without a root it is
-- incomplete.
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
    span.PriceStatus NOT IN ('rolled_up', 'not_a_call')
        AND (span.ResponseModel != '' OR span.RequestModel != ''))) AS Models,
argMin(span.SpanName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS RootName,
argMin(span.ServiceName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS ServiceName,
argMinIf(span.AgentName, (span.Timestamp, span.SpanId), span.AgentName != '') AS AgentName,
argMinIf(span.Feature, (span.Timestamp, span.SpanId), span.Feature != '') AS Feature,
argMinIf(span.UserId, (span.Timestamp, span.SpanId), span.UserId != '') AS UserId,
argMinIf(span.ConversationId, (span.Timestamp, span.SpanId), span.ConversationId != '') AS ConversationId,
sumIf(span.CacheReadTokens, span.PriceStatus != 'rolled_up') AS CacheReadTokens,
multiIf(
    countIf(span.ParentSpanId = '') = 0, 'incomplete',
    countIf(span.ParentSpanId = '' AND span.StatusCode = 'Error') > 0, 'failed',
    countIf(span.StatusCode = 'Error') > 0, 'errors',
    'ok') AS Status,
arraySort(groupUniqArrayIf(1000)(span.ServiceName, span.ServiceName != '')) AS Services,
arraySort(groupUniqArrayIf(1000)(span.AgentName, span.AgentName != '')) AS Agents,
arraySort(arrayFilter(feature -> feature != '', arrayDistinct(arrayPushBack(
    groupUniqArrayIf(1000)(span.Feature, span.Feature != ''
        AND (span.PriceStatus IN ('priced', 'reported', 'unknown_model')
            OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage'))),
    argMinIf(span.Feature, (span.Timestamp, span.SpanId), span.Feature != ''))))) AS Features,
max(span.ReceivedAt) AS LastReceived,
countIf(span.Kind IN ('llm', 'tool', 'agent', 'eval')
    OR span.PriceStatus IN ('priced', 'reported', 'unknown_model')) = 0 AS Folded,
argMin(span.Purpose, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS Purpose

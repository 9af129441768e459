-- A part: the spans of runs that an evaluator selects and has not judged as they are now, and whether a query that needs
-- one span alone means them (NULL asks for nothing). As collector/evals/span_queries.py.
SELECT
    run.TraceId AS TraceId, run.ConversationId AS ConversationId, run.Feature AS Feature, run.Input AS Input,
    run.AgentName AS RunAgent, if(length(run.Models) = 1, run.Models[1], '') AS RunModel,
    if(span.AgentName = '', run.AgentName, span.AgentName) AS Agent,
    if(span.ResponseModel = '', span.RequestModel, span.ResponseModel) AS Model,
    span.ResourceAttributes['service.version'] AS Release,
    span.SpanId AS SpanId, span.SpanName AS SpanName, span.Timestamp AS Began, span.Duration AS Lasted,
    span.Kind AS Kind, span.StatusCode = 'Error' AS Failed, span.Output AS Output, span.FinishReason AS FinishReason,
    span.Cost AS Cost, span.PriceStatus AS PriceStatus, span.InputTokens AS InputTokens,
    span.OutputTokens AS OutputTokens, span.Purpose AS Purpose,
    ifNull(span.SpanName = {name_equals:Nullable(String)}, true)
    AND ({name_contains:Nullable(String)} IS NULL OR position(span.SpanName, ifNull({name_contains:Nullable(String)}, '')) > 0)
    AND ({name_matches:String} = '' OR match(span.SpanName, {name_matches:String}))
    AND ifNull(span.Kind = {kind:Nullable(String)}, true)
    AND ifNull(span.Operation = {operation:Nullable(String)}, true)
    AND ifNull(span.ToolName = {tool:Nullable(String)}, true)
    AND ifNull(span.AgentName = {span_agent:Nullable(String)}, true)
    AND ifNull(span.RequestModel = {span_model:Nullable(String)} OR span.ResponseModel = {span_model:Nullable(String)}, true)
    AND ({failed:Nullable(UInt8)} IS NULL OR (span.StatusCode = 'Error') = ({failed:Nullable(UInt8)} = 1))
    AND ifNull(span.Duration >= {min_duration:Nullable(Float64)}, true)
    AND ifNull(span.Duration <= {max_duration:Nullable(Float64)}, true)
    AND arrayAll(key -> mapContains(span.SpanAttributes, key) OR key IN (span.InputKey, span.OutputKey),
        {keys:Array(String)}) AS Meant
FROM
(
    SELECT
        TraceId, SpanId, SpanName, Timestamp, Duration, Kind, Operation, ToolName, AgentName, RequestModel,
        ResponseModel, StatusCode, Output, FinishReason, Cost, PriceStatus, InputTokens, OutputTokens, SpanAttributes,
        ResourceAttributes, InputKey, OutputKey, Purpose
    FROM otel_traces FINAL
    WHERE Project = {project:String}
      AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
) AS span
INNER JOIN
(
    SELECT TraceId, ConversationId, AgentName, Feature, Models, Input
    FROM
    (
        -- include evals_by_columns
    )
    WHERE Drawn AND Settled AND NOT Known
) AS run ON span.TraceId = run.TraceId

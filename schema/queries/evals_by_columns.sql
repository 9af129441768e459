-- A part: runs of a project that began in [`since`, `until`) and that an evaluator selects, with what its bound is about,
-- and whether they are drawn, settled and judged before as they are now. As collector/evals/select.py and figures.py.
SELECT
    run.TraceId AS TraceId, run.ConversationId AS ConversationId, run.AgentName AS AgentName, run.Feature AS Feature,
    run.Models AS Models, run.UnpricedCalls AS UnpricedCalls,
    substring(lower(hex(SHA256(concat(run.TraceId, ' ', toString(run.Spans), ' ',
        toString(toUnixTimestamp64Nano(run.LastReceived)))))), 1, 32) AS Input,
    {everyone:UInt8} = 1 OR reinterpretAsUInt64(reverse(substring(SHA256(
        if({by:String} = 'conversation' AND run.ConversationId != '', run.ConversationId, run.TraceId)), 1, 8)))
        < {draw:UInt64} AS Drawn,
    toUnixTimestamp64Nano(run.LastReceived) <= {settled:Int64} AS Settled,
    {again:UInt8} = 0 AND (run.TraceId, Input) IN
    (
        SELECT TraceId, InputHash
        FROM evaluations
        WHERE Project = {project:String} AND Evaluator = {evaluator:String} AND Revision = {revision:String} AND Vote = 0
    ) AS Known,
    multiIf(
        {metric:String} = 'cost_usd',
            if(run.Cost IS NULL AND run.LlmCalls = 0, toDecimal128(0, 12), CAST(run.Cost, 'Nullable(Decimal(38, 12))')),
        {metric:String} = 'duration_ms', CAST(run.Duration, 'Nullable(Decimal(38, 12))') / 1000000,
        {metric:String} = 'input_tokens', CAST(run.InputTokens, 'Nullable(Decimal(38, 12))'),
        {metric:String} = 'output_tokens', CAST(run.OutputTokens, 'Nullable(Decimal(38, 12))'),
        CAST(run.Errors, 'Nullable(Decimal(38, 12))')) AS Figure
FROM
(
    -- include current_runs
) AS run
WHERE toUnixTimestamp64Nano(run.Start) >= {since:Int64}
  AND toUnixTimestamp64Nano(run.Start) < {until:Int64}
  AND run.Folded = 0
  AND run.Purpose = ''
  AND ({agent:String} = '' OR arrayExists(one -> match(one, {agent:String}), run.Agents))
  AND ({feature:String} = '' OR arrayExists(one -> match(one, {feature:String}), run.Features))
  AND ({model:String} = '' OR arrayExists(one -> match(one, {model:String}), run.Models))
  AND ({service:String} = '' OR arrayExists(one -> match(one, {service:String}), run.Services))
  AND ({user:String} = '' OR match(run.UserId, {user:String}))
  AND ({conversation:String} = '' OR match(run.ConversationId, {conversation:String}))
  AND (empty({status:Array(String)}) OR run.Status IN {status:Array(String)})

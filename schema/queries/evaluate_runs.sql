-- Verdicts of a bound on runs, one row a run, without their documents.
INSERT INTO evaluations
(
    Id, At, Project, TraceId, ConversationId, Target, Evaluator, Kind, Revision, InputHash, Batch, Status, ErrorType,
    Verdict, Score, ScoreMin, ScoreMax, Reason, Evidence, Probability, Agent, Feature, Model, Version
)
WITH
    ifNull({max:Nullable(Decimal(38, 12))} IS NOT NULL AND Figure > {max:Nullable(Decimal(38, 12))}, false) AS Beyond,
    ifNull({min:Nullable(Decimal(38, 12))} IS NOT NULL AND Figure < {min:Nullable(Decimal(38, 12))}, false) AS Below,
    Figure IS NULL OR ({metric:String} = 'cost_usd' AND UnpricedCalls > 0 AND NOT Beyond) AS Unpriced,
    ifNull(toString(Figure), '') AS Shown
SELECT
    concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
        [{project:String}, TraceId, '', {evaluator:String}, {revision:String}, Input, {batch:String}, '0'], '\n')))), 1, 24)),
    fromUnixTimestamp64Nano({at:Int64}, 'UTC'), {project:String}, TraceId, ConversationId, 'run', {evaluator:String}, 'check',
    {revision:String}, Input, {batch:String}, if(Unpriced, 'skipped', 'ok'), if(Unpriced, 'unpriced', ''),
    multiIf(Unpriced, '', Beyond OR Below, 'fail', 'pass'), if(Unpriced, NULL, toFloat64(NOT Beyond AND NOT Below)),
    if(Unpriced, NULL, 0), if(Unpriced, NULL, 1),
    multiIf(Unpriced, 'It has calls without a price.',
        Beyond, concat({metric:String}, ' is ', Shown, ', more than ', {max_text:String}, '.'),
        Below, concat({metric:String}, ' is ', Shown, ', less than ', {min_text:String}, '.'),
        concat({metric:String}, ' is ', Shown, '.')),
    if(Unpriced, '', concat('[{"span_id":"","field":"', {metric:String}, '","start":0,"end":', toString(length(Shown)),
        ',"sha256":"', lower(hex(SHA256(Shown))), '"}]')),
    {probability:Float64}, AgentName, Feature, if(length(Models) = 1, Models[1], ''), toUInt64({at:Int64})
FROM
(
    -- include evals_by_columns
)
WHERE Drawn AND Settled AND NOT Known

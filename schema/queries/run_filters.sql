-- A part: whether a run `run` is asked for. Empty texts and the widest ranges ask for nothing. Each filter that is a
-- facet stands alone, as the counts of a facet leave its own filter out.
({service:String} = '' OR has(run.Services, {service:String})) AS ByService,
({agent:String} = '' OR has(run.Agents, {agent:String})) AS ByAgent,
({model:String} = '' OR has(run.Models, {model:String})) AS ByModel,
({feature:String} = '' OR has(run.Features, {feature:String})) AS ByFeature,
({status:String} = '' OR run.Status = {status:String}) AS ByStatus,
({problem:String} = '' OR ({problem:String} = 'errors' AND run.Errors > 0)
    OR ({problem:String} = 'unpriced' AND run.UnpricedCalls > 0)
    OR ({problem:String} = 'failed_evals' AND
        -- include any_failed_evals
    )) AS ByProblem,
({folded:UInt8} = 1 OR run.Folded = 0) AS ByFolded,
({user:String} = '' OR run.UserId = {user:String})
    AND ({conversation:String} = '' OR run.ConversationId = {conversation:String})
    AND ({purpose:String} = '*' OR run.Purpose = {purpose:String})
    AND run.Duration BETWEEN {min_duration:UInt64} AND {max_duration:UInt64}
    AND run.InputTokens + run.OutputTokens BETWEEN {min_tokens:UInt64} AND {max_tokens:UInt64}
    AND ({min_cost:Decimal(38, 12)} <= 0 OR ifNull(run.Cost, 0) >= {min_cost:Decimal(38, 12)})
    AND ({max_cost:Decimal(38, 12)} < 0 OR ifNull(run.Cost, 0) <= {max_cost:Decimal(38, 12)}) AS ByValues,
-- include by_no_evaluations
,
-- include by_no_spans

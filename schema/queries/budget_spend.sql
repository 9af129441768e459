-- What budgets that count the same calls have spent, by period and scope: the exact answer that the ledger is built from
-- and compared with.
--
-- They may have several schedules, by which each call is counted: schedule N has periods from `sinces[N]` to `untils[N]`
-- (Unix nanoseconds), steps of `steps[N]` nanoseconds, or with 0 there periods that begin at `starts`, which ascend.
-- `since` and `until` are the earliest and the latest of them.
-- A call without an agent, feature, user, conversation or attribute has its run's: the earliest that a span of the run
-- names, at most a week before `since` or after `until`. `by_run` and `by_attributes` are 0 for budgets that do not ask
-- for these; `value_keys` are the attributes that some budget asks for, `attribute_keys` and `attribute_values` those this
-- one wants.
-- What a model is called is known outside: with `by_model`, `ModelSent` is the provider and the names that were sent, and
-- the model's value in `Scope` is empty. Names longer than 512 characters are nobody's; 513 tell that one is.
WITH
    if(empty(run.ItsValues), call.OwnValues,
        arrayMap((own, its) -> if(own = '', its, own), call.OwnValues, run.ItsValues)) AS Values
SELECT
    arrayJoin(arrayFilter(
        (number, first, end) -> call.StartNano >= first AND call.StartNano < end,
        arrayEnumerate({sinces:Array(Int64)}), {sinces:Array(Int64)}, {untils:Array(Int64)})) AS Schedule,
    if({steps:Array(Int64)}[Schedule] > 0,
        call.StartNano - call.StartNano % greatest({steps:Array(Int64)}[Schedule], 1),
        roundDown(call.StartNano, {starts:Array(Int64)})) AS PeriodStart,
    arrayMap(name -> leftUTF8(multiIf(
        name = 'project', toString(call.Project),
        name = 'service', toString(call.ServiceName),
        name = 'environment', call.Environment,
        name = 'provider', toString(call.Provider),
        name = 'model', '',
        name = 'agent', if(call.AgentName = '', run.ItsAgent, toString(call.AgentName)),
        name = 'feature', if(call.Feature = '', run.ItsFeature, toString(call.Feature)),
        name = 'user', if(call.UserId = '', run.ItsUser, call.UserId),
        name = 'conversation', if(call.ConversationId = '', run.ItsConversation, call.ConversationId),
        name = 'purpose', toString(call.Purpose),
        Values[indexOf({value_keys:Array(String)}, substring(name, length('attribute.') + 1))]
        ), 200), {per:Array(String)}) AS Scope,
    call.Sent AS ModelSent,
    toString(sum(call.Usd)) AS Cost,
    toString(sum(call.Tokens)) AS Tokens,
    count() AS Calls,
    countIf(call.Unpriced) AS Unpriced
FROM
(
    SELECT
        Project, TraceId, ServiceName, Provider, AgentName, Feature, UserId, ConversationId, Purpose,
        toUnixTimestamp64Nano(Timestamp) AS StartNano,
        if({by_model:UInt8} = 1,
            arrayMap(name -> leftUTF8(name, 513), [toString(Provider), toString(ResponseModel), toString(RequestModel)]),
            []) AS Sent,
        if({by_attributes:UInt8} = 1,
            if(ResourceAttributes['deployment.environment.name'] = '',
                ResourceAttributes['deployment.environment'], ResourceAttributes['deployment.environment.name']),
            '') AS Environment,
        if({by_attributes:UInt8} = 1,
            arrayMap(key -> if(SpanAttributes[key] = '', ResourceAttributes[key], SpanAttributes[key]),
                {value_keys:Array(String)}),
            []) AS OwnValues,
        ifNull(Cost, 0) AS Usd,
        toUInt128(InputTokens) + OutputTokens AS Tokens,
        UnpricedCall AS Unpriced
    FROM otel_traces FINAL
    WHERE Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
      AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
      AND (PriceStatus IN ('priced', 'reported') OR UnpricedCall)
      AND (empty({match_project:Array(String)}) OR has({match_project:Array(String)}, Project))
      AND (empty({match_service:Array(String)}) OR has({match_service:Array(String)}, leftUTF8(ServiceName, 200)))
      AND (empty({match_provider:Array(String)}) OR has({match_provider:Array(String)}, leftUTF8(Provider, 200)))
      AND (empty({match_purpose:Array(String)}) OR has({match_purpose:Array(String)}, leftUTF8(Purpose, 200)))
) AS call
LEFT JOIN
(
    WITH if({by_attributes:UInt8} = 1, arrayMap(key -> SpanAttributes[key], {value_keys:Array(String)}), []) AS Named
    SELECT
        Project, TraceId,
        argMinIf(toString(AgentName), (Timestamp, SpanId), AgentName != '') AS ItsAgent,
        argMinIf(toString(Feature), (Timestamp, SpanId), Feature != '') AS ItsFeature,
        argMinIf(UserId, (Timestamp, SpanId), UserId != '') AS ItsUser,
        argMinIf(ConversationId, (Timestamp, SpanId), ConversationId != '') AS ItsConversation,
        argMinForEach(Named, arrayMap(value -> (value = '', Timestamp, SpanId), Named)) AS ItsValues
    FROM otel_traces FINAL
    WHERE {by_run:UInt8} = 1
      AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC') - INTERVAL 7 DAY
      AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC') + INTERVAL 7 DAY
      AND (AgentName != '' OR Feature != '' OR UserId != '' OR ConversationId != ''
          OR arrayExists(value -> value != '', Named))
    GROUP BY Project, TraceId
) AS run ON call.Project = run.Project AND call.TraceId = run.TraceId
WHERE (empty({match_environment:Array(String)})
        OR has({match_environment:Array(String)}, leftUTF8(call.Environment, 200)))
  AND (empty({match_agent:Array(String)})
        OR has({match_agent:Array(String)}, leftUTF8(if(call.AgentName = '', run.ItsAgent, call.AgentName), 200)))
  AND (empty({match_feature:Array(String)})
        OR has({match_feature:Array(String)}, leftUTF8(if(call.Feature = '', run.ItsFeature, call.Feature), 200)))
  AND (empty({match_user:Array(String)})
        OR has({match_user:Array(String)}, leftUTF8(if(call.UserId = '', run.ItsUser, call.UserId), 200)))
  AND (empty({match_conversation:Array(String)})
        OR has({match_conversation:Array(String)},
            leftUTF8(if(call.ConversationId = '', run.ItsConversation, call.ConversationId), 200)))
  AND arrayAll(
        wanted -> arrayExists(
            (key, value) -> key = wanted
                AND value = leftUTF8(Values[indexOf({value_keys:Array(String)}, wanted)], 200),
            {attribute_keys:Array(String)}, {attribute_values:Array(String)}),
        {attribute_keys:Array(String)})
GROUP BY Schedule, PeriodStart, Scope, ModelSent

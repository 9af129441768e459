-- Which values spans have had, by project and dimension, as far as budgets match by it. Read by: the start, to tell
-- callers of values that no span has.
-- A value is a list of one text; of `model` it is the provider and the names that were sent, at most 513 characters each.
SELECT DISTINCT Project, Pair.1 AS Name, Pair.2 AS Value
FROM
(
    SELECT
        toString(Project) AS Project,
        arrayJoin(arrayMap(name -> (name, multiIf(
            name = 'model', [leftUTF8(toString(Provider), 513), leftUTF8(toString(ResponseModel), 513),
                leftUTF8(toString(RequestModel), 513)],
            [leftUTF8(multiIf(
                name = 'service', toString(ServiceName),
                name = 'provider', toString(Provider),
                name = 'agent', toString(AgentName),
                name = 'feature', toString(Feature),
                name = 'user', UserId,
                name = 'conversation', ConversationId,
                name = 'purpose', toString(Purpose),
                name = 'environment', if(ResourceAttributes['deployment.environment.name'] = '',
                    ResourceAttributes['deployment.environment'], ResourceAttributes['deployment.environment.name']),
                startsWith(name, 'attribute.'),
                    if(SpanAttributes[substring(name, length('attribute.') + 1)] = '',
                        ResourceAttributes[substring(name, length('attribute.') + 1)],
                        SpanAttributes[substring(name, length('attribute.') + 1)]),
                ''), 200)])), {names:Array(String)})) AS Pair
    FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
)
WHERE arrayStringConcat(Pair.2) != ''
LIMIT {limit:UInt32}

-- Of some sessions the tokens that their metrics count and those that are billed, where metrics count more. Read by: the
-- drain, when such points arrive. `names`, `types`: the metrics, and the types of tokens that add up to the whole.
WITH
    metered AS
    (
        SELECT Project, Attributes['session.id'] AS SessionId, toUInt64(sum(Increase)) AS Metered
        FROM otel_metrics_sum_increases
        WHERE Project IN {projects:Array(String)}
          AND MetricName IN {names:Array(String)}
          AND Series IN
          (
              SELECT Series
              FROM otel_metrics_sum
              WHERE Project IN {projects:Array(String)}
                AND MetricName IN {names:Array(String)}
                AND hasAny(mapValues(Attributes), {sessions:Array(String)})
          )
          AND Attributes['session.id'] IN {sessions:Array(String)}
          AND has({types:Array(String)}, Attributes['type'])
          AND TimeUnix <= fromUnixTimestamp64Nano({points_until:Int64}, 'UTC')
        GROUP BY Project, SessionId
    ),
    billed AS
    (
        SELECT Project, ConversationId AS SessionId, sum(InputTokens + OutputTokens) AS Billed
        FROM otel_traces FINAL
        WHERE Project IN {projects:Array(String)}
          AND ConversationId IN {sessions:Array(String)}
          AND PriceStatus IN ('priced', 'reported', 'unknown_model')
          AND toStartOfHour(Timestamp) >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64}, 'UTC'))
          AND toStartOfHour(Timestamp) <= toStartOfHour(fromUnixTimestamp64Nano({until:Int64}, 'UTC'))
        GROUP BY Project, SessionId
    )
SELECT metered.Project AS Project, metered.SessionId AS SessionId, Metered, Billed
FROM metered
LEFT JOIN billed ON metered.Project = billed.Project AND metered.SessionId = billed.SessionId
WHERE Metered > Billed

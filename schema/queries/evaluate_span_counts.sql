-- Verdicts of how many spans of runs a query means, one row a run, without documents.
INSERT INTO evaluations
(
    -- include evaluation_columns
)
SELECT
    -- include evaluation_values
FROM
(
    SELECT
        TraceId, '' AS Judged, any(ConversationId) AS ConversationId, any(Input) AS Input, any(Feature) AS Feature,
        any(RunAgent) AS Agent, any(RunModel) AS Model, anyIf(Release, Release != '') AS Release,
        '' AS Skipped, countIf(Meant) AS Number,
        Number >= {least:UInt64} AND ifNull(Number <= {most:Nullable(UInt64)}, true) AS Passes,
        concat(toString(Number), ' of ', toString(count()), ' spans are such; expected ', {wanted:String}, '.') AS Told,
        groupArraySortedIf(20)((toUnixTimestamp64Nano(Began), -toInt128(Lasted), SpanId, SpanName), Meant) AS Those,
        if(empty(Those), '', concat('[', arrayStringConcat(arrayMap(one -> concat('{"span_id":"', one.3,
            '","field":"SpanName","start":0,"end":', toString(length(one.4)), ',"sha256":"',
            lower(hex(SHA256(one.4))), '"}'), Those), ','), ']')) AS Cited
    FROM
    (
        -- include evals_spans
    )
    GROUP BY TraceId
)

-- A part of one text of a span, by bytes, and how many bytes the whole has: `side` is input, output, or attribute with
-- its `key`. `Found`: whether the span has it.
WITH
    lookup AS
    (
        -- include trace_hours
    )
SELECT
    length(Whole) AS Bytes,
    substring(Whole, {first:UInt64} + 1, {length:UInt64}) AS Part,
    Found
FROM
(
    SELECT
        multiIf({side:String} = 'input', Input, {side:String} = 'output', Output, SpanAttributes[{key:String}]) AS Whole,
        {side:String} != 'attribute' OR mapContains(SpanAttributes, {key:String}) AS Found
    FROM otel_traces FINAL
    WHERE
      -- include spans_of_trace
      AND SpanId = {span_id:String}
    LIMIT 1
)

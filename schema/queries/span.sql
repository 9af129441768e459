-- One span of a trace in one project: every column, of its texts only those of at most `max_value` bytes. Of longer ones
-- (always of Input and Output) there is the number of bytes, by which they are read in parts (span_text.sql).
WITH lookup AS
(
    -- include trace_hours
)
SELECT
    * EXCEPT (Timestamp, ReceivedAt, Input, Output, SpanAttributes, `Events.Timestamp`, `Events.Attributes`),
    toUnixTimestamp64Nano(Timestamp) AS Start,
    toUnixTimestamp64Nano(ReceivedAt) AS Received,
    length(Input) AS InputBytes,
    length(Output) AS OutputBytes,
    lengthUTF8(Input) AS InputCharacters,
    lengthUTF8(Output) AS OutputCharacters,
    mapFilter((key, value) -> length(value) <= {max_value:UInt64}, SpanAttributes) AS Attributes,
    mapApply((key, value) -> (key, length(value)),
        mapFilter((key, value) -> length(value) > {max_value:UInt64}, SpanAttributes)) AS LongAttributes,
    arrayMap(moment -> toUnixTimestamp64Nano(moment), Events.Timestamp) AS EventStarts,
    arrayMap(pairs -> mapFilter((key, value) -> length(value) <= {max_value:UInt64}, pairs), Events.Attributes)
        AS EventAttributes,
    arrayMap(pairs -> mapApply((key, value) -> (key, length(value)),
        mapFilter((key, value) -> length(value) > {max_value:UInt64}, pairs)), Events.Attributes) AS EventLongAttributes
FROM otel_traces FINAL
WHERE
  -- include spans_of_trace
  AND SpanId = {span_id:String}
LIMIT 1

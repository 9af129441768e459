-- A part: runs with a span of which the input or output contains `text`, whatever the case of letters, and one that has
-- the attribute, in any version.
({text:String} = '' OR run.TraceId IN
    (
        SELECT TraceId
        FROM otel_traces
        WHERE {text:String} != ''
          AND Project = {project:String}
          AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
          AND (positionCaseInsensitiveUTF8(Input, {text:String}) > 0
              OR positionCaseInsensitiveUTF8(Output, {text:String}) > 0)
    ))
    AND ({attribute:String} = '' OR run.TraceId IN
    (
        SELECT TraceId
        FROM otel_traces
        WHERE {attribute:String} != ''
          AND Project = {project:String}
          AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
          AND (SpanAttributes[{attribute:String}] = {attribute_value:String}
                  AND mapContains(SpanAttributes, {attribute:String})
              OR ResourceAttributes[{attribute:String}] = {attribute_value:String}
                  AND mapContains(ResourceAttributes, {attribute:String}))
    )) AS BySpans

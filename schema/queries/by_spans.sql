-- A part: runs with a span of which the input or output contains `text`, whatever the case of letters, and one that has
-- the attribute, in any version. Spans are read from the hour `floor` on until the last of these runs ended.
({text:String} = '' OR run.TraceId IN
    (
        SELECT TraceId
        FROM otel_traces
        WHERE {text:String} != ''
          AND Project = {project:String}
          AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
          AND toStartOfHour(Timestamp) <=
          (
              -- include last_hour_of_runs
          )
          AND (multiSearchAnyCaseInsensitiveUTF8(Input, [{text:String}])
              OR multiSearchAnyCaseInsensitiveUTF8(Output, [{text:String}]))
    ))
    AND ({attribute:String} = '' OR run.TraceId IN
    (
        SELECT TraceId
        FROM otel_traces
        WHERE {attribute:String} != ''
          AND Project = {project:String}
          AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
          AND toStartOfHour(Timestamp) <=
          (
              -- include last_hour_of_runs
          )
          AND (SpanAttributes[{attribute:String}] = {attribute_value:String}
                  AND mapContains(SpanAttributes, {attribute:String})
              OR ResourceAttributes[{attribute:String}] = {attribute_value:String}
                  AND mapContains(ResourceAttributes, {attribute:String}))
    )) AS BySpans

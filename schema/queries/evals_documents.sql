-- Of every span of the runs named by `hours` and `trace_ids` (parallel arrays: each run with the hours it has spans in)
-- what documents of runs are made from, and what evaluations copy.
SELECT
    TraceId,
    ResourceAttributes['service.version'] AS Release,
    coalesce(nullIf(SpanAttributes['spanmeter.case'], ''), nullIf(SpanAttributes['test.case.name'], ''),
        nullIf(ResourceAttributes['spanmeter.case'], ''), nullIf(ResourceAttributes['test.case.name'], ''),
        decodeURLComponent(extract(SpanAttributes['http.request.header.baggage'],
            '(?:^|[\\s,"\\[])spanmeter\\.case\\s*=\\s*([^,;"\\s\\]]+)'))) AS Case,
    -- include run_document_columns
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND (toStartOfHour(Timestamp), TraceId) IN
      (
          SELECT toDateTime(place.1), place.2
          FROM (SELECT arrayJoin(arrayZip({hours:Array(UInt32)}, {trace_ids:Array(String)})) AS place)
      )
ORDER BY TraceId
LIMIT {limit:UInt64}

-- Make the tables that spanmeter has made on clickhouse-1 replicated ones, keeping their rows. Stop spanmeter, back up, and run
-- on clickhouse-1, for each table with rows:
DETACH TABLE otel.otel_traces;
ATTACH TABLE otel.otel_traces AS REPLICATED;
SYSTEM RESTORE REPLICA otel.otel_traces;
-- Then, on clickhouse-2, run what `SHOW CREATE TABLE otel.otel_traces` says on clickhouse-1: it fetches the rows. Views
-- (`runs`, `calls`, ...) and materialized views (`..._mv`) are made there in the same way.

-- With several shards, readers ask all of them through a table of its own:
CREATE TABLE otel.otel_traces_all ON CLUSTER spanmeter AS otel.otel_traces
ENGINE = Distributed(spanmeter, otel, otel_traces, cityHash64(TraceId));

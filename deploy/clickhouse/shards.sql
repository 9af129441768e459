-- Two shards or more are so many stores: each has spanmeter daemons of its own, and all that is sent for a project goes to
-- those of one shard, for spend, budgets and runs are looked for on the shard that a daemon writes to. BI tools may ask all
-- shards at once, through a table like this one for each that they read:
CREATE TABLE otel.otel_traces_all AS otel.otel_traces
ENGINE = Distributed(spanmeter, otel, otel_traces);

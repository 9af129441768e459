-- Another store.ttl holds for the rows that are stored already: only the times at which their parts expire are worked
-- out again (the column of the time is read), nothing is rewritten.
ALTER TABLE otel_traces MODIFY SETTING materialize_ttl_recalculate_only = 1;

ALTER TABLE otel_traces_trace_id_ts MODIFY SETTING materialize_ttl_recalculate_only = 1;

-- Whether store.content_ttl has emptied the row's content: what is empty now need not have been.
ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS ContentExpired Bool DEFAULT false CODEC(Default);

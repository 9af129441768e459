-- Readers of one project for BI tools, on a ClickHouse server of your own. `spanmeter bi grants --project P` writes the
-- names in; run it as an administrator, again after an upgrade: every statement may be repeated.
--
-- Once a table has a row policy, readers without one may see none of its rows: spanmeter's own user gets one for all.
CREATE SETTINGS PROFILE OR REPLACE spanmeter_bi SETTINGS
    readonly = 2,
    allow_ddl = 0,
    allow_introspection_functions = 0,
    max_execution_time = 60 MAX 300,
    max_memory_usage = 4000000000 MAX 8000000000,
    max_result_rows = 10000000 MAX 10000000,
    max_threads = 4 MAX 8,
    max_concurrent_queries_for_user = 10 MAX 10;

CREATE ROLE OR REPLACE {role:Identifier} SETTINGS PROFILE spanmeter_bi;

-- The views, and the tables that they read with the rights of whoever asks.
GRANT SELECT ON {database:Identifier}.calls TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.runs TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.rounds TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.tool_calls TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.spend_daily TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.spend_hourly TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.budget_history TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.evaluations TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.evaluations_current TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.pass_rates_daily TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.budget_events TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_traces TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_traces_trace_id_ts TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_logs TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_exponential_histogram TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_gauge TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_histogram TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_histogram_increases TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_sum TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_sum_increases TO {role:Identifier};
GRANT SELECT ON {database:Identifier}.otel_metrics_summary TO {role:Identifier};

CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_traces
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_traces_trace_id_ts
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.budget_events
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.evaluations
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_logs
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_metrics_exponential_histogram
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_metrics_gauge
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_metrics_histogram
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_metrics_sum
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE {role:Identifier} ON {database:Identifier}.otel_metrics_summary
    FOR SELECT USING Project = {project:String} AS PERMISSIVE TO {role:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.evaluations
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_logs
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_metrics_exponential_histogram
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_metrics_gauge
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_metrics_histogram
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_metrics_sum
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_metrics_summary
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_traces
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.otel_traces_trace_id_ts
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};
CREATE ROW POLICY OR REPLACE spanmeter_all ON {database:Identifier}.budget_events
    FOR SELECT USING 1 AS PERMISSIVE TO {writer:Identifier};

CREATE QUOTA OR REPLACE {role:Identifier} KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 7200 TO {role:Identifier};

-- Then, for everyone who reads:
-- CREATE USER analyst IDENTIFIED BY 'a password' DEFAULT ROLE {role:Identifier};

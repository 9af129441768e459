-- Rows of plain tables into replicated ones, on a server that spanmeter has used without `store.cluster`. Stop spanmeter, back
-- up, and run on that server:
RENAME DATABASE otel TO otel_plain;
-- Start spanmeter with `store.cluster: spanmeter` and no sender; it makes the database `otel` on all servers. Once /readyz
-- answers 200, stop it and run these. One that breaks off may be repeated, that of `reprices` after a TRUNCATE:
INSERT INTO otel.budget_events SELECT * FROM otel_plain.budget_events SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.evaluations SELECT * FROM otel_plain.evaluations SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_logs SELECT * FROM otel_plain.otel_logs SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_metrics_exponential_histogram SELECT * FROM otel_plain.otel_metrics_exponential_histogram SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_metrics_gauge SELECT * FROM otel_plain.otel_metrics_gauge SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_metrics_histogram SELECT * FROM otel_plain.otel_metrics_histogram SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_metrics_sum SELECT * FROM otel_plain.otel_metrics_sum SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_metrics_summary SELECT * FROM otel_plain.otel_metrics_summary SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.otel_traces SELECT * FROM otel_plain.otel_traces SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.reprices SELECT * FROM otel_plain.reprices SETTINGS max_partitions_per_insert_block = 0;
INSERT INTO otel.webhook_deliveries SELECT * FROM otel_plain.webhook_deliveries SETTINGS max_partitions_per_insert_block = 0;

"""What a query may name: kinds of functions, settings, formats, tables. What is not here is refused."""

from typing import Final

# What this server calls itself. The engine's own name is that of the host.
DISPLAY_NAME: Final = "spanmeter"

# Categories of system.functions all of whose members look at nothing but their arguments.
FUNCTION_CATEGORIES: Final = frozenset(
    {
        "Arithmetic",
        "Arrays",
        "Bit",
        "Bitmap",
        "Comparison",
        "Conditional",
        "Dates and Times",
        "Distance",
        "Encoding",
        "Financial",
        "Geo",
        "Hash",
        "IP Address",
        "JSON",
        "Logical",
        "Map",
        "Mathematical",
        "Null",
        "Random Number",
        "Rounding",
        "String",
        "String Replacement",
        "String Search",
        "String Splitting",
        "Time Window",
        "Tuple",
        "Type Conversion",
        "URL",
        "UUID",
    }
)
# Of the other categories.
FUNCTIONS: Final = frozenset(
    {
        "bar",
        "byteSize",
        "countDigits",
        "currentDatabase",
        "defaultValueOfArgumentType",
        "defaultValueOfTypeName",
        "digits",
        "displayName",
        "finalizeAggregation",
        "formatReadableDecimalSize",
        "formatReadableQuantity",
        "formatReadableSize",
        "formatReadableTimeDelta",
        "getSubcolumn",
        "globalVariable",
        "identity",
        "ignore",
        "initializeAggregation",
        "isConstant",
        "isDecimalOverflow",
        "lowCardinalityIndices",
        "lowCardinalityKeys",
        "materialize",
        "neighbor",
        "parseReadableSize",
        "parseReadableSizeOrNull",
        "parseReadableSizeOrZero",
        "parseTimeDelta",
        "revision",
        "rowNumberInAllBlocks",
        "rowNumberInBlock",
        "runningAccumulate",
        "runningDifference",
        "runningDifferenceStartingWithFirstValue",
        "toColumnTypeName",
        "toTypeName",
        "transform",
        "variantElement",
        "variantType",
        "version",
        "visibleWidth",
    }
)
# Of the categories above: they read a schema by its name, or make an error that shows what a row filter hides, or take
# time by the product of two lengths, or any memory, in one step that no limit of time ends.
REFUSED_FUNCTIONS: Final = frozenset(
    {
        "aggThrow",
        "arrayLevenshteinDistance",
        "arrayLevenshteinDistanceWeighted",
        "arraySimilarity",
        "chdb",
        "damerauLevenshteinDistance",
        "editDistance",
        "editDistanceUTF8",
        "flameGraph",
        "formatRow",
        "formatRowNoNewline",
        "jaroSimilarity",
        "jaroWinklerSimilarity",
        "printf",
        "serverTimezone",
        "throwIf",
    }
)
# What the parser calls a function and system.functions does not list.
SYNTAX_FUNCTIONS: Final = frozenset(
    {"lambda", "exists", "grouping", "untuple", "tupleElement", "values", "caseWithExpression"}
)

# Columns that tables have without saying so: of parts, and of where rows stand among those of other projects.
VIRTUAL_COLUMNS: Final = frozenset(
    {
        "_block_number",
        "_block_offset",
        "_disk_name",
        "_distance",
        "_part",
        "_part_data_version",
        "_part_granule_offset",
        "_part_index",
        "_part_offset",
        "_part_starting_offset",
        "_part_uuid",
        "_partition_id",
        "_partition_value",
        "_row_exists",
        "_sample_factor",
    }
)

TABLE_FUNCTIONS: Final = frozenset(
    {"generate_series", "generateSeries", "numbers", "numbers_mt", "values", "view", "zeros", "zeros_mt", "null"}
)
# Tables of the store's database that a query may name; others are only reached through views.
TABLES: Final = frozenset(
    {
        "budget_history",
        "calls",
        "evaluations",
        "evaluations_current",
        "otel_logs",
        "otel_metrics_exponential_histogram",
        "otel_metrics_gauge",
        "otel_metrics_histogram",
        "otel_metrics_histogram_increases",
        "otel_metrics_sum",
        "otel_metrics_sum_increases",
        "otel_metrics_summary",
        "otel_traces",
        "otel_traces_trace_id_ts",
        "pass_rates_daily",
        "rounds",
        "runs",
        "spend_daily",
        "spend_hourly",
        "tool_calls",
    }
)
# Tables of the database `system` that say nothing of this host, its data or other people.
SYSTEM_TABLES: Final = frozenset(
    {
        "aggregate_function_combinators",
        "collations",
        "data_type_families",
        "formats",
        "functions",
        "keywords",
        "numbers",
        "numbers_mt",
        "one",
        "table_engines",
        "table_functions",
        "time_zones",
        "zeros",
        "zeros_mt",
    }
)
# Those of which we show a part: `schema/queries/bi_system_NAME.sql` stands in their place.
SHOWN_SYSTEM_TABLES: Final = ("clusters", "columns", "databases", "processes", "settings", "tables")

# None that counts the rows a query had to look at, other projects' among them.
FORMATS: Final = frozenset(
    {
        "Arrow",
        "ArrowStream",
        "Avro",
        "BSONEachRow",
        "CSV",
        "CSVWithNames",
        "CSVWithNamesAndTypes",
        "JSON",
        "JSONColumns",
        "JSONColumnsWithMetadata",
        "JSONCompact",
        "JSONCompactColumns",
        "JSONCompactEachRow",
        "JSONCompactEachRowWithNames",
        "JSONCompactEachRowWithNamesAndTypes",
        "JSONCompactStrings",
        "JSONCompactStringsEachRow",
        "JSONCompactStringsEachRowWithNames",
        "JSONCompactStringsEachRowWithNamesAndTypes",
        "JSONEachRow",
        "JSONL",
        "JSONLines",
        "JSONObjectEachRow",
        "JSONStrings",
        "JSONStringsEachRow",
        "Markdown",
        "MsgPack",
        "NDJSON",
        "Native",
        "Null",
        "ORC",
        "Parquet",
        "Pretty",
        "PrettyCompact",
        "PrettyCompactMonoBlock",
        "PrettyJSONEachRow",
        "PrettyMonoBlock",
        "PrettyNoEscapes",
        "PrettySpace",
        "RowBinary",
        "RowBinaryWithNames",
        "RowBinaryWithNamesAndTypes",
        "SQLInsert",
        "TSKV",
        "TSV",
        "TSVRaw",
        "TSVRawWithNames",
        "TSVRawWithNamesAndTypes",
        "TSVWithNames",
        "TSVWithNamesAndTypes",
        "TabSeparated",
        "TabSeparatedRaw",
        "TabSeparatedRawWithNames",
        "TabSeparatedRawWithNamesAndTypes",
        "TabSeparatedWithNames",
        "TabSeparatedWithNamesAndTypes",
        "Values",
        "Vertical",
        "XML",
    }
)

SETTING_PREFIXES: Final = (
    "output_format_arrow_",
    "output_format_binary_",
    "output_format_bson_",
    "output_format_csv_",
    "output_format_decimal_",
    "output_format_json_",
    "output_format_markdown_",
    "output_format_msgpack_",
    "output_format_native_",
    "output_format_orc_",
    "output_format_parquet_",
    "output_format_pretty_",
    "output_format_sql_insert_",
    "output_format_tsv_",
    "output_format_values",
    "output_format_xml_",
    "format_csv_",
    "format_tsv_",
    "format_binary_",
    "format_native_",
)
SETTINGS: Final = frozenset(
    {
        "aggregate_functions_null_for_empty",
        "any_join_distinct_right_table_keys",
        "cast_keep_nullable",
        "count_distinct_implementation",
        "date_time_input_format",
        "date_time_output_format",
        "empty_result_for_aggregation_by_empty_set",
        "enable_time_time64_type",
        "extremes",
        "final",
        "first_day_of_week",
        "group_by_use_nulls",
        "input_format_null_as_default",
        "join_use_nulls",
        "limit",
        "max_block_size",
        "offset",
        "prefer_column_name_to_alias",
        "result_overflow_mode",
        "totals_mode",
        "transform_null_in",
        "union_default_mode",
        "use_client_time_zone",
    }
)
# What a client may lower.
LIMITS: Final = frozenset(
    {"max_execution_time", "max_memory_usage", "max_result_rows", "max_result_bytes", "max_threads"}
)
# What clients send and nothing here depends on: taken, and not passed to the engine.
IGNORED_SETTINGS: Final = frozenset(
    {
        "add_http_cors_header",
        "allow_experimental_analyzer",
        "async_insert",
        "cancel_http_readonly_queries_on_client_close",
        "connect_timeout",
        "distributed_ddl_task_timeout",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_receive_timeout",
        "http_send_timeout",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "insert_deduplicate",
        "insert_quorum",
        "interactive_delay",
        "load_balancing",
        "log_comment",
        "log_queries",
        "max_query_size",
        "mutations_sync",
        "output_format_write_statistics",
        "readonly",
        "receive_timeout",
        "replication_alter_partitions_sync",
        "select_sequential_consistency",
        "send_progress_in_http_headers",
        "send_timeout",
        "wait_end_of_query",
        "alter_sync",
    }
)


def may_set(name: str) -> bool:
    """Whether a client may set `name`; the values of limits are capped."""
    return name in SETTINGS or name in LIMITS or (name.startswith(SETTING_PREFIXES) and "schema" not in name)


def may_send(name: str) -> bool:
    """Whether a client may send `name`, whatever comes of it."""
    return may_set(name) or name in IGNORED_SETTINGS

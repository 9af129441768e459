"""Settings that clients send: which of them are taken, and how far."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from collector.bi import policy
from collector.bi.catalog import Catalog, literal
from collector.bi.errors import QueryError
from collector.config import QueryConfig

_MAX_LENGTH = 200
_MIN_SECONDS = 0.001
_MAX_NUMBER = (1 << 63) - 1
_BUDGETS = "budget_events"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a query may have; 0 asked for is the most."""

    values: dict[str, float]

    @classmethod
    def of(cls, config: QueryConfig) -> "Limits":
        return cls(
            {
                "max_execution_time": config.max_execution_time,
                "max_memory_usage": int(config.max_memory_usage),
                "max_result_rows": config.max_result_rows,
                "max_result_bytes": 0,
                "max_threads": config.threads,
            }
        )

    def capped(self, name: str, asked: str) -> str:
        """The value asked for, at most the limit."""
        limit = self.values[name]
        try:
            number = float(asked)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise QueryError(72, "CANNOT_PARSE_NUMBER", f"{name} is a number from 0, not {asked[:40]!r}.")
        if not number or 0 < limit < number:
            number = limit
        # What is rounded down to 0 would be no limit at all.
        if name == "max_execution_time":
            return f"{max(number, _MIN_SECONDS):.3f}"
        return str(min(math.ceil(number), _MAX_NUMBER))


def checked_setting(name: str, value: str, limits: Limits, catalog: Catalog) -> str | None:
    """The value to set, or None for a setting that is taken and has no effect. Raises QueryError for any other."""
    if name in policy.LIMITS:
        return limits.capped(name, value)
    if name in policy.IGNORED_SETTINGS:
        return None
    if not policy.may_set(name):
        if name not in catalog.settings:
            raise QueryError(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:80]}'.")
        raise QueryError(164, "READONLY", f"Cannot modify '{name}' setting in readonly mode.")
    if len(value) > _MAX_LENGTH:
        raise QueryError(36, "BAD_ARGUMENTS", f"The value of '{name}' is too long.")
    return value


def row_filters(database: str, project: str, tables: Mapping[str, bool], *, admin: bool) -> dict[str, str]:
    """By full name of a table, the rows that one who asks for `project` sees; of one without projects, none.

    `tables` says which are of projects. Administrators see what all budgets told, those that projects share among them.
    """
    own = f"Project = {literal(project)}"
    filters = {f"{database}.{name}": own if of_projects else "0" for name, of_projects in tables.items()}
    if admin:
        filters.pop(f"{database}.{_BUDGETS}", None)
    return filters


def handle_settings(limits: Limits, asked: dict[str, str], filters: dict[str, str], tag: str) -> str:
    """The statement that readies a handle; after it nothing can be set."""
    pairs = ", ".join(f"{literal(name)}: {literal(rows)}" for name, rows in filters.items())
    values = {
        "log_comment": tag,
        "result_overflow_mode": "throw",
        "max_bytes_before_external_group_by": str(int(limits.values["max_memory_usage"]) // 2),
        "max_bytes_before_external_sort": str(int(limits.values["max_memory_usage"]) // 2),
        "max_temporary_data_on_disk_size_for_query": str(1 << 30),
        "do_not_merge_across_partitions_select_final": "1",
        "use_query_cache": "0",
        # One thread writes the result as it comes: sooner, in less memory, and no slower than the client's pace.
        "output_format_parallel_formatting": "0",
        # What a query asks of rows must not run before the row filter: its errors would show what the filter hides.
        "optimize_move_to_prewhere": "0",
        "query_plan_optimize_prewhere": "0",
        "query_plan_merge_filters": "1",
        "short_circuit_function_evaluation": "force_enable",
        # Where the process may (CAP_SYS_NICE), so that ingest goes first; elsewhere the engine leaves it.
        "os_threads_nice_value_query": "15",
        "output_format_write_statistics": "0",
        "max_ast_elements": "50000",
        "max_expanded_ast_elements": "500000",
        **{name: limits.capped(name, "0") for name in policy.LIMITS},
        **asked,
    }
    changes = [f"{name} = {literal(value)}" for name, value in values.items()]
    changes.append(f"additional_table_filters = {{{pairs}}}")
    return "SET " + ", ".join(changes) + ", readonly = 1"

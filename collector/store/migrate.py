"""Forward-only migrations from `schema/clickhouse/NNNN_name.sql`, and the check that they built what we insert.

Each file is applied once and recorded with its checksum; a file that changed after it was applied, or a table that
differs from the column catalogue, stops the start.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from collector import schema
from collector.errors import Reason, Rejected, StartError, Unavailable
from collector.model.envelope import Signal
from collector.schema import Migration
from collector.store.client import Store
from collector.store.errors import Refused
from collector.store.replicated import ENGINE, replicated
from collector.store.tables import EVALUATIONS, TABLES, Table

log = structlog.get_logger("spanmeter.migrate")

# A statement as the database takes it.
Dialect = Callable[[str], str]

_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    Version UInt32,
    Name String,
    Checksum String,
    AppliedAt DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY Version
SETTINGS fsync_after_insert = 1
"""

_LOCK = "CREATE TABLE schema_migrating (Held UInt8)\nENGINE = MergeTree\nORDER BY ()"
_LOCKED_SECONDS = """
SELECT if(count() = 0, 0, dateDiff('second', min(metadata_modification_time), now()))
FROM system.tables
WHERE database = currentDatabase() AND name = 'schema_migrating'
"""
_MAX_LOCKED_SECONDS = 900
_EXISTS_ALREADY = 57  # ClickHouse's TABLE_ALREADY_EXISTS


def migrations() -> tuple[Migration, ...]:
    """Every migration in order."""
    return schema.migrations("clickhouse")


def migrate(
    store: Store, ttl_seconds: int, *, logs_ttl: int = 0, metrics_ttl: int = 0, evaluations_ttl: int = 0
) -> list[Migration]:
    """Bring the database up to date; the migrations applied now. Rows live for the seconds given, 0 for ever.

    Raises StartError when the database cannot be brought to this version, Unavailable when it does not answer.
    """
    try:
        store.use_database()
        written = _dialect(store)
        store.command(written(_RECORD))
        pending = _pending(store)
        if pending:
            with _alone(store, written):
                pending = _pending(store)
                for migration in pending:
                    _apply(store, migration, written)
        ttls = {Signal.TRACES: ttl_seconds, Signal.LOGS: logs_ttl, Signal.METRICS: metrics_ttl}
        kept = [(table, ttls[signal]) for signal, tables in TABLES.items() for table in tables]
        for table, seconds in (*kept, (EVALUATIONS, evaluations_ttl)):
            _check_columns(store, table)
            _set_retention(store, table, seconds, again=bool(pending))
    except Rejected as error:
        raise StartError(f"The database {store.database} cannot be migrated: {error}") from error
    return pending


def _dialect(store: Store) -> Dialect:
    """How statements are written for the database, which somebody may have made before us."""
    statement = "SELECT engine FROM system.databases WHERE name = {database:String}"
    engine = _rows(store, statement, {"database": store.database})[0]["engine"]
    if store.on_cluster and engine != ENGINE:
        raise StartError(
            f"store.cluster is set, but the database {store.database} was made without it: its engine is {engine}, and "
            "its tables are on one server. Give spanmeter another store.database, or unset store.cluster; "
            "docs/deploy.md says how rows move."
        )
    return replicated if engine == ENGINE else str


def _pending(store: Store) -> list[Migration]:
    applied = _applied(store)
    known = {migration.version for migration in migrations()}
    if newer := sorted(set(applied) - known):
        raise StartError(
            f"The database {store.database} is of a newer version of spanmeter: it has migration {newer[-1]:04}, and "
            f"this version knows none after {max(known):04}. Run that version or a later one; to go back, restore a "
            "backup made before the upgrade."
        )
    return [migration for migration in migrations() if not _is_applied(migration, applied)]


@contextmanager
def _alone(store: Store, written: Dialect) -> Iterator[None]:
    """Keep other daemons of a server from migrating meanwhile: of those that make a table, one succeeds.

    Raises Unavailable while another has it. One that died with it stops the others for a while only.
    """
    if store.embedded:
        yield
        return
    try:
        store.command(written(_LOCK))
    except Refused as error:
        if error.code != _EXISTS_ALREADY:
            raise
        if store.command(_LOCKED_SECONDS) > _MAX_LOCKED_SECONDS:
            store.command("DROP TABLE IF EXISTS schema_migrating")
        raise Unavailable(
            Reason.STORE,
            f"Another spanmeter is migrating the database {store.database}. If none is, it died with the table "
            f"schema_migrating: drop it, or wait {_MAX_LOCKED_SECONDS // 60} minutes.",
        ) from None
    try:
        yield
    finally:
        store.command("DROP TABLE IF EXISTS schema_migrating")


def _applied(store: Store) -> dict[int, str]:
    rows = _rows(store, "SELECT Version, Checksum FROM schema_migrations", {})
    return {row["Version"]: row["Checksum"] for row in rows}


def _is_applied(migration: Migration, applied: dict[int, str]) -> bool:
    checksum = applied.get(migration.version)
    if checksum is not None and checksum != migration.checksum:
        raise StartError(
            f"Migration {migration.version:04} ({migration.name}) was applied to this database with other contents. "
            "Use the version of spanmeter that created it, or another store.database."
        )
    return checksum is not None


def _apply(store: Store, migration: Migration, written: Dialect) -> None:
    log.info("Applying a migration.", version=migration.version, name=migration.name, database=store.database)
    for statement in migration.statements:
        try:
            store.command(written(statement))
        except Refused as error:  # waiting will not change the statement
            raise StartError(f"Migration {migration.version:04} ({migration.name}) failed: {error}") from error
    store.command(
        "INSERT INTO schema_migrations (Version, Name, Checksum) "
        "VALUES ({version:UInt32}, {name:String}, {sum:String})",
        {"version": migration.version, "name": migration.name, "sum": migration.checksum},
    )


def _check_columns(store: Store, table: Table) -> None:
    """Refuse a table that lacks a column we insert or has it in another type."""
    rows = _rows(
        store,
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}",
        {"database": store.database, "table": table.name},
    )
    actual = {row["name"]: row["type"] for row in rows}
    wrong = [
        f"{column.name} is {actual.get(column.name, 'missing')}, not {column.clickhouse}"
        for column in table.columns
        if actual.get(column.name) != column.clickhouse
    ]
    if wrong:
        raise StartError(
            f"The table {store.database}.{table.name} is not the one this version writes: {'; '.join(wrong)}. "
            "If it belongs to an OpenTelemetry Collector, give spanmeter its own store.database."
        )


def _set_retention(store: Store, table: Table, ttl_seconds: int, *, again: bool) -> None:
    """Make the TTL of a table, and of those derived from it, `ttl_seconds`, for rows that are stored already too.

    It counts from receipt, so that late rows live as long as others. `again`: stored parts may have kept the time of
    an earlier setting, as versions before migration 10 left them.
    """
    for name, column in table.retention:
        clause = f"toDateTime({column}) + toIntervalSecond({ttl_seconds})" if ttl_seconds else ""
        engine = _rows(
            store,
            "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            {"database": store.database, "table": name},
        )[0]["engine_full"]
        current = re.search(r" TTL (.*?) SETTINGS ", engine)
        if (current[1] if current else "") != clause:
            # The engine changes the stored parts of itself, as a part of this statement: a crash forgets none.
            store.command(f"ALTER TABLE {name} {f'MODIFY TTL {clause}' if clause else 'REMOVE TTL'}")
        elif clause and again:
            store.command(f"ALTER TABLE {name} MATERIALIZE TTL")


def _rows(store: Store, statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(statement, parameters).to_pylist()
    return rows

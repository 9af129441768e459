"""One code path to ClickHouse: clickhouse-connect, whose backend is a server over HTTP or the chDB engine in process.

Only an insert differs: a server is sent an Arrow stream, the engine reads the batch where it lies in this process.
Clients are not shared between threads: one writes (the drain's), and each query takes a reader of its own from a pool.
"""

import io
import itertools
import queue
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.binding import format_str, quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from collector.config import StoreConfig
from collector.errors import Reason, Rejected, StartError, Unavailable
from collector.store.engine import bound_allocator, work_in_utc, write_engine_config
from collector.store.engine_handle import EngineHandle
from collector.store.errors import translate
from collector.store.replicated import create_database

# One insert = one block = one part, so that it is all or nothing and its token stands for exactly these rows.
_ONE_BLOCK: Final = {
    "max_insert_block_size": 1_000_000_000,
    "min_insert_block_size_rows": 1_000_000_000,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,
    "input_format_parallel_parsing": 0,
    "input_format_arrow_allow_missing_columns": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "insert_deduplicate": 1,
    "async_insert": 0,
    "max_partitions_per_insert_block": 0,
    # Without it every row is merged with none: it costs as much as the rest of the insert. FINAL drops doubles anyway.
    "optimize_on_insert": 0,
}
# An insert the engine reads from this process is INSERT ... SELECT: one thread reads, so that its rows stay one block.
_ONE_SELECT: Final = {"max_threads": 1, "max_block_size": 1_000_000_000, "deduplicate_insert_select": "force_enable"}
# The hour of a span's start is in the sort key and its day is the partition: versions of a row share a partition.
_READING: Final = {
    "do_not_merge_across_partitions_select_final": 1,
    "optimize_move_to_prewhere_if_final": 1,
}
_MAX_READERS = 8
# Settings of ClickHouse that bound a question. An embedded handle takes them when it is opened: each has its own.
Limits = tuple[tuple[str, int], ...]
# A negative level of LZ4 looks for repetitions less hard: for text, a third less CPU and an eighth more bytes.
_CODECS: Final = {"lz4": pa.Codec("lz4", compression_level=-4), "zstd": pa.Codec("zstd"), "none": None}


@dataclass(slots=True)
class _Pool:
    """Readers with the same limits: those that nobody uses, and how many there are."""

    free: "queue.LifoQueue[Client]" = field(default_factory=queue.LifoQueue)
    opened: int = 0


class Store:
    """An open connection to ClickHouse. `insert` and `command` belong to one thread at a time; `query` to any."""

    def __init__(self, config: StoreConfig, directory: Path, *, first: bool = True) -> None:
        self._config = config
        self._directory = directory
        self._path = embedded_path(config, directory) if config.embedded else None
        self.database = config.database
        self._writer = self._connect(engine=first and self._path is not None)
        self._pools: dict[Limits, _Pool] = {}

    def _connect(self, *, engine: bool = False, read_only: bool = False, limits: Limits = ()) -> Client:
        """A new client. The first of the process starts the embedded engine (`engine`)."""
        settings = {**_READING, **dict(limits)} if read_only else {}
        if self._path is None:
            return clickhouse_connect.get_client(
                dsn=self._config.url,
                # The library takes host and password from the URL, but not whether to encrypt.
                interface="https" if self._config.url.startswith("https://") else "http",
                connect_timeout=5,
                send_receive_timeout=int(self._config.insert_timeout),
                autogenerate_session_id=False,
                query_retries=0,
                client_name="spanmeter",
                settings=settings,
            )
        # Once read-only, a handle refuses settings; so they come with its opening.
        options: dict[str, Any] = {"readonly": 1, **settings} if read_only else {}
        if engine:
            bound_allocator()
            work_in_utc()
            _use_scratch(self._path / "scratch")
            options["config-file"] = str(self._engine_config())
        return clickhouse_connect.get_client(interface="chdb", path=str(self._path), chdb_options=options)

    def _engine_config(self) -> Path:
        assert self._path is not None, "a server has its own configuration"
        backups = self._config.backups_in(self._directory)
        return write_engine_config(self._path / "engine.xml", self._config.max_memory, backups)

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._path is not None

    @property
    def on_cluster(self) -> bool:
        """Whether the database is to be on all servers of a cluster."""
        return bool(self._config.cluster)

    def handle(self) -> EngineHandle:
        """A new handle on the embedded engine, with no settings yet; whoever takes it closes it."""
        assert self._path is not None, "a server has no handles"
        return EngineHandle(str(self._path.resolve()))

    def clone(self) -> "Store":
        """A second connection to the same database, for writes from another thread; close it before this one."""
        with _translated():
            store = Store(self._config, self._directory, first=False)
        store._writer.database = self.database
        return store

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run one statement as the writer; its single value, if it has one. Raises Unavailable or Rejected."""
        with _translated():
            return self._writer.command(statement, parameters=dict(parameters or {}))

    def use_database(self) -> None:
        """Make the configured database the writer's own, creating it first, on a cluster as a replicated one."""
        self.command(create_database(self.database, self._config.cluster))
        self._writer.database = self.database

    def insert(self, table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        """Insert `batches` (of one schema, at least one) exactly once, however often the same token is tried.

        Raises Rejected(POISON) when rows cannot be stored, Unavailable(STORE) when trying again may help.
        """
        settings = {**_ONE_BLOCK, "insert_deduplication_token": token}
        with _translated():
            if self._path is None:
                self._send(table, batches, settings)
            else:
                self._hand_over(table, pa.Table.from_batches(batches), settings | _ONE_SELECT)

    def _send(self, table: str, batches: Iterable[pa.RecordBatch], settings: Mapping[str, Any]) -> None:
        """Insert through a server: an Arrow stream whose buffers are compressed, each batch once it is made."""
        columns, body = arrow_stream(batches, self._config.compression)
        self._writer.raw_insert(table, columns, body, dict(settings), "ArrowStream")

    def _hand_over(self, table: str, arrow_rows: pa.Table, settings: Mapping[str, Any]) -> None:
        """Insert into the engine, which finds `arrow_rows` by its name among the variables of its callers."""
        columns = ", ".join(quote_identifier(name) for name in arrow_rows.schema.names)
        clause = ", ".join(f"{name} = {format_str(str(value))}" for name, value in settings.items())
        into = f"INSERT INTO {quote_identifier(table)} ({columns}) SETTINGS {clause}"
        self._writer.command(f"{into} SELECT {columns} FROM Python(arrow_rows)")  # noqa: S608 - names and values are quoted

    def query(self, statement: str, parameters: Mapping[str, Any], limits: Limits = ()) -> pa.Table:
        """Run a read-only statement with server-side parameters (`{name:Type}`). Raises Unavailable.

        `limits` are settings of ClickHouse that bound it; beyond one, Refused is raised.
        """
        with self._reader(limits) as reader, _translated(reading=True):
            return reader.query_arrow(statement, parameters=dict(parameters), use_strings=True)

    @contextmanager
    def _reader(self, limits: Limits = ()) -> Iterator[Client]:
        pool = self._pools.setdefault(limits, _Pool())
        reader = self._take_reader(pool, limits)
        try:
            yield reader
        except BaseException:
            pool.opened -= 1
            reader.close()
            raise
        pool.free.put(reader)

    def _take_reader(self, pool: _Pool, limits: Limits) -> Client:
        try:
            return pool.free.get_nowait()
        except queue.Empty:
            pass
        if pool.opened >= _MAX_READERS:
            try:
                return pool.free.get(timeout=self._config.insert_timeout)
            except queue.Empty:
                raise Unavailable(Reason.STORE, "Too many queries run already; ask again in a moment.") from None
        with _translated():
            reader = self._connect(read_only=True, limits=limits)
            reader.database = self.database
        pool.opened += 1
        return reader

    def close(self) -> None:
        """Close every client; embedded, this stops the engine."""
        for pool in self._pools.values():
            while not pool.free.empty():
                pool.free.get_nowait().close()
        self._writer.close()


def arrow_stream(batches: Iterable[pa.RecordBatch], compression: str) -> tuple[list[str], bytes]:
    """The names of the columns, and the batches as an Arrow IPC stream, compressed by the codec `compression`."""
    options = pa.ipc.IpcWriteOptions(compression=_CODECS[compression])
    body = io.BytesIO()
    rest = iter(batches)
    first = next(rest)
    with pa.ipc.new_stream(body, first.schema, options=options) as stream:
        for batch in itertools.chain([first], rest):
            stream.write_batch(batch)
    return first.schema.names, body.getvalue()


def _use_scratch(directory: Path) -> None:
    """Make `directory` the process's place for temporary files, empty.

    clickhouse-connect gives the engine some statements' data in temporary files. In the system's own place these would
    hold spans outside the data directory, and stay behind when the process is killed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.iterdir():
        left.unlink(missing_ok=True)
    tempfile.tempdir = str(directory)


@contextmanager
def _translated(*, reading: bool = False) -> Iterator[None]:
    """The library's errors as ours. While reading, no error is the fault of data to be stored."""
    try:
        yield
    except (ClickHouseError, OSError) as error:
        failure = translate(error)
        if reading and isinstance(failure, Rejected):
            failure = Unavailable(Reason.STORE, str(failure))
        raise failure from error


def open_store(config: StoreConfig, directory: Path) -> Store:
    """Connect. Raises Unavailable when a server does not answer (try again), StartError when the engine cannot open."""
    try:
        return Store(config, directory)
    except (ClickHouseError, OSError) as error:
        if config.embedded:
            raise StartError(f"The embedded store cannot be opened: {error}") from error
        raise translate(error) from error


# How the names begin of what the embedded engine keeps in its directory.
ENGINE_NAMES = ("data", "engine.xml", "metadata", "scratch", "store", "tmp")


def embedded_path(config: StoreConfig, directory: Path) -> Path:
    """Where the embedded engine keeps its data, in the data directory `directory` unless the settings name a place."""
    named = config.url.removeprefix("chdb://")
    return Path(named) if named else directory / "store"

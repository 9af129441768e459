"""`spanmeter export`: one trace to standard output, or the runs of a period as files, asked of the running daemon."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote, urlencode

import pyarrow as pa
import pyarrow.parquet as pq

from collector.cli.daemon import TOKEN_VARIABLE, ask, download, web_address
from collector.cli.options import config_of
from collector.cli.times import moment
from collector.errors import ConfigError, Rejected, StartError
from collector.exports.arrow import SCHEMA
from collector.model.clock import SystemClock
from collector.web.times import rfc3339

_PAGE = 1000
_SPANS_A_FILE = 1_000_000
_SPANS_AT_ONCE = 20_000


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Print a stored trace as JSON, or write the runs of a period into files, asked of the running daemon."
    command = commands.add_parser("export", parents=[common], help=text, description=text)
    command.set_defaults(command=export)
    command.add_argument("trace_id", metavar="TRACE_ID", nargs="?", help="32 hexadecimal digits; else --since and --to")
    command.add_argument("--since", type=moment, metavar="TIME", help="runs that began from this time on, UTC")
    command.add_argument("--until", type=moment, metavar="TIME", help="... and before this time; default: now")
    command.add_argument("--to", type=Path, metavar="DIR", help="where the files are written; made if need be")
    formats = "parquet: rows of otel_traces; ndjson: a run a line, by docs/run-export.schema.json"
    command.add_argument("--format", choices=sorted(_WRITERS), default="parquet", help=formats)
    command.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    command.add_argument("--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token")


def export(options: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    many = options.since is not None and options.to is not None
    if bool(options.trace_id) == many or (options.trace_id and (options.since or options.to or options.until)):
        raise ConfigError("export takes a TRACE_ID, or --since and --to.")
    url = options.url or web_address(config_of(options))
    if options.trace_id:
        trace = ask(url, f"/api/v1/traces/{quote(options.trace_id)}", token_variable=options.token_env)
        print(json.dumps(trace, ensure_ascii=False))
        return 0
    return _many(url, options)


def _many(url: str, options: argparse.Namespace) -> int:
    until = SystemClock().time_ns() if options.until is None else options.until
    _make(options.to)
    runs = failed = 0
    with ExitStack() as stack:
        writer = stack.enter_context(_WRITERS[options.format](options.to))
        for trace_id in runs_of(url, options.since, until, options.token_env):
            try:
                body = download(url, f"/api/v1/runs/{trace_id}/export?format={writer.form}", options.token_env)
            except Rejected as error:
                failed += 1
                print(f"spanmeter: {trace_id}: {error}", file=sys.stderr)
                continue
            writer.write(body)
            runs += 1
    print(f"{runs} runs are in {writer.files} {'file' if writer.files == 1 else 'files'} in {options.to}.")
    if failed:
        print(f"spanmeter: {failed} runs could not be exported.", file=sys.stderr)
    return 1 if failed else 0


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise StartError(f"{directory} is not empty; name a directory of its own for the files.")
    except OSError as error:
        raise StartError(f"No files can be written into {directory}: {error}") from error


def runs_of(url: str, since: int, until: int, token_variable: str) -> Iterator[str]:
    """Ids of the runs that began in a period, newest first, a page at a time."""
    query = {"since": rfc3339(since), "until": rfc3339(until), "folded": "true", "limit": str(_PAGE)}
    while True:
        page: dict[str, Any] = ask(url, f"/api/v1/runs?{urlencode(query)}", token_variable=token_variable)
        yield from (run["trace_id"] for run in page["runs"])
        if not page["next"]:
            return
        query["after"] = page["next"]


class Writer(Protocol):
    """Writes runs into files of a directory; `form` is the format it asks for, `files` how many it has written."""

    form: str
    files: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def write(self, body: bytes) -> None: ...


class ParquetFiles:
    """Spans, in files of about a million; in memory are as many as a row group has."""

    form = "arrow"

    def __init__(self, directory: Path) -> None:
        self.files = 0
        self._directory = directory
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._written = 0
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._close()

    def write(self, body: bytes) -> None:
        with pa.ipc.open_stream(body) as stream:
            for batch in stream:
                self._waiting.append(batch)
                self._rows += batch.num_rows
        if self._rows >= _SPANS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._file is None:
            self.files += 1
            self._file = pq.ParquetWriter(
                self._directory / f"spans-{self.files:05}.parquet", SCHEMA, compression="zstd"
            )
        self._file.write_table(pa.Table.from_batches(self._waiting, SCHEMA))
        self._written += self._rows
        self._waiting, self._rows = [], 0
        if self._written >= _SPANS_A_FILE:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._written = None, 0


class NdjsonFile:
    """A run a line."""

    form = "json"

    def __init__(self, directory: Path) -> None:
        self.files = 1
        self._file = (directory / "runs.ndjson").open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, body: bytes) -> None:
        self._file.write(body)
        self._file.write(b"\n")


_WRITERS: dict[str, Callable[[Path], Writer]] = {"ndjson": NdjsonFile, "parquet": ParquetFiles}

"""`spanmeter backup` and `spanmeter restore`: the data directory with the embedded store, at one moment."""

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from collector.backups import Backups, chain_of, finished, refuse_server, restore
from collector.cli.exit_codes import FAILED, OK
from collector.cli.jobs import (
    Remote,
    add_daemon_options,
    interrupts,
    progress_bar,
    result_of_job,
    until_interrupted,
    workplace,
)
from collector.cli.options import config_of
from collector.config import Config
from collector.errors import StartError
from collector.model.clock import SystemClock
from collector.telemetry import set_up_logs

_CANCELLED: Final = "Cancelled; nothing of this backup is left."


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add both commands to the parser's."""
    text = "Back up the data directory with the embedded store, also while the daemon runs."
    backup = commands.add_parser("backup", parents=[common], help=text, description=text)
    backup.add_argument("--full", action="store_true", help="copy everything, also what the latest backup has")
    backup.add_argument("--list", action="store_true", help="show the backups that there are instead")
    add_daemon_options(backup)
    backup.set_defaults(command=_backup)
    text = "Make a new data directory from a backup. Backups that it adds to have to lie beside it."
    again = commands.add_parser("restore", parents=[common], help=text, description=text)
    again.add_argument("backup", type=Path, metavar="BACKUP", help="its directory, as `backup` names it")
    again.set_defaults(command=_restore)


def _backup(options: argparse.Namespace) -> int:
    config = config_of(options)
    if options.list:
        return _list(config)
    if not options.url:
        refuse_server(config)
    set_up_logs("warning", config.telemetry.log_format)
    made = _taken(config, options)
    kind = f"adds to {made['base']}" if made["base"] else "full"
    print(f"{made['name']} in {made['directory']}: {kind}, {_size(made['bytes'])} in all")
    return 0


def _taken(config: Config, options: argparse.Namespace) -> Mapping[str, Any]:
    with (
        workplace(config, options) as place,
        progress_bar("Copying", "B", scaled=True) as progress,
        interrupts() as interrupted,
    ):
        if isinstance(place, Remote):
            body = {"full": options.full}
            return result_of_job(place, "/api/v1/backups", body, progress, interrupted, _CANCELLED)
        step = until_interrupted(progress, interrupted, _CANCELLED)
        return Backups(config, lambda: place, (), SystemClock()).taken(step, full=options.full)


def _list(config: Config) -> int:
    directory = config.store.backups_in(config.directory)
    unusable: list[str] = []
    for one in finished(directory, unusable.append):
        taken = datetime.fromtimestamp(one.taken_at_unix_nano // 10**9, UTC)
        kind = f"adds to {one.base}" if one.base else "full"
        spans = one.rows.get("otel_traces", 0)
        print(f"{one.name}  {taken:%Y-%m-%d %H:%M:%S}  {kind}  {_size(one.bytes)}  {spans} rows of spans")
        try:
            chain_of(directory / one.name)
        except StartError as error:
            unusable.append(f"{one.name} cannot be restored: {error}")
    for why in unusable:
        print(f"spanmeter: {why}", file=sys.stderr)
    return FAILED if unusable else OK


def _restore(options: argparse.Namespace) -> int:
    config = config_of(options)
    manifest, rows = restore(config, options.backup)
    print(f"{manifest.name} is restored into {config.directory}:")
    for table, count in rows.items():
        print(f"  {table}: {count} rows")
    print("Start the daemon there: it stores the spans that were on their way, and goes on.")
    return 0


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"

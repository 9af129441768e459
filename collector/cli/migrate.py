"""`spanmeter migrate`."""

import argparse
from contextlib import closing

from collector.cli.exit_codes import OK
from collector.cli.options import config_of
from collector.cli.store import store_lock
from collector.store import migrate, open_store
from collector.telemetry import set_up_logs


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Create or update the tables, then exit."
    commands.add_parser("migrate", parents=[common], help=text, description=text).set_defaults(command=_migrate)


def _migrate(options: argparse.Namespace) -> int:
    config = config_of(options)
    set_up_logs("warning", config.telemetry.log_format)
    with store_lock(config), closing(open_store(config.store, config.directory)) as store:
        applied = migrate(store, **config.store.ttls())
    for migration in applied:
        print(f"applied {migration.version:04} {migration.name}")
    print(f"The database {config.store.database} is up to date.")
    return OK

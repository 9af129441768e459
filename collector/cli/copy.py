"""`spanmeter copy`: what the embedded store has, into a ClickHouse server."""

import argparse
import json
from contextlib import closing

from collector.cli.jobs import interrupts, progress_bar, until_interrupted
from collector.cli.options import config_of
from collector.cli.store import own_store
from collector.errors import ConfigError, StartError
from collector.store import migrate, open_store
from collector.store.copying import copy_store, missing
from collector.telemetry import set_up_logs

_CANCELLED = "Cancelled; repeat the command to go on."


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Copy the embedded store into a ClickHouse server, while the daemon is stopped."
    command = commands.add_parser("copy", parents=[common], help=text, description=text)
    command.add_argument("--to", required=True, metavar="URL", help="as store.url: http://user:${env:NAME}@host:8123")
    command.add_argument("--cluster", metavar="NAME", default="", help="as store.cluster of the server")
    command.set_defaults(command=_copy)


def _copy(options: argparse.Namespace) -> int:
    config = config_of(options)
    if not config.store.embedded:
        raise ConfigError("store.url is a server already; copy is from an embedded store.")
    options.set.append(f"store.url={options.to}")
    if options.cluster:
        options.set.append(f"store.cluster={json.dumps(options.cluster)}")
    target_config = config_of(options).store
    if target_config.embedded:
        raise ConfigError("--to is the URL of a server: http://user:password@host:8123.")
    set_up_logs("warning", config.telemetry.log_format)
    with own_store(config) as source:
        if source is None:
            raise StartError(f"A daemon runs in {config.directory}: stop it, so that nothing comes after the copy.")
        with closing(open_store(target_config, config.directory)) as target:
            migrate(target, **target_config.ttls())
            with progress_bar("Copying", "row", scaled=True) as progress, interrupts() as interrupted:
                copied = copy_store(source, target, until_interrupted(progress, interrupted, _CANCELLED))
    for table in copied:
        print(f"{table.name}: {table.here} rows here, {table.there} there")
    missing(copied)
    settings = "store.url and store.cluster" if options.cluster else "store.url"
    print(f"Now set {settings} to the server's, and start the daemon on the same data directory.")
    return 0

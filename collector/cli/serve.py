"""`spanmeter serve`, and the receiver processes it starts."""

import argparse

import uvloop

from collector.app import Daemon
from collector.cli.exit_codes import OK
from collector.cli.options import config_of
from collector.model.clock import SystemClock, refuse_early_clock
from collector.runtime import configure_interpreter, keep_freed_memory
from collector.telemetry import set_up_logs
from collector.workers.channel import inherited
from collector.workers.worker import run_worker


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the commands to the parser's."""
    text = "Run the daemon."
    commands.add_parser("serve", parents=[common], help=text, description=text).set_defaults(command=_serve)
    commands.add_parser("worker").set_defaults(command=_worker)  # for `serve` alone: no help, so it is not listed


def _serve(options: argparse.Namespace) -> int:
    config = config_of(options)
    refuse_early_clock(SystemClock())
    set_up_logs(config.telemetry.log_level, config.telemetry.log_format)
    configure_interpreter()
    if not config.store.embedded:
        keep_freed_memory()

    async def run() -> None:
        await Daemon(config, reload=lambda: config_of(options)).run()

    uvloop.run(run())
    return OK


def _worker(_: argparse.Namespace) -> int:
    configure_interpreter()
    uvloop.run(run_worker(inherited()))
    return OK

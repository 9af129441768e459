"""`spanmeter demo`."""

import argparse
import sys

from collector.cli.options import config_of
from collector.errors import StartError


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Run the daemon, send a small agent run through real exporters, and show it."
    demo = commands.add_parser("demo", parents=[common], help=text, description=text)
    demo.set_defaults(command=_demo)
    demo.add_argument("--exit", action="store_true", help="stop after showing the run")


def _demo(options: argparse.Namespace) -> int:
    try:
        from collector.demo.run import run_demo  # noqa: PLC0415 - the OpenTelemetry SDK is an optional dependency
    except ImportError as error:
        raise StartError(f"The demo needs the OpenTelemetry SDK: pip install 'spanmeter[demo]' ({error}).") from None
    return run_demo(config_of(options), stay=not options.exit and sys.stdout.isatty())

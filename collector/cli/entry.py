"""The `spanmeter` command."""

import argparse
import importlib
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Final

from collector import __version__
from collector.cli.exit_codes import BAD_CONFIG, CANNOT_START, FAILED, OK
from collector.cli.options import common_options
from collector.errors import ConfigError, SpanmeterError, StartError

# Commands and their modules, in the order of the help. The module of the command that is run is imported, and no other:
# all of them together take seconds.
_MODULES: Final = {
    "serve": "serve",
    "worker": "serve",
    "demo": "demo",
    "check-config": "check",
    "migrate": "migrate",
    "replay": "replay",
    "connect": "connect",
    "capture": "capture",
    "export": "export",
    "token": "token",
    "prices": "prices",
    "reprice": "reprice",
    "webhooks": "webhooks",
    "bi": "bi",
    "backup": "backup",
    "restore": "backup",
    "copy": "copy",
    "eval": "evals",
    "gate": "gate",
    "mcp": "mcp",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # here, where it may fail, and not at exit
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is nobody's
        return OK


def _reader_has_gone() -> bool:
    """Whether standard output is a pipe whose reader, such as `head`, has what it wanted."""
    polling = select.poll()
    polling.register(sys.stdout.fileno(), 0)
    return any(state & select.POLLERR for _, state in polling.poll(0))


def _run(arguments: Sequence[str]) -> int:
    os.umask(0o077)  # what is stored holds prompts
    options = command_parser(*arguments[:1]).parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as error:
        print(f"spanmeter: {error}", file=sys.stderr)
        return BAD_CONFIG
    except StartError as error:
        print(f"spanmeter: {error}", file=sys.stderr)
        return CANNOT_START
    except SpanmeterError as error:
        print(f"spanmeter: {error}", file=sys.stderr)
        return FAILED


def command_parser(command: str = "") -> argparse.ArgumentParser:
    """The options of `command`; of every command where there is none of this name."""
    parser = argparse.ArgumentParser(prog="spanmeter", description="An OpenTelemetry daemon for LLM and agent traces.")
    parser.add_argument("--version", action="version", version=f"spanmeter {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = common_options()
    if command == "--version":
        return parser
    for module in [_MODULES[command]] if command in _MODULES else dict.fromkeys(_MODULES.values()):
        importlib.import_module(f"collector.cli.{module}").add_commands(commands, common)
    return parser

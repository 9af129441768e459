"""The `spanmeter` command."""

import argparse
import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

import uvloop

from collector import __version__
from collector.admit.auth import mint
from collector.app import Daemon
from collector.cli import backup, bi, capture, connect, copy, evals, export, gate, mcp, prices, reprice, webhooks
from collector.cli.check import summary
from collector.cli.options import common_options, config_of
from collector.cli.store import store_lock
from collector.config import render_example
from collector.errors import ConfigError, SpanmeterError, StartError
from collector.model.clock import SystemClock, refuse_early_clock
from collector.model.principal import Scope
from collector.runtime import configure_interpreter, keep_freed_memory
from collector.spool import DeadLetter, put_segment
from collector.store import migrate, open_store
from collector.telemetry import set_up_logs
from collector.workers.channel import inherited
from collector.workers.worker import run_worker

OK, FAILED, BAD_CONFIG, CANNOT_START = 0, 1, 2, 3

EXIT_CODES: Final = {
    OK: "Done; of `serve`: stopped in an orderly way.",
    FAILED: "The command found a problem, which it names on standard error.",
    BAD_CONFIG: "The configuration or the command line cannot be used as written.",
    CANNOT_START: "The configuration is sound, but the command cannot start here.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            return _run(arguments)
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


def _run(arguments: Sequence[str] | None) -> int:
    os.umask(0o077)  # what is stored holds prompts
    options = command_parser().parse_args(arguments)
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


def command_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(prog="spanmeter", description="An OpenTelemetry daemon for LLM and agent traces.")
    parser.add_argument("--version", action="version", version=f"spanmeter {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    common = common_options()

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(command=run)
        return command

    add("serve", _serve, "Run the daemon.")
    commands.add_parser("worker").set_defaults(command=_worker)  # for `serve` alone: no help, so it is not listed
    demo = add("demo", _demo, "Run the daemon, send a small agent run through real exporters, and show it.")
    demo.add_argument("--exit", action="store_true", help="stop after showing the run")
    check = add("check-config", _check_config, "Say whether the configuration can be used.")
    check.add_argument("--example", action="store_true", help="print every setting with its default instead")
    add("migrate", _migrate, "Create or update the tables, then exit.")
    add("replay", _replay, "Put dead letters back into the spool, to be stored again.")
    connect.add_command(commands, common)
    capture.add_command(commands, common)
    export.add_command(commands, common)
    _add_token_commands(commands)
    prices.add_commands(commands, common)
    reprice.add_command(commands, common)
    webhooks.add_commands(commands, common)
    bi.add_commands(commands, common)
    backup.add_commands(commands, common)
    copy.add_command(commands, common)
    evals.add_commands(commands, common)
    gate.add_commands(commands, common)
    mcp.add_command(commands, common)
    return parser


def _add_token_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    token = commands.add_parser("token", help="Make tokens.").add_subparsers(required=True, metavar="COMMAND")
    command = token.add_parser("mint", help="Make a token and the configuration that accepts it.")
    command.set_defaults(command=_mint)
    command.add_argument("--name", default="token", help="who will hold it")
    command.add_argument("--project", default="default", help="project it writes to and reads from")
    command.add_argument(
        "--scope", action="append", choices=[scope.value for scope in Scope], help="permission; may be repeated"
    )


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


def _demo(options: argparse.Namespace) -> int:
    try:
        from collector.demo.run import run_demo  # noqa: PLC0415 - the OpenTelemetry SDK is an optional dependency
    except ImportError as error:
        raise StartError(f"The demo needs the OpenTelemetry SDK: pip install 'spanmeter[demo]' ({error}).") from None
    return run_demo(config_of(options), stay=not options.exit and sys.stdout.isatty())


def _check_config(options: argparse.Namespace) -> int:
    if options.example:
        print(render_example(), end="")
        return OK
    print("\n".join(summary(config_of(options))))
    return OK


def _mint(options: argparse.Namespace) -> int:
    token, digest = mint()
    scopes = options.scope or [Scope.TRACES_WRITE.value]
    print(f"Token (shown once, give it to the client):\n\n  {token}\n\nConfiguration that accepts it:\n")
    print("auth:\n  tokens:")
    entry = {"name": options.name, "sha256": digest, "project": options.project}
    for position, (key, value) in enumerate(entry.items()):
        print(f"    {'-' if position == 0 else ' '} {key}: {json.dumps(value)}")
    print(f"      scopes: [{', '.join(scopes)}]")
    return OK


def _migrate(options: argparse.Namespace) -> int:
    config = config_of(options)
    set_up_logs("warning", config.telemetry.log_format)
    with store_lock(config), closing(open_store(config.store, config.directory)) as store:
        applied = migrate(store, **config.store.ttls())
    for migration in applied:
        print(f"applied {migration.version:04} {migration.name}")
    print(f"The database {config.store.database} is up to date.")
    return OK


def _replay(options: argparse.Namespace) -> int:
    """Each envelope is in the spool before its dead letter goes; a crash between the two stores its rows once."""
    config = config_of(options)
    directory = config.directory / "spool"
    if not (directory / "deadletter").is_dir():
        raise StartError(f"There is no dead letter in {directory}; is this the right data directory?")
    deadletter = DeadLetter(directory / "deadletter", config.spool.dead_letter_max_bytes)
    replayed = kept = 0
    for entry in list(deadletter.entries()):
        if entry.envelope is None:
            kept += 1
            continue
        put_segment(directory, [entry.envelope], SystemClock())
        deadletter.discard(entry.name)
        replayed += 1
    print(f"{replayed} dead letters are back in the spool; a running daemon takes them up within seconds.")
    if kept:
        print(f"{kept} hold damaged bytes that are no export request, and stay where they are.")
    return OK

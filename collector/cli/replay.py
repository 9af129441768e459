"""`spanmeter replay`."""

import argparse

from collector.cli.exit_codes import OK
from collector.cli.options import config_of
from collector.errors import StartError
from collector.model.clock import SystemClock
from collector.spool import DeadLetter, put_segment


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Put dead letters back into the spool, to be stored again."
    commands.add_parser("replay", parents=[common], help=text, description=text).set_defaults(command=_replay)


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

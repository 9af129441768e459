"""docs/cli.md, from the parser of the command line."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.cli.entry import command_parser
from collector.cli.exit_codes import EXIT_CODES
from collector.cli.options import common_options
from collector.docs.markdown import code, page, table

_INTRODUCTION = """\
# Command line

`spanmeter COMMAND --help` shows the same on a terminal. `python -m collector` is `spanmeter` where the script is not on
the path."""
_COMMON = """\
## Common options

Every command that reads the configuration takes these; [configuration.md](configuration.md) has the settings."""


@dataclass(frozen=True)
class _Command:
    name: str
    help: str
    options: tuple[argparse.Action, ...]
    group: bool  # it has commands of its own


def render_cli() -> str:
    """The text of docs/cli.md."""
    parser = command_parser()
    common = _options(common_options())
    shared = {option for action in common for option in action.option_strings}
    commands = [block for command in _commands(parser) for block in _blocks(command, shared)]
    codes = table(("Exit code", "Meaning"), ((str(number), text) for number, text in EXIT_CODES.items()))
    return page(_INTRODUCTION, "## Exit codes", codes, _COMMON, _table(common), *commands)


def _commands(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    """The commands below `parser` that have a help, and after each group those within it."""
    for action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no public way to list them
            for choice in action._choices_actions:  # noqa: SLF001
                command: argparse.ArgumentParser = action.choices[choice.dest]
                below = list(_commands(command))
                yield _Command(command.prog, choice.help or "", _options(command), bool(below))
                yield from below


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no public way to list them


def _options(parser: argparse.ArgumentParser) -> tuple[argparse.Action, ...]:
    """What the user may write, but for `--help` and commands."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)  # noqa: SLF001 - types without a public name
    return tuple(action for action in _actions(parser) if not isinstance(action, hidden))


def _blocks(command: _Command, shared: set[str]) -> Iterator[str]:
    if command.group:
        yield f"## {command.name}"
        yield command.help
        return
    own = [action for action in command.options if not shared.intersection(action.option_strings)]
    yield f"{'##' if command.name.count(' ') == 1 else '###'} {command.name}"
    common = ["[COMMON OPTIONS]"] if len(own) < len(command.options) else []
    yield f"```\n{' '.join([command.name, *common, *map(_usage, own)])}\n```"
    yield command.help
    if own:
        yield _table(own)


def _usage(action: argparse.Action) -> str:
    written = _written(action)
    if action.nargs == "*":
        return f"[{written} ...]"
    needed = action.required and action.nargs != "?"
    return written if needed else f"[{written}]"


def _table(actions: Iterable[argparse.Action]) -> str:
    return table(("Option", "Meaning"), ((code(_written(action)), _help(action)) for action in actions))


def _written(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return value
    return action.option_strings[-1] if action.nargs == 0 else f"{action.option_strings[-1]} {value}"


def _help(action: argparse.Action) -> str:
    choices = f": {', '.join(code(str(choice)) for choice in action.choices)}" if action.choices else ""
    return f"{action.help or ''}{choices}"

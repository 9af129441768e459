"""`spanmeter connect`: a program's settings for this daemon, shown or put in place, and what then arrives."""

import argparse
import os
import re
import shlex
import time
from pathlib import Path
from typing import Any, Final

from collector.admit.auth import hash_token, mint
from collector.cli.arrivals import await_arrivals
from collector.cli.daemon import TOKEN_VARIABLE, web_address
from collector.cli.options import config_of
from collector.cli.reload import reload_daemon
from collector.config import Config
from collector.connect.editing import shown
from collector.connect.overriding import overriding
from collector.connect.placing import Copies, Placed, settings_in
from collector.connect.programs import Program, programs
from collector.connect.tokens import with_token
from collector.errors import ConfigError, Rejected
from collector.files import read_ports
from collector.model.principal import Scope

_WAIT_SECONDS: Final = 120


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `connect` to the command's parser; `common` has the options every command takes."""
    text = "Set a program up to send here: show its settings or put them in place, and wait for what arrives."
    command = commands.add_parser("connect", parents=[common], help=text, description=text)
    command.set_defaults(command=_connect)
    command.add_argument("program", metavar="PROGRAM", choices=[*programs()], help=", ".join(programs()))
    command.add_argument("--write", action="store_true", help="put the settings in place, keeping a copy")
    command.add_argument("--undo", action="store_true", help="restore what stood there before --write")
    wait = f"wait for the first call and say what arrived; at most so long, default {_WAIT_SECONDS}"
    command.add_argument("--wait", nargs="?", type=int, const=_WAIT_SECONDS, metavar="SECONDS", help=wait)
    command.add_argument("--content", action="store_true", help="have prompts and answers sent as well")
    command.add_argument("--file", type=Path, help="settings file; default: where the program reads it")
    command.add_argument("--service", metavar="NAME", help="service.name, where the program leaves it to its user")
    command.add_argument("--endpoint", metavar="URL", help="OTLP/HTTP address; default: that of the daemon here")
    command.add_argument("--project", default="default", help="project of the token that is made")
    send = "variable that holds the token to send with; default: with tokens on, one is made"
    command.add_argument("--send-token-env", metavar="NAME", help=send)
    command.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    command.add_argument(
        "--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token to ask with"
    )


def _connect(options: argparse.Namespace) -> int:
    config, program = config_of(options), programs()[options.program]
    copies = Copies(_state() / "spanmeter" / "connect" / program.name)
    path = _path(program, options)
    if options.undo:
        return _undo(program, path, copies, config)
    since = time.time_ns()
    service = options.service or _named_after(path.resolve().parent)
    ports = _ports(config)
    http = (options.endpoint or config.otlp_url(ports.get("http", 0))).rstrip("/")
    if not (options.endpoint or ports):
        print(
            f"No daemon has run in {config.directory} yet; this is the address that `spanmeter serve` will have there."
        )
    token = _token(config, program, path, options, copies)
    wanted = program.wanted(http, token, service, content=options.content)
    for sentence in overriding(program, settings_in(path, program.format), os.environ, http):
        print(sentence)
    if options.write:
        changed = copies.place(path, program.format, wanted, program.replaces, private=bool(token))
        _say_written(program, path, [".".join(names) for names in changed])
    else:
        _show(program, path, http, shown(program.format, wanted))
    if options.wait is not None:
        content = program.sends_content(settings_in(path, program.format))
        web = options.url or web_address(config)
        return await_arrivals(program, http, options, web=web, since=since, content=content)
    return 0


def _show(program: Program, path: Path, http: str, text: str) -> None:
    print(f"{program.title} sends to {http} with these settings in {path}:\n")
    print(_indented(text))
    _say_steps(program, path)
    print(f"`spanmeter connect {program.name} --write` puts them in place, `--undo` takes them back.")


def _say_written(program: Program, path: Path, changed: list[str]) -> None:
    if not changed:
        print(f"{path} has these settings already.")
    else:
        print(f"{path} has been written: {', '.join(changed)}.")
        print(f"`spanmeter connect {program.name} --undo` restores what it was.")
        if program.format == "env" and program.token_in(settings_in(path, program.format)):
            print("It holds a token: keep it out of version control.")
    _say_steps(program, path)


def _say_steps(program: Program, path: Path) -> None:
    file = f"./{path.name}" if path.parent == Path.cwd() else str(path)
    for what, text in (("Install", program.install), ("In the program", program.code), ("Run", program.run_with(file))):
        if text:
            print(f"{what}:\n\n{_indented(text)}")
    for note in program.notes:
        print(note)


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" if line else "\n" for line in text.rstrip().split("\n"))


def _undo(program: Program, path: Path, copies: Copies, config: Config) -> int:
    undone, sentences = copies.restore(path)
    for placed in undone:
        print(_undone(placed))
    if any(placed.insertion for placed in undone):
        print(reload_daemon(config))
    for sentence in sentences:
        print(sentence)
    if not undone and not sentences:
        print(f"Nothing was put in place for {program.title} in {path}; there is nothing to undo.")
        for other in copies.places():
            print(f"In {other} there was: `spanmeter connect {program.name} --undo --file {shlex.quote(str(other))}`.")
    return 1 if sentences else 0


def _undone(placed: Placed) -> str:
    if placed.insertion:
        return f"The token is out of {placed.path} again."
    if placed.path.exists():
        return f"{placed.path} is as it was before."
    return f"{placed.path} is removed again; there was none before."


# -- tokens -----------------------------------------------------------------------------------------------------------


def _token(config: Config, program: Program, path: Path, options: argparse.Namespace, copies: Copies) -> str:
    """What the program sends with: that of a variable, else a new one where the daemon wants one, else none."""
    if options.send_token_env:
        if found := os.environ.get(options.send_token_env):
            return found
        raise ConfigError(f"The variable {options.send_token_env} holds no token.")
    if options.endpoint or not config.auth.tokens or config.auth.allow_anonymous:
        return ""
    if not program.token and any(each.name == program.name for each in config.auth.tokens):
        print(f"The daemon accepts a token for {program.title} already; it is started with")
        print(_indented(program.mend.token))
        return ""
    if options.write and (known := _known_token(config, program, path)):
        return known
    return _minted(config, program, options, copies)


def _known_token(config: Config, program: Program, path: Path) -> str:
    """The token that the file has already, if the daemon takes it: a second `--write` makes none more."""
    token = program.token_in(settings_in(path, program.format))
    return token if hash_token(token) in {each.sha256 for each in config.auth.tokens} else ""


def _minted(config: Config, program: Program, options: argparse.Namespace, copies: Copies) -> str:
    token, digest = mint()
    entry: dict[str, Any] = {
        "name": program.name,
        "sha256": digest,
        "project": options.project,
        "scopes": [Scope.TRACES_WRITE.value],
    }
    if options.write and options.config:
        _accept(options.config, entry, copies)
        print(f"{options.config} accepts a token more, {program.name!r}, for the project {options.project!r}.")
        print(reload_daemon(config))
    else:
        print("The daemon wants a token. This entry of its auth.tokens accepts the new one:\n")
        print(_indented(_yaml_item(entry)))
    if not program.token:
        print(f"{program.title} has no setting for a token. Start it where this was typed; it is not shown again:\n")
        print(_indented(program.mend.token.replace("TOKEN", token)))
    return token


def _accept(path: Path, entry: dict[str, Any], copies: Copies) -> None:
    before = path.read_bytes()
    try:
        after, insertion = with_token(before.decode(), entry)
    except Rejected as error:
        raise ConfigError(f"{path} was left as it is: {error}. Add this to it:\n{_yaml_item(entry)}") from None
    copies.replace(path, before, after.encode(), insertion, private=False)


def _yaml_item(entry: dict[str, Any]) -> str:
    values = {**entry, "scopes": f"[{', '.join(entry['scopes'])}]"}
    lines = [f"{name}: {value}" for name, value in values.items()]
    return "- " + "\n  ".join(lines)


# -- places -----------------------------------------------------------------------------------------------------------


def _path(program: Program, options: argparse.Namespace) -> Path:
    found: Path = options.file or program.path(os.environ, Path.home())
    return found.absolute()


def _state() -> Path:
    """The user's directory for what programs remember, as XDG has it."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def _named_after(directory: Path) -> str:
    """A service for what is in a directory."""
    return re.sub(r"[^a-z0-9]+", "-", directory.name.lower()).strip("-") or "agent"


def _ports(config: Config) -> dict[str, int]:
    """Those that a daemon took here; none where none has run."""
    try:
        return read_ports(config.directory)
    except (OSError, ValueError):
        return {}

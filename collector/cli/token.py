"""`spanmeter token`."""

import argparse
import json

from collector.admit.auth import mint
from collector.cli.exit_codes import OK
from collector.model.principal import Scope


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,  # noqa: ARG001 - a token needs no configuration
) -> None:
    """Add the commands to the parser's."""
    token = commands.add_parser("token", help="Make tokens.").add_subparsers(required=True, metavar="COMMAND")
    command = token.add_parser("mint", help="Make a token and the configuration that accepts it.")
    command.set_defaults(command=_mint)
    command.add_argument("--name", default="token", help="who will hold it")
    command.add_argument("--project", default="default", help="project it writes to and reads from")
    command.add_argument(
        "--scope", action="append", choices=[scope.value for scope in Scope], help="permission; may be repeated"
    )


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

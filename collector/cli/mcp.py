"""`spanmeter mcp`: the running daemon's tools on standard input and output, for clients that start their servers."""

import argparse
import asyncio
import importlib
from typing import Any

from collector.cli.daemon import TOKEN_VARIABLE, web_address
from collector.cli.options import config_of


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Speak MCP on standard input and output, for agents that start their servers; asks the running daemon."
    command = commands.add_parser("mcp", parents=[common], help=text, description=text)
    command.set_defaults(command=_serve)
    command.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    command.add_argument("--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token")


def _serve(options: argparse.Namespace) -> int:
    url = options.url or web_address(config_of(options))
    module: Any = importlib.import_module("collector.cli.mcp_bridge")  # no other command needs the SDK
    asyncio.run(module.serve(url, options.token_env))
    return 0

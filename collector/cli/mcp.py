"""`spanmeter mcp`: the running daemon's tools on standard input and output, for clients that start their servers."""

import argparse
import importlib
from typing import Any

from collector.cli.daemon import TOKEN_VARIABLE, web_address


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
    bridge: Any = importlib.import_module("collector.cli.mcp_bridge")
    bridge.serve(options.url or _running(options), options.token_env)
    return 0


def _running(options: argparse.Namespace) -> str:
    """The address of the daemon on the data directory."""
    config: Any = importlib.import_module("collector.config")  # which takes long, and is not needed with an address
    return web_address(config.load(options.config, options.set, options.data_dir))

"""`spanmeter bi`: what BI tools need on a ClickHouse server."""

import argparse
import re
from typing import Final
from urllib.parse import urlsplit

from collector.cli.options import config_of
from collector.errors import ConfigError
from collector.schema import statement

_PLACE = re.compile(r"\{(\w+):(Identifier|String)\}")
_ROLE = re.compile(r"[^A-Za-z0-9_]+")
_QUOTES: Final = {"Identifier": "`", "String": "'"}


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the commands to the parser's."""
    group = commands.add_parser("bi", help="Readers for BI tools on a ClickHouse server.")
    actions = group.add_subparsers(required=True, metavar="COMMAND")
    text = "Print the SQL of a role that reads one project on a ClickHouse server: grants, row policies, limits."
    grants = actions.add_parser("grants", parents=[common], help=text, description=text)
    grants.set_defaults(command=_grants)
    grants.add_argument("--project", metavar="P", required=True, help="project that the role reads")
    grants.add_argument("--role", metavar="NAME", help="name of the role; default: spanmeter_bi_PROJECT")
    grants.add_argument("--writer", metavar="USER", help="spanmeter's own user there; default: that of store.url")


def _grants(options: argparse.Namespace) -> int:
    config = config_of(options)
    role = options.role or f"spanmeter_bi_{_ROLE.sub('_', options.project)}"
    writer = options.writer or urlsplit(config.store.url).username or "default"
    if role == writer:
        raise ConfigError(f"The role {role} would have the name of spanmeter's own user; name another with --role.")
    print(render_grants(config.store.database, options.project, role, writer), end="")
    return 0


def render_grants(database: str, project: str, role: str, writer: str) -> str:
    """`schema/clickhouse/grants.sql` with these names."""
    values = {"database": database, "project": project, "role": role, "writer": writer}
    return _PLACE.sub(lambda place: _quoted(values[place[1]], _QUOTES[place[2]]), statement("clickhouse", "grants"))


def _quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    return f"{quote}{escaped}{quote}"

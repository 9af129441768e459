"""`spanmeter bi grants`: SQL that ClickHouse's parser takes, with every name quoted."""

import subprocess
import sys

import pytest

from collector.cli import main
from collector.cli.bi import render_grants
from collector.schema import migrations

NASTY = "it's `a` \\ project\n; DROP TABLE x"
_PARSE = (
    "import sys, chdb\n"
    "connection = chdb.connect(':memory:')\n"
    "for statement in sys.stdin.read().split(';\\n\\0'):\n"
    "    print(connection.query('SELECT formatQuerySingleLine({s:String}) FORMAT TSVRaw',"
    " params={'s': statement.replace('\\\\', '\\\\\\\\').replace('\\n', '\\\\n')}))\n"
)


def parsed(text: str) -> str:
    """The statements as ClickHouse's parser writes them; a process of its own has the engine."""
    statements = [part for part in text.split(";\n") if any(line and line[0] != "-" for line in part.splitlines())]
    command = [sys.executable, "-c", _PARSE]
    result = subprocess.run(
        command, input=";\n\0".join(statements), capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_server_s_parser_takes_it_and_names_stay_names() -> None:
    text = parsed(render_grants("otel", NASTY, "reader", "default"))
    assert text.count("GRANT SELECT ON otel.") == 21
    assert text.count("CREATE ROW POLICY OR REPLACE reader ON otel.") == 10
    assert "DROP TABLE" in text
    assert "\nDROP" not in text
    assert parsed(render_grants("otel", "p", "a `role`", "default")).count("a \\`role\\`") > 8


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bi", "grants", "--project", "team a"]) == 0
    text = capsys.readouterr().out
    assert "TO `spanmeter_bi_team_a`" in text
    assert "USING Project = 'team a'" in text
    assert "{" not in text


def test_it_is_no_migration() -> None:
    assert all(migration.name != "grants" for migration in migrations("clickhouse"))

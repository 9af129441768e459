"""The protocol's inspector from npm against a real daemon: another implementation than ours on the other side."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from collector.model.principal import Scope
from collector.web.mcp.tools import TOOLS
from tests.support.daemon import Daemon, running

_INSPECTOR = ("npx", "--yes", "@modelcontextprotocol/inspector", "--cli")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),  # npm may have to fetch it first
    pytest.mark.skipif(shutil.which("npx") is None, reason="Node's npx is not on the PATH."),
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("inspected") / "data") as daemon:
        yield daemon


def inspected(daemon: Daemon, *asked: str) -> Any:
    command = [*_INSPECTOR, f"{daemon.web}/mcp", "--transport", "http", "--method", *asked]
    found = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if "npm error" in found.stderr.lower():
        pytest.skip(f"The inspector cannot be had from npm: {found.stderr[:200]}")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_the_inspector_lists_the_tools_and_calls_one(daemon: Daemon) -> None:
    listed = inspected(daemon, "tools/list")["tools"]
    assert [tool["name"] for tool in listed] == [tool.name for tool in TOOLS if tool.scope is not Scope.TRACES_WRITE]
    called = inspected(daemon, "tools/call", "--tool-name", "find_runs", "--tool-arg", "sort=cost", "limit=1")
    assert called["structuredContent"]["runs"] == []
    refused = inspected(daemon, "tools/call", "--tool-name", "record_run", "--tool-arg", "name=n")
    assert refused["isError"]
    assert "web.mcp.anonymous_record" in refused["content"][0]["text"]

"""Commands whose output is read by another program, which may not want all of it."""

import subprocess
import sys

import pytest

from collector.cli.exit_codes import OK


@pytest.mark.parametrize("command", [["prices", "list"], ["check-config", "--example"], ["--help"]], ids=" ".join)
def test_a_reader_that_goes_early_is_no_failure(command: list[str]) -> None:
    """As `| head -0` does: nobody reads from the start, whatever fits into the pipe."""
    arguments = [sys.executable, "-m", "collector", *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == OK

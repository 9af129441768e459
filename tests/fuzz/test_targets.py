"""The coverage-guided targets hold for as long as SPANMETER_FUZZ_SECONDS says, each from what it began with and found."""

import os
import subprocess

import pytest

from tests.support.native_fuzz import TARGETS, CannotBuildError, build, command

SECONDS = max(1, int(float(os.environ.get("SPANMETER_FUZZ_SECONDS", "2"))))  # 0 would be without end


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target: str) -> None:
    try:
        build(target)
    except CannotBuildError as error:
        pytest.skip(str(error))
    run = subprocess.run(command(target, SECONDS), capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stderr[-4000:]

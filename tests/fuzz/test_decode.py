"""The fuzzer for as long as SPANMETER_FUZZ_SECONDS says, on other requests each time."""

import os
import time

import pytest

from tests.support.fuzz import fuzz

SECONDS = float(os.environ.get("SPANMETER_FUZZ_SECONDS", "2"))


@pytest.mark.timeout(SECONDS + 120)
def test_no_request_tells_the_decoders_apart() -> None:
    seed = time.time_ns()
    assert fuzz(SECONDS, seed) > 0, f"seed {seed}"

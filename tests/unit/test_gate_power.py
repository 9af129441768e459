"""A thousand gates without a change, and as many with one: how often they fail."""

import pytest

from benchmarks.gate import gates, policy
from collector.gate.compare import Conclusion

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

COUNT = 1_000
# cases, drop: how often of a thousand it fails; without a drop at most half of alpha, as only one direction is worse.
POWER = {(50, 0.2): 0.64, (100, 0.1): 0.40, (100, 0.2): 0.91, (200, 0.1): 0.70, (500, 0.05): 0.54, (500, 0.1): 0.98}


@pytest.mark.parametrize("cases", [20, 50, 100, 200, 500])
def test_false_alarms_are_no_more_than_was_asked_for(cases: int) -> None:
    same = gates(policy(), cases, 0.0, COUNT)
    assert sum(one.p < 0.05 for one in same) / COUNT <= 0.05 + 0.02
    assert sum(one.conclusion is Conclusion.REGRESSED for one in same) / COUNT <= 0.025 + 0.015


@pytest.mark.parametrize(("cases", "drop"), POWER)
def test_what_is_worse_is_found_as_often_as_it_is_said(cases: int, drop: float) -> None:
    found = gates(policy(), cases, drop, COUNT)
    share = sum(one.conclusion is Conclusion.REGRESSED for one in found) / COUNT
    assert share == pytest.approx(POWER[cases, drop], abs=0.05)

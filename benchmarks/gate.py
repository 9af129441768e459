"""How often a gate fails without cause, and how often it finds what is worse: `python -m benchmarks.gate`.

Half of the cases pass with a probability of 0.95, half with 0.65. A gate fails of one metric, in one direction: half of
alpha. `two-sided` counts both directions, as tests do.
"""

import argparse
import random
import tempfile
from pathlib import Path

from collector.gate.compare import Compared, Conclusion, compare
from collector.gate.policy import Loaded, load_policy
from collector.gate.record import Outcome, Record, Trial
from collector.model.evaluations import EvalStatus, Verdict

_POLICY = "evaluators: [{name: it, kind: finish}]\nmetrics: [{metric: pass_rate, evaluator: it}]\n"
CASES = (20, 50, 100, 200, 500)
DROPS = (0.0, 0.05, 0.10, 0.20)


def policy() -> Loaded:
    """One metric: the pass rate."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gate.yaml"
        path.write_text(_POLICY)
        return load_policy(path)


def record(cases: int, drop: float, draw: random.Random) -> Record:
    """One trial of each case, of an agent that passes by `drop` less often."""
    found = {}
    for number in range(cases):
        passed = draw.random() < (0.95 if number % 2 else 0.65) - drop
        outcome = Outcome(EvalStatus.OK, Verdict.PASS if passed else Verdict.FAIL)
        found[f"c{number}"] = (Trial("t", outcomes={"it": outcome}),)
    return Record({"it": "r"}, found, "Ada")


def gates(loaded: Loaded, cases: int, drop: float, count: int, seed: int = 1) -> list[Compared]:
    """The one metric of many gates."""
    draw = random.Random(seed)
    alpha = loaded.policy.alpha
    pairs = ((record(cases, 0.0, draw), record(cases, drop, draw)) for _ in range(count))
    return [compare(loaded.metrics, old, new, alpha)[0] for old, new in pairs]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=1000)
    count = parser.parse_args().gates
    loaded = policy()
    print(
        f"{count} gates each: share that fails; of gates without a change also two-sided, and the interval's half width"
    )
    print("cases  no change  two-sided  half width   -5 pts  -10 pts  -20 pts")
    for cases in CASES:
        same = gates(loaded, cases, 0.0, count)
        either = sum(one.p < loaded.policy.alpha for one in same) / count
        half = sum((one.interval.high - one.interval.low) / 2 for one in same if one.interval) / count
        found = [_failing(gates(loaded, cases, drop, count)) for drop in DROPS[1:]]
        shown = "  ".join(f"{share:7.3f}" for share in found)
        print(f"{cases:5}  {_failing(same):9.3f}  {either:9.3f}  {100 * half:8.1f} pts  {shown}")


def _failing(found: list[Compared]) -> float:
    return sum(one.conclusion is Conclusion.REGRESSED for one in found) / len(found)


if __name__ == "__main__":
    main()

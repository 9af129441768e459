"""A gate's numbers in words, the same in every form of its result."""

import math

from collector.gate.compare import Compared, Method
from collector.gate.decide import Decided, Exit
from collector.gate.policy import HIGHER_IS_BETTER, RATE

FEW_CASES = 30
_VERDICTS = {
    Exit.PASSED: "Passed",
    Exit.FAILED: "Failed",
    Exit.BAD_CONFIG: "Cannot be compared",
    Exit.CANNOT_START: "Could not start",
    Exit.INCOMPLETE: "Incomplete: a retry is sensible",
    Exit.CANNOT_TELL: "Cannot tell",
}


def headline(decided: Decided) -> str:
    """One sentence."""
    problems = [problem for check in decided.checks if check.exit is decided.exit for problem in check.problems]
    cases = count(len(decided.new.cases), "case")
    if decided.exit is Exit.PASSED:
        base = "" if decided.old else " There is no approved baseline: nothing was compared."
        return f"{_VERDICTS[decided.exit]}: {cases}.{base}"
    more = f" And {count(len(problems) - 1, 'more problem')}." if len(problems) > 1 else ""
    return f"{_VERDICTS[decided.exit]}, with {cases}: {problems[0]}{more}"


def warnings(decided: Decided) -> list[str]:
    """What to know before the result is believed."""
    found = []
    compared = max((one.cases for one in decided.metrics if one.test is Method.MCNEMAR), default=0)
    if 0 < compared < FEW_CASES:
        found.append(f"{compared} cases are a list of cases, not a statistic: name those that matter in `required`.")
    if any(trial.guessed for trials in decided.new.cases.values() for trial in trials):
        found.append("Cases without `spanmeter.case` were told apart by their first message.")
    if doubted := decided.uncalibrated:
        found.append(
            f"Uncalibrated: {', '.join(doubted)}. Nobody knows how far people would agree with what they find; "
            "`spanmeter gate calibrate` takes it from a daemon with labels."
        )
    found += [
        f"The judge of {name} contradicts itself in {rate:.0%} of its verdicts; that much is no difference."
        for name, rate in {**(decided.old.flip_rates if decided.old else {}), **decided.new.flip_rates}.items()
        if rate > 0
    ]
    return found


def count(number: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def level(one: Compared, value: float | None) -> str:
    """A value of a metric."""
    if value is None:
        return "-"
    if one.config.metric == RATE:
        return f"{100 * value:.1f} %"
    return f"${value:.6f}" if one.config.metric.endswith("_usd") else f"{value:.4g}"


def change(one: Compared) -> str:
    """How far it went, with its sign."""
    if one.change is None:
        return "-"
    if one.is_ratio:
        return f"{100 * (one.change - 1):+.1f} %"
    return f"{100 * one.change:+.1f} pts" if one.config.metric == RATE else f"{one.change:+.4g}"


def interval(one: Compared) -> str:
    """Where the change lies, with a probability of 0.95."""
    if one.interval is None:
        return "-"
    return f"{_end(one, one.interval.low)} to {_end(one, one.interval.high)}"


def _end(one: Compared, value: float) -> str:
    if math.isinf(value):
        return "any"
    if one.is_ratio:
        return f"{100 * (value - 1):+.1f} %"
    return f"{100 * value:+.1f}" if one.config.metric == RATE else f"{value:+.4g}"


def detectable(one: Compared) -> str:
    """The smallest change for the worse that would have been seen."""
    sign = "-" if one.config.metric in HIGHER_IS_BETTER else "+"
    if one.detectable is None:
        return "none"
    if one.is_ratio:
        return f"+{100 * (one.detectable - 1):.1f} %"
    return f"{sign}{100 * one.detectable:.1f} pts" if one.config.metric == RATE else f"{sign}{one.detectable:.4g}"

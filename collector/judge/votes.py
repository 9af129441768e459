"""Several judgements of the same input become one: the majority, or the median of numbers."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from collector.judge.parsing import Judged
from collector.judge.question import Asking, Rubric


class Counted(NamedTuple):
    """What the votes come to. `agreement` is the share of votes with this verdict; None where they are split evenly."""

    judged: Judged
    agreement: float


def counted(votes: Sequence[Judged], rubric: Rubric) -> Counted | None:
    """The whole of one or more votes; None when as many pass as fail."""
    passed = sum(vote.passed for vote in votes)
    if 2 * passed == len(votes):
        return None
    if rubric.scale:
        score = median(vote.score for vote in votes)
        verdict = score >= rubric.pass_at
        nearest = min((vote for vote in votes if vote.passed == verdict), key=lambda vote: abs(vote.score - score))
        return Counted(nearest._replace(score=score), _share(votes, passed=verdict))
    verdict = 2 * passed > len(votes)
    side = [vote for vote in votes if vote.passed == verdict]
    label = Counter(vote.label for vote in side).most_common(1)[0][0]
    return Counted(next(vote for vote in side if vote.label == label), _share(votes, passed=verdict))


def _share(votes: Sequence[Judged], *, passed: bool) -> float:
    return sum(vote.passed == passed for vote in votes) / len(votes)


def wants_another(votes: Sequence[Judged], rubric: Rubric, asking: Asking) -> bool:
    """Whether one more vote is worth its money: the same for passes and for fails.

    Beyond `votes` only while the verdict is open: a score within the flip band, or votes that could still be outvoted.
    """
    if len(votes) < asking.votes:
        return True
    if len(votes) >= asking.most_votes:
        return False
    passed = sum(vote.passed for vote in votes)
    left = asking.most_votes - len(votes)
    if len(votes) == 1:
        return abs(votes[0].score - rubric.pass_at) <= asking.flip_band and asking.flip_band > 0
    return 0 < passed < len(votes) and abs(2 * passed - len(votes)) <= left

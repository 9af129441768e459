"""How far an evaluator agrees with what people found."""

from dataclasses import replace

import pytest

from collector.errors import Rejected
from collector.evals.labels import Agreement, Given, agreement_of, label_of, newest
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Verdict

PASS, FAIL = Verdict.PASS, Verdict.FAIL


def judged(number: int, verdict: Verdict, **more: object) -> Evaluation:
    given = {"revision": "r2", "input_hash": "in", "at": 10, "kind": EvalKind.JUDGE, "verdict": verdict, "score": 1.0}
    return Evaluation("default", f"{number:032x}", "kind", **(given | more))  # type: ignore[arg-type]


def label(one: Evaluation, verdict: Verdict, labeler: str = "Ada") -> Evaluation:
    return label_of(one, Given(verdict, "So it is.", labeler), now=20)


def example() -> Agreement:
    """50 + 50 labels of a judge that passes four of five: people agree with 48 of its passes and 35 of its fails."""
    found = [judged(n, PASS if n < 50 else FAIL) for n in range(100)]
    said = [label(one, PASS if n < 48 or n >= 85 else FAIL) for n, one in enumerate(found)]
    return agreement_of("kind", found, said, {PASS: 800.0, FAIL: 200.0})


def test_labels_are_weighted_back_to_what_production_has() -> None:
    found = example()
    assert found.labels == 100
    assert found.confusion == {(PASS, PASS): 48, (PASS, FAIL): 2, (FAIL, FAIL): 35, (FAIL, PASS): 15}
    assert found.weighted is not None
    assert found.naive is not None
    assert (found.weighted.sensitivity, found.weighted.specificity) == pytest.approx((0.93, 0.81), abs=5e-3)
    assert (found.weighted.kappa, found.naive.value) == pytest.approx((0.70, 0.66), abs=5e-3)
    assert found.calibrated
    assert found.observed == 0.8
    assert found.corrected == pytest.approx(0.828, abs=1e-3)
    assert found.corrected_interval is not None
    assert found.corrected_interval.low < 0.828 < found.corrected_interval.high
    assert len(found.disagreements) == 17


def test_too_few_labels_or_too_little_agreement_is_uncalibrated() -> None:
    few = [judged(n, PASS if n % 2 else FAIL) for n in range(19)]
    assert not agreement_of("kind", few, [label(one, one.verdict) for one in few], {PASS: 1, FAIL: 1}).calibrated
    many = [judged(n, PASS if n % 2 else FAIL) for n in range(60)]
    assert agreement_of("kind", many, [label(one, one.verdict) for one in many], {PASS: 1, FAIL: 1}).calibrated
    coin = [label(one, PASS if n % 3 else FAIL) for n, one in enumerate(many)]
    assert not agreement_of("kind", many, coin, {PASS: 1, FAIL: 1}).calibrated


def test_a_new_revision_is_held_to_old_labels() -> None:
    old = [judged(n, PASS, revision="r1", at=1) for n in range(4)]
    new = [judged(n, FAIL) for n in range(4)]
    found = agreement_of("kind", [*old, *new], [label(one, FAIL) for one in old], {FAIL: 4})
    assert (found.revision, found.confusion) == ("r2", {(FAIL, FAIL): 4})


def test_labels_of_another_input_or_of_a_split_count_nothing() -> None:
    one, other = judged(1, PASS), judged(2, PASS)
    elsewhere = replace(label(one, PASS), input_hash="other")
    split = [label(other, PASS, "Ada"), label(other, FAIL, "Ben")]
    found = agreement_of("kind", [one, other], [elsewhere, *split], {PASS: 2})
    assert (found.labels, found.labelers, found.naive, found.weighted, found.corrected) == (0, 2, None, None, None)
    assert found.alpha == pytest.approx(0.0)


def test_people_among_themselves() -> None:
    found = [judged(n, PASS) for n in range(10)]
    said = [label(one, PASS if n else FAIL, name) for n, one in enumerate(found) for name in ("Ada", "Ben")]
    assert agreement_of("kind", found, said, {PASS: 10}).alpha == 1
    assert agreement_of("kind", found, said[::2], {PASS: 10}).alpha is None


def test_votes_errors_and_nothing_count_nothing() -> None:
    votes = [judged(1, FAIL, vote=1), judged(1, PASS)]
    found = agreement_of("kind", votes, [label(votes[1], PASS)], {PASS: 1})
    assert found.confusion == {(PASS, PASS): 1}
    with pytest.raises(Rejected, match="label some first"):
        agreement_of("kind", [judged(1, Verdict.NONE, status=EvalStatus.ERROR)], [], {})


def test_a_label_is_about_the_input_and_no_revision() -> None:
    one = judged(1, PASS, span_id="ab", agent="helper", flags=("x",))
    row = label(one, FAIL)
    assert (row.kind, row.verdict, row.revision, row.input_hash, row.labeler) == (EvalKind.HUMAN, FAIL, "", "in", "Ada")
    assert (row.score, row.flags, row.agent, row.span_id) == (None, (), "helper", "ab")
    assert row.id != label(one, FAIL, "Ben").id


def test_who_labels_again_has_changed_their_mind() -> None:
    one = judged(1, PASS)
    first = label(one, FAIL)
    second = label_of(one, Given(PASS, "It is.", "Ada"), now=30)
    assert second.id != first.id, "both stay stored"
    found = agreement_of("kind", [one], [second, first], {PASS: 1})
    assert (found.labels, found.confusion) == (1, {(PASS, PASS): 1})


def test_the_newest_verdict_is_labelled() -> None:
    old, new = judged(1, PASS, at=1), judged(1, FAIL, at=2, span_id="")
    others = [judged(1, PASS, at=9, vote=1), label(old, PASS), judged(1, PASS, at=9, span_id="ab")]
    assert newest([old, new, *others], "") is new
    assert newest([], "") is None

"""Evaluations: their ids, and evidence that can be verified."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from collector.model.evaluation_rows import evaluations_of, evidence_json, evidence_of, rows_of
from collector.model.evaluations import EvalStatus, Evaluation, Receipt, Skip, Verdict, cite, digest_of

ONE = Evaluation(
    "shop",
    "a" * 32,
    "refund",
    span_id="b" * 16,
    at=1_764_440_000_123_456_789,
    verdict=Verdict.FAIL,
    score=0.5,
    reason="The output does not contain 'réfund'.",
    evidence=(cite("b" * 16, "Output", "ein héllo", 4, 9),),
    flags=("suspect_injection",),
    receipt=Receipt(model="m", cost=Decimal("0.000000000001"), input_tokens=2**63),
    probability=0.1,
)
TWO = replace(ONE, status=EvalStatus.SKIPPED, verdict=Verdict.NONE, error_type=Skip.NO_DATA, score=None, evidence=())


def test_rows_and_evaluations_are_the_same() -> None:
    assert list(evaluations_of(pa.Table.from_batches([rows_of([ONE, TWO])]))) == [ONE, TWO]


def test_an_id_is_of_its_key() -> None:
    assert replace(ONE, at=1, verdict=Verdict.PASS).id == ONE.id
    others: tuple[dict[str, Any], ...] = (
        {"batch": "b"},
        {"vote": 1},
        {"revision": "r"},
        {"input_hash": "h"},
        {"span_id": ""},
        {"evaluator": "e"},
    )
    assert len({replace(ONE, **other).id for other in others} | {ONE.id}) == len(others) + 1


def test_evidence_cites_bytes() -> None:
    (cited,) = ONE.evidence
    text = "ein héllo".encode()
    assert text[cited.start : cited.end].decode() == "héllo"
    assert digest_of(text[cited.start : cited.end]) == cited.sha256
    assert evidence_of(evidence_json(ONE.evidence)) == ONE.evidence

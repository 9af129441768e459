"""Evaluations as rows of their table, and back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from collector.model.columns import LOW_TEXT, MONEY, NANOSECONDS, TEXT, Column
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Evidence, Receipt, Target, Verdict

TABLE: Final = "evaluations"
_TEXTS = pa.list_(TEXT)
_NUMBER = pa.float64()

EVALUATION_COLUMNS: Final = tuple(
    Column(*parts)
    for parts in (
        ("Id", TEXT, "String", "Of what is judged, by what, in which batch and vote."),
        ("At", NANOSECONDS, "DateTime64(9)", "When it was found, UTC."),
        ("Project", TEXT, LOW_TEXT, "Project of the run."),
        ("TraceId", TEXT, "String", "The run."),
        ("SpanId", TEXT, "String", "The span; empty for the run as a whole."),
        ("ConversationId", TEXT, "String", "The conversation of the run."),
        ("Target", TEXT, LOW_TEXT, "What it is about: span, run, conversation or case."),
        ("Evaluator", TEXT, LOW_TEXT, "Name of the evaluator."),
        ("Kind", TEXT, LOW_TEXT, "Who found it: check, judge, human or external."),
        ("Revision", TEXT, LOW_TEXT, "Of the evaluator; those of different revisions are not comparable."),
        ("InputHash", TEXT, "String", "Digest of what was judged."),
        ("Batch", TEXT, LOW_TEXT, "online, or the id of a back-fill, gate or label."),
        ("Vote", pa.uint16(), "UInt16", "Number of the vote; 0 is the result of them all."),
        ("Status", TEXT, LOW_TEXT, "ok, error or skipped: only what is ok has a verdict."),
        ("ErrorType", TEXT, LOW_TEXT, "Why there is no verdict."),
        ("Verdict", TEXT, LOW_TEXT, "pass or fail; empty without one."),
        ("Score", _NUMBER, "Nullable(Float64)", "The score, where the evaluator gives one."),
        ("ScoreMin", _NUMBER, "Nullable(Float64)", "Least score it can give."),
        ("ScoreMax", _NUMBER, "Nullable(Float64)", "Greatest score it can give."),
        ("Label", TEXT, LOW_TEXT, "The word the evaluator chose."),
        ("Reason", TEXT, "String", "Why, in a sentence."),
        ("Evidence", TEXT, "String", "JSON list of span_id, field, start, end (bytes) and sha256 of these bytes."),
        ("Flags", _TEXTS, f"Array({LOW_TEXT})", "What to know before it is believed."),
        ("Agreement", _NUMBER, "Nullable(Float64)", "Share of the votes that agree with it."),
        ("JudgeModel", TEXT, LOW_TEXT, "Model that judged."),
        ("JudgeProvider", TEXT, LOW_TEXT, "Its provider."),
        ("JudgeTraceId", TEXT, "String", "Trace of the judge's call."),
        ("JudgeSpanId", TEXT, "String", "Span of the judge's call."),
        ("JudgeCost", MONEY, "Nullable(Decimal(18, 12))", "USD of the judge's call; NULL without one or a price."),
        ("JudgeInputTokens", pa.uint64(), "UInt64", "Tokens in of the judge's call."),
        ("JudgeOutputTokens", pa.uint64(), "UInt64", "Tokens out of the judge's call."),
        ("Duration", pa.uint64(), "UInt64", "Nanoseconds that it took."),
        ("Labeler", TEXT, LOW_TEXT, "Person who labelled it."),
        ("Case", TEXT, "String", "Case of a test set that the run belongs to."),
        ("Trial", pa.uint16(), "UInt16", "Which run of that case."),
        ("Release", TEXT, LOW_TEXT, "Version of the service (service.version)."),
        ("Probability", _NUMBER, "Float64", "Of having been sampled: estimates weight by its inverse."),
        ("Agent", TEXT, LOW_TEXT, "Agent of the run or span."),
        ("Feature", TEXT, LOW_TEXT, "Feature of the run or span."),
        ("Model", TEXT, LOW_TEXT, "Model of the span, or the only one of the run."),
        ("Version", pa.uint64(), "UInt64", "Of rows with one key, the highest counts."),
    )
)
EVALUATION_SCHEMA: Final = pa.schema([pa.field(column.name, column.arrow) for column in EVALUATION_COLUMNS])


def rows_of(evaluations: Sequence[Evaluation]) -> pa.RecordBatch:
    """The rows to insert."""
    return pa.RecordBatch.from_pylist([_row(one) for one in evaluations], EVALUATION_SCHEMA)


def evaluations_of(table: pa.Table) -> Iterator[Evaluation]:
    """The evaluations that rows with all columns stand for."""
    times = table.column("At").cast(pa.int64()).to_pylist()
    rows = table.drop_columns(["At"]).to_pylist()
    return (_evaluation(row, at) for row, at in zip(rows, times, strict=True))


def packed(evaluations: Sequence[Evaluation]) -> bytes:
    """To be kept in a file: their rows as an Arrow stream."""
    batch, stream = rows_of(evaluations), pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    return stream.getvalue().to_pybytes()  # type: ignore[no-any-return] # of a buffer


def unpacked(kept: bytes) -> list[Evaluation]:
    """What was packed; of no bytes none."""
    return list(evaluations_of(pa.ipc.open_stream(kept).read_all())) if kept else []


def evidence_json(evidence: Iterable[Evidence]) -> str:
    """As the column `Evidence` has it; empty when there is none."""
    cited = [one._asdict() for one in evidence]
    return json.dumps(cited, separators=(",", ":")) if cited else ""


def evidence_of(text: str) -> tuple[Evidence, ...]:
    """What the column `Evidence` has; nothing of a text that a sender made up."""
    try:
        return tuple(Evidence(**one) for one in json.loads(text)) if text else ()
    except (ValueError, TypeError, RecursionError):
        return ()


def _row(one: Evaluation) -> dict[str, Any]:
    receipt = one.receipt
    return {
        "Id": one.id,
        "At": one.at,
        "Project": one.project,
        "TraceId": one.trace_id,
        "SpanId": one.span_id,
        "ConversationId": one.conversation_id,
        "Target": one.target,
        "Evaluator": one.evaluator,
        "Kind": one.kind,
        "Revision": one.revision,
        "InputHash": one.input_hash,
        "Batch": one.batch,
        "Vote": one.vote,
        "Status": one.status,
        "ErrorType": one.error_type,
        "Verdict": one.verdict,
        "Score": one.score,
        "ScoreMin": one.score_min,
        "ScoreMax": one.score_max,
        "Label": one.label,
        "Reason": one.reason,
        "Evidence": evidence_json(one.evidence),
        "Flags": list(one.flags),
        "Agreement": one.agreement,
        "JudgeModel": receipt.model,
        "JudgeProvider": receipt.provider,
        "JudgeTraceId": receipt.trace_id,
        "JudgeSpanId": receipt.span_id,
        "JudgeCost": receipt.cost,
        "JudgeInputTokens": receipt.input_tokens,
        "JudgeOutputTokens": receipt.output_tokens,
        "Duration": receipt.duration_ns,
        "Labeler": one.labeler,
        "Case": one.case,
        "Trial": one.trial,
        "Release": one.release,
        "Probability": one.probability,
        "Agent": one.agent,
        "Feature": one.feature,
        "Model": one.model,
        "Version": one.at,
    }


def _evaluation(row: dict[str, Any], at: int) -> Evaluation:
    return Evaluation(
        project=row["Project"],
        trace_id=row["TraceId"],
        evaluator=row["Evaluator"],
        span_id=row["SpanId"],
        conversation_id=row["ConversationId"],
        target=Target(row["Target"]),
        kind=EvalKind(row["Kind"]),
        revision=row["Revision"],
        input_hash=row["InputHash"],
        batch=row["Batch"],
        vote=row["Vote"],
        at=at,
        status=EvalStatus(row["Status"]),
        error_type=row["ErrorType"],
        verdict=Verdict(row["Verdict"]),
        score=row["Score"],
        score_min=row["ScoreMin"],
        score_max=row["ScoreMax"],
        label=row["Label"],
        reason=row["Reason"],
        evidence=evidence_of(row["Evidence"]),
        flags=tuple(row["Flags"]),
        agreement=row["Agreement"],
        receipt=_receipt(row),
        labeler=row["Labeler"],
        case=row["Case"],
        trial=row["Trial"],
        release=row["Release"],
        probability=row["Probability"],
        agent=row["Agent"],
        feature=row["Feature"],
        model=row["Model"],
    )


def _receipt(row: dict[str, Any]) -> Receipt:
    return Receipt(
        model=row["JudgeModel"],
        provider=row["JudgeProvider"],
        trace_id=row["JudgeTraceId"],
        span_id=row["JudgeSpanId"],
        cost=row["JudgeCost"],
        input_tokens=row["JudgeInputTokens"],
        output_tokens=row["JudgeOutputTokens"],
        duration_ns=row["Duration"],
    )

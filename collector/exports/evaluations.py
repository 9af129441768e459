"""Evaluations as OTLP: a log record each, `gen_ai.evaluation.result`, of which the store makes the same row again.

What OpenTelemetry has a name for is said by that name; the rest of the row by `spanmeter.evaluation.*`.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord

from collector.model.evaluation_rows import evidence_json
from collector.model.evaluations import EvalStatus, Evaluation
from collector.model.money import decimal_text

EVENT: Final = "gen_ai.evaluation.result"
_SERVICE: Final = "spanmeter"
Value = str | int | float


def evaluation_records(found: Iterable[Evaluation]) -> Any:
    """An ExportLogsServiceRequest with a record for each evaluation, in their order by project; of none it is empty."""
    request = ExportLogsServiceRequest()
    records: dict[str, list[Any]] = {}
    for one in found:
        records.setdefault(one.project, []).append(_record(one))
    for project, of_project in records.items():
        resource = request.resource_logs.add()
        said = {"service.name": _SERVICE, "spanmeter.project": project}
        resource.resource.attributes.extend(_attribute(key, value) for key, value in said.items())
        scope = resource.scope_logs.add()
        scope.scope.name = _SERVICE
        scope.log_records.extend(of_project)
    return request


def _record(one: Evaluation) -> Any:
    told = (pair for part in (_standard(one), _own(one), _receipt(one)) for pair in part)
    return LogRecord(
        time_unix_nano=one.at,
        observed_time_unix_nano=one.at,
        severity_number=SEVERITY_NUMBER_INFO,
        event_name=EVENT,
        trace_id=bytes.fromhex(one.trace_id),
        span_id=bytes.fromhex(one.span_id),
        attributes=[_attribute(key, value) for key, value in told if value is not None and value != ""],
    )


def _standard(one: Evaluation) -> Iterator[tuple[str, Value | None]]:
    """In OpenTelemetry's names."""
    yield "gen_ai.evaluation.name", one.evaluator
    yield "gen_ai.evaluation.evaluator.version", one.revision
    yield "gen_ai.evaluation.score.value", one.score
    yield "gen_ai.evaluation.score.label", one.label or one.verdict.value
    yield "gen_ai.evaluation.explanation", one.reason
    yield "gen_ai.conversation.id", one.conversation_id
    if one.status is EvalStatus.ERROR:
        yield "error.type", one.error_type or "error"


def _own(one: Evaluation) -> Iterator[tuple[str, Value | None]]:
    told: dict[str, Value | None] = {
        "kind": one.kind.value,
        "target": one.target.value,
        "status": one.status.value,
        "error_type": one.error_type,
        "verdict": one.verdict.value,
        "label": one.label,
        "input_hash": one.input_hash,
        "batch": one.batch,
        "vote": one.vote or None,
        "score_min": one.score_min,
        "score_max": one.score_max,
        "evidence": evidence_json(one.evidence),
        "flags": json.dumps(one.flags) if one.flags else "",
        "agreement": one.agreement,
        "labeler": one.labeler,
        "case": one.case,
        "trial": one.trial or None,
        "release": one.release,
        "probability": one.probability,
        "agent": one.agent,
        "feature": one.feature,
        "model": one.model,
    }
    return ((f"spanmeter.evaluation.{name}", value) for name, value in told.items())


def _receipt(one: Evaluation) -> Iterator[tuple[str, Value | None]]:
    receipt = one.receipt
    yield "spanmeter.evaluation.duration", receipt.duration_ns or None
    told: dict[str, Value | None] = {
        "model": receipt.model,
        "provider": receipt.provider,
        "trace_id": receipt.trace_id,
        "span_id": receipt.span_id,
        "cost_usd": None if receipt.cost is None else decimal_text(receipt.cost),
        "input_tokens": receipt.input_tokens or None,
        "output_tokens": receipt.output_tokens or None,
    }
    for name, value in told.items():
        yield f"spanmeter.evaluation.judge.{name}", value


def _attribute(key: str, value: Value) -> Any:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))

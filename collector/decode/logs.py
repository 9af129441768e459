"""The reference implementation of `decode_logs`, on protobuf messages: what any faster one must equal."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from collector.decode import anyvalue, fingerprint
from collector.decode.fingerprint import Ordinals
from collector.decode.groups import GroupedRows, capped, group_fingerprint, id_text, keep_only
from collector.model.envelope import Envelope, Signal
from collector.model.log_columns import (
    EVENT_KEYS,
    LOG_SCHEMA,
    PROMPT_KEYS,
    REQUEST_KEYS,
    RESOURCE_SESSION_KEY,
    SESSION_KEYS,
)
from collector.wire.otlp import REQUESTS, parse_checked

_BYTE = 0xFF


def decode_logs(envelopes: Sequence[Envelope]) -> pa.RecordBatch:
    """One row per log record, in the order sent; columns are `model.log_columns.LOG_SCHEMA`.

    A record without a time has that of its observation, or 1970-01-01. Times beyond int64 become its maximum.
    Raises Rejected when an envelope's payload does not decode.
    """
    rows = GroupedRows(LOG_SCHEMA, ["LogAttributes"])
    for envelope in envelopes:
        ordinals = Ordinals()
        for resource_logs in parse_checked(REQUESTS[Signal.LOGS], envelope.payload).resource_logs:
            session = _first_text(resource_logs.resource.attributes, (RESOURCE_SESSION_KEY,))
            for scope_logs in resource_logs.scope_logs:
                if not scope_logs.log_records:
                    continue
                rows.share(envelope, resource_logs, scope_logs, len(scope_logs.log_records))
                group = group_fingerprint(envelope, resource_logs, scope_logs)
                for record in scope_logs.log_records:
                    _add(rows, record, session, ordinals.row_key(_fingerprint(record, group)))
    return rows.batch()


def one_log(envelope: Envelope, row: int) -> Envelope:
    """An envelope that holds only the record which `decode_logs([envelope])` puts in `row`. Raises IndexError."""
    request = parse_checked(REQUESTS[Signal.LOGS], envelope.payload)
    places = [
        (resource, scope, position)
        for resource, resource_logs in enumerate(request.resource_logs)
        for scope, scope_logs in enumerate(resource_logs.scope_logs)
        for position in range(len(scope_logs.log_records))
    ]
    resource, scope, position = places[row]
    keep_only(request.resource_logs, resource)
    keep_only(request.resource_logs[0].scope_logs, scope)
    keep_only(request.resource_logs[0].scope_logs[0].log_records, position)
    return Envelope(envelope.project, envelope.received_at, 1, request.SerializeToString(), signal=envelope.signal)


def _add(rows: GroupedRows, record: Any, session: str, row_key: int) -> None:
    rows.nested["LogAttributes"].append(record.attributes)
    attributes = record.attributes
    prompt = _first_text(attributes, PROMPT_KEYS)
    own = {
        "Timestamp": capped(record.time_unix_nano or record.observed_time_unix_nano),
        "TraceId": id_text(record.trace_id, 16),
        "SpanId": id_text(record.span_id, 8),
        "TraceFlags": record.flags & _BYTE,
        "SeverityText": record.severity_text,
        "SeverityNumber": record.severity_number & _BYTE,
        "Body": anyvalue.text(record.body),
        "EventName": record.event_name,
        "ObservedTimestamp": capped(record.observed_time_unix_nano),
        "Event": _first_text(attributes, EVENT_KEYS) or record.event_name,
        "SessionId": _first_text(attributes, SESSION_KEYS) or session or prompt,
        "PromptId": prompt,
        "RequestId": _first_text(attributes, REQUEST_KEYS),
        "DroppedAttributesCount": record.dropped_attributes_count,
        "RowKey": row_key,
    }
    for name, value in own.items():
        rows.column(name).append(value)


def _first_text(attributes: Iterable[Any], keys: Sequence[str]) -> str:
    """The text under the first of `keys` that has one."""
    found: dict[str, str] = {}
    for pair in attributes:
        if pair.key in keys and not found.get(pair.key):
            found[pair.key] = anyvalue.text(pair.value)
    return next((found[key] for key in keys if found.get(key)), "")


def _fingerprint(record: Any, group: int) -> int:
    return fingerprint.words(
        group,
        record.time_unix_nano,
        record.observed_time_unix_nano,
        record.severity_number,
        record.flags,
        record.dropped_attributes_count,
        fingerprint.text(record.severity_text),
        fingerprint.value(record.body),
        fingerprint.attributes(record.attributes),
        fingerprint.xxh64(record.trace_id),
        fingerprint.xxh64(record.span_id),
        fingerprint.text(record.event_name),
    )

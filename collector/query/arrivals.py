"""What has arrived since some time, by the service that sent it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from collector.model.arrivals import ArrivedService, UnpricedCalls
from collector.model.sessions import DERIVED_SCOPE
from collector.query.limits import Reader
from collector.store.sql import named_query

# Exporters send what is older than this seldom enough that waiting for it is not worth reading more.
_LATE_NS: Final = 24 * 3600 * 10**9
# What stands in the place of a text that is not sent.
_REDACTED: Final = ("", "<REDACTED>", "[REDACTED]")


def arrivals(store: Reader, project: str, since: int) -> Sequence[ArrivedService]:
    """What was received at or after `since`, Unix ns; a hundred services at most."""
    floor = max(since - _LATE_NS, 0)
    parameters = {"project": project, "since": since, "floor": floor, "redacted": list(_REDACTED)}
    spans = _by_service(store, "arrived_spans", {**parameters, "derived": DERIVED_SCOPE})
    records = _by_service(store, "arrived_records", parameters)
    return [
        _service(name, spans.get(name, {}), records.get(name, {})) for name in sorted(spans.keys() | records.keys())
    ]


def _by_service(store: Reader, name: str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["Service"]: row for row in store.query(named_query(name), parameters).to_pylist()}


def _service(name: str, spans: Mapping[str, Any], records: Mapping[str, Any]) -> ArrivedService:
    return ArrivedService(
        name=name,
        spans=spans.get("Spans", 0),
        log_records=records.get("LogRecords", 0),
        metric_points=records.get("MetricPoints", 0),
        calls=spans.get("Calls", 0),
        priced_calls=spans.get("PricedCalls", 0),
        with_content=spans.get("WithContent", 0) + records.get("WithContent", 0),
        input_tokens=spans.get("InputTokens", 0),
        output_tokens=spans.get("OutputTokens", 0),
        cost=Decimal(spans["Cost"]) if spans.get("Cost") else None,
        run=spans.get("Run", ""),
        unpriced=[UnpricedCalls(*each) for each in spans.get("Unpriced") or ()],
    )

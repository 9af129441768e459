"""The bodies of webhooks: serialised once, so that every attempt signs and sends the same bytes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from collector.model.budgets import BudgetEvent
from collector.webhooks.endpoint import JSON, SLACK
from collector.webhooks.slack import slack_message


def render(event: BudgetEvent, template: str) -> bytes:
    """The body for an endpoint's template: ASCII JSON, whatever the names in it hold."""
    if template == SLACK:
        body = slack_message(event)
    elif template == JSON:
        body = _flat(event)
    else:
        body = {"type": event.type.value, "timestamp": moment(event.created_ns), "data": event.data}
    return json.dumps(body, separators=(",", ":"), default=_plainly).encode()


def _plainly(value: object) -> str:
    """What JSON has no form for: a Decimal without exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def moment(ns: int) -> str:
    """Unix ns as ISO 8601 in UTC, to the microsecond."""
    at = datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns // 1000 % 10**6)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _flat(event: BudgetEvent) -> dict[str, Any]:
    """One object without objects in it, for tools that map fields by name; lists stay."""
    flat: dict[str, Any] = {"id": event.id, "type": event.type.value, "timestamp": moment(event.created_ns)}
    _flatten(event.data, "", flat)
    return flat


def _flatten(data: Mapping[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for key, value in data.items():
        if isinstance(value, Mapping):
            _flatten(value, f"{prefix}{key}_", into)
        else:
            into.setdefault(f"{prefix}{key}", value)

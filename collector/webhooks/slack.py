"""Budget events as Slack messages (Block Kit), with a text for notifications.

What the event does not say is left out. Texts are cut to Slack's limits: https://docs.slack.dev/reference/block-kit/blocks
"""

from collections.abc import Mapping, Sequence
from typing import Any

from collector.model.budgets import BudgetEvent, EventType

_HEADER, _TEXT, _FIELD = 150, 3000, 2000
_NAME = 200
_CONTRIBUTORS = 5
_WHAT = {
    EventType.THRESHOLD_REACHED: ":warning: Budget {budget} reached {share}",
    EventType.BREACHED: ":rotating_light: Budget {budget} is used up",
    EventType.RESET: ":arrows_counterclockwise: Budget {budget} begins again",
    EventType.FORECAST: ":chart_with_upwards_trend: Budget {budget} will be used up",
    EventType.UNPRICED: ":grey_question: Budget {budget} has calls without a price",
    EventType.TEST: ":wave: A test of spanmeter's webhooks",
}


def slack_message(event: BudgetEvent) -> dict[str, Any]:
    """The body that an incoming webhook takes."""
    data = event.data
    share = _percent(event.threshold) or "a threshold"
    title = _WHAT[event.type].format(budget=_cut(event.budget, _NAME), share=share)
    fields = [
        {"type": "mrkdwn", "text": _cut(f"*{name}*\n{_escaped(value)}", _FIELD)}
        for name, value in _facts(data)
        if value
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER), "emoji": True}}
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields[:10]})
    if top := _contributors(data):
        blocks.append(_section(top))
    if message := data.get("message"):
        blocks.append(_section(_escaped(str(message))))
    if links := _links(data):
        blocks.append(_section(links))
    spent = _spent(data)
    return {"text": _cut(_escaped(f"{title}{': ' + spent if spent else ''}"), _TEXT), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _TEXT)}}


def _facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Scope", _scope(data.get("scope"))),
        ("Spend", _spent(data)),
        ("Share", _percent(data.get("spent_fraction"))),
        ("Period", _period(data.get("period"))),
        ("Projected", _amount(data.get("projected", ""), data)),
        ("Used up at", str(data.get("breach_at") or "")),
        ("Run", _run(data.get("crossed_by"))),
        ("Late", "spans of a period that has ended" if data.get("late") else ""),
    ]


def _spent(data: Mapping[str, Any]) -> str:
    spend, limit = data.get("spend"), data.get("limit")
    if spend is None:
        return ""
    return f"{_amount(spend, data)} of {_amount(limit, data)}" if limit is not None else _amount(spend, data)


def _amount(value: Any, data: Mapping[str, Any]) -> str:
    """Money without the zeros after its cents, or tokens."""
    text, unit = str(value), str(data.get("unit") or "").lower()
    if not text:
        return ""
    if unit != "usd":
        return f"{text} {unit}".rstrip()
    whole, point, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"${whole}{point}{decimals.ljust(2, '0')}" if decimals else f"${whole}"


def _percent(fraction: Any) -> str:
    """A decimal fraction as per cent, by moving the point; "" for what is none."""
    whole, _, decimals = str(fraction if fraction is not None else "").partition(".")
    digits = decimals.ljust(2, "0")
    if not (whole + digits).isdigit():
        return ""
    rest = digits[2:4].rstrip("0")
    return f"{int(whole + digits[:2])}{'.' + rest if rest else ''} %"


def _scope(scope: Any) -> str:
    if isinstance(scope, Mapping):
        return ", ".join(f"{name}: {value}" for name, value in scope.items())
    return (
        ", ".join(map(str, scope)) if isinstance(scope, Sequence) and not isinstance(scope, str) else str(scope or "")
    )


def _period(period: Any) -> str:
    if not isinstance(period, Mapping):
        return str(period or "")
    span = f"{period.get('start', '')} to {period.get('end', '')}"
    return f"{span} {period.get('timezone') or ''}".strip()


def _run(run: Any) -> str:
    """The run's id; what leads to it is a link of its own."""
    return str(run.get("trace_id") or "") if isinstance(run, Mapping) else ""


def _links(data: Mapping[str, Any]) -> str:
    run = data.get("crossed_by")
    links = {"Open in spanmeter": data.get("url"), "The run": run.get("url") if isinstance(run, Mapping) else None}
    return " · ".join(f"<{_escaped(str(link))}|{text}>" for text, link in links.items() if link)


def _contributors(data: Mapping[str, Any]) -> str:
    """The costliest features and models, a line each."""
    top = data.get("top")
    if not isinstance(top, Sequence) or isinstance(top, str):
        return ""
    lines = [_contributor(entry, data) for entry in top[:_CONTRIBUTORS] if isinstance(entry, Mapping)]
    return "\n".join(["*Most spent on*", *lines]) if lines else ""


def _contributor(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    feature, model = entry.get("feature") or "(no feature)", entry.get("model") or "(no model)"
    return _escaped(f"• {feature} on {model}: {_amount(entry.get('spend', ''), data)}")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

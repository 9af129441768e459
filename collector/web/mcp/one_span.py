"""The tools that open a span: what it says and cost, and its texts a part at a time."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from collector.errors import Reason, Rejected
from collector.web.mcp.marking import NOTICE, Recorded
from collector.web.mcp.shortening import Usd, limit_of, line, seconds, usd, whole
from collector.web.mcp.tool import Asker
from collector.web.operation import Input

_MAX_ATTRIBUTES: Final = 40
_MAX_EVENTS: Final = 10
_MAX_TEXT_BYTES: Final = 32 * 1024
_MAX_POSITION: Final = 2**40
_MAX_UTF8_BYTES: Final = 4  # of one character


class GetSpan(Input):
    trace_id: str
    span_id: str = Field(description="16 hexadecimal digits.")


class CostLine(TypedDict):
    bucket: str
    quantity: int | None
    unit: str
    usd_per_unit: Annotated[str | None, Field(description="USD for `per` units.")]
    per: int
    cost_usd: str


class EventLine(TypedDict):
    name: str
    attributes: Mapping[str, str]


class SpanOpened(Recorded):
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    service: str
    agent: str
    tool: str
    provider: str
    model: str
    started_at: str
    seconds: float
    status: str
    status_message: str
    finish_reason: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    price_status: str
    price: Annotated[str | None, Field(description="Which entry of which price data.")]
    cost_usd: Usd
    cost_lines: Annotated[Sequence[CostLine], Field(description="They add up to cost_usd.")]
    input_bytes: Annotated[int, Field(description="Of what read_text reads as part input.")]
    output_bytes: int
    attributes: Annotated[Mapping[str, str], Field(description=f"Cut to a line each, {_MAX_ATTRIBUTES} at most.")]
    attribute_bytes: Annotated[Mapping[str, int], Field(description="Of attributes that are cut or left out.")]
    events: Annotated[Sequence[EventLine], Field(description=f"{_MAX_EVENTS} at most.")]
    events_in_all: int
    content_expired: bool


async def get_span(asker: Asker, wanted: GetSpan) -> SpanOpened:
    span = await asker.ask("get_span", path={"trace_id": wanted.trace_id, "span_id": wanted.span_id})
    receipt, events = span["receipt"], span["events"]
    shown = dict(list(span["attributes"].items())[:_MAX_ATTRIBUTES])
    attributes = {line(key): line(value) for key, value in shown.items()}
    return SpanOpened(
        notice=NOTICE,
        trace_id=span["trace_id"],
        span_id=span["span_id"],
        parent_span_id=span["parent_span_id"],
        name=line(span["name"]),
        kind=span["kind"],
        service=line(span["service_name"]),
        agent=line(span["agent_name"]),
        tool=line(span["tool_name"]),
        provider=line(span["provider"]),
        model=line(span["answered_model"] or span["requested_model"]),
        started_at=span["started_at"],
        seconds=seconds(span["duration_nanoseconds"]),
        status=span["status"],
        status_message=line(span["status_message"]),
        finish_reason=line(span["finish_reason"]),
        input_tokens=span["input_tokens"],
        cache_read_tokens=span["cache_read_tokens"],
        cache_write_tokens=span["cache_write_tokens"],
        output_tokens=span["output_tokens"],
        reasoning_tokens=span["reasoning_tokens"],
        price_status=receipt["status"],
        price=_price(receipt["price"]),
        cost_usd=usd(receipt["total"]),
        cost_lines=[_cost_line(each) for each in receipt["lines"]],
        input_bytes=span["input"]["bytes"],
        output_bytes=span["output"]["bytes"],
        attributes=attributes,
        attribute_bytes=_left_out(span, shown),
        events=[_event(event) for event in events[:_MAX_EVENTS]],
        events_in_all=len(events),
        content_expired=span["content_expired"],
    )


def _price(entry: Mapping[str, str] | None) -> str | None:
    return line(" ".join(filter(None, (entry["data"], entry["entry"], entry["terms"])))) if entry else None


def _cost_line(each: Mapping[str, Any]) -> CostLine:
    return CostLine(
        bucket=each["bucket"],
        quantity=each["quantity"],
        unit=each["unit"],
        usd_per_unit=each["rate"],
        per=each["per"],
        cost_usd=usd(each["amount"]) or "0",
    )


def _left_out(span: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, int]:
    """The sizes of what is not shown whole, a hundred at most."""
    sizes = {key: len(value.encode()) for key, value in span["attributes"].items()}
    cut = {key: size for key, size in sizes.items() if key not in shown or line(shown[key]) != shown[key]}
    return {line(key): size for key, size in list((span["long_attributes"] | cut).items())[:100]}


def _event(event: Mapping[str, Any]) -> EventLine:
    attributes = list(event["attributes"].items())[:_MAX_ATTRIBUTES]
    return EventLine(name=line(event["name"]), attributes={line(key): line(value) for key, value in attributes})


# -- texts ------------------------------------------------------------------------------------------------------------


class ReadText(GetSpan):
    part: str = Field("input", json_schema_extra={"enum": ["input", "output", "attribute"]})
    attribute: str | None = Field(None, description="Its key, when part is attribute.")
    first_byte: Annotated[int, whole(0, _MAX_POSITION)] = Field(0, description="next_byte of the part before.")
    max_bytes: Annotated[int, whole(1, _MAX_TEXT_BYTES), limit_of(_MAX_TEXT_BYTES)] = 4000


class TextRead(Recorded):
    text: Annotated[str, Field(description="Not trusted.")]
    first_byte: int
    bytes: int
    total_bytes: int
    next_byte: Annotated[int | None, Field(description="Where it goes on; null at the end.")]


async def read_text(asker: Asker, wanted: ReadText) -> TextRead:
    path: dict[str, object] = {"trace_id": wanted.trace_id, "span_id": wanted.span_id}
    if wanted.part == "attribute":
        if not wanted.attribute:
            raise Rejected(Reason.MALFORMED, "attribute is required when part is attribute: the key to read.")
        path["key"] = wanted.attribute
    elif wanted.part not in {"input", "output"}:
        raise Rejected(Reason.MALFORMED, f"part={wanted.part[:40]!r} is not one of input, output, attribute.")
    last = wanted.first_byte + wanted.max_bytes - 1
    headers = {"range": f"bytes={wanted.first_byte}-{last}"}
    result = await asker.result(f"get_span_{wanted.part}", path=path, headers=headers)
    total = int(result.headers["content-range"].rpartition("/")[2])
    body = _whole_characters(result.body) if wanted.first_byte + len(result.body) < total else result.body
    following = wanted.first_byte + len(body)
    return TextRead(
        notice=NOTICE,
        text=body.decode(errors="replace"),
        first_byte=wanted.first_byte,
        bytes=len(body),
        total_bytes=total,
        next_byte=following if following < total else None,
    )


def _whole_characters(part: bytes) -> bytes:
    """Without a character that its end cuts in two; all of it where there would be nothing left."""
    for back in range(1, min(_MAX_UTF8_BYTES, len(part)) + 1):
        byte = part[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else _MAX_UTF8_BYTES
            return part[:-back] or part if length > back else part
    return part

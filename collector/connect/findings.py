"""What has arrived of a program, and what is missing, in sentences: each problem with the line that mends it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from collector.connect.programs import Program
from collector.enrich.prices.pricelist import suggestion
from collector.model.arrivals import ArrivedService, RefusedRequests
from collector.model.money import PriceStatus


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and the lines that mend what it says; empty where nothing has to be."""

    text: str
    mend: str = ""


def arrived_of(program: Program, services: Sequence[ArrivedService], service: str = "") -> list[ArrivedService]:
    """What a program sent: of the services named so, by it or by its user; of all where neither is."""
    names = (service,) if service and not program.services else program.services
    return [one for one in services if not names or one.name in names]


def is_complete(arrived: Sequence[ArrivedService]) -> bool:
    """Whether a call has come with its price: there is nothing more to wait for."""
    return any(one.priced_calls for one in arrived)


def signals_of(one: ArrivedService) -> str:
    """What a service sent, as words: `3 spans, 12 log records`."""
    counts = ((one.spans, "span"), (one.log_records, "log record"), (one.metric_points, "metric point"))
    return ", ".join(_plural(count, name) for count, name in counts if count) or "nothing"


def calls_of(one: ArrivedService) -> str:
    """What its calls used and cost, as a sentence."""
    cost = "no cost is known" if one.cost is None else f"${one.cost.normalize():f}"
    tokens = f"{one.input_tokens:,} tokens in, {one.output_tokens:,} out"
    return f"{_plural(one.calls, 'call')}, {tokens}: {cost}."


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def problems(
    program: Program, arrived: Sequence[ArrivedService], refused: Sequence[RefusedRequests], http: str, *, content: bool
) -> Iterator[Finding]:
    """What is missing, gravest first. `refused` are requests since it was set up, of whichever program.

    `content` says that its settings have prompts and answers sent.
    """
    yield from _refusals(program, refused, http)
    if not arrived:
        if not refused:
            text = f"Nothing has come from {program.title}. Start it anew, and have it call a model:"
            yield Finding(text, program.run)
        return
    if not any(one.calls for one in arrived):
        yield _no_calls(program, arrived)
        return
    for one in arrived:
        yield from _unpriced(program, one)
    if any(one.with_content for one in arrived):
        return
    if content:
        yield Finding("No prompts or answers have come, though they are to be sent. Start it anew:", program.run)
    elif program.mend.content:
        yield Finding("Prompts and answers are not sent. If they are wanted:", program.mend.content)


def _no_calls(program: Program, arrived: Sequence[ArrivedService]) -> Finding:
    if any(one.spans or one.log_records for one in arrived):
        return Finding("No call of a model has come yet.", program.run)
    return Finding(
        f"Only metrics have come. What a call cost is in {program.title}'s {program.signal}:", program.mend.signal
    )


def _refusals(program: Program, refused: Sequence[RefusedRequests], http: str) -> Iterator[Finding]:
    kinds = {(one.transport, one.reason): one for one in sorted(refused, key=lambda one: -one.last)}
    for (transport, reason), one in kinds.items():
        text = _MISDIRECTED.get((transport, reason)) or _REFUSED.get(reason) or f"A request was refused: {reason}."
        yield Finding(text, _mend(program, one).replace("{http}", http))


def _mend(program: Program, refused: RefusedRequests) -> str:
    if refused.reason in {"unauthenticated", "forbidden"}:
        return program.mend.token
    if refused.reason in {"wrong_protocol", "not_found", "method_not_allowed"}:
        return program.mend.endpoint
    return program.mend.protocol if refused.reason in {"unsupported_media_type", "malformed"} else ""


_MISDIRECTED: Final = {
    ("grpc", "wrong_protocol"): "A request in HTTP/1.1 came to the port of gRPC.",
    ("http", "wrong_protocol"): "A request in gRPC came to the port of HTTP.",
    ("web", "wrong_protocol"): "A request of OTLP came to the web port.",
}
_REFUSED: Final = {
    "unauthenticated": "A request was refused (401): it had no token, or one that is not known.",
    "forbidden": "A request was refused (403): its token lacks the scope traces:write.",
    "not_found": "A request was refused (404): its path is none of OTLP's, such as /v1/traces.",
    "unsupported_media_type": "A request was refused (415): it was neither protobuf nor JSON.",
    "malformed": "A request was refused (400): it was no OTLP.",
}


def _unpriced(program: Program, arrived: ArrivedService) -> Iterator[Finding]:
    for calls in arrived.unpriced:
        name = calls.model or "a model without a name"
        if calls.status == PriceStatus.UNKNOWN_MODEL:
            text = f"No price is known for {name}. In the daemon's configuration, with USD per million tokens:"
            yield Finding(text, "\n".join(suggestion(calls.provider, calls.model)))
        else:
            yield Finding(f"A call of {name} does not say how many tokens it used.", program.mend.usage)

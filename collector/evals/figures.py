"""Checks of numbers and of finish reasons."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from collector.config.checks import Bound, Finish
from collector.evals.finding import MAX_EVIDENCE, Finding, found, skipped
from collector.evals.subject import Subject
from collector.evals.values import plain
from collector.evals.waste import waste_of
from collector.model.evaluations import Evidence, Skip, cite
from collector.model.facts import Kind
from collector.model.money import PriceStatus
from collector.runs import Round, Span

_MS = 1_000_000
_TTFT_SECONDS = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "gen_ai.client.operation.time_to_first_chunk",
)
_OF_MONEY: Final = {"cost_usd", "wasted_usd"}
# Of every provider's words those that say that an answer was cut short, refused or filtered; in lower case.
CUT_SHORT: Final = (
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "model_context_window_exceeded",
    "incomplete",
    "content_filter",
    "content_filtered",
    "guardrail_intervened",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "refusal",
    "error",
)


def check_bound(check: Bound, subject: Subject) -> Finding:
    """Whether a number is within its bounds. What is not known is never taken for 0."""
    value = _FIGURES[check.metric](subject)
    beyond = value is not None and check.max is not None and value > check.max
    if check.metric in _OF_MONEY and subject.unpriced and not beyond:
        return skipped(Skip.UNPRICED, "It has calls without a price.")
    if value is None:
        if check.metric in _OF_MONEY:
            return skipped(Skip.UNPRICED, "It has calls without a price.")
        return skipped(Skip.NO_DATA, f"Nothing tells its {check.metric}.")
    passes = not beyond and (check.min is None or value >= check.min)
    return found(passes, bound_reason(check.metric, value, check), [_cited(subject, check.metric, value)])


def bound_reason(metric: str, value: Decimal, check: Bound) -> str:
    """The sentence about a number and its bounds."""
    if check.max is not None and value > check.max:
        return f"{metric} is {plain(value)}, more than {plain(check.max)}."
    if check.min is not None and value < check.min:
        return f"{metric} is {plain(value)}, less than {plain(check.min)}."
    return f"{metric} is {plain(value)}."


def _cited(subject: Subject, metric: str, value: Decimal) -> Evidence:
    return cite(subject.span.span_id if subject.span else "", metric, plain(value))


def figure(metric: str, subject: Subject) -> Decimal | None:
    """A metric of bounds; None where nothing tells it."""
    return _FIGURES[metric](subject)


def check_finish(check: Finish, subject: Subject) -> Finding:
    """Whether the models stopped for reasons that are allowed."""
    reasons = [(span_id, reason) for span_id, reason in _reasons(subject) if reason]
    if not reasons:
        return skipped(Skip.NO_DATA, "No call tells why the model stopped.")
    allowed = {one.lower() for one in check.allowed}
    for span_id, reason in reasons:
        word = reason.lower()
        if (word not in allowed) if allowed else (word in CUT_SHORT):
            return found(False, f"A model stopped with {reason}.", [cite(span_id, "FinishReason", reason)])
    told = ", ".join(sorted({reason for _, reason in reasons}))
    cited = [cite(span_id, "FinishReason", reason) for span_id, reason in reasons[:MAX_EVIDENCE]]
    return found(True, f"Models stopped with {told}.", cited)


def _reasons(subject: Subject) -> list[tuple[str, str]]:
    if subject.span is not None:
        return [(subject.span.span_id, subject.span.finish_reason)]
    return [(one.call.span.span_id, one.finish_reason) for one in subject.run.rounds if one.call]


def _cost(subject: Subject) -> Decimal | None:
    known = [span.cost for span in subject.spans if span.cost is not None]
    return sum(known, Decimal(0)) if known or not _calls(subject.spans) else None


def _calls(spans: Sequence[Span]) -> bool:
    return any(span.stands or (span.kind == Kind.LLM and span.price_status == PriceStatus.NO_USAGE) for span in spans)


def _duration(subject: Subject) -> Decimal:
    first = min(span.start for span in subject.spans)
    return Decimal(max(span.end for span in subject.spans) - first) / _MS


def _ttft(subject: Subject) -> Decimal | None:
    """Of a run that of its first call that tells it."""
    for span in subject.spans:
        for key in _TTFT_SECONDS:
            try:
                if text := span.value(key):
                    return Decimal(text) * 1000
            except ArithmeticError:
                continue
    return None


def _input_tokens(subject: Subject) -> Decimal:
    return Decimal(sum(span.input_tokens for span in subject.spans if not span.rolled_up))


def _output_tokens(subject: Subject) -> Decimal:
    return Decimal(sum(span.output_tokens for span in subject.spans if not span.rolled_up))


def _rounds(subject: Subject) -> Decimal:
    return Decimal(sum(one.call is not None for one in _rounds_of(subject)))


def _actions(subject: Subject) -> Decimal:
    return Decimal(sum(len(one.actions) for one in _rounds_of(subject)))


def _retries(subject: Subject) -> Decimal:
    """Actions of which an earlier one, of the same name, failed."""
    failed: set[str] = set()
    count = 0
    for action in (action for one in _rounds_of(subject) for action in one.actions):
        count += action.name in failed
        if action.error:
            failed.add(action.name)
        else:
            failed.discard(action.name)
    return Decimal(count)


def _errors(subject: Subject) -> Decimal:
    return Decimal(sum(span.error for span in subject.spans))


def _wasted(subject: Subject) -> Decimal:
    return waste_of(subject.run).usd


def _rounds_of(subject: Subject) -> Iterator[Round]:
    for one in subject.run.rounds:
        if subject.span is None or (one.call and one.call.span.span_id == subject.span.span_id):
            yield one


_FIGURES: Final = {
    "cost_usd": _cost,
    "duration_ms": _duration,
    "ttft_ms": _ttft,
    "input_tokens": _input_tokens,
    "output_tokens": _output_tokens,
    "rounds": _rounds,
    "actions": _actions,
    "errors": _errors,
    "retries": _retries,
    "wasted_usd": _wasted,
}

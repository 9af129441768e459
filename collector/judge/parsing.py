"""What a judge's answer says, or what is wrong with it. Nothing is guessed: an answer is of the schema or a fault."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from collector.errors import SpanmeterError
from collector.judge.question import Field, Question, Rubric
from collector.model.evaluations import Evidence, cite

MAX_REASON: Final = 4_000
_MAX_EVIDENCE: Final = 20
_MIN_QUOTE: Final = 4
_THINK = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FENCE = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class AnswerFault(SpanmeterError):  # noqa: N818 - of the judge, not of ours
    """The answer cannot be used; `str()` tells the judge why."""


class Judged(NamedTuple):
    """A usable answer."""

    reason: str
    label: str
    score: float
    passed: bool
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...]


def parsed(text: str, question: Question) -> Judged:
    """What the answer says. Raises AnswerFault."""
    value = _object(text)
    reason, shortened = _reason(value)
    label, score = _verdict(value, question.rubric)
    evidence, verified = _evidence(value.get("evidence"), question.fields)
    flags = [*(["reason_shortened"] if shortened else []), *([] if verified else ["unverified_evidence"])]
    return Judged(reason, label, score, score >= question.rubric.pass_at, evidence, tuple(flags))


def _object(text: str) -> dict[str, Any]:
    bare = _THINK.sub("", text).strip()
    fenced = _FENCE.findall(bare)
    if len(fenced) > 1:
        raise AnswerFault("it holds several fenced blocks, and one JSON object is asked for.")
    try:
        value = json.loads(fenced[0] if fenced else bare, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AnswerFault(f"it is not one JSON object ({str(error)[:120]}).") from None
    if not isinstance(value, dict):
        raise AnswerFault(f"it is a JSON {type(value).__name__}, and an object is asked for.")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _reason(value: dict[str, Any]) -> tuple[str, bool]:
    reason = value.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise AnswerFault('its "reason" is missing or empty.')
    cleaned = printable(reason).strip()
    return cleaned[:MAX_REASON], len(cleaned) > MAX_REASON


def printable(text: str) -> str:
    """`text` with what does not print, turns the direction of writing, or is half of a character replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _verdict(value: dict[str, Any], rubric: Rubric) -> tuple[str, float]:
    if rubric.scale:
        return "", _score(value.get("score"), rubric)
    label = value.get("label")
    if not isinstance(label, str) or label not in rubric.choices:
        allowed = ", ".join(json.dumps(choice) for choice in rubric.choices)
        raise AnswerFault(f'its "label" is {json.dumps(label, default=str)[:60]}, and has to be one of {allowed}.')
    return label, rubric.choices[label]


def _score(score: object, rubric: Rubric) -> float:
    low, high = rubric.bounds
    usable = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    if not usable or not low <= score <= high:  # type: ignore[operator]
        shown = json.dumps(score, default=str)[:60]
        raise AnswerFault(f'its "score" is {shown}, and has to be a number from {low:g} to {high:g}.')
    return float(score)  # type: ignore[arg-type]


def _evidence(cited: object, fields: tuple[Field, ...]) -> tuple[tuple[Evidence, ...], bool]:
    """What was found where it was said to stand, and whether that is all of it."""
    if cited is None:
        return (), True
    if not isinstance(cited, list):
        return (), False
    looked_up = [_found(one, fields) for one in cited[:_MAX_EVIDENCE]]
    found = tuple(one for one in looked_up if one)
    return found, len(found) == len(cited)


def _found(cited: object, fields: tuple[Field, ...]) -> Evidence | None:
    if not isinstance(cited, dict):
        return None
    span_id, quote = cited.get("span_id"), cited.get("quote")
    if not isinstance(quote, str) or len(quote.strip()) < _MIN_QUOTE:
        return None
    return next(_places(str(span_id or ""), quote, fields), None)


def _places(span_id: str, quote: str, fields: tuple[Field, ...]) -> Iterator[Evidence]:
    for one in fields:
        if one.span_id == span_id and (start := one.text.find(quote)) >= 0:
            yield cite(one.span_id, one.name, one.text, start, start + len(quote))

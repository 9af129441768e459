"""Checks of the text that a run or span gives out."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Final

from collector.config.checks import Expected, OutputContains, OutputEquals, OutputJson, OutputRegex, OutputStartsWith
from collector.config.patterns import nodes, pattern, violation
from collector.evals.finding import Finding, found, skipped
from collector.evals.subject import Output, Subject
from collector.evals.values import equal
from collector.model.evaluations import Evidence, Skip

Texts = OutputContains | OutputEquals | OutputStartsWith
_MAX_TEXT: Final = 16 * 1024 * 1024
_FENCE: Final = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_SPACE: Final = re.compile(r"\s+")
WORDS: Final = {
    "output_contains": ("contains", "does not contain"),
    "output_equals": ("is", "is not"),
    "output_starts_with": ("starts with", "does not start with"),
}


def no_output() -> Finding:
    return skipped(Skip.NO_DATA, "There is no output to look at.")


def check_texts(check: Texts, subject: Subject) -> Finding:
    """Whether the output contains, is or starts with texts."""
    output = subject.output
    if output is None:
        return no_output()
    wanted = wanted_texts(check)
    is_so, is_not_so = WORDS[check.kind]
    text = _normal(output.text, check)
    places = {one: _place(check.kind, text, _normal(one, check)) for one in wanted}
    missing = [one for one, place in places.items() if place is None]
    passes = len(missing) < len(wanted) if check.any else not missing
    if passes:
        held = [one for one in wanted if places[one] is not None]
        return found(True, f"The output {is_so} {_listed(held)}.", list(_cited(output, text, held, places, check)))
    return found(False, f"The output {is_not_so} {_listed(missing)}.", [output.cite()])


def wanted_texts(check: Texts) -> Sequence[str]:
    """The texts that are looked for."""
    return check.all or check.any or (check.value or "",)


def check_regex(check: OutputRegex, subject: Subject) -> Finding:
    """Whether the output matches an expression."""
    output = subject.output
    if output is None:
        return no_output()
    match = pattern(check.pattern, full=check.full, ignore_case=check.ignore_case).search(output.text)
    if match is None:
        return found(False, f"The output does not match {shown(check.pattern)}.", [output.cite()])
    return found(True, f"The output matches {shown(check.pattern)}.", [output.cite(*match.span())])


def check_json(check: OutputJson, subject: Subject) -> Finding:
    """Whether the output is JSON that a schema allows, with what is expected at its places."""
    output = subject.output
    if output is None:
        return no_output()
    if len(output.text) > _MAX_TEXT:
        return skipped(Skip.TOO_LARGE, "The output is too large to be read as JSON.")
    place = _json_in(output.text, check.where)
    if place is None:
        return found(False, _NO_JSON[check.where], [output.cite()])
    value, start, end = place
    evidence = [output.cite(start, end)]
    if check.schema_ is not None and (problem := violation(check.schema_, value)):
        return found(False, f"The output is not as the schema has it. {problem}", evidence)
    for path, expected in check.at.items():
        if problem := mismatch(expected, nodes(path, value)):
            return found(False, f"At {path}: {problem}.", evidence)
    return found(True, "The output is JSON as expected.", evidence)


def mismatch(expected: Expected, values: Sequence[Any]) -> str:
    """What of the values at a place is not as expected, as the end of a sentence; empty when all is."""
    if expected.exists is False or not values:
        return "" if bool(values) == (expected.exists is not False) else _PRESENCE[bool(values)]
    if "equals" in expected.model_fields_set and not any(equal(expected.equals, value) for value in values):
        return f"there is {shown(values[0])}, not {shown(expected.equals)}"
    return _out_of_bounds(expected, values)


def _out_of_bounds(expected: Expected, values: Sequence[Any]) -> str:
    for value in values if (expected.min, expected.max) != (None, None) else ():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{shown(value)} is no number"
        if expected.min is not None and value < expected.min:
            return f"{shown(value)} is less than {expected.min:g}"
        if expected.max is not None and value > expected.max:
            return f"{shown(value)} is more than {expected.max:g}"
    return ""


_PRESENCE: Final = {True: "there is something", False: "there is nothing"}
_NO_JSON: Final = {
    "whole": "The output is not JSON.",
    "fenced": "The output has no block of code that is JSON.",
    "first_object": "The output has no JSON object.",
}


def _json_in(text: str, where: str) -> tuple[Any, int, int] | None:
    """The JSON in a text, and where it stands."""
    if where == "whole":
        return _parsed(text, 0, len(text))
    if where == "fenced":
        fences = (_parsed(match[1], *match.span(1)) for match in _FENCE.finditer(text))
        return next((one for one in fences if one), None)
    return _first_object(text)


# A text of opening braces alone would be read from each of them.
_MAX_ATTEMPTS: Final = 100


def _first_object(text: str) -> tuple[Any, int, int] | None:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = text.find("{")
    for _ in range(_MAX_ATTEMPTS):
        if at < 0:
            return None
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
        else:
            return value, at, end
    return None


def _parsed(text: str, start: int, end: int) -> tuple[Any, int, int] | None:
    try:
        return json.loads(text, parse_constant=_refuse), start, end
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is none of JSON")


def _place(kind: str, text: str, wanted: str) -> int | None:
    if kind == "output_equals":
        return 0 if text == wanted else None
    if kind == "output_starts_with":
        return 0 if text.startswith(wanted) else None
    at = text.find(wanted)
    return None if at < 0 else at


def _normal(text: str, check: Texts) -> str:
    if "unicode" in check.normalise:
        text = unicodedata.normalize("NFKC", text)
    if "space" in check.normalise:
        text = _SPACE.sub(" ", text).strip()
    return text.casefold() if check.ignore_case else text


def _cited(
    output: Output, text: str, held: Sequence[str], places: dict[str, int | None], check: Texts
) -> Iterator[Evidence]:
    """Where the texts stand; all of the output, where it was changed before it was compared."""
    if text != output.text:
        yield output.cite()
        return
    for one in held:
        start = places[one] or 0
        yield output.cite(start, start + len(_normal(one, check)))


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(shown, texts))


def shown(value: Any) -> str:
    """A value as sentences have it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:70]}... ({len(text)} characters)"

"""Expressions that others wrote: RE2, JSONPath, JSON Schema. None takes long on any text, and none reads anything."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2
from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from jsonschema_specifications import REGISTRY

_MAX_REMEMBERED: Final = 256
# Nodes that a path may select: `$..*` of a large document has all of them.
_MAX_NODES: Final = 10_000


@lru_cache(_MAX_REMEMBERED)
def pattern(text: str, *, full: bool = False, ignore_case: bool = False) -> Any:
    """RE2 to search with. Raises ValueError with a sentence."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(f"^(?:{text})\\z" if full else text, options=options)
    except re2.error as problem:
        told = problem.args[0] if problem.args else ""
        words = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise ValueError(f"{text[:60]!r} is no pattern of RE2: {words}") from None


def nodes(path: str, value: Any) -> list[Any]:
    """What stands at a JSONPath in a value. Raises ValueError with a sentence for what is no path."""
    found = []
    try:
        for match in _path(path).finditer(value):
            found.append(match.obj)
            if len(found) >= _MAX_NODES:
                break
    except RecursionError:
        raise ValueError(f"{path[:60]!r} goes too deep.") from None
    return found


@lru_cache(_MAX_REMEMBERED)
def _path(text: str) -> Any:
    try:
        return _PATHS.compile(text)
    except (JSONPathError, RecursionError) as problem:
        raise ValueError(f"{text[:60]!r} is no JSONPath: {str(problem).splitlines()[0]}") from None


def check_path(text: str) -> str:
    """A JSONPath as it is. Raises ValueError with a sentence."""
    _path(text)
    return text


def check_schema(schema: Any) -> Any:
    """A JSON Schema as it is. Raises ValueError with a sentence, also for patterns that are none of RE2."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as problem:
        raise ValueError(f"it is no JSON Schema of 2020-12: {problem.message[:200]}") from None
    for text in _patterns_in(schema):
        pattern(text)
    return schema


def violation(schema: Any, value: Any) -> str:
    """What in a value a JSON Schema does not allow, in a sentence; empty when all is allowed.

    Nothing is fetched: what a schema refers to has to be in it. Raises ValueError when it refers to something else.
    """
    try:
        problem = next(_Validator(schema, registry=REGISTRY).iter_errors(value), None)
    except RecursionError:
        raise ValueError("The schema refers to itself without end.") from None
    except Exception as cause:  # the library's errors of references have no common type that is public
        if type(cause).__module__.startswith(("jsonschema", "referencing")):
            raise ValueError(f"The schema cannot be used: {cause}") from None
        raise
    if problem is None:
        return ""
    message = problem.message if len(problem.message) <= 200 else f"{problem.message[:200]}..."
    return f"At {problem.json_path}: {message}."


def _patterns_in(schema: Any, depth: int = 0) -> Iterator[str]:
    if depth > 60:
        return
    if isinstance(schema, dict):
        if isinstance(text := schema.get("pattern"), str):
            yield text
        if isinstance(by_name := schema.get("patternProperties"), dict):
            yield from by_name
        for one in schema.values():
            yield from _patterns_in(one, depth + 1)
    elif isinstance(schema, list):
        for one in schema:
            yield from _patterns_in(one, depth + 1)


def _of_pattern(_validator: Any, text: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not pattern(text).search(value):
        yield ValidationError(f"{value!r} does not match {text!r}")


def _of_properties(validator: Any, by_pattern: dict[str, Any], value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for text, below in by_pattern.items():
            for name, one in value.items():
                if pattern(text).search(name):
                    yield from validator.descend(one, below, path=name, schema_path=text)


_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _of_pattern, "patternProperties": _of_properties}
)


class _Matches(FilterFunction):
    """`match` and `search` of RFC 9535, by RE2."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the library's type
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, full: bool) -> None:
        self._full = full

    def __call__(self, value: object, text: object) -> bool:
        if not isinstance(value, str) or not isinstance(text, str):
            return False
        try:
            return pattern(text, full=self._full).search(value) is not None
        except ValueError:
            return False


class _Environment(JSONPathEnvironment):
    """Of RFC 9535: a slice selects of arrays only, and the library's of texts too."""

    def getitem(self, obj: Any, key: Any) -> Any:
        return () if isinstance(key, slice) and isinstance(obj, str) else super().getitem(obj, key)


_PATHS: Final = _Environment(strict=True)
_PATHS.function_extensions["match"] = _Matches(full=True)
_PATHS.function_extensions["search"] = _Matches(full=False)

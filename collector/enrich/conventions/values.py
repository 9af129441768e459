"""Where a convention keeps a value: parsing the key forms of convention files and reading them from a span.

key              the attribute's text
key#             the attribute is JSON; its decoded value
key#a.b.0.c      the attribute is JSON; follow names, and numbers into arrays (-1 is the last)
@name            the span's name, without a leading operation (`execute_tool get_weather` is `get_weather`)
resource:key     an attribute of the resource
"""

import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any

from collector.model.facts import SpanView

# Parsing a larger JSON attribute costs more than the fact in it is worth.
MAX_JSON = 1024 * 1024
MAX_LITERAL = 16 * 1024

SPAN_NAME = "@name"
RESOURCE = "resource:"
EVENT = "event:"
CONTENT = "~"

OPERATION_PREFIX = re.compile(r"^(?:invoke_agent|create_agent|execute_tool|invoke_workflow)\s+")
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}
_PYTHON_WORD = re.compile(r"\b(?:None|True|False)\b")
_UNPARSED = object()


@dataclass(frozen=True, slots=True)
class Source:
    """One place a value may be. `attribute` is empty when it is no attribute of the span."""

    spec: str
    attribute: str
    is_json: bool
    path: tuple[str, ...]
    # Most JSON responses start with the member that is asked for: found without parsing a long text.
    leading: re.Pattern[str] | None = None
    # `~` before the key: the attribute is content, to be searched on model calls only.
    in_content: bool = False
    event: str = ""
    # The attribute's text is the value: nothing to work out.
    plain: bool = False


def source(spec: str) -> Source:
    """The Source a key form means."""
    if spec == SPAN_NAME or spec.startswith(RESOURCE):
        return Source(spec, "", is_json=False, path=())
    bare = spec.removeprefix(CONTENT)
    event = ""
    if bare.startswith(EVENT):
        event, _, bare = bare.removeprefix(EVENT).partition("#")
    attribute, sharp, dotted = bare.partition("#")
    path = tuple(dotted.split(".")) if dotted else ()
    if event:
        return Source(spec, "", is_json=True, path=(attribute, *path), in_content=spec.startswith(CONTENT), event=event)
    leading = re.compile(rf'\s*{{\s*"{re.escape(path[0])}"\s*:\s*"([^"\\]*)"') if len(path) == 1 else None
    return Source(
        spec,
        attribute,
        is_json=bool(sharp),
        path=path,
        leading=leading,
        in_content=spec.startswith(CONTENT),
        plain=not sharp and not spec.startswith(CONTENT),
    )


@dataclass(slots=True)
class Reader:
    """Reads sources from one span; an attribute's JSON is parsed once, and only when asked for."""

    span: SpanView
    _documents: dict[str, Any] = field(default_factory=dict)

    def text(self, place: Source) -> str:
        """The value as text, empty when absent: the first item of an array, the JSON text of anything else nested."""
        if not place.is_json:
            return self._plain(place)
        value = self.value(place)
        if isinstance(value, list):
            value = next((item for item in value if item), "")
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value, ensure_ascii=False)

    def value(self, place: Source) -> Any:
        """The value itself, None when absent: what JSON holds there, or the attribute's text."""
        if not place.is_json:
            return self._plain(place) or None
        if place.event:
            return self._in_event(place)
        text = self.span.attributes.get(place.attribute, "")
        if place.leading and (found := place.leading.match(text)):
            return found[1]
        value = self._document(place.attribute, text)
        for step in place.path:
            value = _step(value, step)
        return value

    def _in_event(self, place: Source) -> Any:
        attribute, *path = place.path
        named = (attributes for name, attributes in reversed(self.span.events) if name == place.event)
        value: Any = next((attributes[attribute] for attributes in named if attribute in attributes), None)
        if path:
            value = parsed(value or "")
        for step in path:
            value = _step(value, step)
        return value

    def _plain(self, place: Source) -> str:
        if place.attribute:
            return self.span.attributes.get(place.attribute, "")
        if place.spec == SPAN_NAME:
            return OPERATION_PREFIX.sub("", self.span.name)
        return self.span.resource.get(place.spec.removeprefix(RESOURCE), "")

    def _document(self, attribute: str, text: str) -> Any:
        document = self._documents.get(attribute, _UNPARSED)
        if document is _UNPARSED:
            document = self._documents[attribute] = parsed(text)
        return document


def parsed(text: str) -> Any:
    """JSON text as a value; None for anything else, truncated and oversized texts included."""
    if not text or len(text) > MAX_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _literal(text)


def _literal(text: str) -> Any:
    """A dictionary as Python prints it, which some libraries send for JSON; only one without quotes in its strings."""
    if not text.startswith("{'") or len(text) > MAX_LITERAL or '"' in text or "\\" in text:
        return None
    try:
        return json.loads(_PYTHON_WORD.sub(lambda word: _JSON_WORDS[word[0]], text.replace("'", '"')))
    except (ValueError, RecursionError):
        return None


def unwrapped(text: str) -> str:
    """A text that instrumentations send bare, quoted, or in an array: `stop`, `"stop"` and `["stop"]` are `stop`."""
    if text[:1] not in ("[", '"'):
        return text
    return _unwrapped(text) if len(text) <= 64 else _unwrapped.__wrapped__(text)


@functools.lru_cache(maxsize=1024)
def _unwrapped(text: str) -> str:
    value = parsed(text)
    if isinstance(value, list):
        value = next((item for item in value if item), "")
    return value if isinstance(value, str) else text if value is None else ""


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.lstrip("-").isdigit():
        position = int(step)
        return value[position] if -len(value) <= position < len(value) else None
    return None

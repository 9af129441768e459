"""Where a convention keeps a value: parsing the key forms of convention files and reading them from a span.

key              the attribute's text
key#             the attribute is JSON; its decoded value
key#a.b.0.c      the attribute is JSON; follow names, and numbers into arrays (-1 is the last); a name with dots is
                 quoted: key#"a.b".c
key#a.b=c.d      of an array, the first object whose member `b` is the text `c`
@name            the span's name, without a leading operation (`execute_tool search`, `tools/call search`: `search`)
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

OPERATION_PREFIX = re.compile(r"^(?:invoke_agent|create_agent|execute_tool|invoke_workflow|tools/call)\s+")
# Most JSON objects start with the member that is asked for: found without parsing a long text.
_LEADING = re.compile(r'\s*{\s*"([^"\\]*)"\s*:\s*"([^"\\]*)"')
_STEP = re.compile(r'"([^"]+)"|([^.]+)')
_DECODE = json.JSONDecoder().decode
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}
_UNPARSED = object()
_PYTHON_WORD = re.compile(r"\b(?:None|True|False)\b")


@dataclass(frozen=True, slots=True)
class Source:
    """One place a value may be. `attribute` is empty when it is no attribute of the span."""

    spec: str
    attribute: str
    is_json: bool
    path: tuple[str, ...]
    # `~` before the key: the attribute is content, to be searched on model calls only.
    in_content: bool = False
    event: str = ""
    # The attribute's text is the value: nothing to work out.
    plain: bool = False
    # The names of the path, the last first: a text without one of them, written plainly, has nothing there.
    names: tuple[str, ...] = ()
    # The spec without `~`: places of one key have one value.
    key: str = ""


@functools.cache  # the specs are those of the convention files
def source(spec: str) -> Source:
    """The Source a key form means."""
    if spec == SPAN_NAME or spec.startswith(RESOURCE):
        return Source(spec, "", is_json=False, path=())
    bare = spec.removeprefix(CONTENT)
    event = ""
    if bare.startswith(EVENT):
        event, _, bare = bare.removeprefix(EVENT).partition("#")
    attribute, sharp, dotted = bare.partition("#")
    path = tuple(quoted or name for quoted, name in _STEP.findall(dotted))
    if event:
        return Source(spec, "", is_json=True, path=(attribute, *path), in_content=spec.startswith(CONTENT), event=event)
    return Source(
        spec,
        attribute,
        is_json=bool(sharp),
        path=path,
        in_content=spec.startswith(CONTENT),
        plain=not sharp and not spec.startswith(CONTENT),
        names=tuple(step.partition("=")[0] for step in reversed(path) if not step.lstrip("-").isdigit()),
        key=bare,
    )


@dataclass(slots=True)
class Branch:
    """What is looked for in one value of a JSON document: places it is the value of, by key, and steps that lead on."""

    keys: list[str] = field(default_factory=list)
    steps: dict[str, "Branch"] = field(default_factory=dict)

    def add(self, place: Source) -> None:
        branch = self
        for step in place.path:
            branch = branch.steps.setdefault(step, Branch())
        if place.key not in branch.keys:
            branch.keys.append(place.key)

    def read(self, text: str, found: dict[str, Any]) -> None:
        """Put into `found` what a document has of what is looked for, by key: the same as `Reader.value` says."""
        if not self.keys and text.lstrip()[:1] not in _NESTED:
            return
        value = parsed(text)
        self._collect(value, found)
        # The first member counts where it is doubled, and where the text was cut.
        starts_object = value is None or (isinstance(value, dict) and next(iter(value), "") in self.steps)
        if starts_object and (first := _LEADING.match(text)) and (branch := self.steps.get(first[1])):
            found.update(dict.fromkeys(branch.keys, first[2]))

    def _collect(self, value: Any, found: dict[str, Any]) -> None:
        if value is None:
            return
        for key in self.keys:
            found[key] = value
        if isinstance(value, dict):
            for step in self.steps.keys() & value.keys():
                self.steps[step]._collect(value[step], found)  # noqa: SLF001 - of the same class
        elif isinstance(value, list):
            for step, branch in self.steps.items():
                branch._collect(_item(value, step), found)  # noqa: SLF001 - of the same class


_NESTED = ("{", "[")


@dataclass(slots=True)
class Reader:
    """Reads sources from one span; an attribute's JSON is parsed once, and only when asked for."""

    span: SpanView
    _documents: dict[str, Any] = field(default_factory=dict)

    def text(self, place: Source) -> str:
        """The value as text, as `as_text` has it; empty when absent."""
        return as_text(self.value(place)) if place.is_json else self._plain(place)

    def value(self, place: Source) -> Any:
        """The value itself, None when absent: what JSON holds there, or the attribute's text."""
        if not place.is_json:
            return self._plain(place) or None
        if place.event:
            return self._in_event(place)
        text = self.span.attributes.get(place.attribute, "")
        if len(place.path) == 1 and (first := _LEADING.match(text)) and first[1] == place.path[0]:
            return first[2]
        if place.names and place.attribute not in self._documents and not _may_be_in(text, place.names):
            return None
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


def as_text(value: Any) -> str:
    """A value of JSON as text: the first item of an array, the JSON text of anything else nested."""
    if isinstance(value, list):
        value = next((item for item in value if item), "")
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _may_be_in(text: str, names: tuple[str, ...]) -> bool:
    """Whether the names stand in a JSON text, or might be there in escapes; looking is cheaper than parsing."""
    return all(name in text for name in names) or "\\u00" in text


def parsed(text: str) -> Any:
    """JSON text as a value; None for anything else, truncated and oversized texts included."""
    if not text or len(text) > MAX_JSON:
        return None
    try:
        return _DECODE(text)
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


def leading_member(text: str) -> tuple[str, str] | None:
    """The first member of a JSON object when it is a text without escapes, found without parsing."""
    first = _LEADING.match(text)
    return (first[1], first[2]) if first else None


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
    return _item(value, step) if isinstance(value, list) else None


def _item(items: list[Any], step: str) -> Any:
    if step.lstrip("-").isdigit():
        position = int(step)
        return items[position] if -len(items) <= position < len(items) else None
    name, equals, wanted = step.partition("=")
    if not equals:
        return None
    return next((item for item in items if isinstance(item, dict) and item.get(name) == wanted), None)

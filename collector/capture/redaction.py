"""Redaction: texts that match a rule are replaced, wherever in a request they stand.

Texts are looked at all together, natively and in one pass; only what matches is looked at one by one.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

from collector.capture.builtin import BUILTINS, Check
from collector.capture.json_paths import in_any_value
from collector.capture.unescape import layers, renditions
from collector.config import RedactionRule
from collector.errors import Reason, Rejected
from collector.model.capture import Steps, steps_of

# Whole numbers are looked at as texts from so many digits on: a card or a phone, not a count.
_LONG_NUMBER: Final = 10_000_000
_LONGEST_NUMBER: Final = 10**20
# Each match is replaced in Python.
_MAX_MATCHES: Final = 100_000
# Told by every look: an engine that ran out of memory would see neither this nor anything else.
_SENTINEL: Final = "\x00spanmeter\x00"
_MAX_KEYS: Final = 4096
_ENGINE_BYTES: Final = 64 * 1024 * 1024
# What asks for the very beginning or end of a text, which is no line of several.
_ABSOLUTE: Final = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, compiled. Without pattern and path it is for whole values of its keys."""

    name: str
    keys: tuple[str, ...]
    steps: Steps
    pattern: Any
    check: Check | None
    hash_key: bytes

    def has_key(self, key: str) -> bool:
        return any(key.startswith(one[:-1]) if one.endswith("*") else key == one for one in self.keys)

    def replacement(self, text: str) -> str:
        if not self.hash_key:
            return f"[redacted:{self.name}]"
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8, key=self.hash_key)
        return f"[{self.name}:{digest.hexdigest()}]"

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it matches."""
        for match in self.pattern.finditer(text):
            start, end = match.span()
            if self.check:
                yield from self.check(text, start, end)
            elif end > start:
                yield start, end


def compiled(rules: Iterable[RedactionRule], hash_key: str) -> list[Rule]:
    """The rules of the settings, which are known to be sound."""
    return [_compiled(rule, hash_key) for rule in rules]


def _compiled(rule: RedactionRule, hash_key: str) -> Rule:
    pattern, check = BUILTINS[rule.builtin] if rule.builtin else (rule.pattern, None)
    # The key of BLAKE2b has 64 bytes at most.
    key = hashlib.sha512(hash_key.encode()).digest() if rule.action == "hash" else b""
    return Rule(
        name=rule.label,
        keys=rule.keys,
        steps=steps_of(rule.json_path) if rule.json_path else (),
        pattern=re2.compile(pattern) if pattern else None,
        check=check,
        hash_key=key,
    )


@dataclass(slots=True)
class _Place:
    """A text in a message, and the rules with keys that are for it."""

    message: Any
    field: str
    text: str
    keyed: tuple[Rule, ...]


class Redactor:
    """Rules applied to requests. `is_count` tells the attributes whose numbers are facts, which stay."""

    def __init__(self, rules: Sequence[Rule], is_count: Callable[[str], bool]) -> None:
        self._keyed = tuple(rule for rule in rules if rule.keys)
        self._everywhere = tuple(rule for rule in rules if rule.pattern and not rule.keys)
        self._paths = tuple(rule for rule in rules if rule.steps and not rule.keys)
        self._is_count = is_count
        self._patterns = tuple(rule for rule in rules if rule.pattern)
        self._set = _set_of(self._patterns)
        self._of_key: dict[str, tuple[Rule, ...]] = {}
        self._shapes: dict[str, tuple[list[str], list[str], list[tuple[str, bool]]]] = {}

    def redact(self, request: Any) -> Counter[str]:
        """Change a request in place; how often each rule applied. Raises Rejected when that is too often."""
        counts: Counter[str] = Counter()
        places: list[_Place] = []
        self._message(request, (), places, counts)
        for place in self._suspects(places):
            self._replace(place, counts)
        return counts

    # -- finding texts --------------------------------------------------------------------------------------------

    def _message(self, message: Any, keyed: tuple[Rule, ...], places: list[_Place], counts: Counter[str]) -> None:
        name = message.DESCRIPTOR.name
        if name == "KeyValue":
            self._pair(message, keyed, places, counts)
            return
        if name == "AnyValue":
            self._value(message, "", keyed, places, counts)
            return
        texts, lists, inner = self._shape(message.DESCRIPTOR)
        places += [_Place(message, field, text, keyed) for field in texts if (text := getattr(message, field))]
        for found in (getattr(message, field) for field in lists):
            places += [_Place(found, "", "\n".join(found), keyed)] if any(found) else []
        for field, repeated in inner:
            for one in _held(message, field, repeated=repeated):
                self._message(one, keyed, places, counts)

    def _pair(self, pair: Any, keyed: tuple[Rule, ...], places: list[_Place], counts: Counter[str]) -> None:
        rules = self._rules_of(pair.key)
        if rules:
            keyed = (*keyed, *rules)
            whole = next((rule for rule in rules if rule.pattern is None and not rule.steps), None)
            if whole:
                kind = pair.value.WhichOneof("value")
                pair.value.string_value = whole.replacement(str(getattr(pair.value, kind)) if kind else "")
                counts[whole.name] += 1
                return
        if self._patterns:
            places.append(_Place(pair, "key", pair.key, ()))
        self._value(pair.value, pair.key, keyed, places, counts)

    def _value(self, value: Any, key: str, keyed: tuple[Rule, ...], places: list[_Place], counts: Counter[str]) -> None:
        for rule in (*(rule for rule in keyed if rule.steps), *self._paths):
            in_any_value(value, rule.steps, _counted(rule, counts))
        kind = value.WhichOneof("value")
        if kind == "string_value":
            places.append(_Place(value, kind, value.string_value, keyed))
        elif kind in ("int_value", "double_value"):
            number = getattr(value, kind)
            if _LONG_NUMBER <= abs(number) < _LONGEST_NUMBER and not self._is_count(key):
                places.append(_Place(value, kind, str(int(number)), keyed))
        elif kind == "bytes_value":
            places.append(_Place(value, kind, value.bytes_value.decode("latin-1"), keyed))
        elif kind == "array_value":
            for item in value.array_value.values:
                self._value(item, key, keyed, places, counts)
        elif kind == "kvlist_value":
            for pair in value.kvlist_value.values:
                self._pair(pair, keyed, places, counts)

    def _rules_of(self, key: str) -> tuple[Rule, ...]:
        if not self._keyed:
            return ()
        found = self._of_key.get(key)
        if found is None:
            found = tuple(rule for rule in self._keyed if rule.has_key(key))
            if len(self._of_key) < _MAX_KEYS:
                self._of_key[key] = found
        return found

    def _shape(self, descriptor: Any) -> tuple[list[str], list[str], list[tuple[str, bool]]]:
        """The fields of a message that are texts, lists of texts, and messages."""
        shape = self._shapes.get(descriptor.full_name)
        if shape is None:
            texts = [f for f in descriptor.fields if f.type == f.TYPE_STRING]
            inner = [(f.name, f.is_repeated) for f in descriptor.fields if f.message_type]
            plain = [f.name for f in texts if not f.is_repeated]
            shape = plain, [f.name for f in texts if f.is_repeated], inner
            self._shapes[descriptor.full_name] = shape
        return shape

    # -- which of them match --------------------------------------------------------------------------------------

    def _suspects(self, places: list[_Place]) -> Iterator[_Place]:
        """The places where some pattern may match: found by halving, so that a request without any takes one look."""
        if not self._patterns or not places:
            return
        if self._set is None:
            yield from places
            return
        seen = ["\n".join(renditions(place.text)) for place in places]
        waiting = [(0, len(places))]
        while waiting:
            begin, end = waiting.pop()
            if not self._matches("\n".join(seen[begin:end])):
                continue
            if end - begin == 1:
                yield places[begin]
                continue
            middle = (begin + end) // 2
            waiting += ((middle, end), (begin, middle))

    def _matches(self, text: str) -> bool:
        found = self._set.Match(f"{text}\n{_SENTINEL}".encode(errors="replace")) or ()
        if len(self._patterns) not in found:
            raise MemoryError("RE2 had not enough memory for the patterns.")
        return len(found) > 1

    # -- replacing ------------------------------------------------------------------------------------------------

    def _replace(self, place: _Place, counts: Counter[str]) -> None:
        rules = (*(rule for rule in place.keyed if rule.pattern), *self._everywhere)
        changed = redacted(place.text, rules, counts)
        if counts.total() > _MAX_MATCHES:
            raise Rejected(
                Reason.TOO_LARGE,
                f"More than {_MAX_MATCHES} places of the request match rules of capture.redact; send smaller batches.",
            )
        if changed == place.text:
            return
        if not place.field:
            place.message[:] = changed.split("\n")
        elif place.field == "bytes_value":
            place.message.bytes_value = changed.encode("latin-1", errors="replace")
        elif place.field in ("int_value", "double_value"):
            place.message.string_value = changed
        else:
            setattr(place.message, place.field, changed)


def _held(message: Any, field: str, *, repeated: bool) -> Iterable[Any]:
    if repeated:
        held: Iterable[Any] = getattr(message, field)
        return held
    return (getattr(message, field),) if message.HasField(field) else ()


def redacted(text: str, rules: Sequence[Rule], counts: Counter[str]) -> str:
    """`text` without what the rules match in it, also in escapes of JSON. Of rules that overlap the first counts."""
    found: list[tuple[int, int, int, str]] = []
    for layer in layers(text):
        clean = layer.text.encode(errors="replace").decode()  # half characters, of the same length
        for order, rule in enumerate(rules):
            for start, end in rule.spans(clean):
                source = layer.source(start), layer.source(end)
                found.append((*source, order, rule.replacement(layer.text[start:end])))
                if len(found) > _MAX_MATCHES:
                    counts["too many"] += len(found)
                    return text
    if not found:
        return text
    return _without(text, sorted(found, key=lambda one: (one[0], one[2], -one[1])), rules, counts)


def _without(text: str, found: Sequence[tuple[int, int, int, str]], rules: Sequence[Rule], counts: Counter[str]) -> str:
    """Overlapping places are one, which the first of them names."""
    pieces: list[str] = []
    copied = 0
    place = 0
    while place < len(found):
        start, end, order, replacement = found[place]
        place += 1
        while place < len(found) and found[place][0] < end:
            _, until, other, named = found[place]
            end = max(end, until)
            if other < order:
                order, replacement = other, named
            place += 1
        pieces += (text[copied:start], replacement)
        copied = end
        counts[rules[order].name] += 1
    return "".join((*pieces, text[copied:]))


def _counted(rule: Rule, counts: Counter[str]) -> Callable[[str], str]:
    def replace(text: str) -> str:
        counts[rule.name] += 1
        return rule.replacement(text)

    return replace


def _set_of(rules: Sequence[Rule]) -> Any:
    """All patterns as one, in which a text may stand between others; None when a pattern asks for its very end."""
    if any(_ABSOLUTE.search(rule.pattern.pattern) for rule in rules):
        return None
    options = re2.Options()
    options.max_mem = _ENGINE_BYTES
    options.log_errors = False
    together = re2.Set.SearchSet(options)
    for rule in rules:
        together.Add(f"(?m:{rule.pattern.pattern})")
    together.Add(re2.escape(_SENTINEL))
    together.Compile()
    return together

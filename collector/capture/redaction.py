"""Redaction: texts that match a rule are replaced, wherever in a request they stand.

Texts are looked at all together and in one pass; only those that match are looked at one by one.
"""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import re2

from collector.capture.builtin import BUILTINS, Check
from collector.capture.finding import Finder
from collector.capture.json_paths import in_any_value, in_text
from collector.capture.native import NATIVE, native
from collector.capture.unescape import layers, renditions
from collector.config import RedactionRule
from collector.errors import Reason, Rejected
from collector.model.capture import Steps, steps_of
from collector.model.envelope import Signal
from collector.wire.otlp import REQUESTS
from collector.wire.schema import schema_of

# Whole numbers are looked at as texts from so many digits on: a card or a phone, not a count.
_LONG_NUMBER: Final = 10_000_000
_LONGEST_NUMBER: Final = 10**20
# Each match is replaced in Python.
_MAX_MATCHES: Final = 100_000
_MAX_KEYS: Final = 4096

_SHAPES: Final = (
    {signal: native.Shapes(schema_of(request.DESCRIPTOR)) for signal, request in REQUESTS.items()} if NATIVE else {}
)


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
    """A text in a message, or in a list of texts, and the rules with keys that are for it."""

    message: Any
    field: str | int
    text: str
    keyed: tuple[Rule, ...]


class Redactor:
    """Rules applied to requests. `is_count` tells the attributes whose numbers are facts, which stay."""

    def __init__(self, rules: Sequence[Rule], is_count: Callable[[str], bool]) -> None:
        self._keyed = tuple(rule for rule in rules if rule.keys)
        self._everywhere = tuple(rule for rule in rules if rule.pattern and not rule.keys)
        self._paths = tuple(rule for rule in rules if rule.steps and not rule.keys)
        self._is_count = is_count
        self._finder = Finder(rules) if any(rule.pattern for rule in rules) else None
        self._names = self._known_names() if NATIVE else None
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

    def redact_natively(self, signal: Signal, payload: bytes, most: int | None) -> tuple[bytes, Counter[str]] | None:
        """What is left of the bytes of a request, and how often each rule applied.

        None when only `redact` can tell, or when more than `most` texts have to be looked at one by one.
        """
        if self._paths or self._names is None:
            return None
        texts = native.Texts.of(_SHAPES[signal], payload, self._names)
        if texts is None:
            return None
        counts: Counter[str] = Counter()
        suspects = self._finder.suspects(texts.seen, texts) if self._finder else ()
        if most is not None and len(suspects) > most:
            return None
        wholes = [self._whole(key, text, counts) for key, text in texts.wholes()]
        changed: dict[int, str] = {}
        for number in suspects:
            text = texts.text(number)
            if (left := self._redacted(text, (), counts)) != text:
                changed[number] = left
        return texts.replaced(changed, wholes) if changed or wholes else payload, counts

    def _known_names(self) -> Any:
        return native.AttributeNames(
            self._is_count,
            lambda key: bool(self._rules_of(key)),
            lambda key: _for_whole(self._rules_of(key)) is not None,
        )

    def _whole(self, key: str, text: str, counts: Counter[str]) -> str:
        rule = _for_whole(self._rules_of(key))
        assert rule
        counts[rule.name] += 1
        return rule.replacement(text)

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
        for field in texts if self._paths else ():
            self._field(message, field, counts)
        places += [_Place(message, field, text, keyed) for field in texts if (text := getattr(message, field))]
        for found in (getattr(message, field) for field in lists):
            places += [_Place(found, at, text, keyed) for at, text in enumerate(found) if text]
        for field, repeated in inner:
            for one in _held(message, field, repeated=repeated):
                self._message(one, keyed, places, counts)

    def _field(self, message: Any, field: str, counts: Counter[str]) -> None:
        """Apply paths to a name, a status message and the like, which may be JSON too."""
        text = left = getattr(message, field)
        for rule in self._paths:
            left = in_text(left, rule.steps, _counted(rule, counts))
        if left != text:
            setattr(message, field, left)

    def _pair(self, pair: Any, keyed: tuple[Rule, ...], places: list[_Place], counts: Counter[str]) -> None:
        rules = self._rules_of(pair.key)
        if rules:
            keyed = (*keyed, *rules)
            if _for_whole(rules):
                kind = pair.value.WhichOneof("value")
                text = str(getattr(pair.value, kind)) if kind else ""
                pair.value.string_value = self._whole(pair.key, text, counts)
                return
        if self._finder:
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

    # -- which of them match, and replacing ---------------------------------------------------------------------------

    def _suspects(self, places: list[_Place]) -> Iterator[_Place]:
        if self._finder and places:
            seen = ["\n".join(renditions(place.text)).encode(errors="replace") for place in places]
            texts = _Joined([0, *accumulate(len(text) + 1 for text in seen)])
            yield from (places[number] for number in self._finder.suspects(b"\n".join((*seen, b"")), texts))

    def _replace(self, place: _Place, counts: Counter[str]) -> None:
        changed = self._redacted(place.text, place.keyed, counts)
        if changed == place.text:
            return
        if isinstance(place.field, int):
            place.message[place.field] = changed
        elif place.field == "bytes_value":
            place.message.bytes_value = changed.encode("latin-1", errors="replace")
        elif place.field in ("int_value", "double_value"):
            place.message.string_value = changed
        else:
            setattr(place.message, place.field, changed)

    def _redacted(self, text: str, keyed: tuple[Rule, ...], counts: Counter[str]) -> str:
        """Raises Rejected when rules applied too often."""
        assert self._finder
        matching = self._finder.matching("\n".join(renditions(text)))
        rules = [rule for rule in (*keyed, *self._everywhere) if rule.name in matching]
        changed = redacted(text, rules, counts) if rules else text
        if counts.total() > _MAX_MATCHES:
            raise Rejected(
                Reason.TOO_LARGE,
                f"More than {_MAX_MATCHES} places of the request match rules of capture.redact; send smaller batches.",
            )
        return changed


@dataclass(frozen=True, slots=True)
class _Joined:
    """Texts one after another; implements `finding.Places`."""

    starts: list[int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def place_of(self, at: int) -> int:
        return bisect_right(self.starts, at) - 1

    def start_of(self, number: int) -> int:
        return self.starts[number]


def _for_whole(rules: Iterable[Rule]) -> Rule | None:
    """The one that is for whole values, if there is any."""
    return next((rule for rule in rules if rule.pattern is None and not rule.steps), None)


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

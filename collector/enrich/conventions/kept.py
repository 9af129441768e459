"""What capture policies keep of attributes: what the conventions read facts from, and what is listed as harmless."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final
from urllib.parse import urlsplit

from collector.enrich.conventions.expiring import content_rules, facts_of
from collector.enrich.conventions.families import Family, Part, load_model
from collector.enrich.conventions.recipes import known_keys, resource_keys
from collector.enrich.conventions.values import MAX_JSON, SPAN_NAME, leading_member, parsed, source
from collector.model.capture import NOT_CAPTURED, Kept, Policy
from collector.model.content import Path
from collector.model.log_columns import EVENT_KEYS, PROMPT_KEYS, REQUEST_KEYS, RESOURCE_SESSION_KEY, SESSION_KEYS

# What a text within content looks like that is an id, a model, a tier, a reason: one word.
_WORD: Final = re.compile(r"[A-Za-z0-9._:/@+#-]{1,128}")
_MAX_ITEMS, _MAX_DEPTH = 64, 6
_NAME_BYTES = 256
_AGENTS: Final = ("agent_name", "agent_span_name")


class CaptureNames(Part):
    """`schema/capture.yaml`."""

    attributes: tuple[str, ...]
    events: tuple[str, ...]
    addresses: tuple[str, ...]
    longest: int


@dataclass(slots=True)
class _Branch:
    """What is kept of one value of a JSON document: all that is a fact of it, or what is further on."""

    whole: bool = False
    steps: "dict[str, _Branch]" = field(default_factory=dict)


class KeptFacts:
    """Implements `model.capture.Keeper`.

    `further` are names of attributes that are kept under every policy, and `@name` that the names of spans are.
    """

    def __init__(self, families: Iterable[Family], schema: FilePath, further: Iterable[str] = ()) -> None:
        families, further = tuple(families), tuple(further)
        listed: CaptureNames = load_model(CaptureNames, schema / "capture.yaml")
        rules = content_rules(families, schema)
        whole, paths = facts_of(_specs(families))
        facts = {*whole, *known_keys(families), *resource_keys(families)} - rules.attributes
        of_logs = {*EVENT_KEYS, *SESSION_KEYS, *PROMPT_KEYS, *REQUEST_KEYS, RESOURCE_SESSION_KEY, "service.name"}
        patterns = _patterns(families)
        counted: dict[str, Kept] = {
            **dict.fromkeys(facts | of_logs | _of_events(families), Kept.SHORT),
            **dict.fromkeys((*paths, *patterns, *listed.addresses), Kept.PARTS),
            **dict.fromkeys(further, Kept.SHORT),
        }
        content = {key: Kept.NAME for key in rules.log_attributes if not key.endswith(".*")}
        shown = dict.fromkeys(listed.attributes, Kept.SHORT)
        self._kept = {Policy.METADATA: _Names(content | counted | shown), Policy.OFF: _Names(counted)}
        self._trees = {key: _tree(leading) for key, leading in paths.items()}
        self._patterns = patterns
        self._addresses = frozenset(listed.addresses)
        self._events = _Names(dict.fromkeys((*listed.events, *rules.events), Kept.SHORT))
        self._longest = listed.longest
        self._name_patterns = [re.compile(rule.pattern) for family in families for rule in family.names]
        self._names = SPAN_NAME in further
        self._telling = functools.lru_cache(1024)(self._beginning)
        self._sessions = [family.events for family in families if family.events]
        self._metrics = {rules.token_metric for rules in self._sessions} - {""}

    @property
    def longest(self) -> int:
        return self._longest

    def kept(self, policy: Policy, key: str) -> Kept:
        return self._kept[policy].of(key)

    def short(self, text: str) -> str:
        if len(text) > self._longest:
            return ""
        if text.lstrip()[:1] in ("{", "["):
            return _reduced(text, _WHOLE)
        return text

    def parts(self, key: str, text: str) -> str:
        if key in self._addresses:
            return _host(text)
        if key in self._patterns:
            return self._matched(key, text)
        return _reduced(text, self._trees[key])

    def _matched(self, key: str, text: str) -> str:
        """As little of a text as still says what a rule on sessions looks for."""
        for pattern in self._patterns[key]:
            if found := pattern.search(text):
                return NOT_CAPTURED if pattern.search(NOT_CAPTURED) else found[0]
        return ""

    def name(self, policy: Policy, name: str) -> str:
        kept = self._telling(name) if policy is Policy.OFF and not self._names else name
        return kept[:_NAME_BYTES]

    def _beginning(self, name: str) -> str:
        """As much of a span's name as a rule on kinds looks at."""
        found = (match[0] for pattern in self._name_patterns if (match := pattern.match(name)))
        return max(found, key=len, default="")

    def event(self, policy: Policy, name: str) -> str:
        kept = policy is Policy.METADATA and self._events.of(name) is Kept.SHORT
        return name if kept and len(name) <= self._longest else ""

    def tells_of_session(self, event: str, scope: str) -> bool:
        return any(rules.role(event, scope) for rules in self._sessions)

    def counts_tokens(self, metric: str) -> bool:
        return metric in self._metrics


def _specs(families: Iterable[Family]) -> Iterable[str]:
    """Every place that a fact is read from."""
    for family in families:
        for keys in (*family.lists, family.usage_objects, family.whole_objects):
            for specs in keys.values():
                yield from specs


def agent_keys(families: Iterable[Family]) -> frozenset[str]:
    """The attributes that name an agent."""
    specs = (spec for family in families for field in _AGENTS for spec in family.fields.get(field, ()))
    return frozenset({place.attribute for place in map(source, specs) if not place.is_json} - {""})


class _Names:
    """Names and beginnings of names, and what is kept under them."""

    def __init__(self, listed: Mapping[str, Kept]) -> None:
        self.exact = {name: kept for name, kept in listed.items() if not name.endswith(".*")}
        self.beginnings = tuple(sorted(name[:-1] for name in listed if name.endswith(".*")))

    def of(self, name: str) -> Kept:
        found = self.exact.get(name)
        if found is None:
            return Kept.SHORT if name.startswith(self.beginnings) else Kept.NOTHING
        return found


def _of_events(families: Iterable[Family]) -> set[str]:
    """The attributes of log records that sessions are made of; texts of errors are none."""
    keys: set[str] = set()
    for rules in (family.events for family in families if family.events):
        listed = (rules.required, rules.call_id, rules.tool_id, rules.tool_name, rules.duration_ms, rules.model)
        keys.update(key for names in (*listed, rules.agent) for key in names)
        keys.update(rules.sub_agent)
        keys.update(("type", "model") if rules.token_metric else ())
    return keys


def _patterns(families: Iterable[Family]) -> dict[str, list[re.Pattern[str]]]:
    """The texts of log records in which rules on sessions look for something, by attribute."""
    found: dict[str, list[re.Pattern[str]]] = {}
    for rules in (family.events for family in families if family.events):
        for key, pattern in (*rules.failed.items(), *rules.denied.items(), *((key, ".") for key in rules.error)):
            found.setdefault(key, []).append(re.compile(pattern))
    return found


def _tree(paths: Iterable[Path]) -> _Branch:
    tree = _Branch()
    for path in paths:
        branch = tree
        for step in path:
            branch = branch.steps.setdefault(step, _Branch())
        branch.whole = True
    return tree


_WHOLE = _Branch(whole=True)


def _reduced(text: str, tree: _Branch) -> str:
    """A JSON text with what `tree` keeps and nothing else; what is read from it is what was."""
    value = parsed(text)
    kept = _pruned(value, tree) if isinstance(value, dict | list) else None
    if kept is None:
        kept = {}
    first = leading_member(text) if len(text) > MAX_JSON or not isinstance(value, list) else None
    # The first member counts where it is doubled, and where the text was cut (see `values.Branch`).
    if first and isinstance(kept, dict) and (tree.whole or first[0] in tree.steps) and _WORD.fullmatch(first[1]):
        kept = {first[0]: first[1], **{key: item for key, item in kept.items() if key != first[0]}}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def _pruned(value: Any, branch: _Branch) -> Any:
    """What of a value is kept; None when nothing is."""
    if branch.whole:
        return _facts(value)
    if isinstance(value, dict):
        members = {step: _pruned(value[step], below) for step, below in branch.steps.items() if step in value}
        # In the order of the document: the first member has a meaning of its own.
        return {key: members[key] for key in value if members.get(key) is not None} or None
    return _items(value, branch) if isinstance(value, list) else None


def _items(values: list[Any], branch: _Branch) -> Any:
    """The items that steps lead to, where they were: counted from the start, the end, or found by a member."""
    places: dict[int, list[tuple[str, _Branch]]] = {}
    for step, below in branch.steps.items():
        place = _place(values, step)
        if place is not None:
            places.setdefault(place, []).append((step, below))
    starts = [int(step) for step in branch.steps if step.isdigit()]
    ends = [-int(step) for step in branch.steps if step.startswith("-") and step[1:].isdigit()]
    head, tail = max(starts, default=-1) + 1, max(ends, default=0)
    kept: list[Any] = []
    for place in range(len(values)):
        if place in places:
            kept.append(_item(values[place], places[place]))
        elif place < head or place >= len(values) - tail:
            kept.append({})
    return kept if any(kept) else None


def _place(values: list[Any], step: str) -> int | None:
    if step.lstrip("-").isdigit():
        number = int(step)
        place = number if number >= 0 else len(values) + number
        return place if 0 <= place < len(values) else None
    name, equals, wanted = step.partition("=")
    matching = (at for at, one in enumerate(values) if isinstance(one, dict) and one.get(name) == wanted)
    return next(matching, None) if equals else None


def _item(value: Any, wanted: list[tuple[str, _Branch]]) -> Any:
    merged = _Branch(whole=any(below.whole for _, below in wanted))
    for _, below in wanted:
        for step, further in below.steps.items():
            merged.steps.setdefault(step, further)
    kept = _pruned(value, merged)
    for step, _ in wanted:
        name, equals, text = step.partition("=")
        if equals:
            kept = {name: text, **(kept or {})}
    return {} if kept is None else kept


def _facts(value: Any, depth: int = 0) -> Any:
    """Numbers and words; what else there is becomes empty, and None when nothing is left."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else _host(value) or None
    if depth == _MAX_DEPTH:
        return None
    if isinstance(value, list):
        items = [kept for item in value[:_MAX_ITEMS] if (kept := _facts(item, depth + 1)) is not None]
        return items or None
    pairs = list(value.items())[:_MAX_ITEMS]
    members = {
        key: kept for key, item in pairs if _WORD.fullmatch(key) and (kept := _facts(item, depth + 1)) is not None
    }
    return members or None


def _host(text: str) -> str:
    """The scheme and host of an address, which tell the region; empty for any other text."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{host}{port}" if parts.scheme and _WORD.fullmatch(host) else ""

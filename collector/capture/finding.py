"""Which of many texts match one of many patterns: found in one pass, in time linear in the texts."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Protocol

import re2

# Told by every look at one text: a set that ran out of memory would see neither this nor anything else.
_SENTINEL: Final = "\x00spanmeter\x00"
_ENGINE_BYTES: Final = 64 * 1024 * 1024
# What asks for the very beginning or end of a text, which is no line of several.
_ABSOLUTE: Final = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-")


class Named(Protocol):
    """A rule, as far as it is looked for. Names are unique; without a pattern it is not looked for."""

    @property
    def name(self) -> str: ...

    @property
    def pattern(self) -> Any: ...


class Places(Protocol):
    """Where texts are among those that are looked at together."""

    def __len__(self) -> int: ...

    def place_of(self, at: int) -> int:
        """The number of the text that has position `at`."""

    def start_of(self, number: int) -> int:
        """Where a text begins; that of the one after the last is where it ends."""


class Finder:
    """The patterns of rules. May be used from several threads."""

    def __init__(self, rules: Iterable[Named]) -> None:
        rules = [rule for rule in rules if rule.pattern]
        self._names = [rule.name for rule in rules]
        patterns = [rule.pattern.pattern for rule in rules]
        self._union = _union_of(patterns)
        self._set = _set_of(patterns)

    def suspects(self, seen: bytes, places: Places) -> Sequence[int]:
        """The numbers of the texts in which some pattern may match: of all that one has, and of few others.

        `seen` are the texts, a line end after each. Where one of the patterns asks for the very end of a text, all are.
        """
        if self._union is None:
            return range(len(places))
        found: list[int] = []
        at = 0
        # What overlaps a match touches a text that is named: so a text is looked at no further once it is.
        while match := self._union.search(seen, at):
            start, end = match.span()
            first, last = places.place_of(start), places.place_of(max(start, end - 1))
            found += range(max(first, found[-1] + 1) if found else first, last + 1)
            at = places.start_of(last + 1)
        return found

    def matching(self, text: str) -> Collection[str]:
        """The names of the rules that may match in one text."""
        if self._set is None:
            return self._names
        found = self._set.Match(f"{text}\n{_SENTINEL}".encode(errors="replace")) or ()
        if len(self._names) not in found:
            raise MemoryError("RE2 had not enough memory for the patterns.")
        return {self._names[number] for number in found if number < len(self._names)}


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _ENGINE_BYTES
    options.log_errors = False
    options.never_capture = True
    return options


def _union_of(patterns: Sequence[str]) -> Any:
    """All patterns as one, in which a text may stand between others; None where that cannot be."""
    if not patterns or any(map(_ABSOLUTE.search, patterns)):
        return None
    try:
        return re2.compile("|".join(f"(?m:{pattern})" for pattern in patterns), _options())
    except re2.error:  # groups of the same name, for one
        return None


def _set_of(patterns: Sequence[str]) -> Any:
    """The patterns, each by itself; None when one of them asks for the very end of a text."""
    if not patterns or any(map(_ABSOLUTE.search, patterns)):
        return None
    together = re2.Set.SearchSet(_options())
    for pattern in patterns:
        together.Add(f"(?m:{pattern})")
    together.Add(re2.escape(_SENTINEL))
    together.Compile()
    return together

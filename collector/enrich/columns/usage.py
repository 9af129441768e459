"""The rules of `usage.normalise` for many rows at once. Rows that break one are `odd`: they are settled one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collector.enrich.conventions import usage as row_usage
from collector.enrich.conventions.families import Meaning

Array = np.ndarray[Any, Any]

# Of each bucket that a convention has: the counts, and whether one was sent.
Counts = dict[str, tuple[Array, Array]]


@dataclass(frozen=True, slots=True)
class Includes:
    """For each row what its input and output include, as `families.Meaning` has it."""

    cache: Array
    reasoning: Array
    modalities: Array
    tool_use: Array

    @classmethod
    def everything(cls, rows: int) -> "Includes":
        yes = np.ones(rows, np.bool_)
        return cls(yes, yes, yes, yes)

    @classmethod
    def by(cls, rules: Sequence[Meaning], rows: Array) -> "Includes":
        """By the rules of which `rows` has the number for each row."""

        def included(name: str) -> Array:
            return np.array([getattr(rule, name) for rule in rules], np.bool_)[rows]

        return cls(
            included("input_includes_cache"),
            included("output_includes_reasoning"),
            included("includes_modalities"),
            included("input_includes_tool_use"),
        )


@dataclass(frozen=True, slots=True)
class Normalised:
    """`counts` by the names of `model.usage.Usage`; `known` rows report usage; of `odd` rows nothing here holds."""

    counts: Mapping[str, Array]
    known: Array
    odd: Array


def normalise(counts: Counts, rows: int, includes: Includes, has_output: Array) -> Normalised:
    """What the counts mean, by the rules in the docstring of `usage`; `has_output` is known of each row."""
    nothing = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)

    def part(name: str) -> Array:
        return counts.get(name, nothing)[0]

    def sent(name: str) -> Array:
        return counts.get(name, nothing)[1]

    totals = sent("input") | sent("output") | sent("total")
    write_parts = part("cache_write_5m") + part("cache_write_1h")
    write = np.where(sent("cache_write"), part("cache_write"), write_parts)
    odd = (write < write_parts) & (write > 0)
    write = np.maximum(write, write_parts)
    cached_audio = part("cache_audio_read")
    read = np.where(sent("cache_read"), part("cache_read"), cached_audio)
    reasoning = part("reasoning")
    cached = read + write
    beside = ~includes.modalities
    given_input = part("input") + np.where(beside, part("input_audio"), 0)
    output_sent = part("output") + np.where(beside, part("output_audio"), 0)
    given_output = np.where(includes.reasoning, output_sent, output_sent + reasoning)
    includes_cache = includes.cache | (sent("uncached_input") & (part("uncached_input") != part("input")))
    entire = _input(part, sent, given_input, given_output, cached, includes_cache, odd)
    most = np.where(part("total") > 0, row_usage.MAX_TOKENS, entire)
    odd |= sent("input") & (part("tool_use") > np.where(includes.tool_use, most, 0))
    without = np.maximum(part("total") - entire, reasoning)
    output = np.where(sent("output"), given_output, without)
    odd |= sent("output") & includes.reasoning & (reasoning > output_sent)
    odd |= _disagrees(part, entire + output)
    odd |= has_output & ~sent("input") & ~sent("output") & (part("total") > 0)
    audio = np.where(sent("input_audio"), part("input_audio") + np.where(beside, cached_audio, 0), cached_audio)
    spoken = part("output_audio")
    cached_audio = np.minimum(np.minimum(cached_audio, read), audio)
    heard = np.minimum(audio - cached_audio, entire - cached) + cached_audio
    odd |= (heard < audio) | (cached_audio < part("cache_audio_read")) | (spoken > output - reasoning)
    return Normalised(
        {
            "input_tokens": entire,
            "output_tokens": output,
            "cache_read_tokens": read,
            "cache_write_tokens": write,
            "cache_write_1h_tokens": part("cache_write_1h"),
            "reasoning_tokens": reasoning,
            "input_audio_tokens": heard,
            "cache_audio_read_tokens": cached_audio,
            "output_audio_tokens": spoken,
        },
        known=totals & ((entire > 0) | (output > 0)),
        odd=odd & totals,
    )


def _input(part: Any, sent: Any, entire: Array, output: Array, cached: Array, includes: Array, odd: Array) -> Array:
    given = sent("input")
    odd |= ~given & ~sent("total") & (cached == 0) & (output > 0)
    odd |= given & includes & (cached > entire)
    without = np.maximum(part("total") - np.where(sent("output"), output, 0), cached)
    result: Array = np.where(given, np.where(includes, entire, entire + cached), without)
    return result


def _disagrees(part: Any, read: Array) -> Array:
    """Rows whose total is that of another reading, as `totals.read_total` has it."""
    total = part("total")
    result: Array = (total > 0) & (total != read) & (total != part("input") + part("output"))
    return result

"""The rules of `usage.normalise` for many rows at once. Rows that break one are `odd`: they are settled one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Of each bucket that a convention has: the counts, and whether one was sent.
Counts = dict[str, tuple[Array, Array]]


@dataclass(frozen=True, slots=True)
class Normalised:
    """`counts` by the names of `model.usage.Usage`; `known` rows report usage; of `odd` rows nothing here holds."""

    counts: Mapping[str, Array]
    known: Array
    odd: Array


def normalise(
    counts: Counts, rows: int, *, input_includes_cache: Array, output_includes_reasoning: Array
) -> Normalised:
    """What the counts mean, by the rules in the docstring of `usage`."""
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
    read, reasoning = part("cache_read"), part("reasoning")
    cached = read + write
    entire = _input(part, sent, cached, input_includes_cache, odd)
    output = _output(part, sent, entire, reasoning, output_includes_reasoning, odd)
    audio, spoken = part("input_audio"), part("output_audio")
    cached_audio = np.minimum(np.minimum(part("cache_audio_read"), read), audio)
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


def _input(part: Any, sent: Any, cached: Array, includes: Array, odd: Array) -> Array:
    given, total, output = sent("input"), sent("total"), part("output")
    odd |= ~given & ~total & (cached == 0) & (output > 0)
    without = np.maximum(part("total") - output, cached)
    entire = part("input")
    odd |= given & includes & ((cached > entire) | ((cached > 0) & total & (part("total") == entire + cached + output)))
    result: Array = np.where(given, np.where(includes, entire, entire + cached), without)
    return result


def _output(part: Any, sent: Any, entire: Array, reasoning: Array, includes: Array, odd: Array) -> Array:
    given, output = sent("output"), part("output")
    odd |= given & includes & (reasoning > output)
    without = np.maximum(part("total") - entire, reasoning)
    result: Array = np.where(given, np.where(includes, output, output + reasoning), without)
    return result

"""From the counts an instrumentation sends to what providers bill: totals that include their parts.

Rules, in this order. Each that changes or drops a count leaves `inconsistent` (how many rules applied) and
`inconsistent.RULE` in `Usage.details`; nothing here raises.

count       a count is a whole number from 0 to MAX_TOKENS. `12.0` and `1e3` are whole. Dropped as if never sent:
            text that is no number and booleans (`not_a_number`), negative ones (`negative`), larger ones (`too_large`).
            A fraction is rounded up (`not_whole`): a token begun is a token billed.
cache write at least the sum of its five-minute and one-hour parts (`cache_write_parts` when less but zero was sent).
parts       parts without any total are no usage: None. A bill made of them would be silently incomplete.
input       missing: the total less the output, else what was read from and written to the cache; nothing of these
            leaves the input at zero (`input_missing`).
cache       when the convention says that the input excludes cached tokens, they are added to it. When it says that it
            includes them but they are more than the input (`cache_exceeds_input`), or the total sent is exactly
            input + cache + output (`total_includes_cache`), they are added too: no part exceeds its total.
reasoning   likewise for the output (`reasoning_exceeds_output`).
audio       uncached audio is at most the uncached input, cached audio at most the cache reads, audio output at most
            the output that is not reasoning (`audio_exceeds_total` when more was sent).
nothing     zero input, output and details is no usage: None.
"""

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from collector.model.usage import Usage

# A thousand times the largest context window. The dearest model at this count still fits the column `Cost`.
MAX_TOKENS = 1_000_000_000
# The column `ReportedCost` is Decimal(18, 12).
MAX_COST = Decimal(1_000_000)
PICODOLLAR = Decimal("1e-12")

INCONSISTENT = "inconsistent"


def normalise(
    counts: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
    *,
    input_includes_cache: bool = True,
    output_includes_reasoning: bool = True,
) -> Usage | None:
    """The Usage that `counts` (bucket name of a convention file to the value sent) mean, by the rules above."""
    broken: set[str] = set()
    known = _counts(counts, broken)
    extra = _counts(details or {}, broken)
    part = known.get
    if known and known.keys().isdisjoint(("input", "output", "total")):
        return None
    write_parts = part("cache_write_5m", 0) + part("cache_write_1h", 0)
    write = part("cache_write", write_parts)
    if write < write_parts:
        if write:
            broken.add("cache_write_parts")
        write = write_parts
    read, reasoning = part("cache_read", 0), part("reasoning", 0)
    entire = _input(known, read + write, input_includes_cache, broken)
    output = _output(known, entire, reasoning, output_includes_reasoning, broken)
    if not entire and not output and not any(extra.values()):
        return None
    audio = part("input_audio", 0)
    cached_audio = min(part("cache_audio_read", 0), read, audio)
    heard = min(audio - cached_audio, entire - read - write) + cached_audio
    spoken = min(part("output_audio", 0), output - reasoning)
    if heard < audio or cached_audio < part("cache_audio_read", 0) or spoken < part("output_audio", 0):
        broken.add("audio_exceeds_total")
    notes = {name: count for name, count in extra.items() if count}
    if broken:
        notes[INCONSISTENT] = len(broken)
        notes.update({f"{INCONSISTENT}.{rule}": 1 for rule in sorted(broken)})
    return Usage(
        input_tokens=entire,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=part("cache_write_1h", 0),
        reasoning_tokens=reasoning,
        input_audio_tokens=heard,
        cache_audio_read_tokens=cached_audio,
        output_audio_tokens=spoken,
        details=notes,
    )


def _input(known: Mapping[str, int], cached: int, includes: bool, broken: set[str]) -> int:
    total, output = known.get("total"), known.get("output", 0)
    if "input" not in known:
        if total is None and not cached and output:
            broken.add("input_missing")
        return max((total or 0) - output, cached)
    entire = known["input"]
    if not includes:
        return entire + cached
    if cached > entire:
        broken.add("cache_exceeds_input")
        return entire + cached
    if cached and total == entire + cached + output:
        broken.add("total_includes_cache")
        return entire + cached
    return entire


def _output(known: Mapping[str, int], entire: int, reasoning: int, includes: bool, broken: set[str]) -> int:
    if "output" not in known:
        # Embeddings send a total only; it was taken for the input, so that nothing is left here.
        return max(known.get("total", 0) - entire, reasoning)
    output = known["output"]
    if not includes:
        return output + reasoning
    if reasoning > output:
        broken.add("reasoning_exceeds_output")
        return output + reasoning
    return output


def _counts(sent: Mapping[str, Any], broken: set[str]) -> dict[str, int]:
    known = {}
    for name, value in sent.items():
        if (number := count(value, broken)) is not None:
            known[name] = number
    return known


def count(value: Any, broken: set[str]) -> int | None:
    """One count by the rule of that name; None when it is dropped, with the reason added to `broken`."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        number = int(value)
    else:
        parsed = decimal(value)
        if parsed is None or not 0 <= parsed <= MAX_TOKENS:
            broken.add("not_a_number" if parsed is None else "negative" if parsed < 0 else "too_large")
            return None
        number = math.ceil(parsed)
        if number != parsed:
            broken.add("not_whole")
    if number > MAX_TOKENS:
        broken.add("too_large")
        return None
    return number


def decimal(value: Any) -> Decimal | None:
    """A number sent as text or JSON, None for anything else and for NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and len(value) > 64:
        return None
    if isinstance(value, int) and abs(value) > 10**30:
        value = 10**30 if value > 0 else -(10**30)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def cost(value: Any) -> Decimal | None:
    """A cost in USD that fits the column `ReportedCost`, to the picodollar; None for anything else."""
    number = decimal(value)
    if number is None or not 0 <= number < MAX_COST:
        return None
    exact = number.quantize(PICODOLLAR)
    return exact if exact < MAX_COST else None

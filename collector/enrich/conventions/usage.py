"""From the counts an instrumentation sends to what providers bill: totals that include their parts.

Rules, in this order. Each that changes or drops a count leaves `inconsistent` (how many rules applied) and
`inconsistent.RULE` in `Usage.details`; nothing here raises.

count       a count is a whole number from 0 to MAX_TOKENS. `12.0` and `1e3` are whole. Dropped as if never sent:
            text that is no number and booleans (`not_a_number`), negative ones (`negative`), larger ones (`too_large`).
            A fraction is rounded up (`not_whole`): a token begun is a token billed.
cache write at least the sum of its five-minute and one-hour parts (`cache_write_parts` when less but zero was sent).
parts       parts without any total are no usage: None. A bill made of them would be silently incomplete.
input       missing: the total less the output, else what was read from and written to the cache; nothing of these
            leaves the input at zero (`input_missing`). A total alone is all input: of a call that has an output this is
            the least it can cost (`total_undivided`).
cache       when the convention says that the input excludes cached tokens, they are added to it. When it says that it
            includes them but they are more than the input (`cache_exceeds_input`), they are added too: no part exceeds
            its total. An `uncached_input` that differs from the input shows that the input includes them.
modality    when the convention says that input and output exclude what is counted by modality, that is added to them.
tool use    when the convention says that the input excludes the results of the provider's tools they are added to it,
            unless input and output as sent are the total; without a total also when they are more than the input
            (`tool_use_exceeds_input`).
reasoning   likewise for the output (`reasoning_exceeds_output`).
total       one that neither the counts as sent nor as read so far add up to decides how they are read, see `totals`.
            The marks are those listed there.
parts of    a total that was not sent is at least its parts: cached audio is read from the cache, and audio; further
parts       parts are in `parts` (`parts_exceed_total` when more than the total was sent).
audio       uncached audio is at most the uncached input, cached audio at most the cache reads, audio output at most
            the output that is not reasoning (`audio_exceeds_total` when more was sent).
nothing     zero input, output and details is no usage: None.
"""

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from collector.enrich.conventions.parts import with_modalities, with_wholes
from collector.enrich.conventions.totals import Reading, Sent, read_total
from collector.model.usage import Usage

# A thousand times the largest context window. The dearest model at this count still fits the column `Cost`.
MAX_TOKENS = 1_000_000_000
# The column `ReportedCost` is Decimal(18, 12).
MAX_COST = Decimal(1_000_000)
PICODOLLAR = Decimal("1e-12")

INCONSISTENT = "inconsistent"

# Parts of what was written to the cache, by how long it is kept.
CACHE_LIFETIMES = frozenset({"cache_write_5m", "cache_write_1h"})


def normalise(
    counts: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
    *,
    input_includes_cache: bool = True,
    output_includes_reasoning: bool = True,
    includes_modalities: bool = True,
    input_includes_tool_use: bool = True,
    output_is_complete: bool = False,
    has_output: bool = True,
) -> Usage | None:
    """The Usage that `counts` (bucket name of a convention file to the value sent) mean, by the rules above.

    The conditions are those of `families.Meaning`. `has_output`: calls of this operation answer with tokens.
    """
    broken: set[str] = set()
    sent = _counts(counts, broken)
    known, extra = _wholes(sent, _counts(details, broken) if details else {}, broken, includes_modalities)
    part = known.get
    if known and known.keys().isdisjoint(("input", "output", "total")):
        return None
    write_parts = part("cache_write_5m", 0) + part("cache_write_1h", 0)
    write = part("cache_write", write_parts)
    if write < write_parts:
        if write:
            broken.add("cache_write_parts")
        write = write_parts
    cached_audio = part("cache_audio_read", 0)
    read, reasoning = part("cache_read", cached_audio), part("reasoning", 0)
    output = _output(known, reasoning, output_includes_reasoning, broken)
    # One release of a library adds what was cached, the next does not: where both counts are there, they tell which.
    includes = input_includes_cache or sent.get("uncached_input", sent.get("input")) != sent.get("input")
    entire = _input(known, output, read + write, includes, broken)
    broken.update(_undivided(known) if has_output else ())
    total, as_sent = part("total", 0), sent.get("input", 0) + sent.get("output", 0)
    if "tool_use" in sent and "input" in sent and total != as_sent:
        most = MAX_TOKENS if total else entire
        entire += _tool_use(sent["tool_use"], most, input_includes_tool_use, broken)
    if output is None:  # embeddings send a total only; it was taken for the input, so that nothing is left here
        output = max(total - entire, reasoning)
    if total and total not in (entire + output, as_sent):
        sums = Sent(part("input"), part("output"), total, read, write, reasoning, part("tool_use", 0))
        found = read_total(sums, Reading(entire, output), output_is_complete=output_is_complete)
        entire, output = found.input, found.output
        broken.update(found.marks)
    if not entire and not output and not any(extra.values()):
        return None
    audio = part("input_audio", cached_audio)
    cached_audio = min(cached_audio, read, audio)
    uncached = entire - read - write + extra.get("cache_audio_write_tokens", 0)
    heard = min(audio - cached_audio, uncached) + cached_audio
    spoken = min(part("output_audio", 0), output - reasoning + extra.get("output_audio_reasoning_tokens", 0))
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


def _output(known: Mapping[str, int], reasoning: int, includes: bool, broken: set[str]) -> int | None:
    """The output with its reasoning; None when none was sent."""
    output = known.get("output")
    if output is None or (includes and reasoning <= output):
        return output
    if includes:
        broken.add("reasoning_exceeds_output")
    return output + reasoning


def _wholes(
    sent: dict[str, int], details: dict[str, int], broken: set[str], includes_modalities: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Counts by bucket and by unit with the totals that follow from their parts."""
    known, extra = (sent, details) if includes_modalities else with_modalities(sent, details)
    return with_wholes(known, extra, broken) if any(extra.values()) else (known, extra)


def _input(known: Mapping[str, int], output: int | None, cached: int, includes: bool, broken: set[str]) -> int:
    """The input with what was cached of it; the rest of the total when none was sent."""
    entire = known.get("input")
    if entire is None:
        if "total" not in known and not cached and output:
            broken.add("input_missing")
        return max(known.get("total", 0) - (output or 0), cached)
    if includes and cached <= entire:
        return entire
    if includes:
        broken.add("cache_exceeds_input")
    return entire + cached


def _undivided(known: Mapping[str, int]) -> tuple[str, ...]:
    """The rule of a total that nothing divides into input and output."""
    divided = not known.keys().isdisjoint(("input", "output"))
    return () if divided or not known.get("total") else ("total_undivided",)


def _tool_use(count: int, most: int, includes: bool, broken: set[str]) -> int:
    """The tokens of results of tools that have to be added to the input, which may include `most` of them."""
    if includes and count > most:
        broken.add("tool_use_exceeds_input")
        return count
    return 0 if includes else count


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

"""Parts of token counts that are sent beside their totals: by modality (audio, image, video, text) and by use.

A total that was not sent is at least what its parts add up to. One that was sent is kept, and parts beyond it are cut
when they are priced; only input and output that are less than their images and videos exclude these, which are added.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from collector.enrich.units import DIMENSIONS, DIRECTIONS
from collector.model.usage import Usage

# The buckets of convention files that count tokens, by the library's units of that meaning.
_BUCKETS: Final = {
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_reasoning_tokens": "reasoning",
    "input_audio_tokens": "input_audio",
    "cache_audio_read_tokens": "cache_audio_read",
    "output_audio_tokens": "output_audio",
}
_TOKENS: Final = tuple(unit for unit, dimensions in DIMENSIONS.items() if ("family", "tokens") in dimensions)
TOKEN_UNITS: Final = frozenset(_TOKENS)

# Calls whose input or output is of one modality when nothing divides it: by operation, and by `gen_ai.output.type`.
UNDIVIDED: Final[Mapping[str, str]] = {
    "image_generation": "output_image_tokens",
    "image_edit": "output_image_tokens",
    "image_variation": "output_image_tokens",
    "video_generation": "output_video_tokens",
    "speech": "output_audio_tokens",
    "transcription": "input_audio_tokens",
}
UNDIVIDED_OUTPUT: Final[Mapping[str, str]] = {
    "image": "output_image_tokens",
    "video": "output_video_tokens",
    "speech": "output_audio_tokens",
}

# Calls that answer with no tokens: a total alone is their input.
NO_OUTPUT: Final = frozenset({"embeddings", "rerank", "moderation"})


def _divisions(unit: str) -> list[list[str]]:
    """The ways in which a unit is divided into others: by modality, by use, by time in the cache."""
    by_name: dict[str, list[str]] = {}
    for other in _TOKENS:
        added = DIMENSIONS[other] - DIMENSIONS[unit]
        if DIMENSIONS[unit] < DIMENSIONS[other] and len(added) == 1:
            by_name.setdefault(next(iter(added))[0], []).append(other)
    return list(by_name.values())


_DIVISIONS: Final = {
    unit: _divisions(unit) for unit in sorted(_TOKENS, key=lambda unit: len(DIMENSIONS[unit]), reverse=True)
}
_BY_MODALITY: Final = {
    direction: tuple(f"{direction}_{modality}_tokens" for modality in ("text", "audio", "image", "video"))
    for direction in DIRECTIONS
}
_CACHED: Final = {
    unit: unit.replace("input_", "cache_").replace("_tokens", "_read_tokens") for unit in _BY_MODALITY["input"]
}
# The buckets and units of what is counted by modality.
MODALITIES: Final = frozenset(_BUCKETS.get(unit, unit) for units in _BY_MODALITY.values() for unit in units)
_MODAL: Final = {direction: (f"{direction}_image_tokens", f"{direction}_video_tokens") for direction in DIRECTIONS}


def with_modalities(known: Mapping[str, int], details: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Counts by bucket and by unit whose input and output exclude what is counted by modality, made to include it.

    Each modality excludes what was cached of it, which is a part of the cache reads.
    """
    counts = {**details, **{unit: known[bucket] for unit, bucket in _BUCKETS.items() if bucket in known}}
    buckets, units = dict(known), dict(details)
    for direction in DIRECTIONS:
        beside = {unit: counts[unit] for unit in _BY_MODALITY[direction] if unit in counts}
        if direction in known:
            buckets[direction] += sum(beside.values())
        for unit, count in beside.items():
            entire = count + counts.get(_CACHED.get(unit, ""), 0)
            if unit in _BUCKETS:
                buckets[_BUCKETS[unit]] = entire
            else:
                units[unit] = entire
    return buckets, units


def with_wholes(
    known: Mapping[str, int], details: Mapping[str, int], broken: set[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Counts by bucket and by unit, with the totals that follow from parts of them; `broken` gets what is at odds."""
    if TOKEN_UNITS.isdisjoint(details) or not any(details[unit] for unit in TOKEN_UNITS.intersection(details)):
        return dict(known), dict(details)
    counts = {unit: details[unit] for unit in TOKEN_UNITS.intersection(details)}
    counts |= {unit: known[bucket] for unit, bucket in _BUCKETS.items() if bucket in known}
    for unit, divisions in _DIVISIONS.items():
        parts = max((sum(counts.get(part, 0) for part in parts) for parts in divisions), default=0)
        if parts and unit not in counts:
            counts[unit] = parts
        elif parts > counts.get(unit, 0):
            broken.add("parts_exceed_total")
    buckets = dict(known) | {bucket: counts[unit] for unit, bucket in _BUCKETS.items() if unit in counts}
    for direction in DIRECTIONS:
        _direction(direction, buckets, counts, broken)
    named = (*_BUCKETS, "input_tokens", "output_tokens")
    return buckets, {**details, **{unit: count for unit, count in counts.items() if unit not in named}}


def _direction(direction: str, buckets: dict[str, int], counts: Mapping[str, int], broken: set[str]) -> None:
    """The whole input or output: its parts, or what was sent with images and videos that cannot be within it."""
    modal = sum(counts.get(unit, 0) for unit in _MODAL[direction])
    if direction not in buckets:
        if "total" not in buckets and (parts := counts.get(f"{direction}_tokens", 0)):
            buckets[direction] = parts
    elif modal > buckets[direction]:
        broken.add("parts_exceed_total")
        buckets[direction] += modal


def undivided(usage: Usage, unit: str) -> Usage:
    """A usage whose input or output is all of one modality, unless it says of which: `unit` then counts it."""
    direction = unit.partition("_")[0]
    divided = getattr(usage, f"{direction}_audio_tokens")
    if divided or any(DIMENSIONS.get(part, frozenset()) >= _modal_of(direction) for part in usage.details):
        return usage
    if direction == "input":
        tokens = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    else:
        tokens = usage.output_tokens - usage.reasoning_tokens
    if tokens <= 0:
        return usage
    if unit == "input_audio_tokens":
        return dataclasses.replace(usage, input_audio_tokens=tokens)
    if unit == "output_audio_tokens":
        return dataclasses.replace(usage, output_audio_tokens=tokens)
    return dataclasses.replace(usage, details={**usage.details, unit: tokens})


def _modal_of(direction: str) -> frozenset[tuple[str, str]]:
    return frozenset({("family", "tokens"), ("direction", direction)})

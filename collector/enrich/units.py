"""The price library's units: which count tokens, which lie within which, and how counts of them become disjoint."""

from collections.abc import Mapping
from typing import Final

from genai_prices.data_units import unit_data

DIMENSIONS: Final = {key: frozenset(unit["dimensions"].items()) for key, unit in unit_data.items()}
DIRECTIONS: Final = ("input", "output")

# Counted in Usage.details under the library's own names, beside the parts of tokens that have no field in Usage.
COUNTED: Final = tuple(
    key for key, unit in unit_data.items() if unit["dimensions"]["family"] not in {"tokens", "requests"}
)

# Buckets of text, or of any token whose modality was not sent: the unit that counts them, and the one that prices what
# is left of it once every other modality is taken away. Cache writes not known to be for an hour are for five minutes.
_OF_TEXT: Final = {
    "cache_read": ("cache_read_tokens", "cache_text_read_tokens"),
    "cache_write": ("cache_write_tokens", "cache_text_write_5m_tokens"),
    "cache_write_1h": ("cache_write_1h_tokens", "cache_text_write_1h_tokens"),
    "input_tool": ("input_tool_tokens", "input_text_tool_tokens"),
    "reasoning": ("output_reasoning_tokens", "output_text_reasoning_tokens"),
    "citation": ("output_citation_tokens", "output_text_citation_tokens"),
}


def _other_modalities() -> dict[str, str]:
    return {
        key: key.removesuffix("_tokens")
        for key, unit in unit_data.items()
        if unit["dimensions"]["family"] == "tokens"
        and unit["dimensions"].get("modality", "text") != "text"
        and unit["dimensions"].get("cache_ttl") != "5m"
    }


# The bucket of each unit that counts a part of the input or of the output; and the parts each lies within.
PARTS: Final[Mapping[str, str]] = {**{count: name for name, (count, _) in _OF_TEXT.items()}, **_other_modalities()}
_WITHIN: Final = {part: tuple(other for other in PARTS if DIMENSIONS[other] < DIMENSIONS[part]) for part in PARTS}


def parts_of(direction: str) -> list[str]:
    """The units of PARTS that count what is within `input` or `output`."""
    return [part for part in PARTS if ("direction", direction) in DIMENSIONS[part]]


def _rank(part: str) -> tuple[int, int]:
    """Where a part stands among those that are cut; those within another one stand before it."""
    dimensions = unit_data[part]["dimensions"]
    kind = dimensions.get("token_type", "")
    if kind == "cache_write" and "cache_ttl" in dimensions:
        kind = "cache_write_1h"
    if kind == "citation" and "modality" in dimensions:
        kind = "tool"
    kinds = ("cache_write_1h", "cache_write", "cache_read", "reasoning", "tool", "", "citation")
    return kinds.index(kind), -len(dimensions)


_CUT_ORDERS: Final = {direction: tuple(sorted(parts_of(direction), key=_rank)) for direction in DIRECTIONS}


def token_units() -> dict[str, str]:
    """Every bucket of tokens with the unit whose price it has: the input, its parts, the output, its parts."""
    units: dict[str, str] = {}
    for direction in DIRECTIONS:
        units[direction] = f"{direction}_text_tokens"
        parts = {PARTS[part]: part for part in parts_of(direction)}
        last = [name for name in ("input_tool", "citation") if name in parts]
        for name in (*(name for name in parts if name not in last), *last):
            units[name] = _OF_TEXT[name][1] if name in _OF_TEXT else _for_five_minutes(parts[name])
    return units


def _for_five_minutes(part: str) -> str:
    shortest = part.replace("_write_tokens", "_write_5m_tokens")
    return shortest if shortest in unit_data else part


def split(counts: Mapping[str, int], totals: Mapping[str, int]) -> dict[str, int]:
    """By bucket, what no part claims of the totals, and the parts, disjoint. `counts` are by PARTS.

    Where parts claim more than what they lie within they are cut in the order of cache writes, cache reads, tools,
    audio, image, video (reasoning, audio, image, video, citations for output), the last first.
    """
    left_of = {part: max(counts.get(part, 0), 0) for part in PARTS}
    amounts: dict[str, int] = {}
    for direction, parts in _CUT_ORDERS.items():
        left = max(totals[direction], 0)
        for part in parts:
            own = min(left, left_of[part], *(left_of[other] for other in _WITHIN[part]))
            left -= own
            amounts[PARTS[part]] = own
            for other in _WITHIN[part]:
                left_of[other] -= own
        amounts[direction] = left
    return amounts

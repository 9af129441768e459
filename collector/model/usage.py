"""What one model call used, in the terms providers bill."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Usage:
    """Token totals as billed, and the parts of them that have a price of their own.

    `input_tokens` includes cache reads, cache writes and audio input; `output_tokens` includes reasoning and audio
    output; `cache_write_tokens` includes the one-hour writes; `input_audio_tokens` includes cached audio. Never
    negative, and no part is larger than its total. `details` holds what is counted and not a token (web searches) and
    the flags of normalised inconsistencies.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cache_audio_read_tokens: int = 0
    output_audio_tokens: int = 0
    details: Mapping[str, int] = field(default_factory=dict)

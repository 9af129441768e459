"""What a total that was sent says of the counts beside it.

Libraries differ in what their input and output include, and often in one release from the next; a provider's own total
has one meaning: everything that is billed as a token. So the ways in which the counts can be read are tried, and the
one that gives the total exactly is taken: the convention's where it does, else the one that departs from it least.

A total that is merely the input and the output as sent says nothing: libraries add the two up themselves. There the
convention decides.

Where no reading gives the total, the counts stay and the tokens missing are billed as well: as output, because that is
what providers leave out of it (Gemini's thoughts), but as input where all reasoning is known to be in the output
(tokens of tool results, caches that nobody counted).
"""

from collections.abc import Iterator
from dataclasses import dataclass

# What a reading departs in from the convention, as the marks in `Usage.details` name it.
CACHE_BESIDE = "total_includes_cache"
CACHE_INSIDE = "input_includes_cache"
CACHE_TWICE = "cache_counted_twice"
REASONING_BESIDE = "total_includes_reasoning"
REASONING_INSIDE = "output_includes_reasoning"
REASONING_TWICE = "reasoning_counted_twice"
OUTPUT_IS_TOTAL = "output_is_total"
TOOL_USE_BESIDE = "total_includes_tool_use"
TOTAL_EXCEEDS = "total_exceeds_parts"
TOTAL_BELOW = "total_below_parts"


@dataclass(frozen=True, slots=True)
class Sent:
    """The counts of one span as sent, None for an input or output that was not.

    `tool_use`: tokens of the results of tools that the provider ran itself.
    """

    input: int | None
    output: int | None
    total: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    tool_use: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """An input that includes what was cached, an output that includes reasoning, and what was needed to find them."""

    input: int
    output: int
    marks: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.input + self.output


def read_total(sent: Sent, usual: Reading, *, output_is_complete: bool = False) -> Reading:
    """The reading of `sent` that gives its total; `usual` is the convention's.

    `output_is_complete`: this provider's output includes all reasoning, whether or not that is counted apart.
    """
    if sent.total in (usual.total, (sent.input or 0) + (sent.output or 0)):
        return usual
    exact = [reading for reading in _readings(sent, usual) if reading.total == sent.total]
    if output_is_complete:
        exact = [reading for reading in exact if REASONING_BESIDE not in reading.marks] or exact
    if exact:
        return min(exact, key=lambda reading: len(reading.marks))
    return _with_rest(sent, usual, output_is_complete=output_is_complete)


def _with_rest(sent: Sent, usual: Reading, *, output_is_complete: bool) -> Reading:
    rest = sent.total - usual.total
    if rest < 0:
        return Reading(usual.input, usual.output, (TOTAL_BELOW,))
    if output_is_complete or sent.reasoning:
        return Reading(usual.input + rest, usual.output, (TOTAL_EXCEEDS,))
    return Reading(usual.input, usual.output + rest, (TOTAL_EXCEEDS,))


def _readings(sent: Sent, usual: Reading) -> Iterator[Reading]:
    if sent.input is None or sent.output is None:
        return  # what was missing is the rest of the total already
    for entire, input_marks in _inputs(sent, sent.input, usual.input):
        for output, output_marks in _outputs(sent, sent.output, usual.output, entire):
            yield Reading(entire, output, (*input_marks, *output_marks))


def _inputs(sent: Sent, count: int, usual: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Inputs that are possible: none is less than what was cached of it."""
    cached = sent.cache_read + sent.cache_write
    possible = [
        (usual, ()),
        (count, (CACHE_INSIDE,)),
        (count + cached, (CACHE_BESIDE,)),
        # One of the two is in the input and the other is not, as in LiteLLM of 2025 on Bedrock.
        (count + sent.cache_write, (CACHE_BESIDE,)),
        (count + sent.cache_read, (CACHE_BESIDE,)),
        (count - cached, (CACHE_TWICE,)),
    ]
    for entire, marks in possible:
        if entire >= cached and (entire != usual or not marks):
            yield entire, marks
            if sent.tool_use:
                yield entire + sent.tool_use, (*marks, TOOL_USE_BESIDE)


def _outputs(sent: Sent, count: int, usual: int, entire: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Outputs that are possible beside the input `entire`: none is less than the reasoning in it."""
    possible = [
        (usual, ()),
        (count, (REASONING_INSIDE,)),
        (count + sent.reasoning, (REASONING_BESIDE,)),
        (count - sent.reasoning, (REASONING_TWICE,)),
    ]
    if count == sent.total:
        possible.append((sent.total - entire, (OUTPUT_IS_TOTAL,)))
    for output, marks in possible:
        if output >= sent.reasoning and (output != usual or not marks):
            yield output, marks

"""A run in whole, made from what the store answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from collector.runs.costs import total
from collector.runs.prompts import SystemPrompt, system_prompt
from collector.runs.rounds import Round, recorded
from collector.runs.span import Span
from collector.runs.toolbelt import Tool, toolbelt


@dataclass(frozen=True, slots=True)
class Run:
    """The spans of one trace in order of time, and what happened in them."""

    spans: Sequence[Span]
    rounds: Sequence[Round]
    system_prompt: SystemPrompt | None
    tools: Sequence[Tool]

    @property
    def cost(self) -> Decimal | None:
        """USD of every span that is priced; None when none is."""
        return total(span.cost for span in self.spans)


def run_of(spans: Sequence[Span]) -> Run:
    """The run of which `spans` are all, in order of time (see `read_spans`)."""
    found, parts = recorded(spans)
    return Run(spans, found, system_prompt(spans, found), toolbelt(spans, found, parts))

"""What checks look at: a run as its document tells it, or one span of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from collector.model.evaluations import Evidence, cite
from collector.model.facts import Kind
from collector.model.money import PriceStatus
from collector.runs import Round, Run, Span, Tree

# Of the answer in a run's document; an output that stands in a column has the column's name.
ANSWER: Final = "answer"
OUTPUT: Final = "Output"


@dataclass(frozen=True, slots=True)
class Output:
    """A text to be checked, and where it stands."""

    span_id: str
    field: str
    text: str

    def cite(self, start: int = 0, end: int | None = None) -> Evidence:
        return cite(self.span_id, self.field, self.text, start, end)


@dataclass(frozen=True)
class Subject:
    """A run, or its span `span`."""

    run: Run
    span: Span | None = None

    @cached_property
    def tree(self) -> Tree:
        return Tree(self.run.spans)

    @property
    def spans(self) -> Sequence[Span]:
        return self.run.spans if self.span is None else (self.span,)

    @cached_property
    def output(self) -> Output | None:
        """The output of a span; of a run the last answer of its top agent, else the output of its root."""
        if self.span is not None:
            return Output(self.span.span_id, OUTPUT, self.span.output) if self.span.output else None
        return self._last_answer() or self._root_output()

    def _last_answer(self) -> Output | None:
        for one in reversed(self.top_rounds):
            if one.call and (text := one.answer):
                return Output(one.call.span.span_id, ANSWER, text)
        return None

    def _root_output(self) -> Output | None:
        root = next(iter(self.tree.roots), None)
        return Output(root.span_id, OUTPUT, root.output) if root and root.output else None

    @cached_property
    def top_rounds(self) -> Sequence[Round]:
        """The rounds of the agent that no other has called, or of the program itself."""
        called = [one for one in self.run.rounds if one.call]
        top = min((self._depth(one) for one in called), default=0)
        return [one for one in called if self._depth(one) == top]

    def _depth(self, one: Round) -> int:
        return self.tree.depth(one.owner) if one.owner else -1

    @property
    def unpriced(self) -> bool:
        """Whether something in it cost what is not known."""
        return any(map(is_unpriced, self.spans))


def is_unpriced(span: Span) -> bool:
    """As the column `UnpricedCall` has it."""
    if span.price_status == PriceStatus.UNKNOWN_MODEL:
        return True
    return span.kind == Kind.LLM and span.price_status == PriceStatus.NO_USAGE and not span.error

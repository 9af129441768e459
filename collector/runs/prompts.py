"""The system prompt of a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.model.facts import Kind
from collector.runs.document import document
from collector.runs.messages import texts
from collector.runs.rounds import Round, rounds
from collector.runs.shapes import system_messages
from collector.runs.sources import INSTRUCTIONS, REQUESTS, may_prompt, recorded_input
from collector.runs.span import Span, by_time

_ROLES = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    """What a model was given before the conversation; `characters` are Unicode code points."""

    text: str
    span_id: str

    @property
    def characters(self) -> int:
        return len(self.text)


def system_prompt(spans: Iterable[Span], found: Iterable[Round] | None = None) -> SystemPrompt | None:
    """The system prompt of the first model call that has one, else of the first agent span that has one.

    `found` are the rounds of the spans, where they are known already.
    Several system and developer messages are one text, a line apart. A truncated prompt is as long as what was sent.
    """
    known = list(spans)
    for each in rounds(known) if found is None else found:
        for report in each.call.reports if each.call else ():
            if text := _prompt(report):
                return SystemPrompt(text, report.span_id)
    for span in sorted((span for span in known if span.kind == Kind.AGENT), key=by_time):
        if text := next(_instructions(span), ""):
            return SystemPrompt(text, span.span_id)
    return None


def prompts_of(found: Iterable[Round]) -> list[tuple[int, SystemPrompt]]:
    """The system prompts of a run as they change: the round from which on each is sent, by who sends it.

    A prompt that its owner (agent or tool) has sent in the round before is not listed again.
    """
    sent: dict[str, str] = {}
    changes: list[tuple[int, SystemPrompt]] = []
    for each in found:
        for report in each.call.reports if each.call else ():
            if text := _prompt(report):
                if sent.get(each.owner) != text:
                    sent[each.owner] = text
                    changes.append((each.number, SystemPrompt(text, report.span_id)))
                break
    return changes


def _prompt(span: Span) -> str:
    if not may_prompt(span):
        return ""
    texts_found = [message.text for message in recorded_input(span) if message.role in _ROLES]
    return next(_instructions(span), "") or "\n".join(filter(None, texts_found)) or next(_requested(span), "")


def _instructions(span: Span) -> Iterator[str]:
    """What stands apart from the messages, in an attribute or an event."""
    events = (attributes.get(INSTRUCTIONS[0], "") for _, attributes in span.events)
    for text in (*map(span.value, INSTRUCTIONS), *events):
        if text:
            value = document(text)
            yield texts(value) if isinstance(value, list) else text


def _requested(span: Span) -> Iterator[str]:
    for key in REQUESTS:
        value = document(span.value(key))
        if isinstance(value, dict) and (found := system_messages(value)):
            yield found[0].text

"""Which attribute is the input of a span and which the output.

A tool span's are its arguments and its result; a convention may have keys of their own for them. Where content is
spread over many attributes or sits in events, the key says so (see `model.facts.Facts`) and nothing is moved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.enrich.conventions.values import EVENT
from collector.model.facts import Kind, SpanView


@dataclass(frozen=True, slots=True)
class ContentKeys:
    """The keys of one side of the spans of a shape and kind, most believed first; those that are attributes apart."""

    specs: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, content: Mapping[str, tuple[str, ...]], kind: Kind, side: str, *, events: bool) -> "ContentKeys":
        """Those of `side` (`input` or `output`) among the lists of a recipe, for spans with events or without."""
        specs = content.get(side, ())
        if kind is Kind.TOOL:
            specs = (*content.get(f"tool_{side}", ()), *specs)
        possible = (spec for spec in specs if events or not spec.startswith(EVENT))
        return cls(tuple((spec, not spec.startswith(EVENT) and not spec.endswith(".*")) for spec in possible))

    def of_span(self, span: SpanView) -> str:
        """The first key that holds something, an attribute that is there and empty only when nothing else is; else
        the empty string."""
        empty = names = ""
        attributes = span.attributes
        for spec, is_attribute in self.specs:
            if is_attribute:
                if attributes[spec]:
                    return spec
                empty = empty or spec
            elif spec.startswith(EVENT):
                if found := _event(span, spec):
                    return found
            else:
                names = names or "\n" + "\n".join(attributes)
                if "\n" + spec[:-1] in names and any(key.startswith(spec[:-1]) for key in attributes):
                    return spec[:-1]
        return empty


def content_of(span: SpanView, key: str) -> str | None:
    """The content under an `input_key` or `output_key`, byte for byte; None when it is spread or absent."""
    if not key.startswith(EVENT):
        return span.attributes.get(key)
    name, _, attribute = key.removeprefix(EVENT).partition("#")
    return next((found[attribute] for found in _named(span, name) if attribute in found), None)


def _event(span: SpanView, spec: str) -> str:
    name, _, attribute = spec.removeprefix(EVENT).partition("#")
    if name.endswith(".*"):
        prefix = name[:-1]
        return EVENT + prefix if any(event.startswith(prefix) for event, _ in span.events) else ""
    return spec if any(found.get(attribute) for found in _named(span, name)) else ""


def _named(span: SpanView, name: str) -> Iterable[Mapping[str, str]]:
    return (attributes for event, attributes in span.events if event == name)

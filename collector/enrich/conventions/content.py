"""Which attribute is the input of a span and which the output.

A tool span's are its arguments and its result; a convention may have keys of their own for them. Where content is
spread over many attributes or sits in events, the key says so (see `model.facts.Facts`) and nothing is moved.
"""

from collections.abc import Iterable, Mapping

from collector.enrich.conventions.values import EVENT
from collector.model.facts import Kind, SpanView


def content_key(span: SpanView, kind: Kind, content: Mapping[str, tuple[str, ...]], side: str) -> str:
    """The key of `side` (`input` or `output`), empty when the span has none.

    Of the keys in order the first that holds something; an attribute that is there and empty only when nothing else is.
    """
    specs = content.get(side, ())
    if kind is Kind.TOOL:
        specs = (*content.get(f"tool_{side}", ()), *specs)
    empty = names = ""
    for spec in specs:
        if spec.startswith(EVENT):
            if span.events and (found := _event(span, spec)):
                return found
        elif spec.endswith(".*"):
            names = names or "\n" + "\n".join(span.attributes)
            if "\n" + spec[:-1] in names and any(key.startswith(spec[:-1]) for key in span.attributes):
                return spec[:-1]
        elif span.attributes.get(spec):
            return spec
        else:
            empty = empty or spec
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

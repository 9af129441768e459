"""What is content in a stored span or log record: words of people, models and tools, not what is known of the call."""

from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContentRules:
    """Names that hold content, and what stays of it because facts of a model call are read from there.

    `attributes` and `events` are names; one that ends with `.*` is every name with that beginning; `log_attributes` are
    attributes of log records beside these. `kept` are
    attributes of which the whole value is a fact, and `kept_names` the last parts of names that are. `facts` are the
    paths in the JSON of an attribute. A value longer than `longest` bytes is content unless its attribute has facts.
    """

    attributes: frozenset[str]
    events: frozenset[str]
    log_attributes: frozenset[str]
    kept: frozenset[str]
    kept_names: tuple[str, ...]
    facts: Mapping[str, tuple[Path, ...]]
    longest: int


def moved_content(input_key: str, content_in: str, output_key: str, content_out: str) -> list[tuple[str, str]]:
    """The attributes of a span that its row has as Input and Output.

    A key that only names where content is has moved nothing.
    """
    pairs = [(input_key, content_in)] if _moved(input_key) else []
    if _moved(output_key) and output_key != input_key:
        pairs.append((output_key, content_out))
    return pairs


def _moved(key: str) -> bool:
    return bool(key) and not key.startswith("event:") and not key.endswith(".")

"""A token more in a configuration file, whose comments and layout stay."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from collector.errors import Reason, Rejected


def with_token(text: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    """The file with an entry at the end of its `auth.tokens`, and what was inserted.

    Raises Rejected where it has no such list, or is written in a way in which it cannot be added to.
    """
    try:
        tokens = _below(_below(yaml.compose(text, yaml.SafeLoader), "auth"), "tokens")
        before = yaml.safe_load(text)
    except yaml.YAMLError:
        tokens, before = None, None
    if not isinstance(tokens, yaml.SequenceNode) or not tokens.value:
        raise Rejected(Reason.MALFORMED, "it has no list auth.tokens")
    at, inserted = _insertion(text, tokens, json.dumps(entry))
    after = text[:at] + inserted + text[at:]
    before["auth"]["tokens"].append(dict(entry))
    try:
        equal = yaml.safe_load(after) == before
    except yaml.YAMLError:
        equal = False
    if not equal:
        raise Rejected(Reason.MALFORMED, "its list auth.tokens cannot be added to")
    return after, inserted


def _insertion(text: str, tokens: yaml.SequenceNode, entry: str) -> tuple[int, str]:
    last = tokens.value[-1]
    if tokens.flow_style:
        return last.end_mark.index, f", {entry}"
    dash = " " * tokens.start_mark.column
    end = last.end_mark.index
    while end > last.start_mark.index and text[end - 1] in " \n\r":  # a block ends where the next begins
        end -= 1
    line = text.find("\n", end)
    end = len(text) if line < 0 else line  # after a comment in its last line
    return end, f"\n{dash}- {entry}"


def _below(node: Any, name: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if getattr(key, "value", None) == name), None)

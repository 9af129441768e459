"""Names of tools and agents, which layers spell in their own ways."""

import re
from functools import lru_cache

from collector.model.facts import Kind
from collector.runs.span import Span

_NAMESPACE = re.compile(r"__|[.:/]")
_WORDS = re.compile(r"[\W_]+")
_ANY_NAMESPACE = "*."
# A run calls few tools, many times.
_MAX_REMEMBERED = 1024


@lru_cache(_MAX_REMEMBERED)
def keys(name: str) -> tuple[str, ...]:
    """Under which a request for the tool `name` is found by the keys of `lookups`; none without a name."""
    name = name.strip()
    last = tail(name)
    return tuple(key for key in (name, _ANY_NAMESPACE + last if last not in ("", name) else "") if key)


@lru_cache(_MAX_REMEMBERED)
def lookups(name: str) -> tuple[str, ...]:
    """The keys of requests for the tool that ran as `name`: the same name, then with or without a namespace."""
    name = name.strip()
    last = tail(name)
    return (name, _ANY_NAMESPACE + name, *([last] if last not in ("", name) else [])) if name else ()


def agree(first: str, second: str) -> bool:
    """Whether two names mean one tool: equal, or one of them has a namespace (`mcp__docs__search`, `docs.search`)."""
    return bool(first) and not set(keys(first)).isdisjoint(lookups(second))


def may_agree(asked: str, span: Span) -> bool:
    """Whether a request whose id is the span's may be its own: its name ends in the span's, or the other way round.

    An agent has a name of its own, which need not be in that of the tool that starts it.
    """
    if span.kind == Kind.AGENT or not asked or not span.tool_name:
        return True
    first, second = _words(asked), _words(span.tool_name)
    return first == second or first.endswith("_" + second) or second.endswith("_" + first)


def starts_agent(asked: str, span: Span) -> bool:
    """Whether a request's name ends in the agent's, as `transfer_to_weather_agent` does."""
    agent = _words(span.agent_name)
    return span.kind == Kind.AGENT and bool(agent) and _words(asked).endswith(agent)


def tail(name: str) -> str:
    """The name without its namespace."""
    return _NAMESPACE.split(name)[-1]


def _words(name: str) -> str:
    return _WORDS.sub("_", name.lower()).strip("_")

"""What the engine knows: its version, its functions and how they are spelled, and the parts of system tables shown."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.bi import policy
from collector.bi.errors import QueryError
from collector.store.engine_handle import EngineHandle
from collector.store.sql import named_query

Node = dict[str, Any]


@dataclass(frozen=True)
class Catalog:
    """`allowed` and `refused` are names of functions; those taken in any case also stand in lower case."""

    version: str
    settings: frozenset[str]
    allowed: frozenset[str]
    refused: frozenset[str]
    aggregates: frozenset[str]
    combinators: tuple[str, ...]
    system: Mapping[str, Node]

    def may_call(self, name: str) -> bool | None:
        """Whether a query may call the function `name`; None when there is none of this name."""
        if name in policy.SYNTAX_FUNCTIONS:
            return True
        lower = name.lower()
        if name in self.refused or lower in self.refused:
            return False
        if name in self.allowed or lower in self.allowed or self._is_combined(name):
            return True
        return None

    def is_refused(self, name: str) -> bool:
        """Whether `name`, given where a function may be named, would be one that no query may call."""
        return self.may_call(name) is False

    def _is_combined(self, name: str) -> bool:
        """Whether it is an aggregate function with combinators: `sumIf`, `quantilesArrayIf`."""
        if name in self.aggregates or name.lower() in self.aggregates:
            return True
        ends = (combinator for combinator in self.combinators if name.endswith(combinator))
        return any(self._is_combined(name[: -len(end)]) for end in ends if len(name) > len(end))


def read_catalog(handle: EngineHandle) -> Catalog:
    """Ask the engine."""
    functions = _rows(handle, "bi_functions")
    by_name = {row["name"]: row for row in functions}
    allowed: set[str] = set()
    refused: set[str] = set()
    aggregates: set[str] = set()
    for row in functions:
        name = row["name"]
        spelled = {name, name.lower()} if row["case_insensitive"] else {name}
        named = by_name.get(row["alias_to"], row)
        if _is_allowed(named):
            (aggregates if named["is_aggregate"] else allowed).update(spelled)
        else:
            refused.update({name, name.lower()})
    return Catalog(
        version=handle.text("SELECT version() FORMAT TSVRaw").strip(),
        settings=frozenset(row["name"] for row in _rows(handle, "bi_settings")),
        allowed=frozenset(allowed | aggregates),
        refused=frozenset(refused - allowed - aggregates),
        aggregates=frozenset(aggregates),
        combinators=tuple(row["name"] for row in _rows(handle, "bi_combinators")),
        system={name: parse(handle, named_query(f"bi_system_{name}")) for name in policy.SHOWN_SYSTEM_TABLES},
    )


def parse(handle: EngineHandle, text: str) -> Node:
    """The statement `text` as the engine's parser sees it. Raises EngineError, QueryError when it is too deep."""
    answer = handle.text(f"SELECT parseQueryToJSON({literal(text)}) FORMAT TSVRaw")
    try:
        tree: Node = json.loads(answer)
    except (ValueError, RecursionError):
        raise QueryError(306, "TOO_DEEP_RECURSION", "The query is nested too deeply.") from None
    return tree


def unparse(handle: EngineHandle, tree: Node) -> str:
    """The text of a tree. Raises EngineError."""
    return handle.text(f"SELECT formatQueryFromJSON({literal(json.dumps(tree))}) FORMAT TSVRaw").rstrip("\n")


def literal(text: str) -> str:
    """`text` as a string of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted(name: str) -> str:
    """`name` as an identifier of SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _is_allowed(row: Mapping[str, Any]) -> bool:
    name = row["name"]
    if name in policy.REFUSED_FUNCTIONS:
        return False
    categories = {category.strip() for category in row["categories"].split(",")}
    known = bool(row["is_aggregate"]) or categories <= policy.FUNCTION_CATEGORIES
    return known or name in policy.FUNCTIONS


def _rows(handle: EngineHandle, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in handle.text(named_query(name)).splitlines()]

"""The fence: walks a query's tree as the engine parsed it, rewrites names of tables, and refuses what is not listed.

Only the tree that comes out of here is run, as text that the engine itself makes of it: what this walk did not look at
is not there. Settings of the tree are capped, formats and INTO OUTFILE are taken out of it.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from collector.bi import policy
from collector.bi.catalog import Catalog, Node
from collector.bi.errors import QueryError, read_only, refused, syntax_error, unknown_table
from collector.bi.settings import Limits, checked_setting

_MAX_DEPTH = 200
# Each becomes a subquery of its own.
_MAX_SYSTEM_TABLES = 20

_PLAIN: Final = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformerReplacement",
        "ColumnsTransformerList",
        "ExpressionList",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "QualifiedColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher",
        "SampleRatio",
        "SelectWithUnionQuery",
        "SelectIntersectExceptQuery",
        "Subquery",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
    }
)
# Keys of nodes whose values are text or numbers that name no table, function or file.
_VALUES: Final = frozenset(
    {
        "type", "alias", "name", "name_parts", "pattern", "lambda_arg", "column", "kind", "strictness", "locality",
        "union_mode", "list_of_modes", "set_of_modes", "numerator", "field_type", "value", "direction",
        "nulls_direction", "denominator", "window_name", "frame_type", "frame_begin_type", "frame_end_type",
        "param_type", "except_column_name", "nulls_action", "final_operator", "prefer_alias_to_column_name",
        "parent_window_name", "key", "operator", "modifier", "mode",
    }
)  # fmt: skip
# Of the whole statement: where its result goes, which is not the client's business.
_OUTPUT: Final = ("out_file", "compression", "compression_level", "is_outfile_append", "is_outfile_truncate",
                  "is_into_outfile_with_stdout", "settings_ast", "format_ast")  # fmt: skip
_IN: Final = frozenset(
    name + variant
    for name in ("in", "notIn", "nullIn", "notNullIn", "globalIn", "globalNotIn", "globalNullIn", "globalNotNullIn")
    for variant in ("", "IgnoreSet")
)
_DATABASE_FUNCTIONS: Final = frozenset({"currentdatabase", "current_database", "database", "schema"})
_WORKED_OUT = re.compile(r".\b(?:DEFAULT|MATERIALIZED|ALIAS|EPHEMERAL)\b", re.IGNORECASE | re.DOTALL)
_SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Context:
    """Where a query is asked: the store's database, the one its short names are in, and values of its identifiers."""

    store: str
    database: str
    identifiers: Mapping[str, str]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that common table expressions have taken, and by system table the alias it has in this SELECT."""

    names: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def with_name(self, name: str) -> "Scope":
        return Scope(self.names | {name}, self.aliases)

    def with_aliases(self, aliases: Mapping[str, str]) -> "Scope":
        return Scope(self.names, {**self.aliases, **aliases})


class Guard:
    """Checks and rewrites one tree, in place. Every method raises QueryError for what may not be."""

    def __init__(self, catalog: Catalog, context: Context) -> None:
        self.asked: dict[str, str] = {}
        self._catalog = catalog
        self._context = context
        self._system_tables = 0
        self._walks: Mapping[str, Callable[[Node, Scope, int], None]] = {
            "SelectQuery": self._select,
            "Function": self._function,
            "TableExpression": self._table_expression,
            "Identifier": self._identifier,
            "TableIdentifier": self._stray_table,
            "QueryParameter": self._parameter,
            "ColumnsApplyTransformer": self._apply,
            "WithElement": self._stray_with,
        }

    def check(self, tree: Node) -> str | None:
        """Check a whole SELECT; its format, if it names one. Its settings are taken out of it, into `asked`."""
        if tree.get("type") not in ("SelectWithUnionQuery", "SelectIntersectExceptQuery"):
            raise read_only("only SELECT, SHOW, DESCRIBE, EXISTS, SET and USE are answered here")
        if "out_file" in tree:
            raise refused("INTO OUTFILE writes to the server.")
        chosen = tree.get("format_ast")
        if "settings_ast" in tree:
            self.settings(tree["settings_ast"])
        for key in _OUTPUT:
            tree.pop(key, None)
        self._walk(tree, Scope(), 0)
        return chosen["name"] if chosen else None

    def _walk(self, node: Any, scope: Scope, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise QueryError(306, "TOO_DEEP_RECURSION", "The query is nested too deeply.")
        if isinstance(node, list):
            for item in node:
                self._walk(item, scope, depth + 1)
        elif isinstance(node, dict):
            self._node(node, scope, depth)
        elif isinstance(node, str):
            raise refused(f"The parser's text {node[:40]!r} is not known here.")

    def _node(self, node: Node, scope: Scope, depth: int) -> None:
        kind = node.get("type")
        walk = self._walks.get(str(kind))
        if walk:
            walk(node, scope, depth)
        elif kind in _PLAIN:
            self._children(node, scope, depth)
        else:
            raise refused(f"{kind} is not answered.")

    def _children(self, node: Node, scope: Scope, depth: int, *, but: Iterable[str] = ()) -> None:
        if node.get("type") == "Literal":
            return
        for name in _OUTPUT:  # inside a query there is no output either
            if node.get(name):
                raise refused(f"{name} is not answered inside a query.")
            node.pop(name, None)
        for key, value in node.items():
            if key not in but and (key not in _VALUES or isinstance(value, dict)):
                self._walk(value, scope, depth + 1)

    # -- queries ------------------------------------------------------------------------------------------------------

    def _select(self, node: Node, scope: Scope, depth: int) -> None:
        if "prewhere" in node:  # it would run before the row filter, whose rows its errors would show
            _prewhere_to_where(node)
        if "settings" in node:
            self.settings(node.pop("settings"))
        for element in _children_of(node.get("with")):
            scope = self._with(element, scope, depth, recursive=bool(node.get("recursive_with")))
        self._children(node, scope.with_aliases(_system_aliases(node)), depth, but=("with",))

    def _with(self, element: Node, scope: Scope, depth: int, *, recursive: bool) -> Scope:
        if element.get("type") != "WithElement":
            self._walk(element, scope, depth + 1)
            return scope
        inner = scope.with_name(element["name"])
        self._children(element, inner if recursive else scope, depth + 1)
        return inner

    def _stray_with(self, _: Node, __: Scope, ___: int) -> None:
        raise refused("WITH stands at the beginning of a SELECT.")

    # -- tables -------------------------------------------------------------------------------------------------------

    def _table_expression(self, node: Node, scope: Scope, depth: int) -> None:
        function = node.get("table_function")
        if function and function["name"] not in policy.TABLE_FUNCTIONS:
            raise refused(f"The table function {function['name']} is not answered.")
        if function:
            _no_expressions(function)
            self._arguments(function, scope, depth)
        self._children(node, scope, depth, but=("database_and_table_name", "table_function"))
        table = node.get("database_and_table_name")
        if table:
            self._fill_in(table)
            self._table(node, table, scope)

    def _table(self, node: Node, table: Node, scope: Scope) -> None:
        """Name a table in full, or put in its place what is shown of it."""
        parts = _parts(table)
        if len(parts) == 1 and parts[0] in scope.names:
            return
        database, name = self.resolve(parts)
        shown = self._catalog.system.get(name) if database == _SYSTEM else None
        if shown is None:
            _rename(table, [database, name])
            return
        self._system_tables += 1
        if self._system_tables > _MAX_SYSTEM_TABLES:
            raise refused(f"More than {_MAX_SYSTEM_TABLES} system tables in one query are not answered.")
        del node["database_and_table_name"]
        node.pop("final", None)
        alias = table.get("alias") or name
        node["subquery"] = {"type": "Subquery", "alias": alias, "children": [copy.deepcopy(shown)]}

    def resolve(self, parts: list[str]) -> tuple[str, str]:
        """The database and table that a name means, of those that may be named."""
        database, name = parts if len(parts) == 2 else (self._context.database, parts[-1])
        if len(parts) > 2 or not self._may_read(database, name):
            raise unknown_table(".".join(parts))
        return database, name

    def _may_read(self, database: str, name: str) -> bool:
        if database == _SYSTEM:
            return name in policy.SYSTEM_TABLES or name in self._catalog.system
        return database == self._context.store and name in policy.TABLES

    def _stray_table(self, node: Node, _: Scope, __: int) -> None:
        raise unknown_table(str(node.get("name")))

    # -- expressions --------------------------------------------------------------------------------------------------

    def _function(self, node: Node, scope: Scope, depth: int) -> None:
        name = node["name"]
        may = self._catalog.may_call(name)
        if may is None:
            raise QueryError(46, "UNKNOWN_FUNCTION", f"Function with name `{name}` does not exist.")
        if not may:
            raise refused(f"The function {name} is not answered.")
        if name.lower() in _DATABASE_FUNCTIONS:
            _to_text(node, name, self._context.database)
            return
        if name == "displayName":
            _to_text(node, name, policy.DISPLAY_NAME)
            return
        if name in _IN:
            self._in(node, scope)
        self._arguments(node, scope, depth)

    def _arguments(self, node: Node, scope: Scope, depth: int) -> None:
        for argument in _children_of(node.get("arguments")):
            if argument.get("type") == "Identifier":
                self._fill_in(argument)
                self._not_a_function(argument)
        if node.get("name", "").lower() in ("cast", "_cast", "accuratecast", "accuratecastornull", "reinterpret"):
            _no_states(node)
        self._children(node, scope, depth)

    def _in(self, node: Node, scope: Scope) -> None:
        """The right side of IN may be a table's name."""
        arguments = _children_of(node.get("arguments"))
        right = arguments[1] if len(arguments) > 1 else {}
        if right.get("type") not in ("Identifier", "TableIdentifier"):
            return
        self._fill_in(right)
        parts = _parts(right)
        if len(parts) == 1 and parts[0] in scope.names:
            right["type"] = "Identifier"
            return
        database = parts[0] if len(parts) > 1 else self._context.database
        if database in (self._context.store, _SYSTEM) and self._may_read(database, parts[-1]):
            if database == _SYSTEM:
                raise refused("IN of a system table is not answered; write IN (SELECT ...).")
            _rename(right, [database, parts[-1]])
        elif len(parts) > 1 and database.lower() in self._databases():
            raise unknown_table(".".join(parts))
        right["type"] = "Identifier"

    def _databases(self) -> frozenset[str]:
        return frozenset({self._context.store.lower(), _SYSTEM, "default", "information_schema"})

    def _identifier(self, node: Node, scope: Scope, _: int) -> None:
        self._fill_in(node)
        parts = _parts(node)
        if not policy.VIRTUAL_COLUMNS.isdisjoint(parts):
            raise refused(f"The column {'.'.join(parts)[:80]} is not answered.")
        if len(parts) > 2 and parts[0] == _SYSTEM:  # a system table that a subquery stands for has no database
            _rename(node, [scope.aliases.get(parts[1], parts[1]), *parts[2:]])

    def _not_a_function(self, node: Node) -> None:
        """A name of a function where a function may be expected becomes one: `arrayMap(file, ['/etc/passwd'])`."""
        parts = _parts(node)
        if len(parts) == 1 and self._catalog.is_refused(parts[0]):
            raise refused(f"The function {parts[0]} is not answered; if it is a column, write TABLE.{parts[0]}.")

    def _apply(self, node: Node, scope: Scope, depth: int) -> None:
        name = node.get("func_name")
        if name is not None and not self._catalog.may_call(name):
            raise refused(f"The function {name} is not answered.")
        self._children(node, scope, depth, but=("func_name", "column_name_prefix"))

    # -- parameters and settings --------------------------------------------------------------------------------------

    def _parameter(self, node: Node, _: Scope, __: int) -> None:
        if "identifier" in str(node.get("param_type", "")).lower():
            raise syntax_error("an Identifier parameter stands where no name can.")
        if str(node.get("name", "")).startswith("spm_"):
            raise refused("Names of parameters do not begin with spm_.")
        if "aggregatefunction" in str(node.get("param_type", "")).lower():
            raise refused("States of aggregate functions are not answered.")

    def _fill_in(self, node: Node) -> None:
        """Put the values of Identifier parameters into a name, so that what is checked is what is run."""
        parameters = node.get("children")
        if not parameters:
            return
        values = []
        for parameter in parameters:
            value = self._context.identifiers.get(parameter.get("name", ""))
            if value is None:
                text = f"Query parameter `{parameter.get('name')}` was not set."
                raise QueryError(456, "UNKNOWN_QUERY_PARAMETER", text, 400)
            values.append(value)
        remaining = iter(values)
        parts = [part or next(remaining, "") for part in node.get("name_parts") or [""]]
        del node["children"]
        _rename(node, [piece for part in parts for piece in part.split(".")] if len(parts) == 1 else parts)

    def settings(self, node: Node) -> None:
        """Check and cap what a SET or a SETTINGS clause changes."""
        if node.get("query_parameters") or node.get("default_settings"):
            raise refused("SETTINGS holds settings only.")
        for change in node.get("changes", []):
            name = change["name"]
            value = checked_setting(name, _field_text(change["value"]), self._context.limits, self._catalog)
            if value is not None:
                self.asked[name] = value


def _system_aliases(select: Node) -> dict[str, str]:
    """By name, the aliases of the system tables that a SELECT reads."""
    found: dict[str, str] = {}
    for element in _children_of(select.get("tables")):
        table = element.get("table_expression", {}).get("database_and_table_name", {})
        parts = table.get("name_parts") or [""]
        if len(parts) == 2 and parts[0] == _SYSTEM and table.get("alias"):
            found.setdefault(parts[1], table["alias"])
    return found


def _children_of(node: Node | None) -> list[Node]:
    return node.get("children", []) if node else []


def _parts(node: Node) -> list[str]:
    parts: list[str] = node.get("name_parts") or [node["name"]]
    return parts


def _rename(node: Node, parts: list[str]) -> None:
    node["name"] = ".".join(parts)
    node.pop("name_parts", None)
    if len(parts) > 1:
        node["name_parts"] = parts


def _to_text(node: Node, name: str, value: str) -> None:
    """Make a call of a function a constant of the name that its column would have."""
    alias = node.get("alias") or f"{name}()"
    node.clear()
    node.update({"type": "Literal", "value": {"field_type": "String", "value": value}, "alias": alias})


def _no_states(node: Node) -> None:
    """A made-up state of an aggregate function may do anything to the engine that reads it."""
    for argument in _children_of(node.get("arguments"))[1:]:
        text = str(argument.get("value", "")).lower()
        if argument.get("type") != "Literal" or "aggregatefunction" in text:
            raise refused("A type is written out, and is no AggregateFunction.")


def _no_expressions(function: Node) -> None:
    """The structure that a table function is given may have columns that are worked out."""
    for argument in _children_of(function.get("arguments"))[:1]:
        if _WORKED_OUT.search(str(argument.get("value", ""))):
            raise refused("The structure of a table function is names and types only.")


def _prewhere_to_where(node: Node) -> None:
    prewhere, where = node.pop("prewhere"), node.get("where")
    both = {"type": "ExpressionList", "children": [prewhere, where]}
    node["where"] = {"type": "Function", "name": "and", "arguments": both} if where else prewhere


def _field_text(field: Mapping[str, Any]) -> str:
    value = field.get("value")
    if isinstance(value, (dict, list)) or value is None:
        raise refused("The value of a setting is a number or a text.")
    if isinstance(value, bool):
        return str(int(value))
    return str(value)

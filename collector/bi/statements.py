"""Statements: which of them are answered, each as the text that is run in its place."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.bi import policy
from collector.bi.catalog import Catalog, Node, literal, parse, quoted, unparse
from collector.bi.errors import QueryError, read_only, refused, syntax_error
from collector.bi.guard import Context, Guard
from collector.store.engine_handle import EngineError, EngineHandle
from collector.store.sql import named_query

_BLANK = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|#[ !][^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_FORMAT = r"(?:\s+FORMAT\s+(?P<format>\w+))?[\s;]*\Z"
_NAME = r"(?P<name>(?:\w+|`[^`\\]+`|\"[^\"\\]+\")(?:\s*\.\s*(?:\w+|`[^`\\]+`|\"[^\"\\]+\"))?)"
_PART = re.compile(r"\w+|`[^`]+`|\"[^\"]+\"")
# Of these the engine's parser gives no tree.
_DESCRIBE = re.compile(rf"DESC(?:RIBE)?\s+(?:TABLE\s+)?{_NAME}{_FORMAT}", re.IGNORECASE)
_DESCRIBE_QUERY = re.compile(r"DESC(?:RIBE)?\s+(?:TABLE\s+)?(?=\(|(?:SELECT|WITH)\b)", re.IGNORECASE)
_EXISTS = re.compile(rf"EXISTS\s+(?:(?P<kind>TABLE|VIEW|DATABASE)\s+)?{_NAME}{_FORMAT}", re.IGNORECASE)
_SHOW_CREATE = re.compile(rf"SHOW\s+CREATE\s+(?:(?:TABLE|VIEW)\s+)?{_NAME}{_FORMAT}", re.IGNORECASE)
_SHOW_PROCESSES = re.compile(rf"SHOW\s+PROCESSLIST{_FORMAT}", re.IGNORECASE)
_KILL = re.compile(
    rf"KILL\s+QUERY\s+WHERE\s+query_id\s*=\s*'(?P<id>[^'\\]*)'(?:\s+(?:SYNC|ASYNC|TEST))?{_FORMAT}", re.IGNORECASE
)
_UNPARSED = re.compile(r": In scope SELECT (?:parseQueryToJSON|formatQueryFromJSON)\(.*\Z", re.DOTALL)
_DOES_NOT_FIT = "does not support JSON serialization"
# What may be explained, with the settings that may be asked for.
_EXPLAINED: Final[Mapping[str, frozenset[str]]] = {
    "EXPLAIN": frozenset({"json", "description", "header"}),
    "EXPLAIN SYNTAX": frozenset({"oneline", "run_query_tree_passes"}),
    "EXPLAIN QUERY TREE": frozenset({"run_passes", "dump_tree", "dump_ast", "dump_passes"}),
}
_SHOWN: Final = {"databases": "bi_show_databases", "settings": "bi_show_settings"}


@dataclass(frozen=True, slots=True)
class Statement:
    """What to run: `text` without format, its parameters, and the format and settings it names itself."""

    text: str
    format: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Use:
    """USE: the session's database from now on."""

    database: str


@dataclass(frozen=True, slots=True)
class Set:
    """SET: settings of the session from now on."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kill:
    """KILL QUERY of one of the caller's own."""

    query_id: str


Admitted = Statement | Use | Set | Kill


def admit(text: str, handle: EngineHandle, catalog: Catalog, context: Context) -> Admitted:
    """Check the statement `text`, and say what is run in its place. Raises QueryError."""
    return _Reader(handle, catalog, context).admit(text[_end_of_blank(text) :])


def is_kill(text: str) -> bool:
    """Whether it ends a query, which need not wait until others have ended."""
    return bool(_KILL.match(text, _end_of_blank(text)))


def _end_of_blank(text: str) -> int:
    blank = _BLANK.match(text)
    return blank.end() if blank else 0


class _Reader:
    def __init__(self, handle: EngineHandle, catalog: Catalog, context: Context) -> None:
        self._handle, self._catalog, self._context = handle, catalog, context

    def admit(self, text: str) -> Admitted:
        if not text.strip(" \t\r\n;"):
            raise syntax_error("the query is empty.")
        return self._by_pattern(text) or self._by_tree(text)

    # -- statements without a tree ------------------------------------------------------------------------------------

    def _by_pattern(self, text: str) -> Admitted | None:
        patterns: Mapping[re.Pattern[str], Callable[[re.Match[str]], Admitted]] = {
            _DESCRIBE: self._describe,
            _DESCRIBE_QUERY: self._describe_query,
            _EXISTS: self._exists,
            _SHOW_CREATE: self._show_create,
            _SHOW_PROCESSES: lambda found: self._named("bi_system_processes", found["format"], {}),
            _KILL: lambda found: Kill(found["id"]),
        }
        for pattern, answer in patterns.items():
            if found := pattern.match(text):
                return answer(found)
        return None

    def _describe(self, found: re.Match[str]) -> Statement:
        database, name = self._resolve(found["name"])
        shown = self._catalog.system.get(name) if database == "system" else None
        if shown is None:
            return Statement(f"DESCRIBE TABLE {quoted(database)}.{quoted(name)}", found["format"])
        return self._named(f"bi_system_{name}", found["format"], {}, around="DESCRIBE TABLE ({})")

    def _describe_query(self, found: re.Match[str]) -> Statement:
        inner = self._checked(self._parsed(found.string[found.end() :]))
        return Statement(f"DESCRIBE TABLE ({inner.text})", inner.format, inner.parameters, inner.settings)

    def _show_create(self, found: re.Match[str]) -> Statement:
        database, name = self._resolve(found["name"])
        return self._named("bi_show_create", found["format"], {"spm_of": database, "spm_name": name})

    def _exists(self, found: re.Match[str]) -> Statement:
        parts = _parts(found["name"])
        if (found["kind"] or "").upper() == "DATABASE":
            exists = parts[0] in (self._context.store, "system")
        else:
            exists = self._is_known(parts)
        return Statement(f"SELECT toUInt8({int(exists)}) AS result", found["format"])

    def _is_known(self, parts: list[str]) -> bool:
        try:
            self._guard().resolve(parts)
        except QueryError:
            return False
        return True

    def _resolve(self, name: str) -> tuple[str, str]:
        return self._guard().resolve(_parts(name))

    # -- statements with a tree ---------------------------------------------------------------------------------------

    def _by_tree(self, text: str) -> Admitted:
        tree = self._parsed(text)
        kinds: Mapping[str, Callable[[Node], Admitted]] = {
            "UseQuery": lambda tree: Use(str(tree["database"]["name"])),
            "SetQuery": self._set,
            "ShowTablesQuery": self._show,
            "ShowColumnsQuery": self._show_columns,
            "KillQueryQuery": _kill_of_others,
            "ExplainQuery": self._explain,
        }
        return kinds.get(str(tree.get("type")), self._checked)(tree)

    def _checked(self, tree: Node) -> Statement:
        guard = self._guard()
        chosen = guard.check(tree)
        try:
            text = unparse(self._handle, tree)
        except EngineError as error:
            raise QueryError(error.code, error.name, _UNPARSED.sub("", error.text)) from None
        return Statement(text, chosen, self._own(text), guard.asked)

    def _explain(self, tree: Node) -> Statement:
        """What is read of a query, and its plan as JSON, by which clients learn the types of a result.

        Other plans and pipelines tell of parts and granules, which hold rows of other projects too.
        """
        kind = str(tree.get("kind"))
        changes = tree.get("settings", {}).get("changes", [])
        asked = {change["name"]: change["value"].get("value") for change in changes}
        if kind not in _EXPLAINED or asked.keys() - _EXPLAINED[kind] or not set(asked.values()) <= {0, 1}:
            raise refused(f"{kind} is not answered with these settings; ask for SYNTAX, QUERY TREE or json = 1.")
        if kind == "EXPLAIN" and not asked.get("json"):
            raise refused("A plan is answered as JSON only: EXPLAIN json = 1.")
        options = {"json": 1, "description": 0, "header": 1} if kind == "EXPLAIN" else asked
        chosen = tree.get("format_ast")
        inner = self._checked(tree["query"])
        text = f"{kind} {', '.join(f'{name} = {value}' for name, value in options.items())} {inner.text}"
        return Statement(text, chosen["name"] if chosen else inner.format, inner.parameters, inner.settings)

    def _parsed(self, text: str) -> Node:
        try:
            return parse(self._handle, text)
        except EngineError as error:
            if _DOES_NOT_FIT in error.text or "INSERT with inline data" in error.text:
                raise read_only("only SELECT, SHOW, DESCRIBE, EXISTS, SET and USE are answered here") from None
            raise QueryError(error.code, error.name, _UNPARSED.sub("", error.text)) from None

    def _guard(self) -> Guard:
        return Guard(self._catalog, self._context)

    def _set(self, tree: Node) -> Set:
        guard = self._guard()
        guard.settings(tree)
        return Set(guard.asked)

    def _show(self, tree: Node) -> Statement:
        kinds = [key for key, value in tree.items() if value is True and key != "full"]
        like, negated = tree.get("like", ""), "not_like" in kinds
        insensitive = "case_insensitive_like" in kinds
        what = [kind for kind in kinds if kind not in ("not_like", "case_insensitive_like")]
        if len(what) > 1 or (what and what[0] not in _SHOWN) or tree.get("where_expression"):
            raise refused(f"SHOW {' '.join(what).upper()} is not answered.")
        name = _SHOWN[what[0]] if what else "bi_show_tables"
        database = tree["from"]["name"] if tree.get("from") else self._context.database
        pattern = {"spm_like": like or "%", "spm_of": str(database), "spm_not": str(int(negated))}
        if insensitive:
            pattern["spm_like"] = pattern["spm_like"].lower()
        chosen = tree.get("format_ast")
        return self._named(name, chosen["name"] if chosen else None, pattern)

    def _show_columns(self, tree: Node) -> Statement:
        database, name = self._guard().resolve([tree.get("database") or self._context.database, tree["table"]])
        like = tree.get("like") or "%"
        chosen = tree.get("format_ast")
        return self._named(
            "bi_show_columns",
            chosen["name"] if chosen else None,
            {"spm_of": database, "spm_name": name, "spm_like": like},
        )

    # -- statements of ours -------------------------------------------------------------------------------------------

    def _named(self, name: str, chosen: str | None, parameters: Mapping[str, str], around: str = "{}") -> Statement:
        """A statement of `schema/queries` in place of what was asked."""
        text = around.format(named_query(name).strip())
        escaped = {key: escape(value) for key, value in parameters.items()}
        return Statement(text, chosen, {**self._own(text), **escaped})

    def _own(self, text: str) -> dict[str, str]:
        """The values that `bi_system_*.sql` ask for, if they are part of `text`."""
        if "{spm_" not in text:
            return {}
        system = sorted({*policy.SYSTEM_TABLES, *self._catalog.system})
        settable = sorted(name for name in self._catalog.settings if policy.may_send(name))
        return {
            "spm_database": escape(self._context.store),
            "spm_tables": _array(sorted(policy.TABLES)),
            "spm_system": _array(system),
            "spm_settings": _array(settable),
        }


def _kill_of_others(_: Node) -> Admitted:
    raise refused("KILL QUERY takes the query_id of one of your own queries, and nothing else.")


def _parts(name: str) -> list[str]:
    return [part.strip('`"') for part in _PART.findall(name)]


def _array(names: list[str]) -> str:
    return "[" + ",".join(literal(name) for name in names) + "]"


def escape(value: str) -> str:
    """`value` as the text of a parameter."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

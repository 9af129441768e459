"""Content of stored spans and log records emptied in place: a mutation rewrites the columns of content and no other.

What is known of a call stays as it was, within content too: pricing the row again reads the same facts from it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from collector.model.content import ContentRules, Path
from collector.store.client import Store
from collector.store.sql import named_query

_Tree = dict[str, "_Tree"]


def expire_content(store: Store, rules: ContentRules, cutoff: int, overdue: int) -> list[str]:
    """Have the content of rows received before `cutoff` emptied; the days (partitions) that the engine now works on.

    A day is rewritten as a whole, so it waits until all its rows were received before `cutoff`, or one of them before
    `overdue`. Both are Unix nanoseconds. Of a table of which earlier days are worked on, none. Raises Unavailable or
    Rejected.
    """
    changes = {"content_pending": ("otel_traces", _of_spans), "log_content_pending": ("otel_logs", _of_logs)}
    days = []
    for question, (table, changes_of) in changes.items():
        pending = store.query(named_query(question), {"cutoff": cutoff, "overdue": overdue}).to_pylist()
        for day in pending:
            store.command(_expiry_statement(table, changes_of(rules), day["Partition"], cutoff))
        days += [day["Partition"] for day in pending]
    return days


def _expiry_statement(table: str, changes: Mapping[str, str], day: str, cutoff: int) -> str:
    """The mutation of one day. Running it again changes nothing."""
    assignments = ", ".join(f"{column} = {value}" for column, value in changes.items())
    return (
        f"ALTER TABLE {table} UPDATE {assignments}, ContentExpired = true IN PARTITION {_quoted(day)} "
        f"WHERE ReceivedAt < fromUnixTimestamp64Nano({cutoff}, 'UTC') AND NOT ContentExpired "
        "SETTINGS mutations_sync = 0"
    )


def _of_spans(rules: ContentRules) -> dict[str, str]:
    """What each column of content becomes."""
    return {
        "Input": _moved(rules, "Input"),
        "Output": _moved(rules, "Output"),
        "SpanAttributes": _of_map(rules, "SpanAttributes", "0"),
        "`Events.Attributes`": (
            f"arrayMap((name, attributes) -> {_of_map(rules, 'attributes', _is_named('name', rules.events))}, "
            "`Events.Name`, `Events.Attributes`)"
        ),
    }


def _of_logs(rules: ContentRules) -> dict[str, str]:
    """What each column of content becomes. No facts of calls are read from within the content of records."""
    content = f"{_is_named('Event', rules.events)} OR {_is_named('key', rules.log_attributes)}"
    kept, long = _kept(rules), f"length(value) > {rules.longest}"
    value = f"if({kept}, value, if({content} OR {long}, '', value))"
    return {"Body": "''", "LogAttributes": f"mapApply((key, value) -> (key, {value}), LogAttributes)"}


def _moved(rules: ContentRules, column: str) -> str:
    return _remnant(rules, f"{column}Key", column, "''")


def _of_map(rules: ContentRules, attributes: str, all_content: str) -> str:
    """A map with the values of content emptied: names stay, for facts may be read from a name being there."""
    kept = _kept(rules)
    content = f"{all_content} OR {_is_named('key', rules.attributes)} OR length(value) > {rules.longest}"
    remnant = _remnant(rules, "key", "value", f"if({content}, '', value)")
    return f"mapApply((key, value) -> (key, if({kept}, value, {remnant})), {attributes})"


def _kept(rules: ContentRules) -> str:
    """Whether the whole `value` of `key` stays: a fact of a call, or the short value of a name that is no content."""
    facts = [*rules.kept, *(name for name in rules.facts if name not in rules.attributes)]
    names = _names(rules.kept_names)
    short = f"(key IN ({names}) OR arrayElement(splitByChar('.', key), -1) IN ({names}))"
    return f"value = '' OR key IN ({_names(facts)}) OR {short} AND length(value) <= {rules.longest}"


def _remnant(rules: ContentRules, key: str, text: str, other: str) -> str:
    """Of `text`, the content under `key`, the facts of a call; `other` where none are read.

    The paths of all attributes are looked for in each: one expression for all of them is a sixth of the statement, and
    the engine takes seconds for a long one.
    """
    of_content = {name: paths for name, paths in rules.facts.items() if name in rules.attributes}
    tree = _tree(path for paths in of_content.values() for path in paths)
    in_array = {step: below for step, below in tree.items() if _is_number(step)}
    in_object = {step: below for step, below in tree.items() if not _is_number(step)}
    array, members = (_members(text, (), part, rules.longest) for part in (in_array, in_object))
    facts = f"replaceRegexpOne(if(startsWith({text}, '['), {array}, {members}), '^[\\[{{][\\]}}]$', '')"
    return f"if(Kind = 'llm' AND {key} IN ({_names(of_content)}), {facts}, {other})"


def _tree(paths: Iterable[Path]) -> _Tree:
    """What is read, step by step: all of what some attribute is read whole of, and parts of the rest."""
    tree: _Tree = {}
    whole = set(paths)
    for path in whole:
        if any(path[:end] in whole for end in range(1, len(path))):
            continue
        here = tree
        for step in path:
            here = here.setdefault(step, {})
    return tree


def _members(text: str, path: Path, tree: Mapping[str, _Tree], longest: int) -> str:
    members = [_member(text, (*path, step), below, longest) for step, below in sorted(tree.items())]
    is_array = all(_is_number(step) for step in tree)
    # Of an array the first item (or the last) becomes the only one.
    opening, closing, members = ("[", "]", members[-1:]) if is_array else ("{", "}", members)
    joined = f"arrayStringConcat(arrayFilter(member -> member != '', [{', '.join(members)}]), ',')"
    return f"concat('{opening}', {joined}, '{closing}')"


def _member(text: str, path: Path, below: _Tree, longest: int) -> str:
    steps = ", ".join(_step(step) for step in path)
    name = "" if _is_number(path[-1]) else f'"{path[-1]}":'
    found = f"JSONExtractRaw({text}, {steps})"
    wanted = f"{found} != ''" if below else f"length({found}) BETWEEN 1 AND {longest}"
    value = _members(text, path, below, longest) if below else found
    return f"if({wanted}, concat({_quoted(name)}, {value}), '')"


def _step(step: str) -> str:
    """Arrays are counted from 1 in SQL, and from -1 at the end as in the conventions."""
    if not _is_number(step):
        return _quoted(step)
    return step if step.startswith("-") else str(int(step) + 1)


def _is_number(step: str) -> bool:
    return step.lstrip("-").isdigit()


def _is_named(name: str, patterns: Iterable[str]) -> str:
    plain = [pattern for pattern in patterns if not pattern.endswith(".*")]
    return f"({name} IN ({_names(plain)}) OR {_begins(name, patterns)})"


def _begins(name: str, patterns: Iterable[str]) -> str:
    beginnings = sorted(pattern[:-1] for pattern in patterns if pattern.endswith(".*"))
    return " OR ".join(f"startsWith({name}, {_quoted(beginning)})" for beginning in beginnings)


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, sorted(names)))


def _quoted(text: Any) -> str:
    escaped = str(text).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

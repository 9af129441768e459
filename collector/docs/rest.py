"""docs/rest.md, from the table of operations."""

from collections.abc import Iterable

from collector.docs.markdown import page, table
from collector.web.documents import INTRODUCTION, answers_of, by_tag, inputs_of, scope_of
from collector.web.openapi import Schemas
from collector.web.operation import AnyOperation
from collector.web.operations import OPERATIONS

_LINKS = "`GET /api/v1/openapi.json` is the same as OpenAPI 3.1, `GET /api/v1/docs` as a page of the daemon."


def render_rest() -> str:
    """The text of docs/rest.md."""
    schemas = Schemas(OPERATIONS)
    blocks = ["# REST", INTRODUCTION, _LINKS, "## Every operation with its scope", _overview()]
    for tag, rows in by_tag(OPERATIONS):
        blocks += [f"## {tag}", *(block for row in rows for block in _blocks(row, schemas))]
    return page(*blocks)


def _overview() -> str:
    rows = [
        (f"`{row.method} {row.path}`", row.summary, f"`{row.scope.value}`" if row.scope else "none is needed")
        for row in OPERATIONS
    ]
    return table(("Operation", "What it does", "Scope"), rows)


def _blocks(row: AnyOperation, schemas: Schemas) -> Iterable[str]:
    yield f"### {row.method} {row.path}"
    yield f"{row.summary} {row.description} {scope_of(row)}"
    inputs = [(f"`{name}`", where, text) for name, where, text in inputs_of(row, schemas)]
    if inputs:
        yield table(("Name", "In", "Meaning"), inputs)
    yield table(("Status", "Answer"), ((str(status), text) for status, text in answers_of(row)))

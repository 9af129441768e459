"""The table of operations for people: a page of HTML that needs no other file."""

import html as escaping
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from collector.web.openapi import FAILURES, Schemas, failures, parameters_of
from collector.web.operation import AnyOperation

HTML_TYPE = "text/html; charset=utf-8"


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
code{font:13px ui-monospace,monospace;background:#f3f3f3;padding:.1em .3em;border-radius:3px}
h3{margin:2rem 0 .3rem;border-top:1px solid #ddd;padding-top:1rem}table{border-collapse:collapse;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}.scope{color:#666}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code{background:#2a2a2a}h3{border-color:#444}}
"""

INTRODUCTION = """
Answers are JSON with names in snake_case; money is decimal strings; a time is RFC 3339, and where its nanoseconds
matter, `..._at_unix_nano` beside it is the same in Unix nanoseconds.

Send a token as `Authorization: Bearer TOKEN`, Basic with the token as password, or `x-api-key: TOKEN`. It needs the
scope that is named; `admin` has every scope. Without tokens in the settings, none is needed.

Every failure is `{"error": {"reason", "message"}}`: `reason` is a word for programs, `message` a sentence. 503 is worth
trying again after `Retry-After`; 4xx is not.

Lists come in pages: `limit`, and as `after` the `next` of the page before; `next` is null on the last.

Bodies are JSON objects of at most 64 KiB. Answers of 1 KiB and more are compressed where `Accept-Encoding` names zstd
or gzip.
""".strip()


def html(operations: Sequence[AnyOperation]) -> str:
    """The page at `/api/v1/docs`."""
    schemas = Schemas(operations)
    body = "".join(f"<p>{_inline(text)}</p>" for text in INTRODUCTION.split("\n\n"))
    for tag, rows in by_tag(operations):
        body += f"<h2>{tag}</h2>" + "".join(_html_row(row, schemas) for row in rows)
    link = '<p><a href="/api/v1/openapi.json">OpenAPI 3.1</a></p>'
    head = f'<meta charset="utf-8"><title>spanmeter API</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>spanmeter API</h1>{link}{body}</body></html>'


def by_tag(operations: Sequence[AnyOperation]) -> Iterable[tuple[str, Iterable[AnyOperation]]]:
    return groupby(operations, key=lambda operation: operation.tag)


def _html_row(row: AnyOperation, schemas: Schemas) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(name)}</code></td><td>{where}</td><td>{_inline(text)}</td></tr>"
        for name, where, text in inputs_of(row, schemas)
    )
    answers = "".join(f"<tr><td>{status}</td><td>{_inline(text)}</td></tr>" for status, text in answers_of(row))
    return (
        f'<h3 id="{row.name}"><code>{row.method} {_text(row.path)}</code></h3>'
        f'<p>{_inline(row.summary)} {_inline(row.description)}</p><p class="scope">{_inline(scope_of(row))}</p>'
        f"<table>{rows}</table><table>{answers}</table>"
    )


def scope_of(row: AnyOperation) -> str:
    return f"Scope: `{row.scope.value}`." if row.scope else "No token is needed."


def inputs_of(row: AnyOperation, schemas: Schemas) -> Iterable[tuple[str, str, str]]:
    """Name, place and description of parameters and fields."""
    for parameter in parameters_of(row, schemas):
        yield parameter["name"], parameter["in"], _described(parameter, required=parameter.get("required", False))
    if row.body_input:
        schema = schemas.properties(row.body_input)
        for name, field in schema["properties"].items():
            yield name, "body", _described(field, required=name in schema.get("required", ()))


def _described(of: dict[str, Any], *, required: bool) -> str:
    text = str(of.get("description", ""))
    default = of.get("schema", of).get("default")
    parts = [
        "Required." if required else "",
        text,
        f"Default: {_shown(default)}." if default not in (None, "", []) else "",
    ]
    return " ".join(part for part in parts if part)


def _shown(default: object) -> str:
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def answers_of(row: AnyOperation) -> Iterable[tuple[int, str]]:
    """What it answers itself, then its failures."""
    yield from ((status, answer.text) for status, answer in row.answers.items())
    others = sorted(set(failures(row)) - row.answers.keys())
    yield from ((status, FAILURES[status]) for status in others)


def _text(text: str) -> str:
    return escaping.escape(text)


def _inline(text: str) -> str:
    """Text with `code` in backticks."""
    parts = _text(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))

"""A run as one HTML file that needs nothing else: no script, no request, every text escaped."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from collector import __version__
from collector.exports.document import NONE, Verdicts
from collector.web.exports.view import MAX_SPANS, Audience, run_view
from collector.web.pages import formats
from collector.web.unseen import mark, shown

_TEMPLATES: Final = Path(__file__).parent / "templates"
_MAX_TEXT: Final = 64 * 1024  # characters of each text
# What HTML cannot hold, or would show as something else.
_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def html(table: pa.Table, audience: Audience, verdicts: Verdicts = NONE) -> bytes:
    """The page of the run whose spans `table` has."""
    view = run_view(table, audience, _MAX_TEXT, verdicts)
    style, style_hash = _style()
    text = (
        _environment()
        .get_template("run.html")
        .render(view=view, style=style, style_hash=style_hash, max_spans=MAX_SPANS, version=__version__)
    )
    return text.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters.update(
        {name: getattr(formats, name) for name in ("money", "duration", "count", "full_time", "plural")}
    )
    environment.filters["exact"] = exact
    return environment


def exact(text: str) -> Markup:
    """A text for the inside of `<pre>`: lines end as they did, and what cannot be shown is a mark."""
    marked = escape(_UNSHOWABLE.sub(mark, text)).replace("\r", Markup("&#13;"))
    return Markup("\n") + marked  # a parser drops the first line's end


@cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and its hash for the policy that allows no other."""
    text = (_TEMPLATES / "run.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"  # noqa: S704 - our own file

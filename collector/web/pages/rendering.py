"""Templates to bytes, with the headers that keep a page to itself."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from collector import __version__
from collector.model.json_text import whole
from collector.web.pages import formats
from collector.web.pages.assets import assets
from collector.web.pages.page import Asked, Shown
from collector.web.pages.periods import spoken
from collector.web.unseen import shown

HTML: Final = "text/html; charset=utf-8"
# Nothing but our own files runs, and no text ever becomes markup in the browser.
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with none at all, forms of our own pages would have no origin to check
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "private, no-cache",
}
SECTIONS: Final = (
    ("Runs", "/runs"),
    ("Live", "/live"),
    ("Spend", "/spend"),
    ("Budgets", "/budgets"),
    ("Compare", "/compare"),
)
_FORMATS: Final = (
    *("money", "exact", "duration", "count", "size", "percent", "signed", "full_time", "short_time", "ago", "plural"),
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters.update({name: getattr(formats, name) for name in _FORMATS})
    environment.filters["spoken"] = spoken
    environment.filters["as_sent"] = escape  # texts that are read or sent again, not names: nothing is marked
    environment.globals.update({"sections": SECTIONS, "version": __version__, "asset": _asset})
    return environment


def render(page: Shown, asked: Asked | None, *, signed_in: bool = False) -> bytes:
    """The page in UTF-8. What is no Unicode in a text (half a surrogate pair) is shown as U+FFFD."""
    context: dict[str, Any] = {
        "page": page,
        "asked": asked,
        "theme": asked.theme if asked else "",
        "zone": asked.zone if asked else None,
        "zone_name": asked.zone_name if asked else "UTC",
        "query": dict(asked.query) if asked else {},
        "signed_in": signed_in,
        "modules": [assets()[f"{name}.js"].path for name in ("page", *page.modules)],
        "preloads": _preloads(page.modules),
        **page.context,
    }
    return whole(_environment().get_template(page.template).render(context)).encode()


def _preloads(modules: tuple[str, ...]) -> list[str]:
    found = [path for name in modules for path in (assets()[f"{name}.js"].path, *assets()[f"{name}.js"].imports)]
    return list(dict.fromkeys(found))


def _asset(name: str) -> str:
    return assets()[name].path

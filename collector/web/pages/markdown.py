"""Texts that are Markdown, as HTML that can do nothing: no markup of their own, no images, links to the web only."""

from functools import cache
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

from collector.model.json_text import whole

_TAGS: Final = frozenset(
    {
        *("h1", "h2", "h3", "h4", "h5", "h6", "p", "blockquote", "pre", "hr", "ul", "ol", "li"),
        *("a", "br", "code", "del", "em", "s", "strong", "table", "thead", "tbody", "tr", "th", "td"),
    }
)
_RELATION: Final = "noopener nofollow noreferrer"


def markdown(text: str) -> Markup:
    """The text as HTML. A picture is a link to it: a prompt must not make a browser ask elsewhere."""
    made = whole(_parser().render(text))
    safe = nh3.clean(
        made,
        tags=set(_TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes={"http", "https"},
        link_rel=_RELATION,
    )
    return Markup(safe)  # noqa: S704 - it has just been cleaned


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return parser.disable("image")

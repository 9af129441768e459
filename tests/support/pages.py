"""The runs that tests of pages look at, and what they hold a page to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Page

START_NS = 1_795_900_000 * 10**9  # 2026-11-28
RUN, LONG, OPEN = (number.to_bytes(16, "big").hex() for number in (0xA1, 0xA2, 0xA3))
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}  # of axe

Open = Callable[..., Page]


@dataclass
class Seen:
    """What pages said and asked for; `origins` are those that were opened besides the daemon's."""

    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)

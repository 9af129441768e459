"""What a page is: a question of someone signed in, and the template that answers it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request

from collector.errors import Reason, Rejected
from collector.model.principal import Principal
from collector.web.operation import Services

_MAX_DIGITS = 8
THEMES = ("light", "dark")
ZONE_COOKIE, THEME_COOKIE = "spanmeter_zone", "spanmeter_theme"


@dataclass(frozen=True, slots=True)
class Asked:
    """One look at a page. `zone_name` is that of the IANA database."""

    services: Services
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    zone: tzinfo
    zone_name: str
    theme: str
    url: str
    now: int

    def choice(self, name: str, known: Collection[str]) -> str:
        """The value of a parameter, empty where it is not given. Raises Rejected(MALFORMED) for none of the known."""
        value = self.query.get(name, "")
        if value and value not in known:
            raise Rejected(Reason.MALFORMED, f"{name}={value[:40]!r} is not known; choose one of {', '.join(known)}.")
        return value

    def number(self, name: str, otherwise: int) -> int:
        """A parameter that counts. Raises Rejected(MALFORMED) for what is no whole number of at most eight digits."""
        text = self.query.get(name) or str(otherwise)
        if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS:
            raise Rejected(Reason.MALFORMED, f"{name}={text[:40]!r} is not a whole number below a hundred million.")
        return int(text)

    def without(self, *names: str, **changed: str) -> str:
        """The page's own address with other parameters: for links that keep the rest of what is asked.

        `part`, the piece of a page that scripts ask for, is no part of an address.
        """
        dropped = {"part", *names, *changed}
        kept = {name: value for name, value in self.query.items() if name not in dropped}
        return f"{self.url}?{urlencode({**kept, **changed})}" if kept or changed else self.url


@dataclass(frozen=True, slots=True)
class Shown:
    """A template with what it shows. `section` is the link of the head that is chosen; `modules` run in the browser."""

    template: str
    title: str
    section: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """What is asked for is at another path."""

    location: str


Handler = Callable[[Asked], Awaitable[Shown | Moved]]


def asked(request: Request, services: Services, principal: Principal, now: int) -> Asked:
    """Raises Rejected(MALFORMED) for a time zone that there is not."""
    name = request.query_params.get("tz") or request.cookies.get(ZONE_COOKIE) or "UTC"
    theme = request.cookies.get(THEME_COOKIE, "")
    zone = _zone(name, strict="tz" in request.query_params)
    return Asked(
        services=services,
        principal=principal,
        path=request.path_params,
        query=dict(request.query_params),
        zone=zone,
        zone_name="UTC" if zone is UTC else name,
        theme=theme if theme in THEMES else "",
        url=request.url.path,
        now=now,
    )


def _zone(name: str, *, strict: bool) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if strict:
            raise Rejected(Reason.MALFORMED, f"There is no time zone {name[:60]!r}; Europe/Berlin is one.") from None
        return UTC

"""Who asks the web port: by a token in a header, or by the cookie that a browser keeps of one.

A cookie comes along whoever made the browser ask, so it only ever reads: what changes anything takes a header, or a
form of our own pages. And a browser may be made to ask a name that has been pointed here (DNS rebinding): whoever
brings no token in a header has to ask for a name that is known.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from collector.admit.auth import Gate
from collector.config import WebConfig, split_endpoint
from collector.errors import Reason, Rejected
from collector.model.principal import ANONYMOUS, Principal, Scope

COOKIE = "spanmeter_token"
_CREDENTIALS = ("authorization", "x-api-key")
_READING = frozenset({Scope.TRACES_READ, Scope.ADMIN})


class Callers:
    """Admits requests. `hosts` are the names the port is known by, besides loopback and addresses."""

    def __init__(self, gate: Gate, web: WebConfig) -> None:
        self._gate = gate
        named = [split_endpoint(web.endpoint)[0], urlsplit(web.public_url).hostname or ""]
        self._hosts = frozenset(name.lower() for name in (*named, *web.allowed_hosts) if name)
        self.speaks_mcp = web.mcp.enabled
        self._unknown_may_record = web.mcp.anonymous_record
        self.secure = web.tls.enabled or web.public_url.startswith("https://")

    def admit(self, method: str, headers: Mapping[str, str], scope: Scope) -> Principal:
        """The caller of an operation that needs `scope`.

        Raises Rejected as the gate does, for an unknown host, and without a token for what pages of other origins
        would change: a browser sends that to a port without tokens, too.
        """
        if any(name in headers for name in _CREDENTIALS):
            return self._gate.admit(headers.items(), scope)
        if method not in {"GET", "HEAD"} and "origin" in headers:
            self.check_origin(headers)
        elif scope in _READING:
            self.check_host(headers)
        token = cookie_token(headers) if method in {"GET", "HEAD"} else ""
        return self._gate.admit([("x-api-key", token)] if token else (), scope)

    def reader(self, headers: Mapping[str, str]) -> Principal:
        """Who looks at a page. Raises Rejected as `admit`."""
        return self.admit("GET", headers, Scope.TRACES_READ)

    def admin(self, headers: Mapping[str, str]) -> Principal:
        """Who changes something by a form, whose origin has been checked. Raises Rejected without the scope `admin`."""
        return self.admit("GET", headers, Scope.ADMIN)

    def labeler(self, headers: Mapping[str, str]) -> Principal:
        """Who labels by a form, whose origin has been checked. Raises Rejected without the scope `evals:write`."""
        return self.admit("GET", headers, Scope.EVALS_WRITE)

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raises Rejected for a Host that is neither an address, nor loopback, nor known."""
        self._check_host(headers, ", or send a token in a header")

    def _check_host(self, headers: Mapping[str, str], otherwise: str = "") -> None:
        host = _host_name(headers.get("host", ""))
        if not host or host in self._hosts or host == "localhost" or host.endswith(".localhost") or _is_address(host):
            return  # browsers always name one
        raise Rejected(
            Reason.FORBIDDEN,
            f"spanmeter is not known as {host[:100]}. Name it in web.public_url or web.allowed_hosts{otherwise}.",
        )

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """For what a page changes. Raises Rejected unless it comes from a page of this very host."""
        self.check_host(headers)
        if not _is_same_origin(headers):
            raise Rejected(
                Reason.FORBIDDEN,
                "This was not sent by a page of spanmeter: open the page again, or send a token in a header.",
            )

    def client(self, headers: Mapping[str, str]) -> Principal:
        """Who asks by a protocol of programs, whatever they may do; no cookie counts.

        Whoever brings no token may only read, unless the settings say otherwise: what agents do here may be put into
        their heads by what they read.

        Raises Rejected for a host that is not known and for pages of other origins, whatever token comes with them,
        and as the gate does.
        """
        self._check_host(headers)
        if "origin" in headers and not _is_same_origin(headers):
            origin = headers["origin"][:100]
            raise Rejected(Reason.FORBIDDEN, f"Pages of {origin} may not ask here; programs send no Origin.")
        principal = self._gate.identify(headers.items())
        if principal is ANONYMOUS and not self._unknown_may_record:
            return replace(principal, scopes=principal.scopes - {Scope.TRACES_WRITE, Scope.ADMIN})
        return principal

    def is_open(self) -> bool:
        """Whether anyone may read, so that there is nothing to sign in to."""
        try:
            self._gate.admit((), Scope.TRACES_READ)
        except Rejected:
            return False
        return True

    def may_read(self, token: str) -> bool:
        """Whether this is a token with which pages can be read."""
        try:
            self._gate.admit([("x-api-key", token)], Scope.TRACES_READ)
        except Rejected:
            return False
        return True

    def cookie(self, token: str) -> str:
        """The Set-Cookie of a token; of none, what removes it."""
        parts = [f"{COOKIE}={token}", "Path=/", "HttpOnly", "SameSite=Strict"]
        parts += ["Secure"] if self.secure else []
        parts += [] if token else ["Max-Age=0"]
        return "; ".join(parts)


def cookie_token(headers: Mapping[str, str]) -> str:
    """The token in the cookie; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether the Origin is that of the host which is asked."""
    origin = urlsplit(headers.get("origin", ""))
    return origin.netloc.lower() == headers.get("host", "").lower() and origin.scheme in {"http", "https"}


def _host_name(host: str) -> str:
    """Without port and brackets, in lower case."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.strip().lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""Who asks, by the three ways in which ClickHouse's clients say so."""

import base64
import binascii
from collections.abc import Mapping

from collector.admit.auth import Gate
from collector.bi.errors import QueryError
from collector.errors import Rejected
from collector.model.principal import ANONYMOUS, Principal, Scope

_DEFAULT_USER = "default"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def authenticate(gate: Gate, url: Mapping[str, str], headers: Mapping[str, str]) -> Principal:
    """The caller, who may query. Without tokens that is `default` with an empty password. Raises QueryError."""
    user, password = _credentials(url, headers)
    try:
        principal = gate.admit([("x-api-key", password)] if password else [], Scope.QUERY_READ)
    except Rejected:
        raise _failed(user) from None
    if principal is ANONYMOUS and (password or user not in ("", _DEFAULT_USER)):
        raise _failed(user)
    if principal is ANONYMOUS and not (_is_local(headers.get("host", "")) and _is_no_page(headers)):
        raise _failed(user)  # a page in a browser on this machine asks, maybe by a name of somebody else's
    return principal


def _credentials(url: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    authorization = headers.get("authorization", "")
    own = "x-clickhouse-user" in headers or "x-clickhouse-key" in headers
    in_url = "user" in url or "password" in url
    if bool(authorization) + own + in_url > 1:
        text = "Credentials come in one way only: Authorization, X-ClickHouse-User and -Key, or the URL."
        raise QueryError(516, "AUTHENTICATION_FAILED", f"Invalid authentication: {text}")
    if authorization:
        return _authorization(authorization)
    if own:
        return headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")
    return url.get("user", ""), url.get("password", "")


def _authorization(value: str) -> tuple[str, str]:
    scheme, _, credentials = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return "", credentials.strip()
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        text = ""
    user, colon, password = text.partition(":")
    if not colon:
        raise QueryError(516, "AUTHENTICATION_FAILED", "Invalid authentication: Authorization is Basic or Bearer.")
    return user, password


def _is_local(host: str) -> bool:
    return not host or host.rpartition(":")[0] in _LOCAL_HOSTS or host in _LOCAL_HOSTS


def _is_no_page(headers: Mapping[str, str]) -> bool:
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _failed(user: str) -> QueryError:
    name = user[:80] or _DEFAULT_USER
    text = f"{name}: Authentication failed: password is incorrect, or there is no such user. "
    return QueryError(516, "AUTHENTICATION_FAILED", text + "The password is a token with the scope query:read.")

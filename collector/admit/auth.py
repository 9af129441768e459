"""Tokens: minting them, and turning a request's credentials into a Principal.

Only SHA-256 hashes are configured. A presented token is hashed and its hash looked up: how long that takes may reveal
something of hashes, which no one can steer towards a known one, and nothing of tokens. Credentials are never stored or
logged.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable, Mapping

from collector.config import AuthConfig
from collector.errors import Reason, Rejected
from collector.model.principal import ANONYMOUS, Principal, Scope

_PREFIX = "spm_"


def mint() -> tuple[str, str]:
    """A new token with 256 random bits, and the hash to configure."""
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Gate:
    """Decides who a request comes from. Replace the tokens with `reload`."""

    def __init__(self, config: AuthConfig) -> None:
        self.reload(config)

    def reload(self, config: AuthConfig) -> None:
        """Use these tokens from the next request on."""
        self._principals: Mapping[str, Principal] = {
            token.sha256: Principal(token.name, token.project, frozenset(token.scopes)) for token in config.tokens
        }
        # With tokens configured, anonymous requests pass only where the configuration allows them explicitly.
        self._anonymous = ANONYMOUS if config.allow_anonymous or not config.tokens else None

    @property
    def needs_token(self) -> bool:
        """Whether a request without one is refused."""
        return bool(self._principals) and not self._anonymous

    def admit(self, headers: Iterable[tuple[str, str]], scope: Scope) -> Principal:
        """The caller behind lower-cased `headers`, who has `scope`.

        Raises Rejected: UNAUTHENTICATED without a known token, FORBIDDEN without the scope.
        """
        principal = self.identify(headers)
        if self._principals and not principal.may(scope):
            raise Rejected(Reason.FORBIDDEN, f"The token {principal.name!r} does not have the scope {scope.value}.")
        return principal

    def identify(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """The caller behind lower-cased `headers`, whatever they may do. Raises Rejected(UNAUTHENTICATED)."""
        if not self._principals:
            return ANONYMOUS  # clients made for other backends always send some key
        tokens = list(_tokens(headers))
        principal = next((known for token in tokens if (known := self._lookup(token))), None)
        if principal is None:
            if tokens or not self._anonymous:
                raise Rejected(
                    Reason.UNAUTHENTICATED,
                    "A known token is required: send `Authorization: Bearer TOKEN`, Basic with the token as password, "
                    "or `x-api-key: TOKEN`.",
                )
            principal = self._anonymous
        return principal

    def _lookup(self, token: str) -> Principal | None:
        return self._principals.get(hash_token(token))


def _tokens(headers: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in headers:
        if name == "x-api-key":
            yield value.strip()
        elif name == "authorization":
            scheme, _, credentials = value.strip().partition(" ")
            if scheme.lower() == "bearer":
                yield credentials.strip()
            elif scheme.lower() == "basic":
                yield _password(credentials.strip())
            else:
                yield ""


def _password(credentials: str) -> str:
    try:
        user_and_password = base64.b64decode(credentials, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""
    return user_and_password.partition(":")[2]

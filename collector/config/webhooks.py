"""Settings of webhooks: who receives events, and how deliveries are signed."""

import base64
import binascii
import ipaddress
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from collector.config.settings import Duration, Mistake, Section, Written, refuse, setting, shown

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_MIN_TEXT_LENGTH = 16
_MAX_LENGTH = 2000


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _secret(value: object) -> object:
    """Never says the value, nor a part of it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("is not text; write the secret in quotes")  # noqa: TRY004 - pydantic takes ValueError
    if not text.isprintable() or text != text.strip():
        raise ValueError("has blanks around it or characters that do not print")
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"is longer than {_MAX_LENGTH} characters")
    if not text.startswith(_PREFIX):
        if len(text) < _MIN_TEXT_LENGTH:
            raise ValueError(
                f"is too short: a secret is {_PREFIX} and the base64 of 24 to 64 bytes, or any other text of "
                f"{_MIN_TEXT_LENGTH} characters or more"
            )
    elif (key := _decoded(text)) is None or len(key) not in _KEY_BYTES:
        raise ValueError(f"after {_PREFIX} a secret has the base64 of 24 to 64 bytes; this one has not")
    return value


def _decoded(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None


def _distinct(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if len({secret.get_secret_value() for secret in secrets}) < len(secrets):
        raise ValueError("the same secret is written twice")
    return secrets


def _url(value: object) -> object:
    """A URL may be a secret in itself (Slack's are), so a sentence says no more of it than its host."""
    if not isinstance(value, str):
        raise ValueError("is not text; write the URL in quotes")  # noqa: TRY004 - pydantic takes ValueError
    if len(value) > _MAX_LENGTH:
        raise ValueError(f"is longer than {_MAX_LENGTH} characters")
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("has blanks or characters that a URL has to percent-encode")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("is not a URL of the form https://host/path")
    if "@" in parts.netloc:
        raise ValueError("holds a user or password, which are not sent; deliveries are proven by their signature")
    if "#" in value:
        raise ValueError("holds a fragment (#...), which is not sent")
    return value


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Secrets = Annotated[
    tuple[Secret, ...],
    BeforeValidator(_listed),
    Field(max_length=10),
    AfterValidator(_distinct),
    Written("secret, or list of secrets"),
]


class WebhookConfig(Section):
    url: Annotated[str, BeforeValidator(_url), Field(repr=False), Written("URL")] = setting(
        ..., "Where events are posted: https://...; http:// only together with allow_private."
    )
    secret: Secrets = setting(
        (), "Signs deliveries: whsec_ and the base64 of 24 to 64 bytes, or another text of 16 characters or more."
    )
    secrets: Secrets = setting((), "Instead of secret, while it is changed: [newest, older]. Each signs.")
    allow_private: bool = setting(False, "May lie on this machine or in a private network.")
    template: Literal["standard", "json", "slack"] = setting("standard", "Form of the body: standard, json or slack.")
    timeout: Duration = setting("15s", "A delivery not answered by then is tried again.", gt=0, le=300)
    max_concurrency: int = setting(4, "Deliveries in flight at once.", ge=1, le=100)

    @model_validator(mode="after")
    def _safe(self) -> "WebhookConfig":
        refuse([*self._secret_mistakes(), *self._target_mistakes()])
        return self

    def _secret_mistakes(self) -> list[Mistake]:
        if self.secret and self.secrets:
            return [("secrets", "secret and secrets are both set; put all of them into secrets, newest first")]
        if not self.secret and not self.secrets and self.template != "slack":
            return [("secret", "a webhook needs a secret, by which its receiver knows who sent an event")]
        return []

    def _target_mistakes(self) -> list[Mistake]:
        mistake = "" if self.allow_private else unsafe_target(self._parts)
        return [("url", mistake)] if mistake else []

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self._parts.hostname or ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may be shown of the URL."""
        return f"{self._parts.scheme}://{self._parts.netloc}"

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """In the clear, newest first. None for Slack, which verifies nothing, unless one is set."""
        return tuple(secret.get_secret_value() for secret in self.secret or self.secrets)


def unsafe_target(parts: SplitResult) -> str:
    """Why nothing is sent to a URL unless that is allowed, in words that name the setting; empty if it is safe."""
    host = parts.hostname or ""
    if _is_private(host):
        return f"{shown(host)} is of this machine or a private network; set allow_private: true"
    # What a team spends on what is not for everyone on the way to read, and who can write there can withhold it.
    if parts.scheme == "http":
        return "is not encrypted; use https://, or set allow_private: true inside a private network"
    return ""


def _is_private(host: str) -> bool:
    """Whether a host is, by its very text, on this machine or in a network that is not public."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global

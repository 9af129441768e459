"""Where webhooks go: what the configuration says of one endpoint."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from collector.config import Config
from collector.errors import ConfigError
from collector.webhooks.signing import signers

STANDARD, JSON, SLACK = "standard", "json", "slack"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. The URL is a secret as well: that of a chat's incoming webhook holds its token.

    `secrets` all sign (two during a rotation); `timeout` is seconds for one attempt, from the name's lookup to the
    answer's end; `max_concurrency` bounds the attempts under way.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    allow_private: bool = False
    template: str = STANDARD
    timeout: float = 15.0
    max_concurrency: int = 4

    @property
    def address(self) -> str:
        """The URL as people may see it: without path, query and user."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def fingerprint(self) -> str:
        """What changes when the endpoint becomes another, and gives nothing away."""
        identity = "\n".join((self.url, self.template, str(self.allow_private)))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]


def endpoints(config: Config) -> dict[str, Endpoint]:
    """The endpoints of a configuration, by name. Raises ConfigError for a secret that cannot sign."""
    return {name: _endpoint(name, config) for name in config.webhooks}


def _endpoint(name: str, config: Config) -> Endpoint:
    webhook = config.webhooks[name]
    secrets = webhook.signing_secrets
    for secret in secrets:
        try:
            signers(secret)
        except ValueError as error:
            raise ConfigError(f"webhooks.{name}: {error}.") from None
    return Endpoint(
        name=name,
        url=webhook.url,
        secrets=secrets,
        allow_private=webhook.allow_private,
        template=webhook.template,
        timeout=webhook.timeout,
        max_concurrency=webhook.max_concurrency,
    )

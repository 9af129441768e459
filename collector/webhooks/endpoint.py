"""Where webhooks go: what the configuration says of one endpoint."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
        said = "\n".join((self.url, self.template, str(self.allow_private)))
        return hashlib.sha256(said.encode()).hexdigest()[:32]

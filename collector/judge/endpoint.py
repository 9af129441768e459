"""Where a judge's model is asked, and with which key."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from collector.errors import ConfigError
from collector.judge.dialects import DIALECTS, Dialect


@dataclass(frozen=True, slots=True)
class JudgeEndpoint:
    """A model server. The key is read from the environment at each call and kept nowhere.

    `provider` is whose prices count; empty: as the dialect has it.
    """

    name: str
    dialect_name: str
    base_url: str
    key_env: str = ""
    provider_name: str = ""
    allow_private: bool = False
    concurrency: int = 4

    @property
    def dialect(self) -> Dialect:
        """The shape of its requests."""
        return DIALECTS[self.dialect_name]

    @property
    def provider(self) -> str:
        """By whose prices its answers are priced."""
        return self.provider_name or self.dialect.provider

    @property
    def url(self) -> str:
        """Where is posted to."""
        return self.base_url.rstrip("/") + self.dialect.path()

    @property
    def address(self) -> str:
        """For people: without path, user or password."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")

    def key(self) -> str:
        """The key; empty when none is asked for. Raises ConfigError when its variable is not set."""
        if not self.key_env:
            return ""
        key = os.environ.get(self.key_env, "")
        if not key:
            raise ConfigError(f"The judge {self.name!r} takes its key from {self.key_env}, which is not set.")
        return key

"""Settings of who may send and read, and what is refused at the door."""

from pydantic import ByteSize

from collector.config.settings import Duration, Section, setting
from collector.model.principal import Scope


class TokenConfig(Section):
    name: str = setting(..., "Who holds the token; shown in logs instead of it.", min_length=1)
    sha256: str = setting(
        ..., "Hex SHA-256 of the token, as `spanmeter token mint` prints it.", pattern="^[0-9a-f]{64}$"
    )
    project: str = setting("default", "Project the token writes to and reads from.", min_length=1, max_length=200)
    scopes: tuple[Scope, ...] = setting(("traces:write",), "What the token may do.")


class AuthConfig(Section):
    allow_anonymous: bool = setting(False, "Take requests without a token on addresses other than loopback.")
    tokens: tuple[TokenConfig, ...] = setting((), "Accepted tokens; with any set, every request needs one.")


class LimitsConfig(Section):
    max_in_flight_bytes: ByteSize = setting(
        "256MiB",
        "Request bytes held in memory at once, all clients; an eighth more for those who have shown no token yet.",
        ge=1024,
    )
    max_request_items: int = setting(50_000, "Spans, log records or data points that one request may have.", ge=1)
    max_request_elements: int = setting(
        1_000_000,
        "Spans, events, links, attributes, values and the like that one request may have, all together.",
        ge=1,
    )


class DedupeConfig(Section):
    window: Duration = setting("10m", "Answer a byte-identical retry from memory for this long; 0s turns it off.")
    max_entries: int = setting(50_000, "Most payload digests remembered.", ge=1)

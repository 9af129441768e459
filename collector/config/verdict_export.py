"""Settings of verdicts that go out by OTLP."""

from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import model_validator

from collector.config.settings import Duration, Section, refuse, setting, shown
from collector.config.webhooks import is_private

HEADERS_ENV: Final = "OTEL_EXPORTER_OTLP_HEADERS"


class VerdictExportConfig(Section):
    endpoint: str = setting(
        "", "OTLP/HTTP endpoint that receives verdicts as log records: https://collector:4318; `/v1/logs` is added."
    )
    headers_env: str = setting(
        HEADERS_ENV, "Environment variable with the headers of requests: key=value,key2=value2, percent-encoded."
    )
    compression: Literal["gzip", "none"] = setting("gzip", "Of requests.")
    timeout: Duration = setting("10s", "A request not answered by then is sent again.", gt=0, le=300)
    allow_private: bool = setting(False, "May lie on this machine or in a private network, and be sent to without TLS.")
    projects: tuple[str, ...] = setting((), "Only verdicts of these projects; all without any.")

    @model_validator(mode="after")
    def _safe(self) -> "VerdictExportConfig":
        if self.endpoint:
            refuse([("endpoint", mistake) for mistake in self._mistakes()][:1])
        return self

    def _mistakes(self) -> list[str]:
        try:
            parts = urlsplit(self.endpoint)
            port = parts.port
        except ValueError:
            return ["is not a URL: its host or port cannot be read"]
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not self.endpoint.isascii():
            return ["is not a URL of the form https://host:4318"]
        found: list[str] = []
        if "@" in parts.netloc or parts.query or parts.fragment:
            found.append(
                f"has a user, a query or a fragment; headers are taken from {self.headers_env or 'headers_env'}"
            )
        if not self.allow_private and is_private(parts.hostname):
            found.append(f"{shown(parts.hostname)} is of this machine or a private network; set allow_private: true")
        if not self.allow_private and parts.scheme == "http":
            found.append("is not encrypted; use https://, or set allow_private: true inside a private network")
        return found

    @property
    def url(self) -> str:
        """Where log records are posted to; empty when none go out."""
        base = self.endpoint.rstrip("/")
        return base if not base or base.endswith("/v1/logs") else f"{base}/v1/logs"

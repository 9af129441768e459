"""Settings of verdicts that go out by OTLP."""

from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import model_validator

from collector.config.settings import Duration, Section, refuse, setting
from collector.config.webhooks import unsafe_target

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
        if self.endpoint and (mistake := self._mistake()):
            refuse([("endpoint", mistake)])
        return self

    def _mistake(self) -> str:
        """The first one; empty without any."""
        try:
            parts = urlsplit(self.endpoint)
            port = parts.port
        except ValueError:
            return "is not a URL: its host or port cannot be read"
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not self.endpoint.isascii():
            return "is not a URL of the form https://host:4318"
        if "@" in parts.netloc or parts.query or parts.fragment:
            return f"has a user, a query or a fragment; headers are taken from {self.headers_env or 'headers_env'}"
        return "" if self.allow_private else unsafe_target(parts)

    @property
    def url(self) -> str:
        """Where log records are posted to; empty when none go out."""
        base = self.endpoint.rstrip("/")
        return base if not base or base.endswith("/v1/logs") else f"{base}/v1/logs"

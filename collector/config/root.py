"""All settings together."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from collector.config.auth import AuthConfig, DedupeConfig, LimitsConfig
from collector.config.budgets import ATTRIBUTE, BudgetConfig, EnforcementConfig, LedgerConfig
from collector.config.capture import CaptureConfig
from collector.config.evals import EvalsConfig, JudgeConfig, JudgeName
from collector.config.evaluators import Evaluators
from collector.config.pricing import PricingConfig
from collector.config.query import QueryConfig
from collector.config.reads import ReadsConfig
from collector.config.receivers import ReceiversConfig, TlsConfig, max_connections
from collector.config.settings import (
    Duration,
    Endpoint,
    Mistake,
    Section,
    is_loopback,
    nearest,
    refuse,
    section,
    setting,
    shown,
    split_endpoint,
)
from collector.config.spool import SpoolConfig
from collector.config.store import StoreConfig
from collector.config.webhooks import WebhookConfig
from collector.model.leases import LEASE_ATTRIBUTE
from collector.model.purposes import EVALUATOR_ATTRIBUTE

WebhookName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


def _reached(endpoint: str, port: int, public: str | None = None) -> str:
    """Where an endpoint is reached: one on every address as `public`, else as this machine does."""
    host, configured = split_endpoint(endpoint)
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound
        host = public or "127.0.0.1"
    return f"[{host}]:{port or configured}" if ":" in host else f"{host}:{port or configured}"


class McpConfig(Section):
    enabled: bool = setting(True, "Whether agents may ask at /mcp.")
    anonymous_record: bool = setting(
        False, "Whether callers without a token may record runs there, too; those with one may as its scopes say."
    )


class WebConfig(Section):
    endpoint: Endpoint = setting(
        "127.0.0.1:8080", "host:port of the web port: pages, REST, /metrics, /healthz, /readyz."
    )
    max_connections: int = max_connections(1024)
    tls: TlsConfig = section(TlsConfig, "TLS for the web port.")
    public_url: str = setting(
        "", "Where people reach the web port, for links: https://spans.example.com; default: its endpoint."
    )

    allowed_hosts: tuple[str, ...] = setting(
        (), "Further names that browsers may know the web port by, without port; addresses and localhost are."
    )

    mcp: McpConfig = section(McpConfig, "Tools for agents: the Model Context Protocol.")

    @model_validator(mode="after")
    def _links_lead_to_a_page(self) -> "WebConfig":
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise ValueError("public_url starts with http:// or https://")
        return self

    def link(self, port: int = 0) -> str:
        """The start of links to the web port: `public_url`, else its address as this machine reaches it.

        `port` is the one that was chosen at start, where the endpoint has none.
        """
        if self.public_url:
            return self.public_url.rstrip("/")
        return f"{'https' if self.tls.enabled else 'http'}://{_reached(self.endpoint, port)}"


class TelemetryConfig(Section):
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severe log line written.")
    log_format: Literal["auto", "console", "json"] = setting("auto", "`auto` is console on a terminal, else JSON.")


class Config(Section):
    data_dir: Path | None = setting(None, "Where the spool and the embedded store live; default: the XDG data home.")
    processes: int = setting(
        1, "Processes that receive, on the same ports (Linux); one more stores. 1: one process does all.", ge=1, le=256
    )
    receivers: ReceiversConfig = section(ReceiversConfig, "What comes in.")
    auth: AuthConfig = section(AuthConfig, "Who may send and read.", reloadable=True)
    limits: LimitsConfig = section(LimitsConfig, "What is refused at the door.")
    capture: CaptureConfig = section(CaptureConfig, "What is stored of what is sent.", reloadable=True)
    dedupe: DedupeConfig = section(DedupeConfig, "Retried exports.")
    spool: SpoolConfig = section(SpoolConfig, "The durable queue on disk.")
    store: StoreConfig = section(StoreConfig, "ClickHouse.")
    pricing: PricingConfig = section(PricingConfig, "What calls cost.", reloadable=True)
    budgets: tuple[BudgetConfig, ...] = setting((), "What may be spent, on what, and when.", reloadable=True)
    enforcement: EnforcementConfig = section(EnforcementConfig, "Refusing runs.", reloadable=True)
    ledger: LedgerConfig = section(LedgerConfig, "The sums of what budgets have spent.")
    webhooks: dict[WebhookName, WebhookConfig] = setting({}, "Endpoints that receive events, by name.", reloadable=True)
    evaluators: Evaluators = setting((), "What a good run is; docs/evals.md has what can be written.", reloadable=True)
    judges: dict[JudgeName, JudgeConfig] = setting({}, "Models that judge, by name.", reloadable=True)
    evals: EvalsConfig = section(EvalsConfig, "Judging.")
    web: WebConfig = section(WebConfig, "The web port.")
    reads: ReadsConfig = section(ReadsConfig, "What one question of a page, of REST or of an export may take.")
    query: QueryConfig = section(QueryConfig, "The ClickHouse interface for BI tools.")
    telemetry: TelemetryConfig = section(TelemetryConfig, "Logs.")
    shutdown_timeout: Duration = setting("20s", "Time SIGTERM gives to requests in flight and the drain.", gt=0)

    @model_validator(mode="after")
    def _exposed_needs_auth(self) -> "Config":
        if self.auth.tokens or self.auth.allow_anonymous:
            return self
        for path, endpoint in self.endpoints().items():
            if not is_loopback(endpoint):
                raise ValueError(
                    f"{path} is {endpoint}, which other machines can reach, and no token is configured. Add one to "
                    "auth.tokens (`spanmeter token mint` makes it), bind 127.0.0.1, or set auth.allow_anonymous: true"
                )
        return self

    @model_validator(mode="after")
    def _backups_lie_apart(self) -> "Config":
        directory, backups = self.directory.resolve(), self.store.backups_in(self.directory)
        own = (directory / "store", directory / "spool")
        if backups == directory or any(backups.is_relative_to(one) for one in own):
            raise ValueError(f"store.backup_dir is {backups}, where the daemon keeps its own files; name another place")
        return self

    @model_validator(mode="after")
    def _budgets_fit(self) -> "Config":
        refuse([*self._budget_mistakes()])
        return self

    def _budget_mistakes(self) -> Iterator[Mistake]:
        first: dict[str, int] = {}
        for position, budget in enumerate(self.budgets):
            path = f"budgets.{position}"
            if first.setdefault(budget.name, position) != position:
                yield f"{path}.name", f"{shown(budget.name)} is the name of budgets.{first[budget.name]} already"
            for name in budget.webhooks:
                if name not in self.webhooks:
                    yield f"{path}.webhooks", f"{shown(name)} is not in webhooks{nearest(name, self.webhooks)}"
            if self.store.ttl and budget.max_seconds > self.store.ttl:
                days = math.ceil(budget.max_seconds / 86_400)
                sentence = (
                    f"{budget.period_name} lasts up to {days} days, and store.ttl deletes spans after "
                    f"{self.store.ttl / 86_400:g}: the ledger is rebuilt from stored spans. "
                    f"Set store.ttl to {days}d or more, or to 0s, which keeps them for ever; store.content_ttl lets "
                    "their prompts go earlier"
                )
                yield f"{path}.{'rolling' if budget.rolling else 'period'}", sentence

    @property
    def captured(self) -> CaptureConfig:
        """`capture`, with what the budgets match or divide by among what is kept."""
        dimensions = {key for budget in self.budgets for key in (*budget.match, *budget.per)}
        attributes = sorted(key.removeprefix(ATTRIBUTE) for key in dimensions if key.startswith(ATTRIBUTE))
        attributes += [EVALUATOR_ATTRIBUTE, LEASE_ATTRIBUTE] if self.judges else []
        names = ["@name"] if "agent" in dimensions else []
        return self.capture.model_copy(update={"keep": (*self.capture.keep, *attributes, *names)})

    def endpoints(self) -> dict[str, str]:
        """Every address the daemon binds, by its setting."""
        protocols = self.receivers.otlp.protocols
        endpoints = {
            "receivers.otlp.protocols.grpc.endpoint": protocols.grpc.endpoint,
            "receivers.otlp.protocols.http.endpoint": protocols.http.endpoint,
            "web.endpoint": self.web.endpoint,
        }
        return endpoints | ({"query.endpoint": self.query.endpoint} if self.serves_queries else {})

    def otlp_url(self, port: int = 0) -> str:
        """Where programs send OTLP/HTTP: the address of the port, with `port` where it was chosen at start.

        One that listens on every address is named by `web.public_url`, else as programs on this machine reach it.
        """
        http = self.receivers.otlp.protocols.http
        public = urlsplit(self.web.public_url).hostname
        return f"{'https' if http.tls.enabled else 'http'}://{_reached(http.endpoint, port, public)}"

    @property
    def serves_queries(self) -> bool:
        """Whether there is a ClickHouse interface: only in front of the embedded engine."""
        return self.query.enabled and self.store.embedded

    @property
    def directory(self) -> Path:
        """`data_dir`, or `spanmeter` under the XDG data home."""
        if self.data_dir:
            return self.data_dir.expanduser()
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "spanmeter"

"""Every setting: name, default, help, range. The only module that reads the environment or configuration files.

Keys follow the OpenTelemetry Collector where it has them. Unknown keys are errors that name the nearest known key.
"""

import difflib
import functools
import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, ValidationError, model_validator

from collector.errors import ConfigError
from collector.model.principal import Scope

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)")
_REFERENCE = re.compile(r"\$\{(env|file):([^}]*?)(?::-([^}]*))?\}")


def _seconds(value: object) -> object:
    """Read `10s`, `1h30m`, `250ms`, `30d` (Go style, plus days and weeks) or a plain number of seconds."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _DURATION.sub("", text) or not text:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{value!r} is not a duration; write for example 10s, 5m, 1h30m or 30d") from None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(text))


# A hundred years is for ever, and fits every timer and ClickHouse interval.
Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=100 * 365 * 86400, allow_inf_nan=False)]

# YAML 1.1 reads a bare `off` as false.
Fsync = Annotated[
    Literal["always", "interval", "off"], BeforeValidator(lambda value: "off" if value is False else value)
]


def _endpoint(value: object) -> object:
    if isinstance(value, str):
        split_endpoint(value)
    return value


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """`host:port` as its parts; IPv6 hosts in brackets. Raises ValueError with a sentence."""
    host, colon, port = endpoint.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{endpoint!r} is not host:port, for example 127.0.0.1:4317 or [::1]:4317")
    return host.strip("[]"), int(port)


@functools.cache
def schema_root() -> Path:
    """The folder `schema/`: inside an installed wheel, or beside the package in a checkout."""
    packaged = Path(__file__).parent / "_schema"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "schema"


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach `endpoint`."""
    host, _ = split_endpoint(endpoint)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Endpoint = Annotated[str, BeforeValidator(_endpoint)]

# The Collector takes one path where spanmeter takes a list.
Paths = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Section(BaseModel):
    """A group of settings. Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, values: Any) -> Any:
        """A section that is named and left empty (`auth:` alone) has its defaults."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None or not _is_section(cls, key)}


def _is_section(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and field.default_factory is not None


def setting(default: Any, text: str, **limits: Any) -> Any:
    """A setting with its default as a user would write it, and the help shown in `config.example.yaml`."""
    return Field(default=default, description=text, **limits)


def section(kind: Callable[[], Any], text: str) -> Any:
    return Field(default_factory=kind, description=text)


class TlsConfig(Section):
    cert_file: Path | None = setting(None, "Server certificate chain (PEM). Set it with key_file to serve TLS.")
    key_file: Path | None = setting(None, "Private key of the certificate (PEM).")
    client_ca_file: Path | None = setting(None, "Require client certificates signed by this CA (mTLS).")

    @model_validator(mode="after")
    def _pairs(self) -> "TlsConfig":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file are set together or not at all")
        if self.client_ca_file and not self.cert_file:
            raise ValueError("client_ca_file needs cert_file and key_file")
        return self

    @property
    def enabled(self) -> bool:
        return self.cert_file is not None


class KeepaliveServerParameters(Section):
    max_connection_idle: Duration = setting("0s", "Close connections without calls after this long; 0s never does.")
    max_connection_age: Duration = setting("0s", "Close connections older than this; 0s never does.")
    max_connection_age_grace: Duration = setting("0s", "Time for calls in flight once max_connection_age has passed.")
    time: Duration = setting("2h", "Ping a silent client after this long.")
    timeout: Duration = setting("20s", "Close the connection when the ping is not answered in time.")


class KeepaliveEnforcementPolicy(Section):
    min_time: Duration = setting("10s", "Clients that ping more often than this are disconnected.")
    permit_without_stream: bool = setting(True, "Allow client pings while no call is in flight.")


class KeepaliveConfig(Section):
    server_parameters: KeepaliveServerParameters = section(KeepaliveServerParameters, "What the server does.")
    enforcement_policy: KeepaliveEnforcementPolicy = section(KeepaliveEnforcementPolicy, "What clients may do.")


class GrpcConfig(Section):
    endpoint: Endpoint = setting("127.0.0.1:4317", "host:port of OTLP/gRPC; port 0 takes a free one.")
    max_recv_msg_size_mib: int = setting(64, "Largest request in MiB, also after decompression.", ge=1, le=1024)
    max_concurrent_streams: int = setting(1024, "Calls in flight per connection.", ge=1)
    read_timeout: Duration = setting("30s", "A call whose message has not arrived by then is ended.", gt=0)
    keepalive: KeepaliveConfig = section(KeepaliveConfig, "HTTP/2 keepalive.")
    tls: TlsConfig = section(TlsConfig, "TLS for OTLP/gRPC.")


class CorsConfig(Section):
    allowed_origins: tuple[str, ...] = setting((), "Browser origins that may send; `*` matches any characters.")
    allowed_headers: tuple[str, ...] = setting((), "Request headers allowed besides the CORS-safelisted ones.")
    max_age: Duration = setting("2h", "How long browsers may cache a preflight answer.")


class HttpConfig(Section):
    endpoint: Endpoint = setting("127.0.0.1:4318", "host:port of OTLP/HTTP; port 0 takes a free one.")
    max_request_body_size: ByteSize = setting("64MiB", "Largest request body, also after decompression.", ge=1024)
    traces_url_path: Paths = setting(("/v1/traces",), "Paths for traces; also matched after any prefix.")
    metrics_url_path: Paths = setting(("/v1/metrics",), "Paths for metrics; also matched after any prefix.")
    logs_url_path: Paths = setting(("/v1/logs",), "Paths for logs; also matched after any prefix.")
    read_header_timeout: Duration = setting("10s", "Close a connection whose request head takes longer.", gt=0)
    read_timeout: Duration = setting("30s", "Refuse a request whose body takes longer.", gt=0)
    idle_timeout: Duration = setting("75s", "Close a kept-alive connection after this long without a request.", gt=0)
    cors: CorsConfig = section(CorsConfig, "Cross-origin requests from browsers.")
    tls: TlsConfig = section(TlsConfig, "TLS for OTLP/HTTP.")


class ProtocolsConfig(Section):
    grpc: GrpcConfig = section(GrpcConfig, "OTLP over gRPC.")
    http: HttpConfig = section(HttpConfig, "OTLP over HTTP, protobuf and JSON.")


class OtlpConfig(Section):
    protocols: ProtocolsConfig = section(ProtocolsConfig, "Transports.")


class ReceiversConfig(Section):
    otlp: OtlpConfig = section(OtlpConfig, "The OTLP receiver.")


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
    max_in_flight_bytes: ByteSize = setting("256MiB", "Request bytes held in memory at once, all clients.", ge=1024)


class DedupeConfig(Section):
    window: Duration = setting("10m", "Answer a byte-identical retry from memory for this long; 0s turns it off.")
    max_entries: int = setting(50_000, "Most payload digests remembered.", ge=1)


class SpoolConfig(Section):
    fsync: Fsync = setting(
        "always", "When data is forced to disk: before every answer, every fsync_interval, or never."
    )
    fsync_interval: Duration = setting("500ms", "Used by `fsync: interval`.", gt=0)
    max_bytes: ByteSize = setting("8GiB", "Refuse new data when the spool holds this much.", ge=1024)
    min_free_bytes: ByteSize = setting("256MiB", "Refuse new data when the disk has less than this free.")
    segment_max_bytes: ByteSize = setting("16MiB", "Seal a segment (one insert) at this size.", ge=1024)
    segment_max_spans: int = setting(50_000, "Seal a segment at this many spans.", ge=1)
    flush_interval: Duration = setting("1s", "Hand waiting spans to the store after this long at the latest.")
    dead_letter_max_bytes: ByteSize = setting("1GiB", "Stop draining when the dead letter holds this much.", ge=0)


class StoreConfig(Section):
    url: str = setting(
        "chdb://", "chdb:///path (embedded; `chdb://` alone means DATA_DIR/store) or http(s)://user:password@host:8123."
    )
    database: str = setting("otel", "ClickHouse database.", pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    ttl: Duration = setting("30d", "Delete spans this long after they were received; 0s keeps them for ever.")
    insert_timeout: Duration = setting("60s", "An insert or query that takes longer is retried.", gt=0)
    retry_max_interval: Duration = setting("30s", "Longest pause between attempts while the store is unavailable.")
    compression: Literal["lz4", "zstd", "none"] = setting("lz4", "How inserts to a server are compressed on the way.")
    max_memory: ByteSize = setting("1GiB", "Memory the embedded engine may use.", ge=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _known_scheme(self) -> "StoreConfig":
        if not self.url.startswith(("chdb://", "http://", "https://")):
            raise ValueError("url starts with chdb://, http:// or https://")
        return self

    @property
    def embedded(self) -> bool:
        return self.url.startswith("chdb://")


Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=24, decimal_places=18)]
Instant = date | datetime


class PriceOverride(Section):
    """A price of your own. The first of the list that matches a call and is in force prices it, before any other."""

    name: str = setting("", "Shown in PriceRef; default: the model pattern.", max_length=100)
    model: str = setting(
        ..., "Model name, prefix or regular expression (of the whole name); case does not matter.", min_length=1
    )
    match: Literal["exact", "prefix", "regex"] = setting("exact", "How `model` is compared with the model's name.")
    provider: str | None = setting(None, "Only calls to this provider; any when not set.")
    service_tier: str | None = setting(None, "Only calls in this tier: batch, flex, priority, ...; any when not set.")
    input_above: int = setting(-1, "Only requests with more input tokens than this.", ge=-1)
    effective_from: Instant | None = setting(None, "First date or time (UTC) the price holds.")
    effective_until: Instant | None = setting(None, "Date or time (UTC) from which it no longer holds.")
    input: Usd | None = setting(None, "USD per million input tokens; 0 is free. Set together with output.")
    output: Usd | None = setting(None, "USD per million output tokens.")
    cache_read: Usd | None = setting(None, "USD per million tokens read from the cache; default: input.")
    cache_write: Usd | None = setting(None, "USD per million tokens written to the cache; default: input.")
    cache_write_1h: Usd | None = setting(None, "USD per million tokens cached for an hour; default: cache_write.")
    reasoning: Usd | None = setting(None, "USD per million reasoning tokens; default: output.")
    input_audio: Usd | None = setting(None, "USD per million audio input tokens; default: input.")
    cache_audio_read: Usd | None = setting(
        None, "USD per million cached audio tokens; default: input_audio, else cache_read."
    )
    output_audio: Usd | None = setting(None, "USD per million audio output tokens; default: output.")
    per_request: Usd | None = setting(None, "USD per call.")
    per_hour: Usd | None = setting(None, "USD per hour of the call's duration.")

    @model_validator(mode="after")
    def _usable(self) -> "PriceOverride":
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output are set together; write 0 for what is free")
        parts = ("cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio")
        if self.input is None and any(getattr(self, part) is not None for part in (*parts, "cache_audio_read")):
            raise ValueError("a price for a part of the tokens needs input and output")
        if self.input is None and self.per_request is None and self.per_hour is None:
            raise ValueError("no price is set; a free model has input: 0 and output: 0")
        if self.match == "regex":
            try:
                re.compile(self.model)
            except re.error as error:
                raise ValueError(f"{self.model!r} is not a regular expression: {error}") from None
        return self


class PriceRefreshConfig(Section):
    source: str | None = setting(None, "File or https URL of newer price data, in the price library's JSON format.")
    interval: Duration = setting("1d", "Read the source again after this long.", ge=60)

    @model_validator(mode="after")
    def _no_plain_http(self) -> "PriceRefreshConfig":
        if self.source and "://" in self.source and not self.source.startswith("https://"):
            raise ValueError("source is a file or an https:// URL: prices decide about money")
        return self


class PricingConfig(Section):
    overrides: tuple[PriceOverride, ...] = setting((), "Prices of your own; they win over the library's.")
    aliases: dict[str, str] = setting(
        {}, "Model names that only you use (Azure deployments): `my-deployment: azure/gpt-4o` or `: gpt-4o`."
    )
    refresh: PriceRefreshConfig = section(PriceRefreshConfig, "Newer price data than the installed library's.")


class WebConfig(Section):
    endpoint: Endpoint = setting("127.0.0.1:8080", "host:port of the web port: REST, /metrics, /healthz, /readyz.")
    tls: TlsConfig = section(TlsConfig, "TLS for the web port.")


class TelemetryConfig(Section):
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severe log line written.")
    log_format: Literal["auto", "console", "json"] = setting("auto", "`auto` is console on a terminal, else JSON.")


class Config(Section):
    data_dir: Path | None = setting(None, "Where the spool and the embedded store live; default: the XDG data home.")
    processes: int = setting(
        1, "Processes that receive, on the same ports (Linux); one more stores. 1: one process does all.", ge=1, le=256
    )
    receivers: ReceiversConfig = section(ReceiversConfig, "What comes in.")
    auth: AuthConfig = section(AuthConfig, "Who may send and read.")
    limits: LimitsConfig = section(LimitsConfig, "What is refused at the door.")
    dedupe: DedupeConfig = section(DedupeConfig, "Retried exports.")
    spool: SpoolConfig = section(SpoolConfig, "The durable queue on disk.")
    store: StoreConfig = section(StoreConfig, "ClickHouse.")
    pricing: PricingConfig = section(PricingConfig, "What calls cost.")
    web: WebConfig = section(WebConfig, "The web port.")
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

    def endpoints(self) -> dict[str, str]:
        """Every address the daemon binds, by its setting."""
        protocols = self.receivers.otlp.protocols
        return {
            "receivers.otlp.protocols.grpc.endpoint": protocols.grpc.endpoint,
            "receivers.otlp.protocols.http.endpoint": protocols.http.endpoint,
            "web.endpoint": self.web.endpoint,
        }

    @property
    def directory(self) -> Path:
        """`data_dir`, or `spanmeter` under the XDG data home."""
        if self.data_dir:
            return self.data_dir.expanduser()
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "spanmeter"


def load(path: Path | None = None, overrides: Sequence[str] = (), data_dir: Path | None = None) -> Config:
    """Read a configuration file (YAML), apply `a.b.c=value` overrides, and validate.

    Raises ConfigError with one sentence per mistake.
    """
    tree = _read(path) if path else {}
    for override in overrides:
        _apply(tree, override)
    if data_dir:
        tree["data_dir"] = str(data_dir)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        where = str(path) if path else "the settings"
        raise ConfigError(f"{where} cannot be used:\n" + "\n".join(f"  {line}" for line in _sentences(error))) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the configuration file {path}: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold settings as `key: value` lines, not a {type(tree).__name__}.")
    expanded: dict[str, Any] = _expand(tree)
    return expanded


def _expand(node: Any) -> Any:
    """Replace `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in every string."""
    if isinstance(node, dict):
        return {key: _expand(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand(value) for value in node]
    return _REFERENCE.sub(_resolve, node) if isinstance(node, str) else node


def _resolve(match: re.Match[str]) -> str:
    kind, name, default = match.groups()
    if kind == "env":
        value = os.environ.get(name, default)
        if value is None:
            raise ConfigError(f"The configuration refers to {match[0]}, but the variable {name} is not set.")
        return value
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration refers to {match[0]}, which cannot be read: {error}.") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, for example web.endpoint=127.0.0.1:0, not {override!r}.")
    *parents, leaf = key.split(".")
    node = tree
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {key}: {name} is a single setting and has nothing below it.")
    try:
        node[leaf] = yaml.safe_load(text)
    except yaml.YAMLError:
        node[leaf] = text  # `[::1]:4317` begins like a YAML list


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{path}: unknown setting{_nearest(problem['loc'])}"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{path}: {message}" if path else message


def _nearest(location: tuple[int | str, ...]) -> str:
    known = _fields_at(Config, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings model inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType):
        return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
    return None


def render_example(model: type[BaseModel] = Config, indent: int = 0) -> str:
    """The text of `config.example.yaml`: every setting with its default and its help."""
    pad = "  " * indent
    lines: list[str] = []
    for name, field in model.model_fields.items():
        lines.append(f"{pad}# {field.description}")
        inner = _model_in(field.annotation)
        if inner and field.default_factory:
            lines += [f"{pad}{name}:", render_example(inner, indent + 1).rstrip("\n")]
        elif inner:
            lines += [f"{pad}{name}: []", *_commented_item(inner, pad)]
        else:
            lines.append(f"{pad}{name}: {_yaml(field.default)}")
    return "\n".join(lines) + "\n"


def _commented_item(model: type[BaseModel], pad: str) -> Iterator[str]:
    for position, (name, field) in enumerate(model.model_fields.items()):
        bullet = "- " if position == 0 else "  "
        value = "" if field.is_required() else f" {_yaml(field.default)}"
        yield f"{pad}#  {bullet}{name}:{value}  # {field.description}"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("...").strip()

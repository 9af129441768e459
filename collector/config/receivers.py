"""Settings of what comes in: OTLP over gRPC and HTTP."""

from pathlib import Path
from typing import Any

from pydantic import ByteSize, model_validator

from collector.config.settings import Duration, Endpoint, Paths, Section, section, setting


def max_connections(default: int) -> Any:
    """The setting of one port."""
    text = (
        "Connections at once, in each process; more are closed, on OTLP ports idle ones first. "
        "A quarter of the files it may open is the most."
    )
    return setting(default, text, ge=1)


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
    max_connections: int = max_connections(4096)
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
    max_connections: int = max_connections(4096)
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

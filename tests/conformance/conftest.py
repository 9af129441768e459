"""Daemons shared by the whole session: an open one, one with tokens, and one with tight limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running
from tests.support.tokens import ALL_TOKENS, WRITER, token_config


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """No tokens, and default settings but for a patience that nobody takes for the end of what is at fault."""
    patience = "receivers.otlp.protocols.http.read_header_timeout=75s"
    with running(tmp_path_factory.mktemp("open"), [patience]) as started:
        yield started


@pytest.fixture(scope="session")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Short timeouts, small requests, browsers allowed."""
    http = "receivers.otlp.protocols.http"
    settings = [
        f"{http}.read_header_timeout=1s",
        f"{http}.read_timeout=1s",
        f"{http}.idle_timeout=2s",
        f"{http}.max_request_body_size=1MiB",
        f"{http}.cors.allowed_origins=['https://*.example.com', 'http://localhost:3000']",
        f"{http}.cors.allowed_headers=[x-custom]",
        "receivers.otlp.protocols.grpc.max_recv_msg_size_mib=1",
        "receivers.otlp.protocols.grpc.read_timeout=1s",
    ]
    with running(tmp_path_factory.mktemp("tight"), settings) as started:
        yield started


@pytest.fixture(scope="session")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(token_config(*ALL_TOKENS))
    return path


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, token_file: Path) -> Iterator[Daemon]:
    """Every request needs a token of `token_file`."""
    with running(tmp_path_factory.mktemp("guarded"), config=token_file, token=WRITER) as started:
        yield started

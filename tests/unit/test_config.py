"""Settings: what a user may write, and the sentence for what cannot be used."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.config import Config, WebConfig, load, render_example, split_endpoint
from collector.errors import ConfigError

DIGEST = "0123456789abcdef" * 4
EXPOSED = "which other machines can reach, and no token is configured"


def refusal(*overrides: str, text: str | None = None, tmp_path: Path | None = None) -> str:
    path = None
    if text is not None:
        assert tmp_path
        path = tmp_path / "config.yaml"
        path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path, overrides)
    return str(refused.value)


def loaded(tmp_path: Path, text: str, *overrides: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path, overrides)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("spool.max_byte=1", "spool.max_byte: unknown setting; did you mean max_bytes?"),
        ("spol.max_bytes=1", "spol: unknown setting; did you mean spool?"),
        ("receivers.otlp.protocols.grpc.endpont=x", "grpc.endpont: unknown setting; did you mean endpoint?"),
        ("receivers.otlp.protocols.gprc.endpoint=x", "protocols.gprc: unknown setting; did you mean grpc?"),
        (
            "web.zzz=1",
            "web.zzz: unknown setting; known here: allowed_hosts, endpoint, max_connections, mcp, public_url, tls",
        ),
        (
            f"auth.tokens=[{{name: a, sha256: {DIGEST}, scope: [admin]}}]",
            "auth.tokens.0.scope: unknown setting; did you mean scopes?",
        ),
        ("web.endpoint=127.0.0.1", "web.endpoint: '127.0.0.1' is not host:port, for example 127.0.0.1:4317"),
        ("web.endpoint=127.0.0.1:99999", "web.endpoint: '127.0.0.1:99999' is not host:port"),
        ("web.endpoint=0.0.0.0:80", f"web.endpoint is 0.0.0.0:80, {EXPOSED}"),
        (
            "receivers.otlp.protocols.grpc.endpoint=10.0.0.1:1",
            f"receivers.otlp.protocols.grpc.endpoint is 10.0.0.1:1, {EXPOSED}",
        ),
        (
            "receivers.otlp.protocols.http.endpoint=host:1",
            f"receivers.otlp.protocols.http.endpoint is host:1, {EXPOSED}",
        ),
        ("dedupe.window=10x", "dedupe.window: '10x' is not a duration; write for example 10s, 5m, 1h30m or 30d"),
        ("dedupe.window=-5", "dedupe.window: Input should be greater than or equal to 0"),
        ("spool.max_bytes=1 furlong", "spool.max_bytes: could not interpret byte unit: furlong"),
        ("spool.max_bytes=5", "spool.max_bytes: Input should be greater than or equal to 1024"),
        ("spool.fsync=sometimes", "spool.fsync: Input should be 'always', 'interval' or 'off'"),
        ("web.public_url=spans.example.com", "web: public_url starts with http:// or https://"),
        ("store.url=mysql://x", "store: url starts with chdb://, http:// or https://"),
        ("store.url=http://user:pa/ss@host:8123", "store: url names no server"),
        ("store.url=http://user:p@ss/w@host:8123", "store: url names no server"),
        ("store.url=http://user:p#w@host:8123", "store: url names no server"),
        ("store.url=http://host:port", "store: url names no server"),
        ("store.url=http://", "store: url names no server"),
        ("store.backup_dir=backups", "store: backup_dir is an absolute path"),
        ("store.backup_dir=~/backups", "store: backup_dir is an absolute path"),
        (
            "receivers.otlp.protocols.http.tls.cert_file=x",
            "http.tls: cert_file and key_file are set together or not at all",
        ),
        ("receivers.otlp.protocols.grpc.tls.client_ca_file=x", "grpc.tls: client_ca_file needs cert_file and key_file"),
        ("auth.tokens=[{name: a, sha256: token}]", "auth.tokens.0.sha256: String should match pattern"),
        ("auth.tokens=[{name: a}]", "auth.tokens.0.sha256: Field required"),
        (
            f"auth.tokens=[{{name: a, sha256: {DIGEST}, scopes: [traces]}}]",
            "auth.tokens.0.scopes.0: Input should be 'traces:write'",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(override: str, sentence: str) -> None:
    found = refusal(override)
    assert found.startswith("the settings cannot be used:\n  ")
    assert sentence in found


def test_every_mistake_gets_its_line_and_the_file_is_named(tmp_path: Path) -> None:
    found = refusal(text="spool:\n  max_byte: 1\nweb:\n  endpoint: x\n", tmp_path=tmp_path)
    first, *lines = found.splitlines()
    assert first == f"{tmp_path / 'config.yaml'} cannot be used:"
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("web.endpoint", "--set takes key=value, for example web.endpoint=127.0.0.1:0, not 'web.endpoint'."),
        ("=1", "--set takes key=value"),
        ("web.endpoint={", "the settings cannot be used:\n  web.endpoint: '{' is not host:port"),
        ("store.ttl=inf", "the settings cannot be used:\n  store.ttl: "),
    ],
)
def test_overrides_that_are_none(override: str, sentence: str) -> None:
    assert refusal(override).startswith(sentence)


def test_an_override_below_a_single_setting() -> None:
    found = refusal("web.endpoint=127.0.0.1:0", "web.endpoint.port=1")
    assert found == "--set web.endpoint.port: endpoint is a single setting and has nothing below it."


def test_overrides_win_over_the_file_and_the_last_over_the_first(tmp_path: Path) -> None:
    config = loaded(tmp_path, "dedupe:\n  window: 1m\n  max_entries: 7\n", "dedupe.window=2m", "dedupe.window=3m")
    assert (config.dedupe.window, config.dedupe.max_entries) == (180, 7)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("10s", 10),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("1.5m", 90),
        ("0s", 0),
        ("45", 45),
        ("0.5", 0.5),
        ("500us", 0.0005),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert load(None, [f"dedupe.window={written}"]).dedupe.window == pytest.approx(seconds)
    assert load(None, [f"dedupe.window='{written}'"]).dedupe.window == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("written", "size"), [("1024", 1024), ("64MiB", 64 * 2**20), ("1 GiB", 2**30), ("5MB", 5 * 10**6), ("2kib", 2048)]
)
def test_sizes(written: str, size: int) -> None:
    assert load(None, [f"spool.max_bytes={written}"]).spool.max_bytes == size


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [("127.0.0.1:4317", ("127.0.0.1", 4317)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_endpoints(endpoint: str, parts: tuple[str, int]) -> None:
    assert split_endpoint(endpoint) == parts
    assert load(None, [f"web.endpoint='{endpoint}'"]).web.endpoint == endpoint


@pytest.mark.parametrize("endpoint", ["", ":80", "host", "host:", "host:-1", "host:65536", "host:x", "host:\u0665"])
def test_what_is_no_endpoint(endpoint: str) -> None:
    if endpoint == "host:\u0665":  # a digit, but not one of ours
        assert split_endpoint(endpoint) == ("host", 5)
        return
    with pytest.raises(ValueError, match="is not host:port"):
        split_endpoint(endpoint)


def test_an_exposed_bind_needs_a_token_or_a_decision() -> None:
    exposed = "web.endpoint=0.0.0.0:0"
    assert EXPOSED in refusal(exposed)
    assert load(None, [exposed, "auth.allow_anonymous=true"]).auth.allow_anonymous
    token = f"auth.tokens=[{{name: a, sha256: {DIGEST}}}]"
    (found,) = load(None, [exposed, token]).auth.tokens
    assert (found.project, found.scopes) == ("default", ("traces:write",))


def test_references_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OF_TEST", "1234")
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    config = loaded(
        tmp_path,
        "web:\n  endpoint: 127.0.0.1:${env:PORT_OF_TEST}\nstore:\n  database: ${env:NOT_SET_HERE:-spans}\n"
        "receivers: {otlp: {protocols: {http: {cors: {allowed_origins: ['${env:NOT_SET_HERE:-}x']}}}}}\n",
    )
    assert config.web.endpoint == "127.0.0.1:1234"
    assert config.store.database == "spans"
    assert config.receivers.otlp.protocols.http.cors.allowed_origins == ("x",)
    assert load(None, ["store.database=of_${env:PORT_OF_TEST}"]).store.database == "of_1234"
    assert refusal("store.database=${env:NOT_SET_HERE}").endswith("the variable NOT_SET_HERE is not set.")
    found = refusal(text="store: {url: '${env:NOT_SET_HERE}'}", tmp_path=tmp_path)
    assert found == "The configuration refers to ${env:NOT_SET_HERE}, but the variable NOT_SET_HERE is not set."


@pytest.mark.parametrize("place", ["", "store", "spool/backups"])
def test_backups_are_not_put_among_the_files_they_are_of(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="where the daemon keeps its own files"):
        load(None, [f"store.backup_dir={tmp_path / place}"], tmp_path)
    config = load(None, [f"store.backup_dir={tmp_path / 'backups'}"], tmp_path)
    assert config.store.backups_in(config.directory) == tmp_path / "backups"


def test_references_to_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("http://user:pa:ss@host:8123\n")
    assert loaded(tmp_path, f"store: {{url: '${{file:{secret}}}'}}").store.url == "http://user:pa:ss@host:8123"
    found = refusal(text=f"store: {{url: '${{file:{tmp_path}/none}}'}}", tmp_path=tmp_path)
    assert found.startswith(f"The configuration refers to ${{file:{tmp_path}/none}}, which cannot be read: ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n", "must hold settings as `key: value` lines, not a list."),
        ("a: [", "is not YAML"),
        ("\xff", "must hold settings"),
    ],
)
def test_files_that_hold_no_settings(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refusal(text=text, tmp_path=tmp_path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read the configuration file"):
        load(tmp_path / "none.yaml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == load() == Config()


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().web.endpoint = "127.0.0.1:1"


def test_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load().directory == tmp_path / "spanmeter"
    assert load(data_dir=tmp_path / "x").directory == tmp_path / "x"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load().directory == tmp_path / ".local/share/spanmeter"
    assert load(None, ["data_dir=~/here"]).directory == tmp_path / "here"


def test_the_example_is_the_defaults() -> None:
    document: dict[str, Any] = yaml.safe_load(render_example())
    assert Config.model_validate(document) == Config()


def test_check_config_prints_the_example_and_judges_a_file(tmp_path: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "collector", "check-config", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run("--example").stdout == render_example()
    wrong = run("--set", "web.endpoit=x", "--data-dir", str(tmp_path))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean endpoint?" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    right = run("--data-dir", str(tmp_path / "data"))
    assert right.returncode == 0
    assert str(tmp_path / "data") in right.stdout
    assert not (tmp_path / "data").exists()


def test_values_that_yaml_reads_otherwise() -> None:
    config = load(None, ["spool.fsync=off", "web.endpoint=[::1]:8080", "auth="])
    assert (config.spool.fsync, config.web.endpoint, config.auth.tokens) == ("off", "[::1]:8080", ())


@pytest.mark.parametrize(
    ("web", "port", "link"),
    [
        ({"endpoint": "127.0.0.1:8080"}, 8080, "http://127.0.0.1:8080"),
        ({"endpoint": "127.0.0.1:0"}, 41234, "http://127.0.0.1:41234"),
        ({"endpoint": "0.0.0.0:8080"}, 8080, "http://127.0.0.1:8080"),
        ({"endpoint": "[::]:0"}, 41234, "http://127.0.0.1:41234"),
        ({"endpoint": "[::1]:8080"}, 0, "http://[::1]:8080"),
        ({"endpoint": "127.0.0.1:0", "public_url": "https://spans.example.com/"}, 41234, "https://spans.example.com"),
    ],
)
def test_links_lead_to_a_port_that_is_open(web: dict[str, str], port: int, link: str) -> None:
    assert WebConfig.model_validate(web).link(port) == link

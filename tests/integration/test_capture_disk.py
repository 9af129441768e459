"""Nothing that a policy or a rule withholds is in any file of the data directory or the log, compressed or not."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.support import planted
from tests.support.daemon import Daemon
from tests.support.engine import migrated_store
from tests.support.mcp import asking, raw
from tests.support.otlp import json_of
from tests.support.waiting import wait_until
from tests.support.wire import JSON, PROTOBUF, post, succeeded

SETTINGS = {
    "spool": {"flush_interval": "1s"},
    "capture": {
        "policies": [{"service": "metadata", "policy": "metadata"}, {"service": "off", "policy": "off"}],
        "redact": [
            {"builtin": "email", "action": "hash"},
            {"builtin": "api_keys"},
            {"builtin": "bearer_tokens"},
            {"builtin": "card_numbers"},
        ],
        "hash_key": "a secret of this test",
    },
    "telemetry": {"log_level": "debug"},
    "web": {"mcp": {"anonymous_record": True}},
}
# So that spans of this name end in the dead letter.
REFUSE_POISON = """
import sys
from pathlib import Path
from collector.config import StoreConfig
from collector.store import open_store
store = open_store(StoreConfig(), Path(sys.argv[1]))
store.command("ALTER TABLE otel.otel_traces ADD CONSTRAINT no_poison CHECK SpanName != 'poison'")
store.close()
"""
# Every table with every column, as text.
DUMP = """
import sys
from pathlib import Path
from collector.config import StoreConfig
from collector.store import open_store
store = open_store(StoreConfig(), Path(sys.argv[1]))
tables = store.query("SELECT name FROM system.tables WHERE database = 'otel' AND engine LIKE '%MergeTree%'", {})
for table in tables.column("name").to_pylist():
    print(table, store.query(f"SELECT * FROM {table}", {}).to_pylist())
store.close()
"""


def known(kinds: str) -> tuple[planted.Secret, list[str]]:
    """Secrets that the built-in rules know, one kind after the other."""
    found: list[str] = []
    numbers = itertools.count(1)

    def secret() -> str:
        number = next(numbers)
        texts = {
            "e": f"jane.doe{number}@mail{kinds}.example.com",
            "k": f"sk-ant-{kinds}{number:04}abcdefghijklmnop",
            "b": f"Bearer {kinds}{number:04}.abcdefghijklmnop",
            "c": card(number),
        }
        text = texts["ekbc"[number % 4]]
        found.append(text.removeprefix("Bearer "))
        return text

    return secret, found


def card(number: int) -> str:
    """A number of 16 digits with its check digit."""
    digits = [int(digit) for digit in f"4{number:014}"]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[::-2])
    return "".join(map(str, digits)) + str(-(sum(digits[-2::-2]) + sum(doubled)) % 10)


class Sent:
    """A daemon that was sent secrets of every service, and what is on its disk."""

    def __init__(self, directory: Path) -> None:
        config = directory / "config.yaml"
        config.write_text(yaml.safe_dump(SETTINGS))
        self.directory = directory / "data"
        self.daemon = Daemon(self.directory, config=config)
        self.planted: dict[str, list[str]] = {}
        self.spooled = b""
        self.stored = b""

    def send(self) -> None:
        migrated_store(self.directory / "store")
        subprocess.run([sys.executable, "-c", REFUSE_POISON, self.directory], capture_output=True, check=True)
        self.daemon.start()
        self.daemon.wait_until_ready()
        for service in ("open", "metadata", "off", "rules"):
            secret, found = known("Zq") if service == "rules" else planted.numbered(service)
            for signal in ("traces", "logs", "metrics"):
                message = getattr(planted, signal)(secret, service)
                path, port = f"/v1/{signal}", self.daemon.ports["http"]
                succeeded(post(port, message.SerializeToString(), PROTOBUF, path=path))
                again = getattr(planted, signal)(secret, service)
                again.DiscardUnknownFields()
                succeeded(post(port, json_of(again), JSON, path=path), JSON)
            with grpc.insecure_channel(self.daemon.grpc) as channel:
                TraceServiceStub(channel).Export(planted.traces(secret, service), timeout=20)
            self.planted[service] = found
        for service in ("metadata", "rules"):
            self._poison(service)
        self._refused()
        self.spooled = self._files()
        wait_until(lambda: self.daemon.metric("spanmeter_drain_stored_spans_total") >= 12, 30, "the spans are stored")
        wait_until(lambda: self.daemon.metric("spanmeter_drain_stored_metric_points_total") >= 6, 30, "the points are")
        wait_until(lambda: self.daemon.metric("spanmeter_dead_letter_entries") >= 2, 30, "poison is set aside")
        assert self.daemon.stop() == 0, self.daemon.log()
        dump = subprocess.run([sys.executable, "-c", DUMP, self.directory], capture_output=True, check=True)
        self.stored = self._files() + dump.stdout

    def _poison(self, service: str) -> None:
        """What the store refuses, with secrets."""
        secret, found = known("Pz") if service == "rules" else planted.numbered(f"{service}-poison")
        message = planted.traces(secret, service)
        message.resource_spans[0].scope_spans[0].spans[0].name = "poison"
        succeeded(post(self.daemon.ports["http"], message.SerializeToString(), PROTOBUF))
        self.planted[service] += found

    def _refused(self) -> None:
        """What is no request, with secrets: of whatever service it would have been."""
        secret, found = planted.numbered("refused")
        port = self.daemon.ports["http"]
        whole = planted.traces(secret, "metadata").SerializeToString()
        for body in (whole[:-7], whole.replace(b"chat gpt-4o", b"chat \xff\xfe\xfd4o"), b"\xff" + secret().encode()):
            post(port, body, PROTOBUF)
        text = json.dumps(json_of(planted.traces(secret, "metadata"))).encode()
        for old, new in (
            (b'"traceId"', b'"traceId":"' + secret().encode() + b'","x"'),
            (b"}", b"}}"),
            (b'"1000"', b'"a"'),
        ):
            assert old in text
            post(port, text.replace(old, new, 1), JSON)
        for span in (
            {"startTimeUnixNano": secret()}, {"kind": secret()}, {"attributes": secret()}, {"name": {"a": secret()}},
            {"attributes": [{"key": "a", "value": {"intValue": secret()}}]},
            {"attributes": [{"key": "a", "value": {"bytesValue": secret() + "!"}}]},
            {"status": {"code": secret()}}, {"spanId": secret()},
        ):  # fmt: skip
            post(port, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(), JSON)
        post(port, whole, "text/plain")
        post(port, whole, PROTOBUF, path=f"/v1/{secret()}")
        post(self.daemon.ports["web"], whole, PROTOBUF)
        for arguments in ({"name": 1, "input": secret()}, {"name": "n", secret(): 1}, {"name": "n", "steps": secret()}):
            call = asking("tools/call", name="record_run", arguments=arguments)
            raw(self.daemon.web, call)
        raw(self.daemon.web, secret().encode())
        self.planted["refused"] = found

    def _files(self) -> bytes:
        return planted.on_disk(self.directory) + self.daemon.log().encode()


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    found = Sent(tmp_path_factory.mktemp("capture-disk"))
    try:
        found.send()
        yield found
    finally:
        found.daemon.kill()


def seen(secrets: list[str], disk: bytes) -> list[str]:
    return [one for one in secrets if one.encode() in disk]


@pytest.mark.parametrize(
    ("service", "least"), [("metadata", 40 * 3), ("off", 40 * 2), ("rules", 40 * 3), ("refused", 80)]
)
def test_no_secret_reaches_the_disk(sent: Sent, service: str, least: int) -> None:
    secrets = sent.planted[service]
    assert len(set(secrets)) >= least
    assert seen(secrets, sent.spooled) == []
    assert seen(secrets, sent.stored) == []
    assert seen([one.encode().hex() for one in secrets], sent.stored) == []


def test_the_search_finds_what_is_there(sent: Sent) -> None:
    secrets = sent.planted["open"]
    hidden = [one for one in secrets if one not in seen(secrets, sent.spooled)]
    # In each request with spans one stands in escapes of JSON, and one in a field that OTLP does not have.
    assert len(hidden) == 2 * 3
    assert len(seen(secrets, sent.stored)) >= 40 * 2


def test_the_dead_letter_has_what_the_policy_left(sent: Sent) -> None:
    kept = [path.read_bytes() for path in (sent.directory / "spool" / "deadletter").glob("*.bin")]
    assert sum(b"poison" in one and b"gpt-4o" in one for one in kept) == 2


def test_rules_are_counted(sent: Sent) -> None:
    assert b"[redacted:api_keys]" in sent.stored
    assert b"[redacted:card_numbers]" in sent.stored
    assert b"[email:" in sent.stored

"""`spanmeter webhooks` as people run it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.cli import main
from collector.config import load
from collector.model.clock import SystemClock
from collector.webhooks.deliveries import Attempt
from collector.webhooks.endpoint import Endpoint, endpoints
from collector.webhooks.outbox import FILE, Outbox
from tests.support.webhooks import SECRET, Receiver, Reply, an_event, receiver

OLD = "an older secret of some length"


@pytest.fixture
def ops() -> Iterator[Receiver]:
    with receiver() as box:
        yield box


@pytest.fixture
def config(tmp_path: Path, ops: Receiver) -> Path:
    path = tmp_path / "config.yaml"
    webhook = {"url": f"{ops.url}/T0K3N", "secrets": [SECRET, OLD], "allow_private": True}
    path.write_text(json.dumps({"webhooks": {"ops": webhook}, "data_dir": str(tmp_path / "data")}))
    return path


def run(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and what was printed to either stream."""
    code = main(["webhooks", *arguments, "--config", str(config)])
    said = capsys.readouterr()
    printed = said.out + said.err
    assert SECRET not in printed
    assert OLD not in printed
    assert "T0K3N" not in printed
    return code, printed


def test_endpoints_are_what_the_configuration_says(config: Path, ops: Receiver) -> None:
    assert endpoints(load(config)) == {
        "ops": Endpoint("ops", f"{ops.url}/T0K3N", (SECRET, OLD), allow_private=True, timeout=15, max_concurrency=4)
    }


def test_a_test_is_signed_with_every_secret_and_its_answer_printed(
    capsys: pytest.CaptureFixture[str], config: Path, ops: Receiver
) -> None:
    ops.reply = lambda _request, _number: Reply(202, body=b"thank you\x1b[31m\n")
    code, printed = run(capsys, config, "test")
    assert (code, printed.split(" (")[0]) == (0, f"ops: http://127.0.0.1:{ops.port} answered 202.")
    assert "thank you" in printed
    assert "\x1b" not in printed
    (got,) = ops.received
    assert got.verify()["type"] == "webhook.test"
    assert got.is_signed_by(SECRET)
    assert got.is_signed_by(OLD.encode())
    code, printed = run(capsys, config, "list")
    assert code == 0
    assert f"ops  http://127.0.0.1:{ops.port}  standard  enabled" in printed
    assert f"{got.id}  webhook.test" in printed
    assert "to ops: delivered after 1 attempt\n" in printed


def test_a_test_that_fails_is_not_sent_again(capsys: pytest.CaptureFixture[str], config: Path, ops: Receiver) -> None:
    ops.reply = lambda _request, _number: Reply(302, {"Location": "http://127.0.0.1:1/"})
    code, printed = run(capsys, config, "test", "ops")
    assert code == 1
    assert "follow no redirect" in printed
    assert "failed after 1 attempt" in run(capsys, config, "list")[1]
    assert run(capsys, config, "replay", "--failed") == (
        0,
        "0 deliveries are queued; a running daemon takes them up within seconds.\n",
    )


def test_disabled_endpoints_are_shown_and_enabled(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    outbox = Outbox(load(config).directory / FILE, SystemClock())
    known = endpoints(load(config))
    outbox.configure(known)
    outbox.record([an_event(1), an_event(2)])
    (delivery, _) = outbox.deliveries.claim("ops", 2, 45)
    outbox.deliveries.gone(delivery, Attempt(1, 1, "gone", 410, "It answered 410 Gone."), known["ops"].fingerprint)
    printed = run(capsys, config, "list")[1]
    assert "DISABLED since" in printed
    assert "`spanmeter webhooks enable ops` sends to it again" in printed
    assert "to ops: held after 1 attempt; It answered 410 Gone.\n" in printed
    assert run(capsys, config, "enable", "ops")[0] == 0
    assert "DISABLED" not in run(capsys, config, "list")[1]
    assert outbox.overview.statistics().pending == 2
    outbox.deliveries.succeeded(delivery, Attempt(1, 1, "delivered", 200))
    assert run(capsys, config, "replay", delivery.event_id)[1].startswith("1 deliveries are queued")
    assert run(capsys, config, "replay", "--since", "2020-01-01")[1].startswith("2 deliveries are queued")
    assert run(capsys, config, "replay", "--since", "2099-01-01")[1].startswith("0 deliveries are queued")
    outbox.close()


def test_before_anything_was_sent(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert "standard  enabled" in run(capsys, config, "list")[1]
    code, printed = run(capsys, config, "replay", "--failed")
    assert code == 3
    assert "There is no webhooks.db in" in printed


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["replay"], 2, "Say what to send again: EVENT_ID, --failed or --since."),
        (["replay", "evt_no"], 1, "The outbox has no event evt_no"),
        (["replay", "--failed", "--endpoint", "op"], 2, "No webhook is named op; configured are: ops."),
        (["enable", "team"], 2, "No webhook is named team; configured are: ops."),
        (["test", "team"], 2, "No webhook is named team; configured are: ops."),
    ],
)
def test_mistakes_have_a_sentence(
    capsys: pytest.CaptureFixture[str], config: Path, arguments: list[str], code: int, sentence: str
) -> None:
    Outbox(load(config).directory / FILE, SystemClock()).close()
    actual, printed = run(capsys, config, *arguments)
    assert actual == code
    assert sentence in printed


def test_without_webhooks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"data_dir: {tmp_path}")
    assert run(capsys, path, "list") == (0, "No webhook is configured.\n")
    code, printed = run(capsys, path, "test")
    assert code == 2
    assert "No webhook is configured" in printed


def test_without_the_configuration_it_says_where_webhooks_are_told(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    run(capsys, config, "test")
    for directory in (tmp_path / "data", tmp_path / "empty"):
        assert main(["webhooks", "list", "--data-dir", str(directory)]) == 0
        assert "Name it with --config FILE." in capsys.readouterr().out
    assert main(["webhooks", "test", "ops", "--data-dir", str(tmp_path / "data")]) == 2
    assert "Name it with --config FILE." in capsys.readouterr().err

"""Backups of a running daemon and of a data directory without one, restored; and what is refused."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.backups import Backups
from collector.cli import main
from collector.config import load
from collector.errors import Unavailable
from collector.model.clock import SystemClock
from collector.model.metric_columns import MetricKind
from tests.support.backups import back_up, backups_of, restore
from tests.support.daemon import Daemon, running
from tests.support.signals import log_request, metric_request, one_of_each, record
from tests.support.spans import request
from tests.support.waiting import wait_until

BUDGETS = [{"name": "shop", "limit_usd": "1", "period": "month", "hard": True}]
KINDS = {"evaluations", "otel_logs", "otel_traces", *(f"otel_metrics_{kind}" for kind in MetricKind)}
SETTINGS = ("spool.flush_interval=100ms", f"budgets={json.dumps(BUDGETS)}")


def post(url: str, body: bytes, media_type: str) -> bytes:
    asked = urllib.request.Request(url, body, {"content-type": media_type})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return bytes(answer.read())


def export(daemon: Daemon, trace: int, spans: int = 3) -> None:
    post(f"{daemon.http}/v1/traces", request(trace, [f"span-{n}" for n in range(spans)]), "application/x-protobuf")


def lease(daemon: Daemon) -> str:
    body = json.dumps({"service": "shop", "estimate_usd": "0.01", "ttl_seconds": 3600}).encode()
    answer = json.loads(post(f"{daemon.web}/api/v1/leases", body, "application/json"))
    return str(answer["lease"]["id"])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("backups") / "data", SETTINGS) as daemon:
        export(daemon, 1)
        daemon.trace(f"{1:032x}", 3)
        yield daemon


@pytest.fixture(scope="module")
def full(source: Daemon) -> Path:
    return back_up(source, "--full")


def manifest_of(backup: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((backup / "backup.json").read_text())
    return manifest


def files_of(backup: Path) -> int:
    return sum(path.stat().st_size for path in (backup / "store").rglob("*") if path.is_file())


def test_what_is_not_in_the_store_is_in_the_backup_too(source: Daemon, tmp_path: Path) -> None:
    taken = lease(source)
    dead = source.directory / "spool" / "deadletter"
    (dead / "0001.json").write_text("{}")
    (dead / "0001.bin").write_bytes(b"bytes")
    backup = back_up(source)
    restore(backup, tmp_path / "again")
    assert (tmp_path / "again" / "spool" / "deadletter" / "0001.bin").read_bytes() == b"bytes"
    for path in dead.iterdir():
        path.unlink()
    with running(tmp_path / "again", SETTINGS) as again:
        answer = json.loads(again.get(f"/api/v1/leases/{taken}")[1])
        assert answer["lease"]["state"] == "open"
        again.trace(f"{1:032x}", 3)
        export(again, 2)
        again.trace(f"{2:032x}", 3)


def test_rows_of_every_kind_are_in_the_backup(source: Daemon, tmp_path: Path) -> None:
    for signal, message in (("logs", log_request(record("a line"))), ("metrics", metric_request(*one_of_each()))):
        post(f"{source.http}/v1/{signal}", message.SerializeToString(), "application/x-protobuf")
    verdict = {"trace_id": f"{1:032x}", "evaluator": "kind", "verdict": "pass"}
    for path, body in (("", {"evaluations": [verdict]}), ("/labels", {**verdict, "labeler": "Ada"})):
        post(f"{source.web}/api/v1/evaluations{path}", json.dumps(body).encode(), "application/json")
    wait_until(lambda: source.metric("spanmeter_spool_segments") == 0, 20, "an empty spool")
    backup = back_up(source)
    rows = {table: count for table, count in manifest_of(backup)["rows"].items() if table in KINDS}
    assert rows.keys() == KINDS
    assert rows["evaluations"] >= 2
    restored = restore(backup, tmp_path / "again")
    assert {table: restored[table] for table in KINDS} == rows


def test_a_backup_adds_to_the_one_before_and_both_can_be_moved(source: Daemon, full: Path, tmp_path: Path) -> None:
    export(source, 7)
    source.trace(f"{7:032x}", 3)
    added = back_up(source)
    assert manifest_of(added)["base"] >= full.name
    assert files_of(added) < files_of(full)
    moved = shutil.copytree(full.parent, tmp_path / "elsewhere")
    assert restore(moved / added.name, tmp_path / "again")["otel_traces"] >= 6


def test_spans_in_the_spool_are_in_the_backup(tmp_path: Path) -> None:
    """They wait there for an hour: no insert takes them before. A backup without a daemon has them, too."""
    daemon = Daemon(tmp_path / "data", "spool.flush_interval=1h")
    daemon.start()
    try:
        daemon.wait_until_ready()
        export(daemon, 3)
        backup = back_up(daemon)
    finally:
        daemon.kill()
    alone = back_up(daemon)
    assert json.loads((alone / "backup.json").read_text())["base"] == backup.name
    assert restore(alone, tmp_path / "again").get("otel_traces", 0) == 0
    with running(tmp_path / "again", ("spool.flush_interval=100ms",)) as again:
        again.trace(f"{3:032x}", 3)


def test_backups_of_another_data_directory_are_not_added_to(full: Path, tmp_path: Path) -> None:
    """Also in a directory that both use: what one of them deletes is then not missing from the other's."""
    shared = tmp_path / "shared"
    shutil.copytree(full, shared / full.name)
    restore(full, tmp_path / "again")
    command = [sys.executable, "-m", "collector", "backup", "--data-dir", str(tmp_path / "again")]
    command += ["--set", f"store.backup_dir={shared}"]
    for kind in ("full", "adds to "):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        assert f" in {shared}: {kind}" in done.stdout


def test_it_is_said_where_the_running_daemon_put_the_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path / "data", (f"store.backup_dir={tmp_path / 'elsewhere'}",)) as daemon:
        assert main(["backup", "--data-dir", str(daemon.directory)]) == 0
    (backup,) = (path for path in (tmp_path / "elsewhere").iterdir() if path.is_dir())
    assert f"{backup.name} in {tmp_path / 'elsewhere'}: full" in capsys.readouterr().out


def test_the_list(source: Daemon, full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--list", "--data-dir", str(source.directory)]) == 0
    assert f"{full.name}  " in capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main([*arguments])
    return code, capsys.readouterr().err


def test_restore_takes_an_empty_directory(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("mine")
    code, text = refusal(capsys, "restore", str(full), "--data-dir", str(tmp_path))
    assert (code, "has something in it" in text) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_what_is_no_finished_backup(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refusal(capsys, "restore", str(tmp_path), "--data-dir", str(tmp_path / "data"))
    assert (code, "is no finished backup" in text) == (3, True)
    assert not (tmp_path / "data").exists()


def rewrite(backup: Path, **changes: Any) -> None:
    manifest = json.loads((backup / "backup.json").read_text())
    (backup / "backup.json").write_text(json.dumps({**manifest, **changes}))


def edited(backup: Path, directory: Path, **changes: Any) -> Path:
    copy = shutil.copytree(backup, directory / backup.name)
    rewrite(copy, **changes)
    return copy


def test_a_backup_of_a_newer_version(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = edited(full, tmp_path, schema=9999, version="9.0")
    code, text = refusal(capsys, "restore", str(newer), "--data-dir", str(tmp_path / "data"))
    assert code == 3
    assert "spanmeter 9.0, whose database is newer (migration 9999" in text


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def part_of(backup: Path) -> Path:
    return next(path for path in sorted(backup.rglob("data.bin")) if "otel_traces" in str(path))


def without_digests(backup: Path, linked: str) -> None:
    rewrite(backup, sums="")
    (backup / "prices.json").symlink_to(linked)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a part": (lambda backup: flip(part_of(backup)), "data.bin is not as it was written"),
    "a shorter part": (lambda backup: os.truncate(part_of(backup), 1), "data.bin is not as it was written"),
    "no part": (lambda backup: part_of(backup).unlink(), "has lost its file store/data/otel/otel_traces"),
    "the outbox": (lambda backup: flip(backup / "webhooks.db"), "webhooks.db is not as it was written"),
    "the list": (lambda backup: flip(backup / "SHA256SUMS"), "SHA256SUMS is not as it was written"),
    "no list": (lambda backup: (backup / "SHA256SUMS").unlink(), "has lost its file SHA256SUMS"),
    "a file more": (lambda backup: (backup / "spool" / "x.seg").touch(), "x.seg is not of the backup"),
    "a link": (lambda backup: (backup / "spool" / "x").symlink_to("/etc/passwd"), "x is neither a file nor"),
    "a linked directory": (lambda backup: (backup / "spool" / "x").symlink_to("/etc"), "x is neither a file nor"),
    "a pipe": (lambda backup: os.mkfifo(backup / "spool" / "x"), "x is neither a file nor"),
    "a way out": (lambda backup: rewrite(backup, base="../../etc"), "names of backups are times"),
    "a name": (lambda backup: rewrite(backup, name="'x"), "names of backups are times"),
    "a circle": (lambda backup: rewrite(backup, base=backup.name), "go round in a circle"),
    "its size": (lambda backup: rewrite(backup, bytes=1 << 60), "MiB free"),
    "an older one's link": (lambda backup: without_digests(backup, "/etc/passwd"), "prices.json is neither a file nor"),
    "half a manifest": (lambda backup: os.truncate(backup / "backup.json", 40), "not as spanmeter writes it"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_changed_backup_is_not_restored(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    copy = shutil.copytree(full, tmp_path / full.name)
    damage, sentence = DAMAGE[kind]
    damage(copy)
    code, text = refusal(capsys, "restore", str(copy), "--data-dir", str(tmp_path / "data"))
    assert (code, sentence in text) == (3, True), text
    assert not (tmp_path / "data").exists()


def test_a_base_that_was_changed(
    source: Daemon, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    added = back_up(source)
    moved = shutil.copytree(full.parent, tmp_path / "elsewhere")
    flip(part_of(moved / full.name))
    code, text = refusal(capsys, "restore", str(moved / added.name), "--data-dir", str(tmp_path / "data"))
    assert (code, f"{full.name}/store" in text) == (3, True), text


def test_digests_are_as_sha256sum_has_them(full: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=full, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, b"")


def test_one_backup_at_a_time_in_a_directory(source: Daemon, full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That of another daemon, which looks like what a failed one left, stays."""
    fd = os.open(full.parent / "lock", os.O_RDWR)
    left = full.parent / "20200101T000000000Z"
    left.mkdir()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        code, text = refusal(capsys, "backup", "--data-dir", str(source.directory))
    finally:
        os.close(fd)
    assert (code, "Another backup is being made" in text) == (1, True), text
    assert left.exists()
    left.rmdir()


def test_the_directory_of_a_running_daemon(source: Daemon, full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refusal(capsys, "restore", str(full), "--data-dir", str(source.directory))
    assert (code, "has something in it" in text) == (3, True)
    source.trace(f"{1:032x}", 3)


def test_a_base_that_is_not_there(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = edited(full, tmp_path, base="20200101T000000000Z")
    code, text = refusal(capsys, "restore", str(alone), "--data-dir", str(tmp_path / "data"))
    assert (code, "20200101T000000000Z is no finished backup" in text) == (3, True)


def test_an_interrupted_restore_is_not_started_and_begins_anew(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "store" / "half").mkdir(parents=True)
    (data / "restoring").touch()
    for command in (["serve"], ["migrate"], ["backup"], ["copy", "--to", "http://127.0.0.1:9"]):
        code, text = refusal(capsys, *command, "--data-dir", str(data))
        assert (code, "was being restored" in text) == (3, True)
    assert restore(full, data)["otel_traces"] == 3
    assert not (data / "restoring").exists()
    assert not (data / "store" / "half").exists()


def made(source: Daemon, *, full: bool = False) -> dict[str, Any]:
    """What the job of a backup answers."""
    job = json.loads(post(f"{source.web}/api/v1/backups", json.dumps({"full": full}).encode(), "application/json"))
    path = f"/api/v1/jobs/{job['job']['id']}"
    wait_until(lambda: json.loads(source.get(path)[1])["job"]["finished_at"] is not None, 30, "the end of the job")
    result: dict[str, Any] = json.loads(source.get(path)[1])["job"]["result"]
    return result


BROKEN: dict[str, tuple[Callable[[Path], object], int]] = {
    "no base": (shutil.rmtree, 1),
    "half a manifest": (lambda base: os.truncate(base / "backup.json", 40), 1),
    "no part": (lambda base: part_of(base).unlink(), 0),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_nothing_adds_to_a_backup_that_cannot_be_restored(
    source: Daemon, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    base, added = (source.directory / "backups" / made(source, full=full)["name"] for full in (True, False))
    assert manifest_of(added)["base"] == base.name
    damage, code = BROKEN[kind]
    damage(base)
    try:
        again = made(source)
        assert again["base"] == ""
        assert made(source)["base"] == again["name"]
        assert main(["backup", "--list", "--data-dir", str(source.directory)]) == code
        shown = capsys.readouterr()
        assert again["name"] in shown.out
        assert (f"{added.name} cannot be restored: {base}" in shown.err) == bool(code)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(added)


def test_what_has_no_store_is_not_backed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even where the directory is there: a path that was mistyped is not a backup of nothing."""
    code, text = refusal(capsys, "backup", "--data-dir", str(tmp_path))
    assert (code, "There is no store in" in text) == (3, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_writes_nothing_into_the_directory_of_another_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "lock").touch()
    os.chown(tmp_path / "spool" / "lock", 10001, 10001)
    for command in ("backup", "migrate"):
        code, text = refusal(capsys, command, "--data-dir", str(tmp_path))
        assert (code, "runs as the user 10001" in text) == (3, True), text
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]


def test_a_backup_leaves_the_spool_its_room(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    config = load(None, ["spool.min_free_bytes=8000TiB", f"data_dir={tmp_path}"])
    with pytest.raises(Unavailable, match="Delete old backups, or name another disk"):
        Backups(config, lambda: pytest.fail("nothing is begun"), (), SystemClock()).take(lambda *_: None)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["lock"]


def test_what_a_failed_backup_left_goes(source: Daemon) -> None:
    left = source.directory / "backups" / "20200101T000000000Z"
    (left / "store").mkdir(parents=True)
    mine = source.directory / "backups" / "notes"
    mine.mkdir()
    back_up(source)
    assert not left.exists()
    assert mine.exists()
    mine.rmdir()


def test_a_cancelled_backup_leaves_nothing(source: Daemon) -> None:
    before = backups_of(source)
    job = json.loads(post(f"{source.web}/api/v1/backups", b"{}", "application/json"))["job"]
    path = f"/api/v1/jobs/{job['id']}"
    post(f"{source.web}{path}/cancel", b"{}", "application/json")
    wait_until(lambda: json.loads(source.get(path)[1])["job"]["finished_at"] is not None, 30, "the end of the job")
    state = json.loads(source.get(path)[1])["job"]["state"]
    assert (state, len(backups_of(source)) - len(before)) in {("cancelled", 0), ("succeeded", 1)}


def test_a_server_is_backed_up_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--set", "store.url=http://127.0.0.1:9", "--data-dir", str(tmp_path)]
    code, text = refusal(capsys, "backup", *server)
    assert (code, "back it up there" in text) == (1, True)
    code, text = refusal(capsys, "restore", str(tmp_path), *server)
    assert code == 3

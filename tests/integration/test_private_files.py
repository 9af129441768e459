"""What the daemon stores is for its owner only, also what earlier versions have left open."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.files import make_private
from tests.support.daemon import Daemon
from tests.support.otlp import request, span, trace_id
from tests.support.wire import post, succeeded

OPENED = "Other users of this machine could read a data directory"


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The usual one: a daemon that ran in this process may have left its own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            yield path, stat.S_IMODE(path.stat().st_mode)


def open_to_others(directory: Path) -> list[Path]:
    return [path for path, mode in modes(directory) if mode & 0o077]


def opened_by(command: list[str]) -> list[str]:
    """A command run with a umask that lets everyone read."""
    return ["sh", "-c", 'umask 022; exec "$@"', "sh", *command]


@pytest.mark.parametrize("processes", [1, 2])
def test_nobody_else_reads_what_is_stored(tmp_path: Path, processes: int) -> None:
    daemon = Daemon(
        tmp_path / "data",
        "spool.flush_interval=100ms",
        f"processes={processes}",
        launch=lambda daemon: subprocess.Popen(opened_by(daemon.command())),
    )
    daemon.start()
    try:
        daemon.wait_until_ready()
        trace = trace_id()
        succeeded(post(daemon.ports["http"], request(span(trace_id=trace)).SerializeToString()))
        daemon.trace(trace)
        assert open_to_others(tmp_path / "data") == []
    finally:
        assert daemon.stop() == 0
    assert open_to_others(tmp_path / "data") == []


def test_what_an_earlier_version_left_open_is_closed_at_the_start_and_logged(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    daemon = Daemon(directory, "spool.flush_interval=100ms")
    daemon.start()
    daemon.wait_until_ready()
    assert daemon.stop() == 0
    assert OPENED not in daemon.log()
    for path, mode in modes(directory):
        path.chmod(mode | (0o055 if path.is_dir() else 0o044))
    daemon.start()
    try:
        daemon.wait_until_ready()
        assert open_to_others(directory) == []
        assert OPENED in daemon.log()
    finally:
        assert daemon.stop() == 0


def test_a_directory_of_others_is_left_as_it_is_but_for_what_is_ours(tmp_path: Path) -> None:
    """Someone may have named a home, or /srv."""
    for name in ("spool", "photos"):
        (tmp_path / name).mkdir(mode=0o755)
        (tmp_path / name / "file").touch(0o644)
    (tmp_path / "leases.db-wal").touch(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    tmp_path.chmod(0o755)
    closed = make_private(tmp_path, ("spool", "leases.db"))
    assert sorted(path.name for path in closed) == ["file", "leases.db-wal", "spool"]
    assert {path.name for path, mode in modes(tmp_path) if mode & 0o077} == {tmp_path.name, "photos", "file"}
    assert stat.S_IMODE((tmp_path / "spool" / "file").stat().st_mode) == 0o600


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir(mode=0o755)
    (outside / "file").touch(0o644)
    inside.mkdir(mode=0o755)
    (inside / "spool").symlink_to(outside)
    assert make_private(inside, ("spool",)) == [inside]
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o644


def test_a_new_directory_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert make_private(tmp_path / "new", ("spool",)) == []
    finally:
        os.umask(before)
    assert open_to_others(tmp_path / "new") == []

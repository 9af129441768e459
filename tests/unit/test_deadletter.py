"""What is set aside stays, once, until `spanmeter replay` puts it back."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from collector.cli import main
from collector.config import SpoolConfig
from collector.errors import Reason, Unavailable
from collector.model.envelope import Envelope, Signal
from collector.spool import DeadLetter, Spool
from collector.spool.deadletter import DeadLetterEntry
from tests.support.clock import FakeClock

POISON = Envelope("team-ä", 1_760_000_000_000_000_000, 3, b"\x00payload\xff")
WHY = "ClickHouse cannot store the data: Constraint `c` is violated."


def spooled(directory: Path) -> list[object]:
    """What a daemon started now would store."""
    spool = Spool(directory / "spool", SpoolConfig.model_validate({"min_free_bytes": 0}), FakeClock())
    try:
        found: list[object] = []
        while segment := spool.oldest():
            found += segment.read()
            spool.commit(segment)
        return found
    finally:
        spool.close()


def test_keeping_the_same_poison_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        letter = DeadLetter(tmp_path, 1000)
        letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
        letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
        assert list(letter.entries()) == [DeadLetterEntry("segment-0-1", Reason.POISON, WHY, POISON)]
        assert letter.statistics().entries == 1
        assert letter.statistics().bytes == len(POISON.payload)


def test_entries_are_two_files_people_can_read(tmp_path: Path) -> None:
    DeadLetter(tmp_path, 1000).keep("segment-0-1", Reason.POISON, WHY, POISON)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["segment-0-1.bin", "segment-0-1.json"]
    assert (tmp_path / "segment-0-1.bin").read_bytes() == POISON.payload
    assert WHY in (tmp_path / "segment-0-1.json").read_text()


def test_a_full_dead_letter_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    letter = DeadLetter(tmp_path, 25)
    letter.keep_bytes("one", "damaged", bytes(20))
    with pytest.raises(Unavailable, match=r"is full \(20 bytes\).*spanmeter replay") as caught:
        letter.keep_bytes("two", "damaged", bytes(20))
    assert caught.value.reason is Reason.DEAD_LETTER_FULL
    letter.keep_bytes("one", "damaged", bytes(20))  # known already: not counted twice
    assert [entry.name for entry in letter.entries()] == ["one"]
    letter.discard("one")
    letter.keep_bytes("two", "damaged", bytes(20))
    assert [entry.name for entry in letter.entries()] == ["two"]


def test_a_limit_counts_what_an_earlier_run_left(tmp_path: Path) -> None:
    DeadLetter(tmp_path, 25).keep_bytes("one", "damaged", bytes(20))
    with pytest.raises(Unavailable):
        DeadLetter(tmp_path, 25).keep_bytes("two", "damaged", bytes(20))


def test_entries_deleted_or_replayed_by_another_process_make_room(tmp_path: Path) -> None:
    running = DeadLetter(tmp_path, 25)
    running.keep_bytes("one", "damaged", bytes(20))
    DeadLetter(tmp_path, 25).discard("one")
    running.keep_bytes("two", "damaged", bytes(20))
    assert running.statistics().entries == 1


def test_a_disk_that_cannot_be_written_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = DeadLetter(tmp_path, 1000)
    fsync = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
    assert caught.value.reason is Reason.DISK
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "fsync", fsync)
    letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
    assert [entry.envelope for entry in letter.entries()] == [POISON]


def test_an_entry_cut_short_by_a_crash_is_no_entry_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = DeadLetter(tmp_path, 1000)
    replace, calls = Path.replace, []

    def dies(self: Path, target: Any) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
    monkeypatch.setattr(Path, "replace", replace)
    reopened = DeadLetter(tmp_path, 1000)
    assert list(reopened.entries()) == []
    reopened.keep("segment-0-1", Reason.POISON, WHY, POISON)
    assert [entry.envelope for entry in reopened.entries()] == [POISON]


def test_replay_puts_envelopes_back_and_leaves_damaged_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = DeadLetter(tmp_path / "spool" / "deadletter", 1000)
    other = Envelope("default", 5, 1, b"other", signal=Signal.LOGS)
    letter.keep("segment-0-1", Reason.POISON, WHY, POISON)
    letter.keep("segment-0-2", Reason.MALFORMED, WHY, other)
    letter.keep_bytes("segment-damage-8", "12 bytes are damaged.", b"damaged")
    assert main(["replay", "--data-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "2 dead letters are back in the spool" in printed
    assert "1 hold damaged bytes" in printed
    left = list(DeadLetter(tmp_path / "spool" / "deadletter", 1000).entries())
    assert [entry.name for entry in left] == ["segment-damage-8"]
    assert spooled(tmp_path) == [POISON, other]


def test_replay_without_a_dead_letter_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--data-dir", str(tmp_path)]) == 3
    assert "There is no dead letter in" in capsys.readouterr().err


def test_replay_interrupted_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dying after the spool has it and before the entry is gone leaves the entry: the same span, stored again."""
    letter = DeadLetter(tmp_path / "spool" / "deadletter", 1000)
    letter.keep("segment-0-1", Reason.POISON, WHY, POISON)

    def dies(_: DeadLetter, __: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DeadLetter, "discard", dies)
        with pytest.raises(KeyboardInterrupt):
            main(["replay", "--data-dir", str(tmp_path)])
    assert main(["replay", "--data-dir", str(tmp_path)]) == 0
    assert spooled(tmp_path) == [POISON, POISON]  # identical rows, one of which ReplacingMergeTree keeps


def test_an_entry_written_before_there_were_signals_is_one_of_traces(tmp_path: Path) -> None:
    old = Path(__file__).parent.parent / "fixtures" / "spool" / "deadletter"
    shutil.copytree(old, tmp_path / "spool" / "deadletter")
    assert main(["replay", "--data-dir", str(tmp_path)]) == 0
    assert spooled(tmp_path) == [Envelope("müller", 1_767_323_045_000_000_000, 0, b"", signal=Signal.TRACES)]

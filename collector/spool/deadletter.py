"""What can never be stored, set aside with its bytes and the reason, for people to look at and replay.

Each entry is two files: NAME.json gives the reason and, for an envelope, its signal; NAME.bin holds the bytes: the
export request in protobuf, or for reason `corrupt` the damaged bytes of a segment. Names are derived from where the
bytes came from, so that keeping the same poison again after a crash changes nothing.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.errors import Reason, Unavailable
from collector.files import sync_directory, write_durably
from collector.model.envelope import Envelope, Signal


@dataclass(frozen=True, slots=True)
class DeadLetterStatistics:
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """One dead letter. `envelope` is None when the bytes are no envelope."""

    name: str
    reason: Reason
    message: str
    envelope: Envelope | None


class DeadLetter:
    """The dead letter of one spool directory."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        directory.mkdir(parents=True, exist_ok=True)
        self._sizes: dict[str, int] = {}
        self._counted = -1
        self._count()

    def _count(self) -> None:
        """Count again, as `spanmeter replay` or people may have deleted entries."""
        self._counted = self._directory.stat().st_mtime_ns
        sizes = {}
        for path in self._directory.glob("*.bin"):
            with contextlib.suppress(FileNotFoundError):
                sizes[path.stem] = path.stat().st_size
        self._sizes = sizes

    def keep(self, name: str, reason: Reason, message: str, envelope: Envelope) -> None:
        """Set an envelope aside, durably. Raises Unavailable when the dead letter is full or cannot be written."""
        self._write(name, reason, message, _described(envelope), envelope.payload)

    def keep_bytes(self, name: str, message: str, data: bytes) -> None:
        """Set damaged bytes aside, durably. Raises Unavailable like `keep`."""
        self._write(name, Reason.CORRUPT, message, {}, data)

    def _write(self, name: str, reason: Reason, message: str, details: dict[str, object], data: bytes) -> None:
        if self._without(name) + len(data) > self._max_bytes:
            with contextlib.suppress(OSError):
                self._count()
        held = self._without(name)
        if held + len(data) > self._max_bytes:
            raise Unavailable(
                Reason.DEAD_LETTER_FULL,
                f"The dead letter {self._directory} is full ({held} bytes): draining stops so that nothing is thrown "
                "away. Look at its newest entries, fix the cause, run `spanmeter replay` or delete them.",
            )
        about = {"reason": reason, "message": message, **details}
        try:
            write_durably(self._directory / f"{name}.bin", data)
            write_durably(self._directory / f"{name}.json", json.dumps(about, indent=1).encode())
        except OSError as error:
            raise Unavailable(Reason.DISK, f"Cannot write the dead letter {self._directory}: {error}.") from error
        self._sizes[name] = len(data)

    def _without(self, name: str) -> int:
        return sum(self._sizes.values()) - self._sizes.get(name, 0)

    def entries(self) -> Iterator[DeadLetterEntry]:
        """Every entry, oldest name first."""
        for path in sorted(self._directory.glob("*.json")):
            about = json.loads(path.read_text())
            data = path.with_suffix(".bin").read_bytes()
            envelope = _envelope(about, data) if "project" in about else None
            yield DeadLetterEntry(path.stem, Reason(about["reason"]), about["message"], envelope)

    def discard(self, name: str) -> None:
        """Delete one entry."""
        for suffix in (".json", ".bin"):
            (self._directory / (name + suffix)).unlink(missing_ok=True)
        sync_directory(self._directory)
        self._sizes.pop(name, None)

    def statistics(self) -> DeadLetterStatistics:
        with contextlib.suppress(OSError):
            if self._directory.stat().st_mtime_ns != self._counted:
                self._count()
        return DeadLetterStatistics(len(self._sizes), sum(self._sizes.values()))


def _described(envelope: Envelope) -> dict[str, object]:
    return {
        "signal": envelope.signal,
        "project": envelope.project,
        "received_at": envelope.received_at,
        "items": envelope.items,
    }


def _envelope(about: dict[str, Any], data: bytes) -> Envelope:
    """The envelope of an entry; those written before there were signals hold traces and count `spans`."""
    items = about["items"] if "items" in about else about["spans"]
    signal = Signal(about.get("signal", Signal.TRACES))
    return Envelope(about["project"], about["received_at"], items, data, signal=signal)

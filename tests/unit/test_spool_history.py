"""Any history of appends, failures, seals, commits, restarts and crashes: the spool has what it answered, in order."""

import asyncio
import errno
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collector.config import SpoolConfig
from collector.errors import Unavailable
from collector.model.envelope import Envelope
from collector.spool import Segment, Spool
from collector.spool.segment import Damage
from tests.support.clock import FakeClock
from tests.support.disk import Disk


def whole(segment: Segment) -> list[Envelope | Damage]:
    """All but a write that was cut short."""
    return [item for item in segment.read() if not (isinstance(item, Damage) and item.torn)]


class SpoolHistory(RuleBasedStateMachine):
    """The model is one list: what was answered and is not committed yet."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk(self.patch)
        self.place = Path(tempfile.mkdtemp(prefix="spool-history-"))
        self.homes = 0
        self.clock = FakeClock()
        self.number = 0
        self.waiting: list[Envelope] = []

    @initialize(
        fsync=st.sampled_from(["always", "interval", "off"]),
        max_bytes=st.integers(1024, 4096),
        max_spans=st.integers(1, 20),
    )
    def open_first(self, fsync: str, max_bytes: int, max_spans: int) -> None:
        self.config = SpoolConfig.model_validate(
            {
                "fsync": fsync,
                "fsync_interval": "1h",
                "min_free_bytes": 0,
                "segment_max_bytes": max_bytes,
                "segment_max_spans": max_spans,
            }
        )
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.home, self.config, self.clock)

    @property
    def home(self) -> Path:
        return self.place / str(self.homes)

    def append(self, sizes: list[int]) -> None:
        """Append together; those answered join the model."""
        sent = []
        for size in sizes:
            self.number += 1
            sent.append(Envelope("default", self.number, 1 + size % 3, bytes([self.number % 251]) * size))

        async def run() -> list[BaseException | None]:
            return await asyncio.gather(*[self.spool.append(item) for item in sent], return_exceptions=True)

        results = asyncio.run(run())
        assert all(result is None or isinstance(result, Unavailable) for result in results)
        self.waiting += [item for item, result in zip(sent, results, strict=True) if result is None]
        self.clock.advance(0.001)

    @rule(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6))
    def append_well(self, sizes: list[int]) -> None:
        before = len(self.waiting)
        self.append(sizes)
        assert len(self.waiting) == before + len(sizes)

    @rule(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6), room=st.integers(0, 3000))
    def append_to_a_full_disk(self, sizes: list[int], room: int) -> None:
        self.disk.fail_writes(errno.ENOSPC, after=room)
        self.append(sizes)
        self.disk.mend()

    @rule(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6))
    def append_while_syncs_fail(self, sizes: list[int]) -> None:
        self.disk.syncs_fail = errno.EIO
        self.append(sizes)
        self.disk.mend()

    @rule()
    def seal(self) -> None:
        self.spool.seal()

    @rule()
    def reclaim(self) -> None:
        self.spool.reclaim()

    @rule()
    def commit(self) -> None:
        if segment := self.spool.oldest():
            found = whole(segment)
            assert found == self.waiting[: len(found)]
            del self.waiting[: len(found)]
            self.spool.commit(segment)

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.clock.advance(1)
        self.open()

    @rule(torn=st.binary(max_size=40))
    def crash(self, torn: bytes) -> None:
        """What SIGKILL leaves: the files as they are, perhaps with the beginning of a write behind them."""
        writing = self.spool.waiting_since() is not None
        shutil.copytree(self.home, self.place / str(self.homes + 1))
        self.spool.close()
        self.homes += 1
        self.clock.advance(1)
        if writing and torn:
            with max(self.home.glob("*.seg")).open("ab") as file:
                file.write((b"SPFR\xff\xff\xff\x7f" + torn)[: len(torn)])
        self.open()

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "spool"):
            statistics = self.spool.statistics()
            sizes = [path.stat().st_size for path in self.home.glob("*.seg")]
            assert statistics.segments == len(sizes)
            assert statistics.bytes == sum(sizes)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.seal()
            found: list[Envelope | Damage] = []
            while segment := self.spool.oldest():
                found += whole(segment)
                self.spool.commit(segment)
            self.spool.close()
            assert found == self.waiting
        self.patch.undo()
        shutil.rmtree(self.place)


TestSpoolHistory = SpoolHistory.TestCase
TestSpoolHistory.settings = settings(max_examples=40, stateful_step_count=25)

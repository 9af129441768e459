"""The stored log records of the turns that arriving records belong to: no more of a session, and in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa
import structlog

from collector.enrich.sessions import Event, Sources
from collector.model.keys import MAX_KEYS_IN_QUERY
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query
from collector.telemetry import Metrics

log = structlog.get_logger("spanmeter.sessions")

# A turn is looked for this long before and after the records that arrive.
_AROUND_NS: Final = 86_400 * 1_000_000_000
# What is read at once: so many records, and bytes of their attributes.
_MAX_RECORDS: Final = 50_000
_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Touched:
    """What arrives of a session: when its first and last record were (Unix nanoseconds), and the prompts they name."""

    project: str
    session: str
    first: int
    last: int
    prompts: frozenset[str]

    @property
    def key(self) -> str:
        return _key(self.project, self.session)


@dataclass(frozen=True, slots=True)
class _Turns:
    """The turns of a session that are touched: what names one of `prompts`, or is from `begin` on and before `end`."""

    touched: Touched
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class _Size:
    """Of some events."""

    records: int
    bytes: int

    def __add__(self, other: "_Size") -> "_Size":
        return _Size(self.records + other.records, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class SessionReader:
    """Reads turns. Belongs to the drain's thread."""

    sources: Sources
    metrics: Metrics
    max_records: int = _MAX_RECORDS
    max_bytes: int = _MAX_BYTES

    def events(self, store: Store, touched: Sequence[Touched]) -> Iterator[list[Event]]:
        """All events of the touched turns, some sessions at a time. Of turns that are too large, events that may be
        large by themselves are left out, and of those that are too large without them all; that is logged.

        Raises Unavailable.
        """
        for part in slices(touched, MAX_KEYS_IN_QUERY):
            for names, together in self._readable(store, self._turns(store, part)):
                rows = store.query(named_query("session_events"), _parameters(together, names)).to_pylist()
                yield list(self.sources.events(rows))

    def _readable(self, store: Store, turns: Sequence[_Turns]) -> Iterator[tuple[Sequence[str], list[_Turns]]]:
        """Turns that are read at once, with the names of the events to read."""
        for names in (self.sources.names, self.sources.small):
            sizes = _sizes(store, turns, names)
            small = [each for each in turns if self._fits(sizes[each.touched.key])]
            yield from ((names, together) for together in self._together(small, sizes))
            turns = [each for each in turns if not self._fits(sizes[each.touched.key])]
            if not turns:
                return
        for each in turns:
            self._leave_out(each.touched, sizes[each.touched.key])

    def _fits(self, size: _Size) -> bool:
        return size.records <= self.max_records and size.bytes <= self.max_bytes

    def _turns(self, store: Store, touched: Sequence[Touched]) -> list[_Turns]:
        parameters = {
            **_of(touched),
            "firsts": [each.first for each in touched],
            "lasts": [each.last for each in touched],
            "events": list(self.sources.prompts),
        }
        found = {
            _key(row["Project"], row["SessionId"]): row
            for row in store.query(named_query("session_turns"), parameters).to_pylist()
        }
        return [_turns(each, found.get(each.key, {})) for each in touched]

    def _together(self, turns: Sequence[_Turns], sizes: Mapping[str, _Size]) -> Iterator[list[_Turns]]:
        """Sessions whose turns together are of no more than is read at once."""
        together: list[_Turns] = []
        size = _Size(0, 0)
        for each in turns:
            more = sizes[each.touched.key]
            if together and not self._fits(size + more):
                yield together
                together, size = [], _Size(0, 0)
            together.append(each)
            size += more
        if together:
            yield together

    def _leave_out(self, touched: Touched, size: _Size) -> None:
        self.metrics.oversized_turns.inc()
        log.warning(
            "A turn of a session has too many log records to be made a run, and its calls are not billed from now on. "
            "The records are stored.",
            project=touched.project,
            session=touched.session[:200],
            records=size.records,
            bytes=size.bytes,
            at_most=self.max_records,
            bytes_at_most=self.max_bytes,
        )


def _sizes(store: Store, turns: Sequence[_Turns], names: Sequence[str]) -> dict[str, _Size]:
    rows = store.query(named_query("session_sizes"), _parameters(turns, names)).to_pylist()
    found = {_key(row["Project"], row["SessionId"]): _Size(row["Records"], row["Bytes"]) for row in rows}
    return {each.touched.key: found.get(each.touched.key, _Size(0, 0)) for each in turns}


def _parameters(turns: Sequence[_Turns], names: Sequence[str]) -> Mapping[str, Any]:
    return {
        **_of([each.touched for each in turns]),
        "prompts": sorted({prompt for each in turns for prompt in each.touched.prompts}),
        "begins": [each.begin for each in turns],
        "ends": [each.end for each in turns],
        "events": list(names),
    }


def _key(project: str, session: str) -> str:
    """As the queries join them."""
    return f"{project}\0{session}"


def _of(touched: Sequence[Touched]) -> dict[str, Any]:
    return {
        "sessions": [each.key for each in touched],
        "names": sorted({each.session for each in touched}),
        "since": max(min(each.first for each in touched) - _AROUND_NS, 0),
        "until": max(each.last for each in touched) + _AROUND_NS,
    }


def _turns(touched: Touched, prompts: Mapping[str, int]) -> _Turns:
    begin = prompts.get("Before") or max(touched.first - _AROUND_NS, 0)
    return _Turns(touched, begin, prompts.get("After") or touched.last + _AROUND_NS)


def touched_sessions(records: pa.Table) -> list[Touched]:
    """What arrives of each session, by columns of `otel_logs` with `Timestamp` in Unix nanoseconds."""
    sessions = records.group_by(["Project", "SessionId"], use_threads=False)
    found = sessions.aggregate([("Timestamp", "min"), ("Timestamp", "max"), ("PromptId", "distinct")]).to_pylist()
    touched = (
        Touched(
            row["Project"],
            row["SessionId"],
            row["Timestamp_min"],
            row["Timestamp_max"],
            frozenset(filter(None, row["PromptId_distinct"])),
        )
        for row in found
    )
    return sorted(touched, key=attrgetter("key"))

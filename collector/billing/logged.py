"""Calls that logs and spans tell of and nothing pairs: where logs tell of them, the spans are not billed.

Coding agents such as Codex and Gemini CLI report usage in both signals without an id of the request. Of a session, or
of a trace where spans name no session, one signal counts: the logs, as soon as there are any.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.enrich.conventions.families import Family
from collector.enrich.sessions import Row
from collector.model.keys import MAX_KEYS_IN_QUERY
from collector.model.log_columns import RESOURCE_SESSION_KEY, SESSION_KEYS
from collector.model.sessions import DERIVED_SCOPE
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query

_MAX_REMEMBERED: Final = 100_000
# Spans of calls that logs tell of start within this of them.
_AROUND_NS: Final = 3_600 * 1_000_000_000


class _Place(NamedTuple):
    """What calls are told of in: a session or a trace of a project."""

    by: str
    project: str
    name: str


class LoggedCalls:
    """Where logs tell of model calls. Belongs to the drain's thread."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._sources = [(family, family.events) for family in families if family.events and family.events.sole_source]
        # By what spans of the family are found: a scope that begins so.
        self._by_scope = {
            scope: rules.sole_source
            for family, rules in self._sources
            for scope in family.recognise.scopes
            if not scope.startswith(DERIVED_SCOPE)
        }
        self._by_family = {family.family: rules.sole_source for family, rules in self._sources}
        self._calls = sorted(
            {
                f"{rules.prefix}{name}"
                for _, rules in self._sources
                for name, role in rules.roles.items()
                if role == "call"
            }
        )
        self._required = sorted({key for _, rules in self._sources for key in rules.required})
        self._logged: OrderedDict[_Place, bool] = OrderedDict()

    def without_rivals(self, store: Store, batch: pa.RecordBatch, spans: pa.RecordBatch) -> pa.RecordBatch:
        """`spans`, which are those of `batch` as `SEEN_SCHEMA`, where what logs tell of reports no usage."""
        scopes = batch.column("ScopeName")
        suspects = np.zeros(batch.num_rows, np.bool_)
        for scope in self._by_scope:
            suspects |= pc.starts_with(scopes, scope).to_numpy(zero_copy_only=False)
        suspects &= spans.column("Reports").to_numpy(zero_copy_only=False)
        if not suspects.any():
            return spans
        rows = np.flatnonzero(suspects)
        places = [self._place(row) for row in _named(batch.take(pa.array(rows)))]
        self._look_up(store, {place for place in places if place not in self._logged})
        logged = [row for row, place in zip(rows.tolist(), places, strict=True) if self._logged[place]]
        self._forget()
        return without_usage(spans, logged)

    def rivals(self, store: Store, rows: Sequence[Row]) -> pa.Table | None:
        """Derived rows are to be stored: the stored rows of spans that tell of the same calls and are billed."""
        fresh: dict[_Place, Row] = {}
        for row in rows:
            by = self._by_family.get(row.event.family)
            if by and row.is_answer:
                place = _Place(by, row.event.project, row.trace_id if by == "trace" else row.event.session)
                if not self._logged.get(place):
                    fresh[place] = row
                    self._logged[place] = True
        if not fresh:
            return None
        return _first_of(
            [self._stored(store, part) for part in slices(sorted(fresh.items(), key=_place_of), MAX_KEYS_IN_QUERY)]
        )

    def _stored(self, store: Store, fresh: Sequence[tuple[_Place, Row]]) -> pa.Table:
        traces = [place for place, _ in fresh if place.by == "trace"]
        sessions = [place for place, _ in fresh if place.by == "session"]
        parameters = {
            "trace_projects": [place.project for place in traces],
            "traces": [place.name for place in traces],
            "session_projects": [place.project for place in sessions],
            "sessions": [place.name for place in sessions],
            "since": max(min(row.start for _, row in fresh) - _AROUND_NS, 0),
            "until": max(row.end for _, row in fresh) + _AROUND_NS,
            "services": sorted({row.event.shared.service for _, row in fresh}),
            "scopes": sorted(self._by_scope),
        }
        return store.query(named_query("rival_spans"), parameters)

    def _place(self, row: Mapping[str, Any]) -> _Place:
        by = next(by for scope, by in self._by_scope.items() if row["ScopeName"].startswith(scope))
        return _Place(by, row["Project"], row["TraceId"] if by == "trace" else _session(row))

    def _look_up(self, store: Store, places: Collection[_Place]) -> None:
        for by, query, parameters in (
            ("session", "logged_sessions", {"events": self._calls, "required": self._required}),
            ("trace", "logged_traces", {"derived": DERIVED_SCOPE}),
        ):
            for part in slices(sorted(place for place in places if place.by == by), MAX_KEYS_IN_QUERY):
                keys = {"projects": [place.project for place in part], "names": [place.name for place in part]}
                found = store.query(named_query(query), keys | parameters).to_pylist()
                logged = {_Place(by, row["Project"], row["Name"]) for row in found}
                self._logged |= {place: place in logged for place in part}

    def _forget(self) -> None:
        while len(self._logged) > _MAX_REMEMBERED:
            self._logged.popitem(last=False)


def without_usage(spans: pa.RecordBatch, rows: Sequence[int]) -> pa.RecordBatch:
    """`spans` of which these rows report no usage."""
    reports = spans.column("Reports").to_numpy(zero_copy_only=False).copy()
    reports[rows] = False
    position = spans.schema.get_field_index("Reports")
    return spans.set_column(position, spans.schema.field(position), pa.array(reports))


def _place_of(entry: tuple[_Place, Row]) -> _Place:
    return entry[0]


def _first_of(tables: Sequence[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _named(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    return batch.select(["Project", "TraceId", "ScopeName", "SpanAttributes", "ResourceAttributes"]).to_pylist()  # type: ignore[no-any-return]


def _session(row: Mapping[str, Any]) -> str:
    own = dict(row["SpanAttributes"])
    named = (found for key in SESSION_KEYS if (found := own.get(key)))
    return str(next(named, "") or dict(row["ResourceAttributes"]).get(RESOURCE_SESSION_KEY, ""))

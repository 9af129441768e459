"""The only door to reads."""

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from collector.errors import Reason, Rejected
from collector.model.principal import Principal
from collector.query.listing import RunsWanted, list_runs
from collector.store.client import Store
from collector.store.sql import named_query

_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
_MAX_SPANS = 100_000
MAX_RUNS = 1000


class Dimension(StrEnum):
    """What spend can be broken down by."""

    MODEL = "model"
    PROVIDER = "provider"
    SERVICE = "service"
    AGENT = "agent"
    FEATURE = "feature"
    USER = "user"
    DAY = "day"


class Query:
    """Answers questions about one project's spans. Blocking: call it from a thread.

    Every method raises Unavailable(STORE) when the store does not answer.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def trace(self, principal: Principal, trace_id: str) -> pa.Table:
        """Every span of a trace, all columns of `otel_traces`, oldest first; no rows when there is none.

        Raises Rejected(MALFORMED) for what is no trace id.
        """
        return self._spans("trace", principal, trace_id)

    def run_spans(self, principal: Principal, trace_id: str) -> pa.Table:
        """As `trace`, with the columns only that the document of a run is made from."""
        return self._spans("run_spans", principal, trace_id)

    def _spans(self, name: str, principal: Principal, trace_id: str) -> pa.Table:
        wanted = trace_id.lower()
        if not _TRACE_ID.match(wanted):
            raise Rejected(Reason.MALFORMED, f"{trace_id!r} is not a trace id: 32 hexadecimal digits.")
        parameters = {"project": principal.project, "trace_id": wanted, "limit": _MAX_SPANS}
        return self._store().query(named_query(name), parameters)

    def runs(self, principal: Principal, wanted: RunsWanted) -> pa.Table:
        """A page of runs, columns of the view `runs`, newest first.

        Raises Rejected(MALFORMED) for a limit outside 1 to MAX_RUNS.
        """
        if not 1 <= wanted.limit <= MAX_RUNS:
            raise Rejected(Reason.MALFORMED, f"limit is between 1 and {MAX_RUNS}, not {wanted.limit}.")
        return list_runs(self._store(), principal.project, wanted)

    def spend(self, principal: Principal, by: Dimension, since: datetime, until: datetime) -> pa.Table:
        """Cost, calls and tokens of the calls that started in [since, until) by `by`, dearest first."""
        parameters = {"project": principal.project, "by": by.value, "since": since, "until": until}
        return self._store().query(named_query("spend"), parameters)

    def unpriced(self, principal: Principal) -> pa.Table:
        """Models that were called and have no price: Provider, Model, Calls; most calls first."""
        return self._store().query(named_query("unpriced"), {"project": principal.project})

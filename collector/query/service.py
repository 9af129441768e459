"""The only door to reads."""

import re
from collections.abc import Callable

import pyarrow as pa

from collector.errors import Reason, Rejected
from collector.model.principal import Principal
from collector.store.client import Store
from collector.store.sql import named_query

_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
_MAX_SPANS = 100_000


class Query:
    """Answers questions about one project's spans. Blocking: call it from a thread."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def trace(self, principal: Principal, trace_id: str) -> pa.Table:
        """Every span of a trace, all columns of `otel_traces`, oldest first; no rows when there is none.

        Raises Rejected(MALFORMED) for what is no trace id, Unavailable(STORE) when the store does not answer.
        """
        wanted = trace_id.lower()
        if not _TRACE_ID.match(wanted):
            raise Rejected(Reason.MALFORMED, f"{trace_id!r} is not a trace id: 32 hexadecimal digits.")
        parameters = {"project": principal.project, "trace_id": wanted, "limit": _MAX_SPANS}
        return self._store().query(named_query("trace"), parameters)

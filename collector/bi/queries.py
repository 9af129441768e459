"""Queries at work: each in a thread, on a handle of its own, its result through a pipe."""

import functools
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.bi import policy
from collector.bi.catalog import Catalog, literal, read_catalog
from collector.bi.errors import QueryError
from collector.bi.guard import Context
from collector.bi.request import Asked
from collector.bi.sessions import Session
from collector.bi.settings import Limits, checked_setting, handle_settings, row_filters
from collector.bi.statements import Kill, Set, Statement, Use, admit, escape
from collector.bi.writing import run_as_written
from collector.errors import Unavailable
from collector.model.principal import Principal, Scope
from collector.store import Store
from collector.store.engine_handle import Counts, EngineError, EngineHandle
from collector.store.sql import named_query

_REMEMBERED = 256
_MAX_REMEMBERED_LENGTH = 8192
_ESCAPED_OR_BREAK = re.compile(r"\\.|[\t\n]", re.DOTALL)
_ESCAPES = {"\n": "\\n", "\t": "\\t"}
# For what the guard asks of the parser: a tree is many times as long as its text.
_FOR_PARSING = "SET max_query_size = 268435456, max_parser_depth = 300, max_parser_backtracks = 100000"


@dataclass(slots=True)
class Job:
    """One query. `format` is known once its result begins, `counts` once it has ended.

    `as_written` runs it unchecked, for one who may write.
    """

    asked: Asked
    principal: Principal
    session: Session
    writes_to: int
    tag: str
    as_written: bool = False
    format: str = ""
    counts: Counts | None = None


class Engine:
    """Runs queries on the embedded store, within the limits of the settings. Any thread may call it; it blocks."""

    def __init__(self, store: Callable[[], Store], limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._catalog: Catalog | None = None
        self._tables: Mapping[str, bool] = {}
        self._admitted = functools.lru_cache(_REMEMBERED)(self._admit)

    @property
    def version(self) -> str:
        """ClickHouse's, once a query has been asked."""
        return self._catalog.version if self._catalog else "26"

    def run(self, job: Job, kill: Callable[[Principal, str], bool]) -> None:
        """Run a job, then close the descriptor that it writes to. Raises QueryError."""
        try:
            handle = self._handle()
            try:
                if job.as_written:
                    self._known(handle)
                    _run_as_written(job, handle)
                else:
                    self._run(job, handle, kill)
            finally:
                handle.close()
        except EngineError as error:
            raise QueryError(error.code, error.name, error.text) from None
        except Unavailable as error:
            raise QueryError(210, "NETWORK_ERROR", str(error)) from None
        finally:
            os.close(job.writes_to)

    def cancel(self, tag: str) -> bool:
        """Have the engine end the query `tag` soon; whether it runs."""
        handle = self._handle()
        try:
            return bool(handle.text(f"KILL QUERY WHERE Settings['log_comment'] = {literal(tag)} ASYNC FORMAT TSV"))
        finally:
            handle.close()

    def _handle(self) -> EngineHandle:
        return self._store().handle()

    def _known(self, handle: EngineHandle) -> Catalog:
        if self._catalog is None:
            parameters = {"database": escape(self._store().database)}
            found = handle.text(named_query("bi_stored_tables"), parameters).splitlines()
            self._tables = {row["name"]: row["of_projects"] for row in map(json.loads, found)}
            self._catalog = read_catalog(handle)
        return self._catalog

    def _run(self, job: Job, handle: EngineHandle, kill: Callable[[Principal, str], bool]) -> None:
        catalog = self._known(handle)
        settings = self._settings_of(job, catalog)
        statement = self._statement(job, handle, kill)
        job.format = self._format(job.asked, statement)
        if statement is None:
            job.counts = Counts(0, 0, 0.0)
            return
        principal, database = job.principal, self._store().database
        filters = row_filters(database, principal.project, self._tables, admin=principal.may(Scope.ADMIN))
        handle.text(handle_settings(self._limits, {**settings, **statement.settings}, filters, job.tag))
        parameters = {**_values_of(job.asked), **statement.parameters}
        text = f"{statement.text}\nINTO OUTFILE '/dev/fd/{job.writes_to}' APPEND FORMAT {job.format}"
        job.counts = handle.run(text, parameters)

    def _settings_of(self, job: Job, catalog: Catalog) -> dict[str, str]:
        """Those of the session and, before them, of the request."""
        if job.asked.url.get("role"):
            raise QueryError(512, "SET_NON_GRANTED_ROLE", "There are no roles here.")
        settings = dict(job.session.settings)
        for name, value in job.asked.settings.items():
            checked = checked_setting(name, value, self._limits, catalog)
            if checked is not None:
                settings[name] = checked
        return settings

    def _statement(self, job: Job, handle: EngineHandle, kill: Callable[[Principal, str], bool]) -> Statement | None:
        """What to run; None where the session has changed, and nothing is."""
        asked, session = job.asked, job.session
        identifiers = tuple(sorted(asked.parameters.items())) if "Identifier" in asked.query else ()
        database = self._database(asked.database or session.database)
        admitting = self._admitted if len(asked.query) <= _MAX_REMEMBERED_LENGTH else self._admit
        admitted = admitting(asked.query, database, identifiers, _Handle(handle))
        if isinstance(admitted, Statement):
            return admitted
        if isinstance(admitted, Kill):
            return _killed(admitted.query_id, found=kill(job.principal, admitted.query_id))
        if isinstance(admitted, Use):
            session.database = self._database(admitted.database)
        else:
            session.settings |= admitted.values
        return None

    def _database(self, name: str) -> str:
        """The database that short names are in. `default` is what many clients ask for: there is no other."""
        store = self._store().database
        if name in ("", "default", store):
            return store
        if name == "system":
            return name
        raise QueryError(81, "UNKNOWN_DATABASE", f"Database {name[:80]} does not exist.")

    def _format(self, asked: Asked, statement: Statement | None) -> str:
        name = asked.format(statement.format if statement else None)
        if name not in policy.FORMATS:
            raise QueryError(73, "UNKNOWN_FORMAT", f"Unknown format {name[:80]}.")
        return name

    def _admit(
        self, query: str, database: str, identifiers: tuple[tuple[str, str], ...], handle: "_Handle"
    ) -> "Statement | Use | Set | Kill":
        assert self._catalog
        handle.handle.text(_FOR_PARSING)
        context = Context(self._store().database, database, dict(identifiers), self._limits)
        return admit(query, handle.handle, self._catalog, context)


class _Handle:
    """A handle as an argument that does not matter for what is remembered."""

    def __init__(self, handle: EngineHandle) -> None:
        self.handle = handle

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle)

    def __hash__(self) -> int:
        return 0


def new_tag() -> str:
    """What a query is found by among those that run."""
    return secrets.token_hex(16)


def _run_as_written(job: Job, handle: EngineHandle) -> None:
    result, job.format, counts = run_as_written(job.asked, handle)
    job.counts = counts
    with os.fdopen(os.dup(job.writes_to), "wb") as out:
        out.write(result)


def _killed(query_id: str, *, found: bool) -> Statement:
    values: Mapping[str, str] = {"spm_id": escape(query_id)}
    return Statement(
        "SELECT 'waiting' AS kill_status, {spm_id:String} AS query_id, 'default' AS user, '' AS query "
        f"WHERE {int(found)}",
        None,
        values,
    )


def _values_of(asked: Asked) -> dict[str, str]:
    if any(name.startswith("spm_") for name in asked.parameters):
        raise QueryError(36, "BAD_ARGUMENTS", "Names of parameters do not begin with spm_.")
    return {name: _one_line(value) for name, value in asked.parameters.items()}


def _one_line(value: str) -> str:
    """Values come escaped; a newline or tab that is not, which the engine does not take, is escaped too."""
    return _ESCAPED_OR_BREAK.sub(lambda found: _ESCAPES.get(found[0], found[0]), value)

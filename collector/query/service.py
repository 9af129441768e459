"""The only door to reads."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.config import ATTRIBUTE, ReadsConfig
from collector.errors import Reason, Rejected
from collector.model.arrivals import ArrivedService
from collector.model.evaluations import Evaluation, Verdict
from collector.model.principal import Principal
from collector.model.purposes import ALL, PRODUCT
from collector.query import run_questions, spans
from collector.query.arrivals import arrivals
from collector.query.current import CurrentRuns, current_runs
from collector.query.evaluations import EvaluationsWanted, label_counts, list_evaluations, verdict_weights
from collector.query.limits import Reader
from collector.query.listing import RunsWanted, list_runs
from collector.query.run_filter import HOUR_NS, RunFilter, hours_of
from collector.query.run_rows import ConversationPage, FacetCount, KpiWindows, RunKey, RunPage, RunRow
from collector.store.client import Store
from collector.store.sql import named_query

_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
MAX_SPANS_OF_RUN = 100_000
MAX_RUNS = 1000
MAX_CELLS = 20_000


class Dimension(StrEnum):
    """What spend can be broken down by."""

    MODEL = "model"
    PROVIDER = "provider"
    SERVICE = "service"
    AGENT = "agent"
    FEATURE = "feature"
    USER = "user"
    DAY = "day"
    PURPOSE = "purpose"


class ByAttribute(NamedTuple):
    """An attribute that spend is broken down by: of a call's span, else of its resource, else of its run."""

    key: str

    @property
    def value(self) -> str:
        """As it is written: `attribute.KEY`."""
        return f"{ATTRIBUTE}{self.key}"


# Attributes that say for whom money is spent, as coding agents and OpenTelemetry's conventions name them.
MONEY_ATTRIBUTES: Final = (
    "team.id",
    "cost_center",
    "organization.id",
    "user.email",
    "vcs.repository.name",
    "vcs.repository.url.full",
    "vcs.ref.head.name",
)


class Split(StrEnum):
    """What spend by a dimension can be split by."""

    MODEL = "model"
    DAY = "day"
    PRICE_ENTRY = "price_entry"
    PROVIDER = "provider"
    PURPOSE = "purpose"


_WEEK_NS = 7 * 24 * HOUR_NS

# What a span may name for its whole run.
_OF_RUNS = frozenset({Dimension.AGENT, Dimension.FEATURE, Dimension.USER})


class Query:
    """Answers questions about one project's spans. Blocking: call it from a thread.

    Every method raises Unavailable(STORE) when the store does not answer, Rejected(TOO_LARGE) beyond the limits.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        limits: ReadsConfig | None = None,
        on_unsummed: Callable[[], None] = lambda: None,
    ) -> None:
        """Questions stay within `limits`, by default those of the settings' defaults.

        `on_unsummed` is called when one meets runs whose sums are not kept yet.
        """
        self._store = Reader(store, limits or ReadsConfig(), on_unsummed)

    def trace(self, principal: Principal, trace_id: str) -> pa.Table:
        """Every span of a trace, all columns of `otel_traces`, oldest first; no rows when there is none.

        Raises Rejected(MALFORMED) for what is no trace id.
        """
        return self._spans("trace", principal, trace_id)

    def run_spans(self, principal: Principal, trace_id: str) -> pa.Table:
        """As `trace`, in no order, with the columns only that the document of a run is made from."""
        return self._spans("run_spans", principal, trace_id)

    def _spans(self, name: str, principal: Principal, trace_id: str) -> pa.Table:
        wanted = trace_id.lower()
        if not _TRACE_ID.match(wanted):
            raise Rejected(Reason.MALFORMED, f"{trace_id!r} is not a trace id: 32 hexadecimal digits.")
        parameters = {"project": principal.project, "trace_id": wanted, "limit": MAX_SPANS_OF_RUN}
        return self._store.query(named_query(name), parameters)

    def waterfall_spans(self, principal: Principal, trace_id: str) -> pa.Table:
        """As `spans.waterfall_spans`."""
        return spans.waterfall_spans(self._store, principal.project, trace_id)

    def span(self, principal: Principal, trace_id: str, span_id: str) -> pa.Table:
        """As `spans.span`."""
        return spans.span(self._store, principal.project, trace_id, span_id)

    def run_of_span(self, principal: Principal, span_id: str) -> str | None:
        """As `spans.run_of_span`."""
        return spans.run_of_span(self._store, principal.project, span_id)

    def run_span(self, principal: Principal, trace_id: str, span_id: str) -> pa.Table:
        """As `spans.run_span`."""
        return spans.run_span(self._store, principal.project, trace_id, span_id)

    def span_text(
        self, principal: Principal, trace_id: str, span_id: str, side: spans.Side, key: str, first: int, length: int
    ) -> spans.TextPart | None:
        """As `spans.span_text`."""
        return spans.span_text(self._store, principal.project, trace_id, span_id, side, key, first, length)

    def runs(self, principal: Principal, wanted: RunsWanted) -> pa.Table:
        """A page of runs, columns of the view `runs`, newest first.

        Raises Rejected(MALFORMED) for a limit outside 1 to MAX_RUNS.
        """
        _check_limit(wanted.limit)
        return list_runs(self._store, principal.project, wanted)

    def current(self, principal: Principal, since: int, until: int) -> CurrentRuns:
        """The runs of [since, until), Unix ns, as of now, for several questions about this time or parts of it."""
        return current_runs(self._store, principal.project, *hours_of(since, until))

    def search(self, principal: Principal, wanted: RunsWanted, current: CurrentRuns | None = None) -> RunPage:
        """A page of the runs that match, in the order that is asked for.

        Raises Rejected(MALFORMED) for a limit outside 1 to MAX_RUNS.
        """
        _check_limit(wanted.limit)
        return run_questions.search(self._store, principal.project, wanted, current)

    def inputs(self, principal: Principal, runs: Sequence[RunRow]) -> Mapping[str, str]:
        """By trace id the beginning of the first input of each of these runs, where it has one: 16 KiB at most."""
        return run_questions.inputs_of(self._store, principal.project, runs)

    def facets(
        self, principal: Principal, asked: RunFilter, current: CurrentRuns | None = None
    ) -> Mapping[str, Sequence[FacetCount]]:
        """Services, agents, models, features, statuses and problems of runs with the number of runs, most first.

        Of each those runs count that match all filters but its own.
        """
        return run_questions.facets(self._store, principal.project, asked, current)

    def kpis(
        self,
        principal: Principal,
        asked: RunFilter,
        other: tuple[int, int] | None = None,
        steps: int = 0,
        current: CurrentRuns | None = None,
    ) -> KpiWindows:
        """What the matching runs of a window add up to, beside those of `other`, [since, until).

        `other` is the window of the same length before it, unless another is given. With `steps`, the window's figures
        also come in so many steps.
        """
        return run_questions.kpis(self._store, principal.project, asked, other or asked.before, steps, current)

    def conversations(
        self, principal: Principal, asked: RunFilter, limit: int = 100, after: RunKey | None = None
    ) -> ConversationPage:
        """Conversations with a matching run, those with the latest first; `after` names one by its id."""
        _check_limit(limit)
        return run_questions.conversations(self._store, principal.project, asked, limit, after)

    def label_counts(self, principal: Principal, evaluators: Sequence[str]) -> Mapping[str, int]:
        """As `evaluations.label_counts`."""
        return label_counts(self._store, principal.project, evaluators)

    def evaluation_verdicts(self, principal: Principal, evaluator: str) -> Mapping[Verdict, float]:
        """As `evaluations.verdict_weights`."""
        return verdict_weights(self._store, principal.project, evaluator)

    def evaluations(self, principal: Principal, wanted: EvaluationsWanted) -> Sequence[Evaluation]:
        """As `evaluations.list_evaluations`."""
        return list_evaluations(self._store, principal.project, wanted)

    def spend(
        self, principal: Principal, by: Dimension | ByAttribute, since: int, until: int, purpose: str = PRODUCT
    ) -> pa.Table:
        """Cost, calls and tokens of the calls that started in [since, until), Unix ns, by `by`, dearest first.

        A call without an agent, feature, user or attribute of its own has its run's, as for budgets. Calls of the
        product count, or of another `purpose`; by purpose, those of any.
        """
        parameters = {
            "project": principal.project,
            "by": _name_of(by),
            "since": since,
            "until": until,
            "purpose": ALL if by is Dimension.PURPOSE else purpose,
        }
        of_runs = isinstance(by, ByAttribute) or by in _OF_RUNS
        return self._spent("spend_of_runs" if of_runs else "spend", by, parameters)

    def spend_matrix(
        self,
        principal: Principal,
        by: Dimension | ByAttribute,
        since: int,
        until: int,
        zone: str,
        split: Collection[Split],
        purpose: str = PRODUCT,
    ) -> pa.Table:
        """As `spend`, of a dimension that is not model, provider or day, split further; days are those of a time zone.

        At most MAX_CELLS rows, dearest first.
        """
        parameters = {
            "project": principal.project,
            "by": _name_of(by),
            "since": since,
            "until": until,
            "zone": zone,
            "split": [each.value for each in split],
            "purpose": purpose,
        }
        return self._spent("spend_matrix", by, {**parameters, "limit": MAX_CELLS})

    def _spent(self, name: str, by: Dimension | ByAttribute, parameters: Mapping[str, Any]) -> pa.Table:
        """The answer of a statement about calls; sums of runs know what a run names, but for attributes."""
        if isinstance(by, ByAttribute):
            return self._store.query(named_query(name, named_by_column="named_by_attribute"), parameters)
        if by not in _OF_RUNS:
            return self._store.query(named_query(name), parameters)
        asked = RunFilter(parameters["since"], parameters["until"])
        hours = hours_of(asked.since - _WEEK_NS, asked.until)
        runs = current_runs(self._store, parameters["project"], *hours)
        statement, of_runs = runs.statement(name, asked, *hours, {"names_of_runs": "names_of_current_runs"})
        return self._store.query(statement, {**parameters, **of_runs})

    def money_attributes(self, principal: Principal, since: int, until: int) -> Sequence[str]:
        """Which of MONEY_ATTRIBUTES the calls that started in [since, until), Unix ns, have."""
        parameters = {"project": principal.project, "since": since, "until": until, "keys": list(MONEY_ATTRIBUTES)}
        found = self._store.query(named_query("money_attributes"), parameters).column("Key").to_pylist()
        return [key for key in MONEY_ATTRIBUTES if key in found]

    def arrivals(self, principal: Principal, since: int) -> Sequence[ArrivedService]:
        """What was received at or after `since`, Unix ns, by service."""
        return arrivals(self._store, principal.project, since)

    def unpriced(self, principal: Principal) -> pa.Table:
        """Models that were called and have no price: Provider, Model, Calls; most calls first."""
        return self._store.query(named_query("unpriced"), {"project": principal.project})


def _name_of(by: Dimension | ByAttribute) -> str:
    return by.key if isinstance(by, ByAttribute) else by.value


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_RUNS:
        raise Rejected(Reason.MALFORMED, f"limit is between 1 and {MAX_RUNS}, not {limit}.")

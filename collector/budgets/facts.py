"""What budgets need of enriched rows: the calls that count, and the spans that say something of their whole run."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.model.budgets import Dimensions
from collector.model.columns import MONEY, TEXT
from collector.model.money import PriceStatus

TraceKey = tuple[str, str]  # project, trace id
SpanKey = tuple[int, str]  # hour of the start, span id: what the table's sort key adds to the trace

LEASE_ATTRIBUTE = "spanmeter.lease"

# Values are compared by so many characters: who sends a megabyte as a user's name must not make the ledger keep it.
LONGEST_VALUE = 200

_HOUR_NS = 3_600 * 1_000_000_000
_COUNTED = pa.array([PriceStatus.PRICED.value, PriceStatus.REPORTED.value, PriceStatus.UNKNOWN_MODEL.value])
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")
_TOKENS = ("InputTokens", "OutputTokens")  # added as Python's integers, which do not overflow
# What a span may say of its whole run, by the column it is in.
RUN_COLUMNS = ("AgentName", "Feature", "UserId", "ConversationId")


class Amount(NamedTuple):
    """What calls add up to. `unpriced` are calls whose cost is not known; they are among `calls`."""

    pico: int = 0
    tokens: int = 0
    calls: int = 0
    unpriced: int = 0

    def plus(self, other: "Amount", sign: int = 1) -> "Amount":
        return Amount(
            self.pico + sign * other.pico,
            self.tokens + sign * other.tokens,
            self.calls + sign * other.calls,
            self.unpriced + sign * other.unpriced,
        )


NOTHING = Amount()


class RunValues(NamedTuple):
    """What a span says of its run; "" where it says nothing."""

    agent: str = ""
    feature: str = ""
    user: str = ""
    conversation: str = ""
    lease: str = ""


class SpanFact(NamedTuple):
    """One span. `amount` is None unless it is a call that counts. `start` in Unix nanoseconds."""

    trace: TraceKey
    span_id: str
    start: int
    version: int
    root: bool
    says: RunValues
    dimensions: Dimensions
    amount: Amount | None

    @property
    def key(self) -> SpanKey:
        return self.start // _HOUR_NS, self.span_id


def span_facts(
    batch: pa.RecordBatch, attribute_keys: Sequence[str], also: Iterable[str] = frozenset()
) -> list[SpanFact]:
    """The facts in a batch of enriched rows: its calls, what is billed no longer, and what says something of its run.

    `attribute_keys` are those that rules match by; their values are taken from the span, else from its resource.
    `also` are ids of spans to include whatever they say: they said something before.
    """
    leases = _attribute(batch, "SpanAttributes", LEASE_ATTRIBUTE)
    unpriced = _unpriced(batch)
    counts = pc.or_(pc.is_in(_text(batch, "PriceStatus"), _COUNTED), unpriced)
    rolled_up = pc.equal(_text(batch, "PriceStatus"), PriceStatus.ROLLED_UP.value)
    wanted = pc.or_(pc.or_(counts, rolled_up), pc.not_equal(leases, ""))
    for name in RUN_COLUMNS:
        wanted = pc.or_(wanted, pc.not_equal(_text(batch, name), ""))
    if also:
        wanted = pc.or_(wanted, pc.is_in(batch.column("SpanId"), pa.array(list(also), TEXT)))
    if not pc.any(wanted).as_py():
        return []
    rows, counts, unpriced = batch.filter(wanted), counts.filter(wanted), unpriced.filter(wanted)
    return list(map(_fact, *_columns(rows, leases.filter(wanted), counts, unpriced, attribute_keys)))


def _columns(
    rows: pa.RecordBatch, leases: pa.Array, counts: pa.Array, unpriced: pa.Array, attribute_keys: Sequence[str]
) -> Iterable[list[Any]]:
    values = [_either(rows, (key,)) for key in attribute_keys]
    attributes = list(zip(*(_short(value) for value in values), strict=True)) if values else [()] * rows.num_rows
    yield from (rows.column(name).to_pylist() for name in ("Project", "TraceId", "SpanId"))
    yield rows.column("Timestamp").cast(pa.int64()).to_pylist()
    yield rows.column("Version").to_pylist()
    yield pc.equal(rows.column("ParentSpanId"), "").to_pylist()
    yield from (_short(_text(rows, name)) for name in RUN_COLUMNS)
    yield _short(leases)
    yield _short(_text(rows, "ServiceName"))
    yield _short(_either(rows, _ENVIRONMENTS, ("ResourceAttributes",)))
    yield _short(_text(rows, "Provider"))
    yield _short(_first(_text(rows, "ResponseModel"), _text(rows, "RequestModel")))
    yield attributes
    yield counts.to_pylist()
    yield picodollars_of(rows.column("Cost")).tolist()
    yield [sum(counted) for counted in zip(*(rows.column(name).to_pylist() for name in _TOKENS), strict=True)]
    yield unpriced.to_pylist()


def _fact(
    project: str,
    trace_id: str,
    span_id: str,
    start: int,
    version: int,
    root: bool,
    agent: str,
    feature: str,
    user: str,
    conversation: str,
    lease: str,
    service: str,
    environment: str,
    provider: str,
    model: str,
    attributes: tuple[str, ...],
    counts: bool,
    pico: int,
    tokens: int,
    unpriced: bool,
) -> SpanFact:
    says = RunValues(agent, feature, user, conversation, lease)
    dimensions = Dimensions(
        project, service, environment, provider, model, agent, feature, user, conversation, attributes
    )
    amount = Amount(pico, tokens, 1, int(unpriced)) if counts else None
    return SpanFact((project, trace_id), span_id, start, version, root, says, dimensions, amount)


def picodollars_of(money: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """A column of Decimal(18, 12) as integers; 0 where it is null."""
    column = money if money.type == MONEY else money.cast(MONEY)
    if not len(column):
        return np.zeros(0, np.int64)
    wide = np.frombuffer(column.buffers()[1], np.int64)[2 * column.offset :]
    pico = wide[: 2 * len(column) : 2].copy()
    if column.null_count:
        pico[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return pico


def _unpriced(batch: pa.RecordBatch) -> pa.Array:
    """Calls that cost something no one knows, as the view `runs` counts them."""
    status = _text(batch, "PriceStatus")
    lost = pc.and_(
        pc.and_(pc.equal(status, PriceStatus.NO_USAGE.value), pc.equal(_text(batch, "Kind"), "llm")),
        pc.not_equal(_text(batch, "StatusCode"), "Error"),
    )
    return pc.or_(pc.equal(status, PriceStatus.UNKNOWN_MODEL.value), lost)


def _text(batch: pa.RecordBatch, name: str) -> pa.Array:
    column = batch.column(name)
    return column if column.type == TEXT else column.cast(TEXT)


def _attribute(batch: pa.RecordBatch, column: str, key: str) -> pa.Array:
    """The first value of an attribute of each row; "" where it is absent."""
    return pc.fill_null(pc.map_lookup(batch.column(column), key, "first"), "")


def _either(
    batch: pa.RecordBatch, keys: Sequence[str], columns: Sequence[str] = ("SpanAttributes", "ResourceAttributes")
) -> pa.Array:
    values = [_attribute(batch, column, key) for column in columns for key in keys]
    found = values[0]
    for value in values[1:]:
        found = _first(found, value)
    return found


def _first(value: pa.Array, other: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(value, ""), other, value)


def _short(texts: pa.Array) -> list[str]:
    return [text[:LONGEST_VALUE] for text in texts.to_pylist()]

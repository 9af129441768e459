"""What budgets need of enriched rows: the calls that count, and the spans that have values for their whole run."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.config import ATTRIBUTE, DIMENSIONS
from collector.model.budgets import Dimensions
from collector.model.columns import MONEY, TEXT
from collector.model.keys import RowInTrace, TraceKey
from collector.model.leases import LEASE_ATTRIBUTE
from collector.model.model_names import AS_SENT, ModelNames, named
from collector.model.money import PriceStatus
from collector.slices import arrow_slices

# Values are compared by so many characters: who sends a megabyte as a user's name must not make the ledger keep it.
MAX_VALUE_LENGTH = 200

_HOUR_NS = 3_600 * 1_000_000_000
_COUNTED = frozenset((PriceStatus.PRICED.value, PriceStatus.REPORTED.value, PriceStatus.UNKNOWN_MODEL.value))
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")
# Values that a span may have for its whole run, and their columns.
_RUN_COLUMNS = {"agent": "AgentName", "feature": "Feature", "user": "UserId", "conversation": "ConversationId"}
_CALL_COLUMNS = {
    "project": "Project",
    "service": "ServiceName",
    "provider": "Provider",
    "purpose": "Purpose",
    **_RUN_COLUMNS,
}
_CODES_END = 2**62
_TEXTS = 1_000
_FACTS = 250


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
    """Values a span has for its whole run; "" where it has none. Those of attributes are in the order of the rules."""

    agent: str = ""
    feature: str = ""
    user: str = ""
    conversation: str = ""
    lease: str = ""
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, *texts: str) -> "RunValues":
        """From the values of every field and attribute; one object stands for none."""
        if not any(texts):
            return NO_VALUES
        agent, feature, user, conversation, lease, *attributes = texts
        return cls(agent, feature, user, conversation, lease, tuple(attributes))

    def texts(self) -> tuple[str, ...]:
        """What `of` makes it from; () when there are no values."""
        if self is NO_VALUES:
            return ()
        return (self.agent, self.feature, self.user, self.conversation, self.lease, *self.attributes)


NO_VALUES = RunValues()


@dataclass(frozen=True, slots=True)
class FactFields:
    """What is read of spans: dimensions by name, keys of attributes in their order, and whether leases are followed.

    What is not read is "" in every fact. `names` is who knows what models are called.
    """

    dimensions: frozenset[str]
    attributes: tuple[str, ...] = ()
    leases: bool = True
    names: ModelNames = AS_SENT


class SpanFact(NamedTuple):
    """One span. `calls` is 1 for a call that counts, else 0; `unpriced` likewise. `start` in Unix nanoseconds.

    Spans of a batch with the same values share one object for them. The amount is flat: hundred thousands of facts are
    kept, and each object in them is one more for the garbage collector to visit.
    """

    trace: TraceKey
    key: RowInTrace
    start: int
    version: int
    root: bool
    run: RunValues
    dimensions: Dimensions
    calls: int
    pico: int
    tokens: int
    unpriced: int

    @property
    def amount(self) -> Amount:
        return Amount(self.pico, self.tokens, self.calls, self.unpriced)

    @property
    def span_id(self) -> str:
        return self.key[1]


_Made = TypeVar("_Made")
_Codes = np.ndarray[Any, np.dtype[np.int64]]
_Mask = np.ndarray[Any, np.dtype[np.bool_]]


class _Coded(NamedTuple):
    """A column of texts: each row's number among `values`."""

    codes: _Codes
    values: list[str]

    def are(self, values: Collection[str]) -> _Mask:
        return np.array([value in values for value in self.values], np.bool_)[self.codes]

    def present(self) -> _Mask:
        return np.array([value != "" for value in self.values], np.bool_)[self.codes]

    def at(self, rows: _Codes) -> "_Coded":
        return _Coded(self.codes[rows], self.values)


_NOTHING_STATED = [""]


def span_facts(batch: pa.RecordBatch, fields: FactFields, also: Collection[str] = frozenset()) -> list[SpanFact]:
    """The facts in a batch of enriched rows: its calls, what is billed no longer, and what has values for its run.

    Attributes are taken from the span, else from its resource; for its run, from the span only. `also` are ids of spans
    to include whatever they have: they had something before.
    """
    if not batch.num_rows:
        return []
    status = _coded(batch.column("PriceStatus"))
    unpriced = _unpriced(batch, status)
    counts = status.are(_COUNTED) | unpriced
    stated = _stated(batch, fields)
    relevant = counts | status.are((PriceStatus.ROLLED_UP.value,))
    for column in stated.values():
        relevant |= column.present()
    if also:
        relevant |= _mask(pc.is_in(batch.column("SpanId"), _column_of(also)))
    rows = np.flatnonzero(relevant)
    if not len(rows):
        return []
    if len(rows) < batch.num_rows:
        batch = batch.take(pa.array(rows))
    stated = {name: column.at(rows) for name, column in stated.items()}
    return _facts(batch, fields, stated, counts[rows], unpriced[rows])


def _stated(batch: pa.RecordBatch, fields: FactFields) -> dict[str, _Coded]:
    """Values that spans have for their runs, by name, as far as they are read."""
    stated = {name: _coded(batch.column(at)) for name, at in _RUN_COLUMNS.items() if name in fields.dimensions}
    if fields.leases:
        stated["lease"] = _coded(_attribute(batch, "SpanAttributes", LEASE_ATTRIBUTE))
    for key in fields.attributes:
        stated[ATTRIBUTE + key] = _coded(_attribute(batch, "SpanAttributes", key))
    return stated


def _facts(
    batch: pa.RecordBatch, fields: FactFields, stated: dict[str, _Coded], counts: _Mask, unpriced: _Mask
) -> list[SpanFact]:
    rows = batch.num_rows
    projects, ids = _coded(batch.column("Project")), _coded(batch.column("TraceId"))
    starts = batch.column("Timestamp").cast(pa.int64()).to_numpy(zero_copy_only=False)
    names = [*RunValues._fields[:-1], *(ATTRIBUTE + key for key in fields.attributes)]
    columns = (
        _shared([projects, ids], rows, lambda *texts: texts, None),
        zip((starts // _HOUR_NS).tolist(), _texts(batch.column("SpanId")), strict=True),
        starts.tolist(),
        batch.column("Version").to_numpy(zero_copy_only=False).tolist(),
        _mask(pc.equal(batch.column("ParentSpanId"), "")).tolist(),
        _shared([*map(stated.get, names)], rows, RunValues.of) if stated else [NO_VALUES] * rows,
        _dimensions(batch, fields, stated, projects),
        counts.astype(np.int64).tolist(),
        picodollars_of(batch.column("Cost")).tolist(),
        _tokens(batch),
        unpriced.astype(np.int64).tolist(),
    )
    # As SpanFact._make does, without a call in Python for each; in pieces, between which other threads may run.
    spans = zip(*columns, strict=True)
    facts: list[SpanFact] = []
    for _ in range(0, rows, _FACTS):
        part = list(map(partial(tuple.__new__, SpanFact), islice(spans, _FACTS)))
        facts += part
    return facts


def _dimensions(
    batch: pa.RecordBatch, fields: FactFields, stated: dict[str, _Coded], projects: _Coded
) -> list[Dimensions]:
    names_read = fields.dimensions
    columns = {
        name: stated.get(name) or _coded(batch.column(at)) for name, at in _CALL_COLUMNS.items() if name in names_read
    }
    if "project" in names_read:
        columns["project"] = projects
    if "environment" in names_read:
        columns["environment"] = _coded(_either(batch, _ENVIRONMENTS, ("ResourceAttributes",)))
    models: list[tuple[str, tuple[str, ...]]] = [("", ("",))]
    if "model" in names_read:
        columns["model"], models = _models(batch, fields.names)
    attributes = [_coded(_either(batch, (key,))) for key in fields.attributes]

    def made(*texts: str) -> Dimensions:
        project, service, environment, provider, place, *own = texts
        agent, feature, user, conversation, purpose, *values = own
        model, names = models[int(place or 0)]
        named = (project, service, environment, provider, model, agent, feature, user, conversation, purpose)
        return Dimensions(*named, tuple(values), names)

    return _shared([*map(columns.get, DIMENSIONS), *attributes], batch.num_rows, made)


def _models(batch: pa.RecordBatch, names: ModelNames) -> tuple[_Coded, list[tuple[str, tuple[str, ...]]]]:
    """Each row's place, as text, in a list of models with all their names."""
    columns = [_coded(batch.column(name)) for name in ("Provider", "ResponseModel", "RequestModel")]
    numbers, firsts = _numbered(columns, batch.num_rows)
    models = [model_of(names, *(column.values[column.codes[row]] for column in columns)) for row in firsts.tolist()]
    return _Coded(numbers, list(map(str, range(len(models))))), models


def model_of(names: ModelNames, provider: str, *sent: str) -> tuple[str, tuple[str, ...]]:
    """The model that goes by the names `sent`, as it is compared: its name, and all by which it is matched."""
    name, every = named(names, provider, *sent)
    return name[:MAX_VALUE_LENGTH], tuple([one[:MAX_VALUE_LENGTH] for one in every])


def _shared(
    columns: "Sequence[_Coded | None]", rows: int, make: Callable[..., _Made], max_length: int | None = MAX_VALUE_LENGTH
) -> list[_Made]:
    """`make` of each row's texts, cut short; rows with the same texts share one object. None is a column of ""."""
    given = [column for column in columns if column]
    numbers, firsts = _numbered(given, rows)
    texts = [
        [column.values[code][:max_length] for code in column.codes[firsts].tolist()]
        if column
        else _NOTHING_STATED * len(firsts)
        for column in columns
    ]
    objects = list(map(make, *texts))
    return [objects[number] for number in numbers.tolist()] if len(objects) > 1 else objects * rows


def _numbered(columns: Sequence[_Coded], rows: int) -> tuple[_Codes, _Codes]:
    """Each row's number among the distinct rows, and for each of these a row that has it."""
    numbers, distinct = np.zeros(rows, np.int64), 1
    firsts = np.zeros(1, np.int64)
    for column in columns:
        size = len(column.values)
        if distinct * size > _CODES_END:
            _, numbers = np.unique(numbers, return_inverse=True)
            distinct = int(numbers.max()) + 1
        if size > 1:
            numbers, distinct = numbers * size + column.codes, distinct * size
    if distinct > 1:
        _, firsts, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    return numbers, firsts


def _tokens(batch: pa.RecordBatch) -> list[int]:
    taken, given = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("InputTokens", "OutputTokens"))
    if int(taken.max()) + int(given.max()) < 2**63:
        return (taken + given).tolist()  # type: ignore[no-any-return] # of integers
    return list(map(int.__add__, taken.tolist(), given.tolist()))


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


def _unpriced(batch: pa.RecordBatch, status: _Coded) -> _Mask:
    """Calls that cost something no one knows: what the column UnpricedCall says of a stored row."""
    lost = status.are((PriceStatus.NO_USAGE.value,))
    if lost.any():
        lost &= _coded(batch.column("Kind")).are(("llm",)) & ~_coded(batch.column("StatusCode")).are(("Error",))
    return status.are((PriceStatus.UNKNOWN_MODEL.value,)) | lost


def _coded(column: pa.Array) -> _Coded:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return _Coded(coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), _texts(coded.dictionary))


def _texts(column: pa.Array) -> list[str]:
    """The texts of a column; made in pieces, as no other thread runs while a piece is."""
    texts: list[str] = []
    for part in arrow_slices(column, _TEXTS):
        texts += part.to_numpy(zero_copy_only=False).tolist()
    return texts


def _column_of(texts: Collection[str]) -> pa.ChunkedArray:
    """Texts as a column; likewise made in pieces."""
    rest = iter(texts)
    parts = [pa.array(islice(rest, _TEXTS), TEXT) for _ in range(0, len(texts), _TEXTS)]
    return pa.chunked_array(parts, TEXT)


def _mask(column: pa.Array) -> _Mask:
    mask: _Mask = column.to_numpy(zero_copy_only=False)
    return mask


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
    either = values[0]
    for value in values[1:]:
        either = _first(either, value)
    return either


def _first(value: pa.Array, other: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(value, ""), other, value)

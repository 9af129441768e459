"""What the rows of a batch say, read by column: rows of one shape at a time, with the native module.

`read(batch)` gives exactly what `Conventions.normalise` says of each row. Rows of which only the row-wise reader can
tell (content in events, values deep in odd JSON, counts that are no counts, shapes that few rows have) go through it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from collector.enrich.columns import _columns as native
from collector.enrich.columns.plans import MANY, ShapePlan, prefixes, shape_plan
from collector.enrich.columns.usage import Counts, Includes, normalise
from collector.enrich.conventions import costs
from collector.enrich.conventions import usage as row_usage
from collector.enrich.conventions.kinds import NO_CALL, KindTable
from collector.enrich.conventions.parts import NO_OUTPUT, UNDIVIDED, UNDIVIDED_OUTPUT
from collector.enrich.conventions.reader import MAX_SCOPE_LENGTH, Conventions
from collector.enrich.conventions.recipes import Origin, meaning_of, recipe
from collector.enrich.conventions.tiers import is_own_speed
from collector.enrich.conventions.values import OPERATION_PREFIX, SPAN_NAME, unwrapped
from collector.enrich.rows import views
from collector.model.facts import Facts, Kind
from collector.model.purposes import JUDGE
from collector.model.usage import Usage

Array = np.ndarray[Any, Any]

KINDS = tuple(Kind)
CALL, AGENT, TOOL, EVAL = (KINDS.index(kind) for kind in (Kind.LLM, Kind.AGENT, Kind.TOOL, Kind.EVAL))

# The facts that are numbers of texts (`FactColumns.codes`).
CODED = ("operation", "provider", "provider_id", "request_model", "response_model", "agent_name", "tool_name",
         "feature", "finish_reason", "service_tier", "region", "purpose", "input_key", "output_key")  # fmt: skip
COUNTED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
           "reasoning_tokens", "input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens")  # fmt: skip

# The texts of `recipes.Origin`.
_CALLEE = 4

# A plan costs as much to run as this many rows one by one.
_MIN_ROWS = 16
_MAX_PLANS = 4096
# Texts are the sender's choice: between batches a table that has grown beyond this starts afresh.
_MAX_TEXTS = 65_536
_MAX_TEXT_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class FactColumns:
    """The facts of every row, by column; see `model.facts.Facts` for what each means.

    `codes` are numbers of texts in `texts`; `begin` and `size` say where in `slices` a text lies; `input_at` and
    `output_at` are the entries of SpanAttributes that hold content, -1 where none is moved. `reported_cost` and
    `details` have the rows that have any, `free` those of a reported cost for which something states that it is none.
    """

    texts: native.Interner
    slices: native.Slices
    kind: Array
    codes: dict[str, Array]
    begin: dict[str, Array]
    size: dict[str, Array]
    counts: dict[str, Array]
    has_usage: Array
    aggregate: Array
    input_at: Array
    output_at: Array
    repeated: Array
    knows_cache_lifetime: Array
    reported_cost: dict[int, Decimal] = field(default_factory=dict)
    free: set[int] = field(default_factory=set)
    details: dict[int, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def empty(cls, rows: int, texts: native.Interner, slices: native.Slices) -> "FactColumns":
        def numbers(kind: type) -> Array:
            return np.zeros(rows, kind)

        return cls(
            texts,
            slices,
            kind=np.full(rows, KINDS.index(Kind.INTERNAL), np.int8),
            codes={name: numbers(np.int32) for name in CODED},
            begin={name: numbers(np.int64) for name in MANY},
            size={name: numbers(np.int32) for name in MANY},
            counts={name: numbers(np.int64) for name in COUNTED},
            has_usage=numbers(np.bool_),
            aggregate=numbers(np.bool_),
            input_at=np.full(rows, -1, np.int32),
            output_at=np.full(rows, -1, np.int32),
            repeated=numbers(np.uint8),
            knows_cache_lifetime=numbers(np.bool_),
        )

    def usage(self, row: int) -> Usage | None:
        """The usage of one row."""
        if not self.has_usage[row]:
            return None
        counts = {name: int(column[row]) for name, column in self.counts.items()}
        return Usage(**counts, details=self.details.get(row, {}))

    def put(self, row: int, fact: Facts, attributes: Sequence[str], first_entry: int) -> None:
        """Take over the facts of a row; `attributes` are its keys, the first of which is `first_entry` of the map."""
        self.kind[row] = KINDS.index(fact.kind)
        for name in CODED:
            self.codes[name][row] = self.texts.code(getattr(fact, name))
        for name in MANY:
            self.begin[name][row], self.size[name][row] = self.slices.put(getattr(fact, name))
        self.reported_cost.pop(row, None)
        self.free.discard(row)
        self.knows_cache_lifetime[row] = fact.knows_cache_lifetime
        for column in self.counts.values():
            column[row] = 0
        self.has_usage[row] = fact.usage is not None
        self.aggregate[row] = fact.usage_is_aggregate
        if fact.usage is not None:
            for name, column in self.counts.items():
                column[row] = getattr(fact.usage, name)
            if fact.usage.details:
                self.details[row] = fact.usage.details
        if fact.reported_cost is not None:
            self.reported_cost[row] = fact.reported_cost
            if fact.free:
                self.free.add(row)
        for column, key in ((self.input_at, fact.input_key), (self.output_at, fact.output_key)):
            last = max((place for place, name in enumerate(attributes) if name == key), default=None)
            column[row] = -1 if last is None or not key else first_entry + last


@dataclass(slots=True)
class _Source:
    """The columns of a batch as `native.Plan.extract` wants them."""

    values: Any
    start: Array
    positions: Array
    names: Any
    versions: Any
    span_kinds: Any
    events: Any
    resource_values: Any
    resource: Array
    resource_keys: int


class ColumnReader:
    """Reads batches by the conventions it is made of. Belongs to one thread at a time."""

    def __init__(self, conventions: Conventions, min_rows: int = _MIN_ROWS) -> None:
        self._conventions = conventions
        self._min_rows = min_rows
        self._keys = native.KeyTable(sorted(conventions.known), prefixes(conventions.families))
        self._resource_keys = sorted(conventions.resource_keys)
        self._resource = native.KeyTable(self._resource_keys, [])
        self._plans: dict[tuple[str, tuple[str, ...]], ShapePlan] = {}
        self._texts = native.Interner()

    def read(self, batch: pa.RecordBatch) -> FactColumns:
        """The facts of a batch of `model.columns.DECODED_SCHEMA`."""
        if len(self._texts) > _MAX_TEXTS or self._texts.size_in_bytes > _MAX_TEXT_BYTES:
            self._texts = native.Interner()
        attributes, resource = batch.column("SpanAttributes"), batch.column("ResourceAttributes")
        group, start, positions, repeated, groups = self._keys.shapes(
            batch.column("ScopeName"), attributes, MAX_SCOPE_LENGTH
        )
        entries = self._resource.positions(resource)
        source = _Source(
            attributes.items,
            start,
            positions,
            batch.column("SpanName"),
            batch.column("ScopeVersion"),
            batch.column("SpanKind"),
            batch.column("Events.Name"),
            resource.items,
            np.full(batch.num_rows * len(self._resource_keys), -1, np.int32) if entries is None else entries,
            len(self._resource_keys),
        )
        facts = FactColumns.empty(batch.num_rows, self._texts, native.Slices(attributes.items, resource.items))
        facts.repeated = repeated
        failed = self._texts.codes_of(batch.column("StatusCode"), np.arange(batch.num_rows)) == self._texts.code(
            "Error"
        )
        by_group = np.argsort(group, kind="stable")
        counts = np.bincount(group, minlength=len(groups))
        ends = np.cumsum(counts)
        hard = [np.empty(0, np.int64)]
        for shape, begin, end in zip(groups, ends - counts, ends, strict=True):
            rows = by_group[begin:end]
            if len(rows) < self._min_rows:
                hard.append(rows)
                continue
            part = _Group(facts, source, self._plan(*shape), rows, failed[rows], self._conventions)
            part.read()
            hard.append(rows[part.hard])
        self._read_hard(batch, facts, np.sort(np.concatenate(hard)))
        return facts

    def _plan(self, scope: str, names: tuple[str, ...]) -> ShapePlan:
        plan = self._plans.get((scope, names))
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            present = frozenset(name for name in names if not name.endswith("."))
            found = recipe(self._conventions.families, scope, present)
            plan = self._plans[scope, names] = shape_plan(found, names, self._resource_keys)
        return plan

    def _read_hard(self, batch: pa.RecordBatch, facts: FactColumns, rows: Array) -> None:
        if not len(rows):
            return
        few = batch if len(rows) == batch.num_rows else batch.select(VIEWED).take(pa.array(rows))
        attributes = few.column("SpanAttributes")
        keys, offsets = attributes.keys.to_pylist(), attributes.offsets.to_pylist()
        first_entries = np.asarray(batch.column("SpanAttributes").offsets)[rows]
        for number, (row, view) in enumerate(zip(rows.tolist(), views(few), strict=True)):
            names = keys[offsets[number] : offsets[number + 1]]
            facts.put(row, self._conventions.normalise(view), names, int(first_entries[number]))


# The columns `views` reads.
VIEWED = ["SpanName", "ScopeName", "ScopeVersion", "SpanKind", "StatusCode", "SpanAttributes", "ResourceAttributes",
          "Events.Timestamp", "Events.Name", "Events.Attributes"]  # fmt: skip


class _Group:
    """The rows of one shape while they are read. `hard` marks those that have to be read one by one."""

    def __init__(
        self,
        facts: FactColumns,
        source: _Source,
        plan: ShapePlan,
        rows: Array,
        failed: Array,
        conventions: Conventions,
    ) -> None:
        self._facts = facts
        self._source = source
        self._plan = plan
        self._rows = rows
        self._failed = failed
        self._providers = conventions.providers
        self.hard = np.zeros(len(rows), np.bool_)

    def read(self) -> None:
        """Fill the columns of these rows; those of hard rows hold anything."""
        facts, rows = self._facts, self._rows
        kind, operation, rollup = self._kinds()
        facts.kind[rows] = kind
        facts.codes["operation"][rows] = operation
        self._begin, self._size, self._which, hard = self._plan.facts.extract(
            self._source, rows, (kind == CALL).view(np.uint8)
        )
        self.hard |= hard
        provider_id = self._provider()
        self._texts(kind)
        for name in MANY:
            if (number := self._plan.fields.get(name)) is not None:
                known = kind == CALL if name == "response_id" else True
                facts.begin[name][rows] = self._begin[number]
                facts.size[name][rows] = np.where(known, self._size[number], 0)
        self._usage(provider_id, operation, rollup)
        self._undivided(kind, operation)
        self._reported_cost()
        self._content(kind)

    # -- kind -----------------------------------------------------------------------------------------------------

    def _kinds(self) -> tuple[Array, Array, Array]:
        """(kind, operation, whether usage sums calls of other spans)."""
        table, kind_rules = self._plan.recipe.kinds, self._plan.kind_rules
        begin, size, _, _ = self._plan.kinds.extract(self._source, self._rows)
        stated = np.full(len(self._rows), -1, np.int32)
        field_number = first_verdict = 0
        for rule in table.rules:
            if len(rule) == 3:
                codes = self._facts.texts.codes(self._facts.slices, begin[field_number], size[field_number])
                places = {name: first_verdict + place for place, name in enumerate(rule[2])}
                found = self._memo(codes, _key_rule(places, encoded=rule[1]))
                field_number += 1
                first_verdict += len(rule[2])
            else:
                if (stated >= 0).all():
                    break
                found = self._memo(self._names(), _name_rule(rule[0], first_verdict))
                first_verdict += 1
            stated = np.where(stated < 0, found, stated)
        stated[stated < 0] = len(kind_rules) - 1
        kind_rules.append(NO_CALL)
        kinds = np.array([KINDS.index(rule.kind) for rule in kind_rules], np.int8)
        stated[(kinds[stated] == CALL) & self._never_calls(table)] = len(kind_rules) - 1
        own = np.array([self._facts.texts.code(rule.operation) for rule in kind_rules], np.int32)[stated]
        sent = self._facts.texts.codes(self._facts.slices, begin[-1], size[-1])
        rollup = np.array([rule.rollup for rule in kind_rules], np.bool_)
        return kinds[stated], np.where(own > 0, own, sent), rollup[stated]

    def _never_calls(self, table: KindTable) -> Array | bool:
        """Which of the rows are no calls, whatever states that they are."""
        if table.never_calls or not table.never_served:
            return table.never_calls
        texts = self._facts.texts
        served: Array = texts.codes_of(self._source.span_kinds, self._rows) == texts.code("Server")
        return served

    def _names(self) -> Array:
        return self._facts.texts.codes_of(self._source.names, self._rows)

    def _memo(self, codes: Array, answer: Callable[[str], int]) -> Array:
        """`answer` of each text, asked once for each different one."""
        different, places = native.distinct(codes)
        texts = self._facts.texts
        return np.array([answer(texts.text(code)) for code in different.tolist()], np.int32)[places]

    def _renamed(self, codes: Array, name: Callable[[str], str]) -> Array:
        """Each text as `name` says it."""
        return self._memo(codes, lambda text: self._facts.texts.code(name(text)))

    # -- texts ----------------------------------------------------------------------------------------------------

    def _text(self, name: str) -> Array:
        """The codes of a text field."""
        number = self._plan.fields.get(name)
        if number is None:
            return np.zeros(len(self._rows), np.int32)
        size = self._size[number]
        own_name = self._own_name(name)
        if own_name is None:
            return self._facts.texts.codes(self._facts.slices, self._begin[number], size)
        named = self._which[number] == own_name
        codes = self._facts.texts.codes(self._facts.slices, self._begin[number], np.where(named, 0, size))
        if named.any():
            from_name = self._renamed(self._names(), lambda text: OPERATION_PREFIX.sub("", text))
            self.hard |= named & (from_name == 0)  # then the next place counts
            codes = np.where(named, from_name, codes)
        return codes

    def _own_name(self, name: str) -> int | None:
        specs = [place.spec for place in self._plan.sources[name]]
        return specs.index(SPAN_NAME) if SPAN_NAME in specs else None

    def _texts(self, kind: Array) -> None:
        codes, rows = self._facts.codes, self._rows
        model = self._text("model")
        request, response = self._text("request_model"), self._text("response_model")
        agent = self._text("agent_name")
        answered = ~self._failed
        codes["request_model"][rows] = np.where((request == 0) & ~answered, model, request)
        codes["response_model"][rows] = np.where((response == 0) & answered, model, response)
        nameless_agent = (agent == 0) & (kind == AGENT)
        if nameless_agent.any():
            agent = np.where(nameless_agent, self._text("agent_span_name"), agent)
        codes["agent_name"][rows] = agent
        if (kind == TOOL).any():
            codes["tool_name"][rows] = np.where(kind == TOOL, self._text("tool_name"), 0)
        codes["feature"][rows] = self._text("feature")
        codes["service_tier"][rows] = self._tier()
        codes["region"][rows] = self._text("region")
        purpose = self._text("purpose")
        if (kind == EVAL).any():
            purpose = np.where((purpose == 0) & (kind == EVAL), self._facts.texts.code(JUDGE), purpose)
        codes["purpose"][rows] = purpose
        codes["finish_reason"][rows] = self._renamed(self._text("finish_reason"), unwrapped)

    def _tier(self) -> Array:
        """What `tiers.served_tier` says."""
        tier = self._text("service_tier")
        for name in self._plan.names("tier"):
            stated = self._size[self._plan.fields[f"tier.{name}"]] > 0
            tier = np.where((tier == 0) & stated, self._facts.texts.code(name), tier)
        tier = np.where(tier == 0, self._text("requested_tier"), tier)
        if "speed" not in self._plan.fields:
            return tier
        speed = self._renamed(self._text("speed"), lambda text: text if is_own_speed(text) else "")
        return np.where(speed > 0, speed, tier)

    def _provider(self) -> Array:
        """The first provider that is no framework, as sent and canonical; else what was sent first."""
        sent = first = canonical = np.zeros(len(self._rows), np.int32)
        for number in self._plan.names("provider"):
            codes = self._text(f"provider.{number}")
            known = self._renamed(codes, lambda text: self._providers.canonical(text) if text else "")
            found = (canonical == 0) & (known > 0)
            sent, canonical = np.where(found, codes, sent), np.where(found, known, canonical)
            first = np.where(first == 0, codes, first)
        self._facts.codes["provider"][self._rows] = np.where(canonical > 0, sent, first)
        self._facts.codes["provider_id"][self._rows] = canonical
        return canonical

    # -- usage ----------------------------------------------------------------------------------------------------

    def _usage(self, provider_id: Array, operation: Array, rollup: Array) -> None:
        facts, rows = self._facts, self._rows
        missing = np.ones(len(rows), np.bool_)
        has_output = self._memo(operation, NO_OUTPUT.__contains__) == 0
        for group in ("usage", "aggregate"):
            buckets = self._plan.names(group)
            if not buckets or not missing.any():
                continue
            counts = self._counts(group, buckets)
            normalised = normalise(counts, len(rows), self._includes(group, provider_id), has_output)
            self.hard |= missing & normalised.odd
            taken = missing & normalised.known
            for name, column in normalised.counts.items():
                facts.counts[name][rows] = np.where(taken, column, facts.counts[name][rows])
            facts.aggregate[rows] |= taken & (rollup | (group == "aggregate"))
            facts.has_usage[rows] |= taken
            facts.knows_cache_lifetime[rows] |= taken & self._split(counts)
            missing &= ~taken
        for name in self._plan.names("details"):
            if not self._size[self._plan.fields[f"details.{name}"]].any():
                continue
            values, states = self._count(f"details.{name}")
            self.hard |= (states == 2) | (values > 0)

    def _split(self, counts: Counts) -> Array:
        sent = [counts[name][1] for name in row_usage.CACHE_LIFETIMES if name in counts]
        return np.logical_or.reduce(sent) if sent else np.zeros(len(self._rows), np.bool_)

    def _undivided(self, kind: Array, operation: Array) -> None:
        """Calls whose tokens are of one modality are divided one by one."""
        calls = (kind == CALL) & self._facts.has_usage[self._rows]
        if not calls.any():
            return
        modal = self._memo(operation, UNDIVIDED.__contains__)
        if "output_type" in self._plan.fields:
            modal |= self._memo(self._text("output_type"), UNDIVIDED_OUTPUT.__contains__)
        self.hard |= calls & (modal > 0)

    def _count(self, name: str) -> tuple[Array, Array]:
        number = self._plan.fields[name]
        return self._facts.slices.counts(self._begin[number], self._size[number], row_usage.MAX_TOKENS)

    def _counts(self, group: str, buckets: Sequence[str]) -> Counts:
        counts: Counts = {}
        for bucket in buckets:
            values, states = self._count(f"{group}.{bucket}")
            self.hard |= states == 2
            counts[bucket] = values, states == 1
        return counts

    def _includes(self, group: str, provider_id: Array) -> Includes:
        """What the input and output of each row include."""
        different, _ = native.distinct(provider_id) if self._plan.recipe.meaning else ((), ())
        if self._plan.inclusive({self._facts.texts.text(int(code)) for code in different}):
            return Includes.everything(len(self._rows))
        origins = self._plan.origins(group)
        which = [self._which[self._plan.fields[name]].astype(np.int32) for name in origins.values()]
        table = np.column_stack((*self._callee(provider_id), *which))
        firsts, at = native.distinct_rows_of(table)
        rules = [meaning_of(self._plan.recipe, self._origin(origins, row)) for row in table[firsts].tolist()]
        return Includes.by(rules, at)

    def _callee(self, provider_id: Array) -> tuple[Array, ...]:
        """Codes of the texts of an `Origin`, in its order."""
        codes, rows = self._facts.codes, self._rows
        asked, answered = codes["request_model"][rows], codes["response_model"][rows]
        version = self._facts.texts.codes_of(self._source.versions, rows)
        return provider_id, codes["provider"][rows], np.where(asked > 0, asked, answered), version

    def _origin(self, origins: Mapping[str, str], row: Sequence[int]) -> Origin:
        """What `row` means: the codes of `_callee`, then the place of each of `origins`, -1 where none was found."""
        callee, which = row[:_CALLEE], row[_CALLEE:]
        found = zip(origins.items(), which, strict=True)
        keys = {bucket: self._plan.sources[name][place].spec for (bucket, name), place in found if place >= 0}
        provider, api, model, version = map(self._facts.texts.text, callee)
        return Origin(provider, api, model, version, keys)

    def _reported_cost(self) -> None:
        """What `costs.Reported` says; bills of gateways, sums, and zeros that may not be all of it, one by one."""
        self.hard |= self._is_sent(("upstream_cost", "own_key"))
        parts = self._is_sent(costs.PARTS)
        number = self._plan.fields.get("reported_cost")
        if number is None:
            self.hard |= parts
            return
        self.hard |= parts & (self._size[number] == 0)
        size, which, places = self._size[number], self._which[number], self._plan.sources["reported_cost"]
        texts = self._facts.slices.array(self._begin[number], size)
        for place in np.flatnonzero((size > 0) & ~self.hard).tolist():
            cost, row = row_usage.cost(texts[place].as_py()), int(self._rows[place])
            if places[which[place]].in_content or (not cost and (parts[place] or which[place] != len(places) - 1)):
                self.hard[place] = True
            elif cost is not None:
                self._facts.reported_cost[row] = cost
                if not cost and costs.free_model(self._model(row, "request_model"), self._model(row, "response_model")):
                    self._facts.free.add(row)

    def _is_sent(self, names: Sequence[str]) -> Array:
        """The rows that have any of these fields."""
        sent = [self._size[self._plan.fields[name]] > 0 for name in names if name in self._plan.fields]
        return np.logical_or.reduce(sent) if sent else np.zeros(len(self._rows), np.bool_)

    def _model(self, row: int, name: str) -> str:
        return self._facts.texts.text(int(self._facts.codes[name][row]))

    # -- content --------------------------------------------------------------------------------------------------

    def _content(self, kind: Array) -> None:
        is_tool = kind == TOOL
        for side, at in (("input", self._facts.input_at), ("output", self._facts.output_at)):
            key, entry = self._content_of(side)
            if is_tool.any():
                tool_key, tool_entry = self._content_of(f"tool_{side}")
                key, entry = np.where(is_tool, tool_key, key), np.where(is_tool, tool_entry, entry)
            self._facts.codes[f"{side}_key"][self._rows] = key
            at[self._rows] = entry

    def _content_of(self, side: str) -> tuple[Array, Array]:
        """(key, entry of SpanAttributes or -1) of the content of one side."""
        plan = self._plan.content[side]
        which = self._which[self._plan.fields[f"content.{side}"]].astype(np.intp)
        keys = np.array([self._facts.texts.code(key) for key in (*plan.keys, plan.otherwise)], np.int32)
        ranks = np.array((*plan.ranks, plan.otherwise_rank), np.int64)[which]  # -1 is the last: nothing found
        source = self._source
        entries = np.full(len(self._rows), -1, np.int32)
        moved = ranks >= 0
        entries[moved] = source.positions[source.start[self._rows[moved]] + ranks[moved]]
        return keys[which], entries


def _key_rule(places: Mapping[str, int], *, encoded: bool) -> Callable[[str], int]:
    def answer(sent: str) -> int:
        return places.get((unwrapped(sent) if encoded else sent).lower(), -1) if sent else -1

    return answer


def _name_rule(pattern: re.Pattern[str], place: int) -> Callable[[str], int]:
    return lambda name: place if pattern.match(name) else -1

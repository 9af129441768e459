"""What the rows of a batch cost, by column: calls of one model, provider, tier and region are multiplied together.

Gives exactly what `price` says of each row. Rows that need more than multiplication (audio, other buckets, prices with
fractions of a picodollar, amounts beyond 64 bits, models that few rows name) go through it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from collector.enrich.columns import _columns as native
from collector.enrich.columns.reader import CALL, FactColumns
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.factors import region_factors
from collector.enrich.prices.lifetimes import CACHE_WRITE, CACHE_WRITE_1H, PICODOLLARS_PER_MICRODOLLAR
from collector.enrich.prices.pricing import charged, price
from collector.enrich.prices.rates import BUCKETS, Rates
from collector.model.money import MAX_PICODOLLARS, PICODOLLARS_PER_USD, PriceStatus

Array = np.ndarray[Any, Any]

STATUSES = tuple(PriceStatus)
_PRICED, _REPORTED, _UNKNOWN, _NO_USAGE, _NOT_A_CALL, _ROLLED_UP = (
    STATUSES.index(status)
    for status in (
        PriceStatus.PRICED,
        PriceStatus.REPORTED,
        PriceStatus.UNKNOWN_MODEL,
        PriceStatus.NO_USAGE,
        PriceStatus.NOT_A_CALL,
        PriceStatus.ROLLED_UP,
    )
)
_MIN_ROWS = 8
_LARGEST_SHARE = 2.0**59
_REQUEST, _TIME = BUCKETS.index("request"), BUCKETS.index("time")
# What needs `quantities` to tell the parts apart.
_RARE = ("input_audio_tokens", "output_audio_tokens")


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of receipts: for each of `rows` the amounts (picodollars) under `names`, where `present`."""

    rows: Array
    names: tuple[str, ...]
    amounts: Array
    present: Array


@dataclass(slots=True)
class Charges:
    """`status` are numbers in STATUSES, `cost` is in picodollars where `priced`, `ref` are numbers of texts."""

    status: Array
    cost: Array
    priced: Array
    ref: Array
    lines: list[Lines]


def charge(
    catalogue: Catalogue,
    facts: FactColumns,
    starts: Array,
    durations: Array,
    billed: Array,
    *,
    min_rows: int = _MIN_ROWS,
) -> Charges:
    """The charge of every row: `starts` in Unix ns, `durations` in ns, `billed` as decided."""
    return _Charging(catalogue, facts, starts, durations, min_rows).run(billed)


class _Charging:
    def __init__(
        self, catalogue: Catalogue, facts: FactColumns, starts: Array, durations: Array, min_rows: int
    ) -> None:
        rows = len(starts)
        self._min_rows = min_rows
        self._catalogue = catalogue
        self._facts = facts
        self._starts = starts
        self._durations = durations
        self._charges = Charges(
            status=np.full(rows, _NOT_A_CALL, np.int8),
            cost=np.zeros(rows, np.int64),
            priced=np.zeros(rows, np.bool_),
            ref=np.zeros(rows, np.int32),
            lines=[],
        )

    def run(self, billed: Array) -> Charges:
        facts, codes = self._facts, self._facts.codes
        self._charges.status[facts.has_usage & ~billed] = _ROLLED_UP
        rows = np.flatnonzero((facts.has_usage & billed) | (~facts.has_usage & (facts.kind == CALL)))
        if not len(rows):
            return self._charges
        provider = np.where(codes["provider_id"] > 0, codes["provider_id"], codes["provider"])
        region = self._regions(codes["region"])
        named = (provider, codes["response_model"], codes["request_model"], codes["service_tier"], region)
        firsts, places = native.distinct_rows_of(np.column_stack([column[rows] for column in named]))
        by_place = np.argsort(places, kind="stable")
        counts = np.bincount(places, minlength=len(firsts))
        ends = np.cumsum(counts)
        single = self._rare(rows)
        for first, begin, end in zip(firsts, ends - counts, ends, strict=True):
            members = by_place[begin:end]
            if len(members) < self._min_rows:
                single[members] = True
                continue
            alike = rows[members[~single[members]]]
            texts = [facts.texts.text(int(column[rows[first]])) for column in named]
            single[members[~single[members]]] |= self._price_alike(alike, *texts)
        for row in rows[single].tolist():
            self._price_one(row, provider)
        return self._charges

    def _regions(self, sent: Array) -> Array:
        """Codes of what `region_factors` says of each place, so that hosts that change no price are alike."""
        if not sent.any():
            return sent
        texts = self._facts.texts
        different, places = native.distinct(sent)
        found = [texts.code(region_factors(texts.text(code))) for code in different.tolist()]
        return np.array(found, np.int32)[places]

    def _rare(self, rows: Array) -> Array:
        """Rows whose parts only `quantities` can tell apart."""
        facts = self._facts
        rare = np.zeros(len(facts.kind), np.bool_)
        for name in _RARE:
            rare |= facts.counts[name] > 0
        rare[list(facts.details)] = True
        return rare[rows]

    def _price_alike(self, rows: Array, provider: str, response: str, request: str, tier: str, region: str) -> Array:
        """Price calls that differ in time and amounts only; which of them need to be priced one by one."""
        left = np.zeros(len(rows), np.bool_)
        total = self._facts.counts["input_tokens"][rows]
        which, found = self._catalogue.rates(provider, (response, request), self._starts[rows], tier, total, region)
        for number, rates in enumerate(found):
            chosen = which == number
            if chosen.any():
                left[chosen] |= self._apply(rows[chosen], rates)
        self._without_price(rows[which < 0])
        return left

    def _without_price(self, rows: Array) -> None:
        facts, charges = self._facts, self._charges
        charges.status[rows] = np.where(facts.has_usage[rows], _UNKNOWN, _NO_USAGE)
        if facts.reported_cost:
            for row in rows[facts.has_usage[rows]].tolist():
                self._report(row)

    def _report(self, row: int) -> None:
        """A call without a known price costs what its instrumentation says, if it says so."""
        reported = self._facts.reported_cost.get(row)
        if reported or (reported is not None and row in self._facts.free):
            self._charges.status[row] = _REPORTED
            self._charges.cost[row] = int(reported * PICODOLLARS_PER_USD)
            self._charges.priced[row] = True

    def _amounts(self, rows: Array) -> dict[int, Array]:
        """How much of each bucket was used, as `rates.quantities` has it for calls without audio and details."""
        counts = self._facts.counts
        read, write = counts["cache_read_tokens"][rows], counts["cache_write_tokens"][rows]
        hour, reasoning = counts["cache_write_1h_tokens"][rows], counts["reasoning_tokens"][rows]
        return {
            BUCKETS.index("input"): counts["input_tokens"][rows] - read - write,
            BUCKETS.index("cache_read"): read,
            BUCKETS.index("cache_write"): write - hour,
            BUCKETS.index("cache_write_1h"): hour,
            BUCKETS.index("output"): counts["output_tokens"][rows] - reasoning,
            BUCKETS.index("reasoning"): reasoning,
            _REQUEST: np.ones(len(rows), np.int64),
            _TIME: np.maximum(self._durations[rows], 0),
        }

    def _hour_writes(self, rows: Array, amounts: dict[int, Array], rates: Rates) -> bool:
        """What `hour_writes` says, where the reported cost may tell how long cache writes are kept.

        False when they have to be priced one by one: overrides, where rates of two kinds come into question.
        """
        facts = self._facts
        if not facts.reported_cost or rates.denominator != 1:  # the others are priced one by one
            return True
        reported = np.array([self._reported(row) for row in rows.tolist()], np.int64)
        by_bucket = {index: rate for index, _, rate in rates.lines if index in amounts}
        step = by_bucket.get(CACHE_WRITE_1H, 0) - by_bucket.get(CACHE_WRITE, 0)
        unknown = (reported > 0) & (amounts[CACHE_WRITE] > 0) & ~facts.knows_cache_lifetime[rows]
        if rates.overrides or step <= 0 or not unknown.any():
            return not (rates.overrides and unknown.any())
        missing = reported - sum(amounts[index] * rate for index, rate in by_bucket.items())
        hour, rest = np.divmod(missing, step)
        up = (2 * rest > step) | ((2 * rest == step) & (hour % 2 == 1))
        hour, rest = hour + up, np.where(up, step - rest, rest)
        tolerance = np.where(reported % PICODOLLARS_PER_MICRODOLLAR == 0, PICODOLLARS_PER_MICRODOLLAR // 2, 1)
        found = unknown & (hour > 0) & (hour <= amounts[CACHE_WRITE]) & (rest <= tolerance)
        moved = np.where(found, hour, 0)
        amounts[CACHE_WRITE] = amounts[CACHE_WRITE] - moved
        amounts[CACHE_WRITE_1H] = amounts[CACHE_WRITE_1H] + moved
        return True

    def _reported(self, row: int) -> int:
        """The reported cost of a row in picodollars, 0 where there is none."""
        reported = self._facts.reported_cost.get(row)
        return int(reported * PICODOLLARS_PER_USD) if reported else 0

    def _apply(self, rows: Array, rates: Rates) -> Array:
        """Multiply; which rows could not be."""
        amounts = self._amounts(rows)
        odd = np.zeros(len(rows), np.bool_)
        odd |= not self._hour_writes(rows, amounts, rates)
        for amount in amounts.values():
            odd |= amount < 0
        used = [(index, name, rate) for index, name, rate in rates.lines if index in amounts and amounts[index].any()]
        largest = max((float(amounts[index].max()) * rate for index, _, rate in used), default=0.0)
        if rates.denominator != 1 or largest >= _LARGEST_SHARE or odd.any():
            return np.ones(len(rows), np.bool_)
        present = np.column_stack([amounts[index] > 0 for index, _, _ in used] or [np.zeros((len(rows), 0), np.bool_)])
        shares = np.column_stack([amounts[index] * rate for index, _, rate in used] or [np.zeros((len(rows), 0))])
        cost = shares.sum(axis=1, dtype=np.int64)
        measured = present[:, [index not in (_REQUEST, _TIME) for index, _, _ in used]].any(axis=1)
        known = (cost <= MAX_PICODOLLARS) & (measured | (not rates.needs_usage))
        self._apportion_all(rows, rates.ref, known, cost)
        keep = np.flatnonzero(self._charges.priced[rows])
        if len(keep) and used:
            names = tuple(name for _, name, _ in used)
            self._charges.lines.append(Lines(rows[keep], names, shares[keep].astype(np.int64), present[keep]))
        return odd

    def _apportion_all(self, rows: Array, ref: str, known: Array, cost: Array) -> None:
        """A price per request must not fall on every span that mentions the request: without usage only 0 is known."""
        charges, has_usage = self._charges, self._facts.has_usage[rows]
        priced = known & (has_usage | (cost == 0))
        charges.status[rows] = np.where(priced, _PRICED, _NO_USAGE)
        charges.cost[rows] = np.where(priced, cost, 0)
        charges.priced[rows] = priced
        charges.ref[rows] = np.where(has_usage | priced, self._facts.texts.code(ref), 0)

    def _price_one(self, row: int, provider: Array) -> None:
        facts, charges = self._facts, self._charges

        def text(name: str) -> str:
            return facts.texts.text(int(facts.codes[name][row]))

        usage, reported = facts.usage(row), facts.reported_cost.get(row)
        priced = price(
            self._catalogue,
            provider=facts.texts.text(int(provider[row])),
            request_model=text("request_model"),
            response_model=text("response_model"),
            usage=usage,
            at=int(self._starts[row]),
            duration_ns=int(self._durations[row]),
            service_tier=text("service_tier"),
            region=text("region"),
            reported_cost=reported,
            knows_cache_lifetime=bool(facts.knows_cache_lifetime[row]),
        )
        priced = charged(priced, usage, reported, free=row in facts.free)
        charges.status[row] = STATUSES.index(priced.status)
        charges.ref[row] = facts.texts.code(priced.ref)
        if priced.cost is None:
            return
        charges.cost[row], charges.priced[row] = priced.cost, True
        if priced.details:
            amounts = np.array([list(priced.details.values())], np.int64)
            charges.lines.append(
                Lines(np.array([row]), tuple(priced.details), amounts, np.ones(amounts.shape, np.bool_))
            )

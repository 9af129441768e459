"""What was spent: by a dimension and model, by day, what caches saved, what has no price, and the dearest runs."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode

from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected
from collector.model.money import usd
from collector.model.purposes import ALL, PRODUCT
from collector.query.current import CurrentRuns
from collector.query.listing import RunSort, RunsWanted
from collector.query.run_filter import RunFilter
from collector.query.service import MAX_CELLS, ByAttribute, Dimension, Split
from collector.query.titles import title_of
from collector.runs import costs
from collector.web.pages import formats
from collector.web.pages.page import Asked, Shown
from collector.web.pages.periods import Period, period_of

_DAY_NS: Final = 86_400 * 10**9
_VALUES: Final = 10  # rows and columns of the table; the rest is added up
_MODELS: Final = 5  # columns, with the one of calls without a price
_WIDTH, _HEIGHT = 880, 240
_UNPRICED_MODELS: Final = 5
_RISE: Final = 2  # how many times its mean a value costs to be named
BY: Final = (Dimension.FEATURE, Dimension.AGENT, Dimension.USER, Dimension.SERVICE)
_NONE: Final = Decimal(0)
_FREE: Final = "$0.00 free"
_UNPRICED: Final = "unpriced"


@dataclass(frozen=True, slots=True)
class _Cell:
    value: str
    model: str
    day: str
    cost: Decimal | None  # of its calls that have a price
    unpriced: int


async def page(asked: Asked) -> Shown:
    period, by, purpose = period_of(asked, "month"), _by(asked), asked.query.get("purpose", PRODUCT)
    ask, who, hours = asked.services.query, asked.principal, (period.since, period.until)
    current = await asyncio.to_thread(ask.current, who, *hours)
    matching = RunFilter(*hours, folded=False, purpose=purpose)
    wanted = RunsWanted(*hours, limit=5, sort=RunSort.COST, purpose=purpose)
    table, found, dearest, keys = await asyncio.gather(
        asyncio.to_thread(ask.spend_matrix, who, by, *hours, asked.zone_name, tuple(Split), ALL),
        asyncio.to_thread(ask.kpis, who, matching, (period.since, period.since), current=current),
        asyncio.to_thread(_dearest, asked, wanted, current),
        asyncio.to_thread(ask.money_attributes, who, *hours),
    )
    return await asyncio.to_thread(
        _shown, asked, period, by, purpose, table.to_pylist(), found.window.runs, dearest, keys
    )


def _shown(
    asked: Asked,
    period: Period,
    by: Dimension | ByAttribute,
    purpose: str,
    every: Sequence[Mapping[str, Any]],
    runs: int,
    dearest: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
) -> Shown:
    rows = [row for row in every if purpose in (ALL, row["Purpose"])]
    cells = [_Cell(row["Value"], row["Model"], row["Day"], row["Cost"], row["UnpricedCalls"]) for row in rows]
    total = _spent(cells)
    days = _days(period, asked)
    context = {
        "period": period,
        "purpose": purpose,
        "purposes": _purposes(asked, every, purpose),
        "by": by.value,
        "filter": f"attribute={quote(by.key + '=')}" if isinstance(by, ByAttribute) else f"{by.value}=",
        "bys": [(name, asked.without("by", by=name)) for name in _bys(asked, keys)],
        "total": total,
        "mean": _mean(cells, days),
        "last_day": _spent([cell for cell in cells if cell.day == days[-1]]),
        "runs": runs,
        "per_run": total / runs if runs and total is not None else None,
        "unpriced": sum(cell.unpriced for cell in cells),
        "cache": _cache(rows),
        "matrix": _matrix(cells, by),
        "chart": _chart(cells, days),
        "sentence": _cause(cells, days),
        "unpriced_models": _unpriced(every),
        "dearest": dearest,
        "csv": _csv(by, period, asked),
        "cut": len(every) == MAX_CELLS,
        "max_cells": MAX_CELLS,
    }
    return Shown("spend.html", "Spend", "Spend", context, ("views",))


def _dearest(asked: Asked, wanted: RunsWanted, current: CurrentRuns) -> Sequence[Mapping[str, Any]]:
    ask, who = asked.services.query, asked.principal
    runs = ask.search(who, wanted, current).runs
    titles = ask.inputs(who, runs)
    return [
        {
            "trace_id": run.trace_id,
            "start": formats.short_time(run.start, asked.now, asked.zone),
            "name": run.agent_name or run.root_name,
            "title": title_of(titles.get(run.trace_id, "")),
            "cost": formats.money(usd(run.cost), 2 if run.cost >= 10**12 else None),
        }
        for run in runs
        if run.cost is not None
    ]


def _spent(cells: Iterable[_Cell]) -> Decimal | None:
    """What calls have cost, nothing where there were none; None where no call has a price."""
    every = [cell.cost for cell in cells]
    return costs.total(every) if every else _NONE


def _amount(spent: Decimal | None, decimals: int | None = None) -> str:
    return _UNPRICED if spent is None else formats.money(spent, decimals)


def _purposes(asked: Asked, rows: Sequence[Mapping[str, Any]], shown: str) -> list[tuple[str, str, str]]:
    """What else calls were made for in this time, what they have cost, and the address of that; the dearest first."""
    found: dict[str, list[Decimal | None]] = defaultdict(list)
    for row in rows:
        found[row["Purpose"]].append(row["Cost"])
    spent = {name: costs.total(every) for name, every in found.items()}
    return [
        (name or "the product", _amount(spent[name]), asked.without("purpose", purpose=name))
        for name in sorted(spent, key=lambda name: (-(spent[name] or _NONE), name))
        if shown not in (name, ALL)
    ]


def _by(asked: Asked) -> Dimension | ByAttribute:
    wanted = asked.query.get("by", Dimension.FEATURE.value)
    if wanted.startswith(ATTRIBUTE) and wanted != ATTRIBUTE:
        return ByAttribute(wanted.removeprefix(ATTRIBUTE))
    if wanted not in [one.value for one in BY]:
        known = ", ".join(one.value for one in BY)
        raise Rejected(Reason.MALFORMED, f"by={wanted[:40]!r} is none of {known}, and no {ATTRIBUTE}KEY.")
    return Dimension(wanted)


def _bys(asked: Asked, keys: Sequence[str]) -> list[str]:
    """What the page can break spend down by: dimensions, and the attributes that say for whom it is."""
    names = [one.value for one in BY] + [ByAttribute(key).value for key in keys]
    wanted = asked.query.get("by", "")
    return names if not wanted or wanted in names else [*names, wanted]


def _csv(by: Dimension | ByAttribute, period: Period, asked: Asked) -> str:
    """Where a program, or a spreadsheet, reads the same."""
    wanted = {"by": by.value, "split": "model,day", "zone": asked.zone_name, "format": "csv"}
    return f"/api/v1/spend/table?{urlencode({**wanted, 'since': period.since_text, 'until': period.until_text})}"


# -- the table --------------------------------------------------------------------------------------------------------


def _matrix(cells: Sequence[_Cell], by: Dimension | ByAttribute) -> dict[str, Any]:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    unpriced: dict[tuple[str, str], int] = defaultdict(int)
    for cell in cells:
        sums[cell.value, cell.model] += cell.cost or _NONE
        unpriced[cell.value, cell.model] += cell.unpriced
    priced = {(cell.value, cell.model) for cell in cells if cell.cost is not None}
    values = _largest(sums, 0, _VALUES)
    without = sorted({model for (_, model), calls in unpriced.items() if calls})
    models = _largest({key: amount for key, amount in sums.items() if key in priced}, 1, _MODELS - bool(without))
    total = sum(sums.values(), _NONE)
    longest = max((_of(sums, value, model, models) for value in values for model in models), default=_NONE)
    decimals = formats.decimals_of(amount for amount in sums.values() if amount)
    rows = []
    for value in values:
        spent = _spent(cell for cell in cells if cell.value == value)
        rows.append(
            {
                "value": value,
                "cells": [
                    {
                        "cost": formats.money(amount, decimals)
                        if (amount := _of(sums, value, model, models))
                        else _FREE * ((value, model) in priced),
                        "share": f"{100 * float(amount / longest):.2f}" if longest else "0",
                        "x": f"{100 - 100 * float(amount / longest):.2f}%" if longest else "0",
                    }
                    for model in models
                ],
                "unpriced": sum(calls for (own, _), calls in unpriced.items() if own == value),
                "total": _amount(spent, decimals),
                "part": formats.percent(float(spent / total)) if spent is not None and total else "",
            }
        )
    left = _spent(cell for cell in cells if cell.value not in values)
    others = sum((amount for (_, model), amount in sums.items() if model not in models), _NONE)
    return {
        "by": by.value,
        "models": models,
        "unpriced": _without_price(without),
        "unpriced_names": ", ".join(without),
        "rows": rows,
        "totals": [
            formats.money(sum((_of(sums, value, model, models) for value in values), _NONE), decimals)
            for model in models
        ],
        "total": _amount(_spent(cells), decimals),
        "longest": formats.money(longest, decimals) if priced else "",
        "left": _amount(left, decimals) if left != 0 else "",
        "other_models": formats.money(others, decimals) if others else "",
    }


def _without_price(models: Sequence[str]) -> str:
    """The head of their column; empty where every model has a price."""
    if len(models) > 1:
        return f"{len(models)} models without price"
    return models[0] or "(no name)" if models else ""


def _of(sums: Mapping[tuple[str, str], Decimal], value: str, model: str, _: Sequence[str]) -> Decimal:
    return sums.get((value, model), _NONE)


def _largest(sums: Mapping[tuple[str, str], Decimal], at: int, most: int) -> list[str]:
    """The values (or models) with the highest sums, those without any price last."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for key, amount in sums.items():
        totals[key[at]] += amount
    return sorted(totals, key=lambda name: (-totals[name], name))[:most]


# -- days -------------------------------------------------------------------------------------------------------------


def _days(period: Period, asked: Asked) -> list[str]:
    first = formats.moment(period.since, asked.zone).date()
    last = formats.moment(min(period.until - 1, asked.now), asked.zone).date()
    return [(first + timedelta(days=at)).isoformat() for at in range(min((last - first).days + 1, 400))] or [
        last.isoformat()
    ]


def _mean(cells: Sequence[_Cell], days: Sequence[str]) -> Decimal | None:
    """Of the whole days, which the last is not; None where nothing is known of them."""
    whole = set(days[:-1])
    spent = costs.total(cell.cost for cell in cells if cell.day in whole)
    return None if spent is None else spent / len(whole)


def _chart(cells: Sequence[_Cell], days: Sequence[str]) -> dict[str, Any]:
    """Stacked bars: the two dearest values and all others."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for cell in cells:
        totals[cell.value] += cell.cost or _NONE
    first = sorted(totals, key=lambda value: (-totals[value], value))[:2]
    parts_of: dict[str, list[list[_Cell]]] = {day: [[], [], []] for day in days}
    for cell in cells:
        if cell.day in parts_of:
            parts_of[cell.day][first.index(cell.value) if cell.value in first else 2].append(cell)
    by_day = {day: [_spent(part) or _NONE for part in parts] for day, parts in parts_of.items()}
    top = max((sum(parts, _NONE) for parts in by_day.values()), default=_NONE)
    marks = formats.steps(float(top), 4) if top else [0.0]
    scale = _HEIGHT / max(float(top) * 1.08, 1e-12)
    step = _WIDTH / len(days)
    bars = [
        _bar(date.fromisoformat(day), parts, at, step, scale, label=at == len(days) - 1 or sum(parts) == top)
        for at, (day, parts) in enumerate(by_day.items())
    ]
    decimals = 2 if top >= 1 else 4
    every = max(1, len(days) // 6)
    return {
        "names": [name or "(none)" for name in first],
        "others": max(0, len(totals) - len(first)),
        "bars": bars,
        "marks": [
            (f"{_HEIGHT - mark * scale:.1f}", formats.money(Decimal(str(mark)), 0 if top >= 10 else decimals))
            for mark in marks
        ],
        "labels": [(bar["middle"], bar["day"]) for at, bar in enumerate(bars) if at % every == 0],
        "rows": [
            (
                bar["day"],
                *("" if not part else _amount(_spent(part), decimals) for part in (*parts, list(chain(*parts)))),
            )
            for bar, parts in zip(bars, parts_of.values(), strict=True)
        ],
        "width": _WIDTH,
        "height": _HEIGHT,
    }


def _bar(day: date, parts: Sequence[Decimal], at: int, step: float, scale: float, *, label: bool) -> dict[str, Any]:
    pieces, base = [], float(_HEIGHT)
    for kind, part in zip(("ink", "tool-ink", "internal-light"), parts, strict=True):
        tall = float(part) * scale
        base -= tall
        if tall > 0:
            pieces.append((kind, f"{base:.2f}", f"{tall:.2f}"))
    spent = sum(parts, _NONE)
    return {
        "day": f"{day.day} {day:%b}",
        "x": f"{at * step + step * 0.15:.2f}",
        "middle": f"{at * step + step / 2:.2f}",
        "width": f"{step * 0.7:.2f}",
        "pieces": pieces,
        "top": f"{base - 6:.2f}",
        "label": formats.money(spent, 0 if spent >= 10 else None) if label and spent else "",
    }


def _cause(cells: Sequence[_Cell], days: Sequence[str]) -> dict[str, str] | None:
    """Which value rose most above its own mean on the last day but one or the last, if one did."""
    if len(days) < 4:
        return None
    before, late = set(days[:-2]), set(days[-2:])
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [_NONE, _NONE])
    for cell in cells:
        sums[cell.value][cell.day in late] += cell.cost or _NONE
    rises = {
        value: (late_sum / len(late)) / (early / len(before))
        for value, (early, late_sum) in sums.items()
        if early and late_sum
    }
    value = max(rises, key=lambda one: sums[one][1] - sums[one][0] * len(late) / len(before), default="")
    if not value or rises[value] < _RISE or not before:
        return None
    day = date.fromisoformat(days[-2])
    return {"value": value, "times": f"{rises[value]:.1f}", "since": f"{day.day} {day:%b}"}


# -- caches, prices ---------------------------------------------------------------------------------------------------


def _cache(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What reading from caches saved and writing to them cost, against the rate of input of the same price entry.

    Entries of which no call had uncached input have no rate to compare with, and are left out.
    """
    by_ref: dict[str, list[Decimal]] = defaultdict(lambda: [_NONE] * 6)
    names = ("InputAmount", "CacheReadAmount", "CacheWriteAmount")
    for row in rows:
        found = by_ref[row["PriceEntry"]]
        uncached = row["InputTokens"] - row["CacheReadTokens"] - row["CacheWriteTokens"]
        counts = (uncached, row["CacheReadTokens"], row["CacheWriteTokens"])
        for at, amount in enumerate((*counts, *(row[name] or 0 for name in names))):
            found[at] += amount
    saved, surcharge, read, written = _NONE, _NONE, _NONE, _NONE
    for uncached, cache_read, cache_write, amount, read_amount, write_amount in by_ref.values():
        if uncached <= 0 or amount <= 0:
            continue
        rate = amount / uncached
        saved += rate * cache_read - read_amount
        surcharge += write_amount - rate * cache_write
        read, written = read + cache_read, written + cache_write
    if not read and not written:
        return None
    return {
        "saved": saved,
        "surcharge": surcharge,
        "net": saved - surcharge,
        "read": formats.count(int(read)),
        "written": formats.count(int(written)),
    }


def _unpriced(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Models without a price that were called in this time, those with most calls first."""
    calls: Counter[tuple[str, str]] = Counter()
    for row in rows:
        calls[row["Provider"], row["Model"]] += row["UnknownModelCalls"]
    return [
        {
            "model": model or "(no name)",
            "calls": formats.plural(number, "call"),
            "paste": f"pricing:\n  overrides:\n    - model: {json.dumps(model)}\n"
            + (f"      provider: {json.dumps(provider)}\n" if provider else "")
            + "      input: 0.00   # USD per million tokens\n      output: 0.00",
        }
        for (provider, model), number in calls.most_common(_UNPRICED_MODELS)
        if number
    ]

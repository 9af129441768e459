"""The longest run of every fixture in the browser: the names, kinds, nesting, tokens and costs of its rows are those of REST."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from playwright.sync_api import Page

from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.store import Store
from collector.web.pages import formats
from tests.support import stored
from tests.support.budgets import Desk
from tests.support.captured import CASES, captured, spans
from tests.support.pages import Open
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

_OPEN = """() => { for (let row; (row = document.querySelector("#rows .row[aria-expanded=false]"));)
    (row.querySelector(".fold") || row).click(); }"""
_ROWS = """() => [...document.querySelectorAll("#rows .canvas .row")]
    .sort((one, other) => Number(one.dataset.row) - Number(other.dataset.row))
    .map((row) => ({
        level: Number(row.getAttribute("aria-level")), kind: row.querySelector(".kind").textContent,
        name: row.querySelector("a").textContent, tokens: row.querySelector(".tokens").textContent,
        cost: row.querySelector(".cost").textContent}))"""


def test_rows_of_every_fixture_are_those_of_rest(store: Store, desk: Desk, open_page: Open) -> None:
    billing = Billing(ENRICHER, RecentTraces(100_000))
    stored.deliver(store, billing, [envelope for case in CASES for envelope in captured(case)], "every fixture")
    with served(desk, store=store) as web:
        page = open_page(f"{web.url}/runs?last=1h", viewport={"width": 1440, "height": 2000}, ready=False)
        compared = {case: _compare(page, web, _longest(case)) for case in CASES}
        assert all(compared.values())
        assert max(compared.values()) > 20
        page.close()


def _longest(case: str) -> str:
    """The trace with the most spans: most others of a case are a call by itself."""
    return Counter(span.trace_id for span in spans(case)).most_common(1)[0][0]


def _compare(page: Page, web: Web, trace_id: str) -> int:
    page.goto(f"{web.url}/runs/{trace_id}")
    page.wait_for_selector("body[data-ready]")
    page.evaluate(_OPEN)
    stored_spans = web.ask("GET", f"/api/v1/runs/{trace_id}/spans").body
    wanted = _wanted(stored_spans)
    shown = [row for row in page.evaluate(_ROWS) if not row["name"].startswith("parent not received")]
    assert json.dumps(shown, indent=1) == json.dumps(wanted, indent=1), trace_id
    return len(wanted)


def _wanted(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as they should be, worked out from the columns."""
    columns, texts = found["columns"], found["texts"]
    levels: list[int] = []
    rows = []
    below = _below(columns)
    own_tokens = [0 if at in found["rolled_up"] else each for at, each in enumerate(columns["input_tokens"])]
    inside = list(own_tokens)
    for at in range(len(inside) - 1, -1, -1):
        if columns["parent"][at] >= 0:
            inside[columns["parent"][at]] += inside[at]
    decimals = formats.decimals_of(Decimal(cost) for cost in columns["cost"] if cost)
    for at, above in enumerate(columns["parent"]):
        levels.append(levels[above] + 1 if above >= 0 else 2 if at in found["orphans"] else 1)
        kind = texts[columns["kind"][at]]
        own = {"tool": "tool", "agent": "agent"}.get(kind, "name")
        cost, is_sum, tokens = columns["cost"][at], False, own_tokens[at]
        if cost is None and (levels[-1] == 1 or kind == "agent"):
            cost, is_sum, tokens = below[at], below[at] is not None, inside[at]
        rows.append(
            {
                "level": levels[-1],
                "kind": kind,
                "name": texts[columns[own][at]] or texts[columns["name"][at]] or "(no name)",
                "tokens": formats.count(tokens) if tokens else "",
                "cost": "unpriced" if at in found["unpriced"] else "Σ" * is_sum + formats.money(cost, decimals),
            }
        )
    return rows


def _below(columns: dict[str, Any]) -> list[Any]:
    sums = [None if cost is None else Decimal(cost) for cost in columns["cost"]]
    for at in range(len(sums) - 1, -1, -1):
        above, cost = columns["parent"][at], sums[at]
        if above >= 0 and cost is not None:
            sums[above] = cost + (sums[above] or Decimal(0))
    return sums

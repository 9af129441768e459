"""Pages about many runs: quick filters, spend without a price, and the lines in which two prompts differ."""

import csv
import io
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.agent_runs import Step, chat, request, send, text_message
from tests.support.daemon import Daemon
from tests.support.pages import Open
from tests.support.waiting import wait_until

UNPRICED, FIRST, SECOND = (f"{number:032x}" for number in (0xD0, 0xD1, 0xD2))
LINES = [f"Rule {number}." for number in range(1, 21)]


@pytest.fixture(scope="module")
def sent(daemon: Daemon) -> None:
    """A call without a price, and two with system prompts that differ in a line of twenty."""
    now = time.time_ns() - 60 * 10**9
    prompts = ["\n".join(LINES), "\n".join([*LINES[:9], "Rule ten.", "Another.", *LINES[10:]])]
    unpriced = chat([text_message("user", "Hello")], text_message("assistant", "Hi"), (9, 0, 0, 1), "acme-7b")
    send(daemon.http, request([Step("chat acme-7b", 0, 10, attributes=unpriced)], 0xD0, now, service="listed"))
    for number, prompt in enumerate(prompts):
        messages = [text_message("system", prompt), text_message("user", "Hello")]
        steps = [Step("chat", 0, 10, attributes=chat(messages, text_message("assistant", "Hi"), (1000, 0, 0, 10)))]
        send(daemon.http, request(steps, 0xD1 + number, now + number, service="listed"))
    for trace in (UNPRICED, FIRST, SECOND):
        path = f"/api/v1/runs/{trace}/spans"
        wait_until(lambda path=path: daemon.get(path)[0] == 200, 30, trace)  # type: ignore[misc]


def api(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(f"/api/v1/{path}")
    assert status == 200, body
    return json.loads(body)


@pytest.mark.usefixtures("sent")
def test_quick_filters_show_runs_with_a_problem(open_page: Open, daemon: Daemon) -> None:
    page = open_page("/runs?last=30d")
    quick = page.get_by_role("group", name="Quick filters")
    since = "since=2026-01-01"
    counts = {one["value"]: one["runs"] for one in api(daemon, f"facets?{since}")["facets"]["problem"]}
    assert counts["errors"]
    assert counts["unpriced"]
    for label, value in (("Errors", "errors"), ("Unpriced", "unpriced")):
        link = quick.get_by_role("link", name=f"{label} {counts[value]}")
        link.click()
        expect(quick.locator("[aria-current]")).to_have_text(f"{label} {counts[value]}")
        page.wait_for_selector("body[data-ready]")
        listed = page.locator("tr[data-trace]").evaluate_all("rows => rows.map((row) => row.dataset.trace)")
        runs = api(daemon, f"runs?{since}&limit=50&problem={value}")["runs"]
        assert listed == [run["trace_id"] for run in runs]
        assert all(run["errors" if value == "errors" else "unpriced_calls"] for run in runs)
    quick.get_by_role("link", name="All").click()
    expect(page.locator(f"tr[data-trace='{FIRST}']")).to_have_count(1)


@pytest.mark.usefixtures("sent")
def test_what_has_no_price_is_a_column_and_not_in_the_sum(open_page: Open, daemon: Daemon) -> None:
    page = open_page("/spend?last=24h&by=service")
    row = page.locator(".matrix tbody tr", has_text="listed")
    assert "unpriced, 1 call" in row.inner_text()
    assert page.locator(".matrix tfoot td.muted").inner_text() == "not in the sum"
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_bytes().decode(), newline="")))
    mine = [each for each in rows if each["value"] == "listed"]
    assert sum(int(each["unpriced_calls"]) for each in mine) == 1
    total = sum(Decimal(each["cost"]) for each in mine if each["cost"])
    assert row.locator("td.strong").inner_text() == f"${total:.4f}"


@pytest.mark.usefixtures("sent")
def test_lines_of_prompts_have_their_numbers(open_page: Open) -> None:
    page = open_page(f"/compare?a={FIRST}&b={SECOND}")
    lines = page.locator(".difference tr")
    rows = [[cell.strip() for cell in row] for row in lines.evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText))"
    )]  # fmt: skip
    assert rows[0] == ["", "", "\u2026", "7 equal lines"]
    assert ["10", "", "-", "Rule 10."] in rows
    assert ["", "10", "+", "Rule ten."] in rows
    assert ["", "11", "+", "Another."] in rows
    assert rows[-1] == ["", "", "\u2026", "8 equal lines"]
    assert "1 line removed, 2 added, 19 equal" in page.locator(".section").first.inner_text()
    page.get_by_role("link", name="Whole").click()
    expect(lines).to_have_count(22)

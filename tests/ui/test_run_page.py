"""The page of a run: its rows are what the API has, its bars stand where time says, its texts are the bytes sent."""

import json
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.agent_runs import Step, request, send
from tests.support.daemon import Daemon
from tests.support.pages import LONG, OPEN, RUN, START_NS, Open
from tests.support.waiting import wait_until


def api(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(f"/api/v1/runs/{path}")
    assert status == 200, body
    return json.loads(body)


def row_of(page: Page, span_id: str) -> Any:
    return page.locator(f"#rows .canvas .row:has(a[href$='/spans/{span_id}'])")


def test_rows_are_what_the_api_has(open_page: Open, daemon: Daemon) -> None:
    page = open_page(f"/runs/{RUN}", viewport={"width": 1440, "height": 1400})
    found = api(daemon, f"{RUN}/spans")
    columns, texts = found["columns"], found["texts"]
    page.locator("#rows .row", has_text="sql \u00d7 5").click()
    assert page.locator("#rows .canvas .row").count() == found["spans"]
    for at, span_id in enumerate(columns["span_id"]):
        row = row_of(page, span_id)
        assert row.locator(".kind").inner_text() == texts[columns["kind"][at]]
        name = row.locator("a").inner_text()
        own = {"tool": "tool", "agent": "agent"}.get(texts[columns["kind"][at]], "name")
        assert name == texts[columns[own][at]]
        cost = row.locator(".cost").inner_text()
        if columns["cost"][at] is not None:
            assert Decimal(cost.lstrip("$")) == round(Decimal(columns["cost"][at]), 4)
    total = sum(Decimal(cost) for cost in columns["cost"] if cost)
    assert page.locator(".kpi.first dd").inner_text() == f"${total:.4f}"
    assert page.locator(".kpi.first dd").get_attribute("title") == f"${total:.12f}"


@pytest.fixture(scope="module")
def ragged(daemon: Daemon) -> str:
    """A run with two tools side by side, one of which outlives its call, and one that starts before it."""
    steps = [
        Step("root", 0, 1000),
        Step("call", 200, 300, 0),
        Step("early", 150, 100, 1),
        Step("late", 400, 400, 1),
        Step("beside", 450, 50, 1),
    ]
    send(daemon.http, request(steps, 0xA4, START_NS))
    trace = f"{0xA4:032x}"
    wait_until(lambda: daemon.get(f"/api/v1/runs/{trace}/spans")[0] == 200, 30, trace)
    return trace


_WIDTH = "one => one.getBBox().width"
_WIDTHS = "all => all.map((one) => one.getBBox().width)"


@pytest.mark.parametrize("scripts", [True, False])
def test_what_reaches_beyond_its_parent_is_marked(open_page: Open, ragged: str, scripts: bool) -> None:
    page = open_page(f"/runs/{ragged}", java_script_enabled=scripts)
    rows = {name: page.locator("#rows .row", has_text=name) for name in ("call", "early", "late", "beside")}
    assert {name: row.locator("rect.tail").count() for name, row in rows.items()} == {
        "call": 1,
        "early": 0,
        "late": 0,
        "beside": 0,
    }
    assert rows["early"].locator(".detail").inner_text() == "starts 50.0 ms before its parent"
    assert [row.locator("rect.early").count() for row in rows.values()] == [0, 1, 0, 0]
    pieces = [float(width) for width in rows["call"].locator("rect.within").evaluate_all(_WIDTHS)]
    whole = float(rows["call"].locator("rect.internal").evaluate(_WIDTH))
    assert [width / whole for width in pieces] == pytest.approx([50 / 300, 100 / 300], abs=0.01)  # its children's time
    assert rows["late"].locator("rect.within").count() == 0
    bar, tail = (rows["call"].locator(f"rect.{name}").bounding_box() for name in ("internal", "tail"))
    assert bar is not None
    assert tail is not None
    assert tail["x"] == pytest.approx(bar["x"] + bar["width"], abs=1)
    assert tail["width"] == pytest.approx(bar["width"], abs=1)  # 300 ms of the call, and 300 ms of its tool after it


def test_a_row_is_a_sentence(open_page: Open, ragged: str) -> None:
    page = open_page(f"/runs/{ragged}")
    said = page.locator("#rows .row").evaluate_all("rows => rows.map((row) => row.ariaLabel)")
    assert said == [
        "internal, root, 1.00 s, starts at 0 \u00b5s",
        "internal, call, 300 ms, starts at 200 ms",
        "internal, early, 100 ms, starts at 150 ms, 50.0 ms before its parent",
        "internal, late, 400 ms, starts at 400 ms, runs in parallel with 1",
        "internal, beside, 50.0 ms, starts at 450 ms, runs in parallel with 1",
    ]


def test_filters_by_limits_work_without_scripts_too(open_page: Open, daemon: Daemon) -> None:
    found = api(daemon, f"{RUN}/spans")["columns"]
    slow = sum(duration > 1_000_000 for duration in found["duration"])
    dear = sum(Decimal(cost or 0) > Decimal("0.01") for cost in found["cost"])
    for scripts in (True, False):
        page = open_page(f"/runs/{RUN}", java_script_enabled=scripts)
        for words, number in (("slower than 1 s", slow), ("dearer than $0.01", dear)):
            page.locator(".filter", has_text=words).click()
            expect(page.locator("#rows .row")).to_have_count(number)
            assert page.locator(".filter", has_text=words).locator(".much").inner_text() == str(number)


@pytest.mark.parametrize("zoom", [1, 4, 37])
def test_bars_stand_where_time_says(open_page: Open, daemon: Daemon, zoom: int) -> None:
    found = api(daemon, f"{RUN}/spans")
    length = found["duration_nanoseconds"] / 1000
    first = sorted(found["columns"]["start"])[3]  # three tools begin there
    begin, end = (0, length) if zoom == 1 else (first, first + length / zoom)
    page = open_page(f"/runs/{RUN}?from={begin:.0f}&to={end:.0f}")
    width = page.locator("#axis").evaluate("one => one.clientWidth")
    scale = width / (round(end) - round(begin))
    columns, compared = found["columns"], 0
    for at, span_id in enumerate(columns["span_id"]):
        bar = row_of(page, span_id).locator(".bar rect").first
        x, wide = (columns["start"][at] - round(begin)) * scale, columns["duration"][at] * scale
        if not row_of(page, span_id).count() or x < 0 or x + wide > width or wide < 2:
            continue
        compared += 1
        assert abs(float(bar.get_attribute("x") or -9) - x) < 1
        assert abs(float(bar.get_attribute("width") or -9) - wide) < 1
    assert compared >= (10 if zoom == 1 else 1)


def test_the_dearest_calls_prompt_is_one_click_away(open_page: Open, daemon: Daemon) -> None:
    page = open_page(f"/runs/{RUN}")
    page.get_by_role("link", name="Dearest call").click()
    page.wait_for_selector("#drawer .messages")
    span_id = page.locator("#span").get_attribute("data-span")
    span = api(daemon, f"{RUN}/spans/{span_id}")
    costs = [Decimal(cost) for cost in api(daemon, f"{RUN}/spans")["columns"]["cost"] if cost]
    assert Decimal(span["receipt"]["total"]) == max(costs)
    amounts = [Decimal(text.lstrip("$")) for text in page.locator(".receipt tbody td:last-child").all_inner_texts()]
    assert sum(amounts) == Decimal(span["receipt"]["total"])
    assert page.locator(".receipt tfoot td").last.inner_text() == f"${span['receipt']['total']}"
    assert "equals the cost shown" in page.locator(".receipt tfoot").inner_text()
    page.locator("#input [data-view=exact]").click()
    page.wait_for_selector("#input pre")
    sent = daemon.get(f"/api/v1/runs/{RUN}/spans/{span_id}/input")[1].decode()
    assert page.locator("#input [data-pieces]").evaluate("one => one.textContent") == sent


@pytest.mark.parametrize("scripts", [True, False])
def test_messages_of_the_round_before_are_folded(open_page: Open, daemon: Daemon, scripts: bool) -> None:
    found = api(daemon, f"{RUN}/spans")
    span_id = found["columns"]["span_id"][found["rounds"][2]]
    page = open_page(f"/runs/{RUN}/spans/{span_id}", java_script_enabled=scripts)
    sent = json.loads(daemon.get(f"/api/v1/runs/{RUN}/spans/{span_id}/input")[1])
    folded = page.locator("#input details.as-before")
    fresh = page.locator("#input .messages > .message")
    again = folded.locator(".message").count()
    assert folded.locator("summary").inner_text().endswith(f"{again} messages as in round 2")
    assert again + fresh.count() == len(sent)
    assert 0 < fresh.count() < again
    assert not folded.locator(".message").first.is_visible()
    folded.locator("summary").click()
    assert folded.locator(".message").first.is_visible()


def test_the_address_restores_what_was_seen(open_page: Open) -> None:
    page = open_page(f"/runs/{RUN}")
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer #span")
    assert "payments.lookup" in page.locator("#drawer h2").inner_text()
    address = page.url
    page.reload()
    page.wait_for_selector("#drawer #span")
    assert page.url == address
    assert page.locator(".row.chosen").inner_text().startswith("tool")
    page.keyboard.press("Escape")
    assert page.locator("#drawer").is_hidden()
    page.go_back()
    page.wait_for_selector("#drawer #span")
    page.go_forward()
    assert page.locator("#drawer").is_hidden()


def test_folds_and_scroll_are_restored(open_page: Open) -> None:
    page = open_page(f"/runs/{RUN}")
    every = page.locator("#rows .row").count()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#rows .row")).to_have_count(1)
    address = page.url
    assert "fold=" in address
    page.reload()
    expect(page.locator("#rows .row")).to_have_count(1)
    copied = open_page(address)
    expect(copied.locator("#rows .row")).to_have_count(1)
    copied.keyboard.press("ArrowRight")
    expect(copied.locator("#rows .row")).to_have_count(every)
    page.goto(page.url.partition("/runs/")[0] + f"/runs/{LONG}")
    page.wait_for_selector("body[data-ready]")
    page.locator("#rows").evaluate("one => { one.scrollTop = 3000 }")
    wait_until(lambda: page.evaluate("history.state?.scroll === 3000"), 10, "the place to be kept")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#rows").evaluate("one => one.scrollTop") == 3000


def test_a_run_is_found_opened_and_taken_away_without_scripts(open_page: Open) -> None:
    page = open_page("/runs?last=30d&agent=support-agent", java_script_enabled=False)
    page.locator("#find").fill(RUN[:16] + RUN[16:].upper())
    page.locator("#find").press("Enter")
    expect(page.locator("#rows .row")).to_have_count(36)
    page.get_by_role("link", name="JSON", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export", exact=True).last.click()
    assert json.loads(download.value.path().read_bytes())["trace_id"] == RUN


def test_keys_move_fold_and_filter_and_focus_is_never_lost(open_page: Open) -> None:
    page = open_page(f"/runs/{LONG}")
    active = "document.activeElement.id"
    page.keyboard.press("j")
    assert page.evaluate(active) == "rows"
    for key in (
        "j",
        "j",
        "ArrowLeft",
        "ArrowRight",
        "End",
        "Home",
        "$",
        "Escape",
        "s",
        "Escape",
        "f",
        "0",
        "+",
        "-",
        "a",
        "d",
        "3",
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement !== document.body"), key
    assert page.locator("#match-count").inner_text() != "no filter"
    page.keyboard.press("3")
    assert page.locator("#match-count").inner_text() == "no filter"
    page.keyboard.press("/")
    page.keyboard.type("worker-3")
    assert page.locator("#match-count").inner_text().isdecimal()
    page.keyboard.press("Enter")
    assert page.evaluate(active) == "rows"
    assert page.locator("#rows").get_attribute("aria-activedescendant") is not None


def test_only_rows_in_sight_are_elements(open_page: Open) -> None:
    page = open_page(f"/runs/{LONG}")
    assert page.evaluate("document.querySelectorAll('*').length") < 2000
    assert page.locator("#rows .canvas").evaluate("one => one.clientHeight") > 20_000
    page.locator("#rows").evaluate("one => { one.scrollTop = one.scrollHeight }")
    expect(page.locator("#row-2999")).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") < 2000


def test_without_scripts_there_are_500_rows_a_page(open_page: Open) -> None:
    page = open_page(f"/runs/{LONG}", java_script_enabled=False)
    expect(page.locator("#rows .row")).to_have_count(500)
    page.get_by_role("link", name="Later").click()
    expect(page.locator("#rows .row")).to_have_count(500)
    page.locator("#rows .row a").first.click()
    expect(page.locator("#span h2")).to_be_visible()
    expect(page.locator("#input")).to_be_visible()


def test_a_run_whose_root_has_not_come_says_so(open_page: Open) -> None:
    page = open_page(f"/runs/{OPEN}")
    assert "incomplete" in page.locator(".title-line .chip").inner_text()
    assert "without their parent" in page.locator(".note").inner_text()


def test_what_is_not_there_is_a_page_too(open_page: Open) -> None:
    for path, text in ((f"/runs/{'0' * 32}", "No span of trace"), ("/runs/xyz", "is not a trace id")):
        page = open_page(path, ready=False, expected=("Failed to load resource",))
        assert text in page.locator("main").inner_text()

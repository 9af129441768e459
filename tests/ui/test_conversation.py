"""The conversation of a run: what says nothing by itself is folded, and texts are read in three ways."""

import pytest
from playwright.sync_api import expect

from tests.support.agent_runs import Step, chat, request, send, text_message
from tests.support.daemon import Daemon
from tests.support.pages import RUN, START_NS, Open
from tests.support.waiting import wait_until

SAID = "\n**bold** and\r\n\u202eturned\u202c <b>&amp;"
VIEW = f"/runs/{RUN}?view=conversation"


@pytest.mark.parametrize("scripts", [True, False])
def test_rounds_that_only_call_tools_are_folded(open_page: Open, scripts: bool) -> None:
    page = open_page(VIEW, java_script_enabled=scripts)
    folds = page.locator("details.turns")
    titles = [text.splitlines()[-1] for text in folds.locator("summary").all_inner_texts()]
    assert titles == [
        "rounds 4 and 5 8 tool calls: sql \u00d7 5, peek, export_rows, jq",
        "refund-checker its own conversation, rounds 7 and 8 2 tool calls: fraud_score, refund_policy",
        "rounds 9 and 10 2 tool calls: refund_preview, create_refund",
    ]
    assert not page.locator("#round-4").is_visible()
    assert [page.locator(f"#round-{number}").is_visible() for number in (1, 2, 3, 6, 11)] == [True] * 5
    folds.first.locator("summary").click()
    expect(page.locator("#round-4")).to_be_visible()
    page.locator(".by-round a", has_text="9").click()
    expect(page.locator("#round-9")).to_be_visible()
    page.get_by_role("link", name="Unfold all").click()
    expect(page.locator("details.turns")).to_have_count(0)
    assert page.locator(".turn[id]").count() == 11
    page.get_by_role("link", name="Fold", exact=True).click()
    expect(page.locator("details.turns")).to_have_count(3)


def test_a_fold_says_what_it_cost(open_page: Open, daemon: Daemon) -> None:
    page = open_page(VIEW)
    costs = page.locator(".by-round").first.locator("tr td:last-child").all_inner_texts()
    shown = page.locator("details.turns summary .numbers").first.inner_text()
    total = sum(float(costs[number - 1].lstrip("$")) for number in (4, 5))
    assert float(shown.split()[0].lstrip("$")) == pytest.approx(total, abs=0.0001)


def test_texts_are_read_in_three_ways(open_page: Open, daemon: Daemon) -> None:
    said = chat([text_message("user", SAID)], text_message("assistant", "Done."), (5, 0, 0, 1))
    send(daemon.http, request([Step("chat", 0, 10, attributes=said)], 0xC3, START_NS))
    run = f"/runs/{0xC3:032x}"
    wait_until(lambda: daemon.get(f"/api/v1{run}/spans")[0] == 200, 30, "the run")
    page = open_page(f"{run}?view=conversation")
    assert page.locator(".turn .part").first.inner_text().strip().startswith("**bold** and")
    page.get_by_role("link", name="Markdown", exact=True).click()
    expect(page.locator(".turn .markdown strong")).to_have_text("bold")
    assert page.locator(".turn b").count() == 0
    page.get_by_role("link", name="Exact", exact=True).click()
    exact = page.locator(".turn pre.exact").first
    assert exact.evaluate("one => one.textContent") == SAID
    assert exact.locator(".unseen").evaluate_all("all => all.map((one) => one.dataset.code)") == ["U+202E", "U+202C"]
    wrong = open_page(f"{run}?view=conversation&as=poem", ready=False, expected=("400",))
    assert "as='poem' is none of text, markdown, exact." in wrong.locator("main").inner_text()


def test_a_long_prompt_leads_to_its_view(open_page: Open) -> None:
    page = open_page(VIEW)
    first = page.locator(".turn").first
    assert "400 of 840 characters shown." in first.inner_text()
    first.get_by_role("link", name="Whole prompt").click()
    expect(page.locator("#prompt")).to_be_visible()

"""Pages in other states: signing in, an empty store, a store that is away, paper, zoom, other zones, missing parents."""

import json
import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from collector.admit.auth import hash_token
from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.store import Store
from tests.support import stored
from tests.support.agent_runs import Step, request, send, text_message
from tests.support.budgets import Desk
from tests.support.captured import captured
from tests.support.daemon import Daemon
from tests.support.expiry import expire
from tests.support.images import base64_of, png
from tests.support.pages import LONG, OPEN, RULES, RUN, START_NS, Open, Seen
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.waiting import wait_until
from tests.support.webserver import Web

TOKENS = [{"name": "reader", "sha256": hash_token("reader-token"), "scopes": ["traces:read"]}]
WRITTEN = (0xB1).to_bytes(16, "big").hex()
MARKDOWN = """# Order 48213

A *late* [parcel](https://example.com/p "p"), ![seen](http://evil.test/x.png), [bad](javascript:alert(1))
<img src=http://evil.test/y.png onerror=alert(2)>

| day | charges |
|---|---|
| 26 | 2 |
"""
UNSEEN = "pay \u202e9.99\u202c to\u200b me, \U0001f469\u200d\U0001f680\U000e0041"


def is_for_everyone(page: Page) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        found = Axe().run(page, options=RULES).response["violations"]
        assert [(rule["id"], [node["html"][:300] for node in rule["nodes"][:3]]) for rule in found] == [], theme
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


# -- who is not signed in, has nothing, or whose store is away --------------------------------------------------------


def test_signing_in_is_for_everyone(desk: Desk, open_page: Open) -> None:
    with served(desk, TOKENS) as web:
        page = open_page(f"{web.url}/budgets", ready=False, expected=("401",))
        assert page.locator("h1").inner_text() == "Sign in"
        is_for_everyone(page)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is no token with the scope traces:read.")
        is_for_everyone(page)
        page.get_by_label("Token").fill("reader-token")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_have_text("Budgets")
        page.close()


def test_a_first_visit_is_for_everyone(desk: Desk, store: Store, open_page: Open) -> None:
    with served(desk, store=store) as web:
        page = open_page(f"{web.url}/runs")
        assert "Two lines send the first one" in page.locator("main").inner_text()
        for way, line in (("Node", "node --require"), ("Claude Code", "spanmeter connect"), ("curl", "curl http")):
            page.get_by_role("link", name=way, exact=True).click()
            expect(page.locator("#lines .command").last).to_contain_text("claude" if "Claude" in way else line)
            assert line in page.locator("#lines").inner_text()
        page.wait_for_selector("body[data-ready]")
        is_for_everyone(page)
        page.close()


@pytest.fixture
def storeless(desk: Desk) -> Iterator[Web]:
    with served(desk) as web:
        yield web


def test_a_store_that_is_away_is_said_and_asked_again(storeless: Web, open_page: Open) -> None:
    page = open_page(f"{storeless.url}/runs", ready=False, expected=("503",))
    for path in ("/runs", "/spend", "/live", "/compare", f"/runs/{RUN}", f"/runs/{RUN}/spans/{3:016x}"):
        answer = page.goto(storeless.url + path)
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, answer.headers["retry-after"])
        assert "The test has no store." in page.locator("main").inner_text()
        assert "Open the page again in a moment." in page.locator("main").inner_text()
    is_for_everyone(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{storeless.url}/budgets")
    assert page.locator("h1").inner_text() == "Budgets"
    page.close()


def test_a_run_whose_content_has_expired_says_so(store: Store, desk: Desk, open_page: Open) -> None:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(1000)), captured("oi-openai"), "one fixture")
    asked = "SELECT TraceId, SpanId FROM otel_traces FINAL WHERE Kind = 'llm' AND Input != '' LIMIT 1"
    (span,) = store.query(asked, {}).to_pylist()
    with served(desk, store=store) as web:
        run = f"{web.url}/runs/{span['TraceId']}"
        page = open_page(run)
        assert "has expired" not in page.locator("main").inner_text()
        expire(store)
        for path in ("", "?view=conversation", f"/spans/{span['SpanId']}"):
            page.goto(run + path)
            assert "Content of this run has expired (store.content_ttl)" in page.locator(".note").inner_text()
        expect(page.locator("#input")).to_contain_text(
            "It has expired (store.content_ttl); what is left says what the call was."
        )
        page.goto(f"{run}?view=conversation")
        assert "Its content has expired." in page.locator(".conversation").inner_text()
        page.close()


# -- paper, zoom, zones -----------------------------------------------------------------------------------------------


def test_a_run_is_printed_with_all_its_views(open_page: Open) -> None:
    page = open_page(f"/runs/{RUN}?view=print", color_scheme="dark")
    titles = page.locator("h2.list").all_inner_texts()
    assert titles == ["Waterfall", "Conversation", "Rounds", "Prompt", "Tools"]
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("header.top").is_visible()
    assert page.locator(".row .bar rect").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.goto(page.url.replace(RUN, LONG))
    assert page.locator(".waterfall .row").count() == 2000
    assert "The first 2,000 of 3,000 spans are printed." in page.locator("main").inner_text()


@pytest.mark.parametrize("keys", ["Control+p", "Meta+p"])
def test_printing_the_waterfall_prints_the_page_for_paper(open_page: Open, keys: str) -> None:
    page = open_page(f"/runs/{RUN}")
    page.context.add_init_script("window.print = () => { document.body.dataset.printed = 'true'; }")
    page.keyboard.press(keys)
    page.wait_for_selector("body[data-printed]")
    assert page.locator(".waterfall .row").count() == 36
    assert "?view=print" in page.url
    plain = open_page(f"/runs/{RUN}")
    assert not plain.get_by_text("These are the rows in sight.").is_visible()
    plain.emulate_media(media="print")
    assert plain.get_by_text("These are the rows in sight.").is_visible()


@pytest.mark.parametrize("path", ["/runs?last=30d", f"/runs/{RUN}", f"/runs/{RUN}?view=conversation", "/budgets"])
def test_zoom_of_400_per_cent_loses_nothing(open_page: Open, path: str) -> None:
    page = open_page(path, viewport={"width": 360, "height": 225}, device_scale_factor=4)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if path == f"/runs/{RUN}":
        row = page.locator("#rows .row", has_text="payments.lookup").first
        row.scroll_into_view_if_needed()
        row.click()
        expect(page.locator("#drawer h2")).to_have_text("payments.lookup")
        page.locator("#drawer .tools").first.scroll_into_view_if_needed()
    else:
        page.locator("main a").last.scroll_into_view_if_needed()


@pytest.mark.parametrize(
    ("zone", "hour", "name"),
    [("UTC", "21:06:40", "UTC"), ("Asia/Kathmandu", "02:51:40", "UTC+05:45"), ("America/New_York", "16:06:40", "EST")],
)
def test_times_are_in_the_zone_that_is_chosen(open_page: Open, zone: str, hour: str, name: str) -> None:
    page = open_page(f"/runs/{RUN}", timezone_id="Europe/Berlin")
    page.locator("#zone").fill(zone)
    page.locator("#zone").press("Enter")
    expect(page.locator(".facts time")).to_contain_text(f"{hour}.000 {name}")
    assert page.locator("#zone").input_value() == zone
    page.goto(page.url.partition("?")[0] + "?tz=Europe/Berlin")
    expect(page.locator(".facts time")).to_contain_text("CET")
    page.goto(f"{page.url.partition('?')[0]}/spans/{1:016x}")
    assert f"{hour}.000 {name}" in (page.locator("#attributes tr", has_text="started").text_content() or "")


def test_a_summer_hour_is_a_summer_hour(open_page: Open, daemon: Daemon) -> None:
    for number, moment in ((0xB2, 1_793_509_200), (0xB3, 1_793_516_400)):  # 2026-11-01 at 01:00 EDT, and 01:00 EST
        send(daemon.http, request([Step("night", 0, 10)], number, moment * 10**9))
        path = f"{number:032x}"
        wait_until(lambda path=path: daemon.get(f"/api/v1/runs/{path}/spans")[0] == 200, 30, path)  # type: ignore[misc]
    for number, shown in ((0xB2, "01:00:00.000 EDT"), (0xB3, "02:00:00.000 EST")):
        page = open_page(f"/runs/{number:032x}?tz=America/New_York")
        assert shown in page.locator(".facts time").inner_text()


def test_a_zone_that_is_none_is_a_sentence(open_page: Open) -> None:
    page = open_page(f"/runs/{RUN}", expected=("400",))
    page.locator("#zone").fill("Mars/Base")
    page.locator("#zone").press("Enter")
    expect(page.locator(".lead")).to_contain_text("There is no time zone 'Mars/Base'")


# -- missing parents, Markdown, what is not seen ----------------------------------------------------------------------


def test_spans_without_their_parent_stand_together(open_page: Open, daemon: Daemon) -> None:
    page = open_page(f"/runs/{OPEN}", viewport={"width": 1440, "height": 2000})
    group = page.locator("#rows .row").first
    orphans = int(group.locator("a").inner_text().partition("(")[2].rstrip(")"))
    assert group.get_attribute("aria-level") == "1"
    assert page.locator("#rows .row[aria-level='2']").count() <= orphans
    before = page.locator("#rows .row").count()
    group.click()
    assert page.locator("#rows .row").count() == 1
    assert page.locator("#drawer").is_hidden()
    page.keyboard.press("Enter")
    assert page.locator("#rows .row").count() == before
    plain = open_page(f"/runs/{OPEN}", java_script_enabled=False)
    assert f"parent not received ({orphans})" in plain.locator("#rows").inner_text()


def test_images_that_came_with_a_message_are_shown_and_nothing_is_loaded(
    open_page: Open, daemon: Daemon, seen: Seen
) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64_of(png(30, 20))}"}},
        {"type": "image_url", "image_url": {"url": "http://evil.test/seen.png"}},
        {"type": "input_audio", "input_audio": {"data": base64_of(bytes(3000)), "format": "wav"}},
    ]
    said = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps([{"role": "user", "content": parts}])}
    send(daemon.http, request([Step("chat", 0, 10, attributes=said)], 0xB4, START_NS))
    run = f"/runs/{0xB4:032x}"
    wait_until(lambda: daemon.get(f"/api/v1{run}/spans")[0] == 200, 30, "the run")
    for path, place in ((f"{run}?view=conversation", ".conversation"), (f"{run}?span={1:016x}", "#drawer")):
        page = open_page(path)
        shown = page.locator(f"{place} .media")
        expect(shown).to_have_count(3)
        image = shown.nth(0).locator("img")
        image.scroll_into_view_if_needed()
        drawn = "one => one.naturalWidth === 30 && one.naturalHeight === 20"
        wait_until(lambda: image.evaluate(drawn), 10, "the image")  # noqa: B023 - it is called here only
        assert shown.nth(1).inner_text() == "image not loaded http://evil.test/seen.png"
        assert shown.nth(2).inner_text() == "audio audio/wav, 2.93 KiB (3,000 bytes), not shown"
        assert shown.locator("img").count() == 1
    assert not [url for url in seen.requests if "evil" in url]


@pytest.fixture(scope="module")
def written(daemon: Daemon) -> None:
    messages = [text_message("user", MARKDOWN)]
    steps = [
        Step(
            "chat", 0, 10, attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(messages)}
        ),
        Step("tool", 20, 10, attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": UNSEEN}),
        Step("note", 40, 10, attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": MARKDOWN}),
    ]
    send(daemon.http, request(steps, 0xB1, START_NS))
    wait_until(lambda: daemon.get(f"/api/v1/runs/{WRITTEN}/spans")[0] == 200, 30, "the run")


@pytest.mark.usefixtures("written")
def test_markdown_is_read_and_can_do_nothing(open_page: Open, seen: Seen) -> None:
    page = open_page(f"/runs/{WRITTEN}/spans/{3:016x}")
    page.locator("#input [data-view=markdown]").click()
    shown = page.locator("#input #markdown")
    expect(shown.locator("h1")).to_have_text("Order 48213")
    assert shown.locator("td").all_inner_texts() == ["26", "2"]
    assert shown.locator("img").count() == 0
    links = {link.inner_text(): link.get_attribute("href") for link in shown.locator("a").all()}
    assert links == {"parcel": "https://example.com/p", "seen": "http://evil.test/x.png"}
    assert shown.locator("a").first.get_attribute("rel") == "noopener nofollow noreferrer"
    assert "<img src=http://evil.test/y.png" in shown.inner_text()
    assert not [url for url in seen.requests if "evil" in url]
    page.locator("#input [data-view=exact]").click()
    page.locator("#input [data-pieces] pre.exact").wait_for()
    assert page.locator("#input [data-pieces]").evaluate("one => one.textContent") == MARKDOWN


@pytest.mark.usefixtures("written")
def test_what_is_not_seen_is_marked_and_not_copied(open_page: Open) -> None:
    page = open_page(f"/runs/{WRITTEN}/spans/{2:016x}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Output").click()
    page.locator("#output pre.exact").wait_for()
    marks = page.locator("#output .unseen").evaluate_all("all => all.map((one) => one.dataset.code)")
    assert marks == ["U+202E", "U+202C", "U+200B", "U+E0041"]
    assert page.locator("#output pre").evaluate("one => one.textContent") == UNSEEN
    page.locator("#output").get_by_role("button", name="Copy").click()
    expect(page.locator("#announcement")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == UNSEEN


def test_a_run_is_copied_as_markdown_and_a_span_as_curl(open_page: Open, daemon: Daemon) -> None:
    page = open_page(f"/runs/{RUN}?span={3:016x}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator("#announcement")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == daemon.get(f"/api/v1/runs/{RUN}/export?format=md")[1].decode()
    page.get_by_role("button", name="Copy as cURL").click()
    path = f"/api/v1/runs/{RUN}/spans/{3:016x}"
    read = "navigator.clipboard.readText()"
    wait_until(lambda: page.evaluate(read).startswith("curl"), 10, "the command")
    copied = page.evaluate(read)
    assert copied == f"curl -H \"x-api-key: $SPANMETER_TOKEN\" '{daemon.web}{path}'"


# -- setting a program up ---------------------------------------------------------------------------------------------


def test_settings_to_copy_and_what_arrives(daemon: Daemon, open_page: Open, browser: Browser) -> None:
    """The page shows a program's settings for this daemon, and by itself what has arrived since, with its cost."""
    page = open_page("/connect?program=openai", ready=True)
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={daemon.http}" in page.locator("#settings").inner_text()
    expect(page.locator("#listening")).to_contain_text("Listening")
    page.get_by_role("link", name="With them").click()
    expect(page.locator("#settings")).to_contain_text("CAPTURE_MESSAGE_CONTENT=SPAN_ONLY")
    page.wait_for_selector("body[data-ready]")
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1200}
    send(daemon.http, request([Step("chat", 0, 1000, attributes=call)], 0xC0, time.time_ns()))
    expect(page.locator("#listening")).to_contain_text("A call with its price has arrived", timeout=20_000)
    expect(page.locator(".ready")).to_contain_text("1 call, 1,200 tokens in")
    assert "content=1" in page.url
    again = page.url
    page.close()
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(again)
    expect(plain.locator(".ready")).to_contain_text("1 call, 1,200 tokens in")
    plain.get_by_role("link", name="Claude Code").click()
    expect(plain.locator("#settings")).to_contain_text('"OTEL_LOGS_EXPORTER": "otlp"')
    plain.context.close()

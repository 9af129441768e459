"""What spans hold is text on every page: never markup, never a request, and exact where it says so."""

import time

import pytest
from playwright.sync_api import expect

from tests.support.agent_runs import Step, request, send
from tests.support.daemon import Daemon
from tests.support.pages import START_NS, Open, Seen
from tests.support.waiting import wait_until

EVIL = (
    "\"'><img src=/x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>&lt;b&gt;{{7*7}}javascript:alert(4)"
)
TRACE = (0xE1).to_bytes(16, "big").hex()
EXACT = (0xE2).to_bytes(16, "big").hex()
TURNED = (0xE3).to_bytes(16, "big").hex()
TURN, MARKED = "agent \u202etxt\u200b.exe", "agent \u27e8U+202E\u27e9txt\u27e8U+200B\u27e9.exe"
NASTY = [
    "\nfirst line is empty",
    "\r\nwindows\r\nlines\r",
    "\ufeffa mark of byte order",
    "null \x00 inside",
    "  spaces \t tabs \x0b\x0c  ",
    "<pre></pre><textarea></textarea><!-- --><![CDATA[ ]]>",
    "&amp; &lt; &#0; &nbsp;",
    "\u202eright to left\u202c and \u200bzero width\u200d",
    "e\u0301 and \u00e9 are not one",
    "\U0001f469\u200d\U0001f680 family \U0001f1e9\U0001f1ea",
    '{"a": "\\u0000\\ud83d", "b": 1.0, "a": 2}',
    "[1,2",
    "\\n is not a new line",
    "a" * 70_000 + "\u00fc" * 10,
    "x" + "\u00fc" * 40_000,
    "\u2028line\u2029paragraph\x85next",
    "\x7f\x80\x9f\xa0\xad",
    "",
    " ",
    "\r",
]


CUT = next(number for number, text in enumerate(NASTY) if text.startswith("x\u00fc"))


@pytest.fixture(scope="module")
def hostile(daemon: Daemon) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": EVIL,
        "gen_ai.request.model": EVIL,
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.agent.name": EVIL,
        "gen_ai.conversation.id": EVIL,
        "gen_ai.input.messages": '[{"role": "<b>system", "content": "<img src=/x onerror=alert(5)>"}]',
        "gen_ai.output.messages": '[{"role": "assistant", "content": "<script>alert(6)</script>"}]',
        "gen_ai.tool.definitions": '[{"name": "<i>", "description": "<script>", "parameters": {"a": "<img>"}}]',
        "user.id": EVIL,
        "spanmeter.feature": EVIL,
        EVIL: EVIL,
    }
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": EVIL, "gen_ai.tool.call.arguments": EVIL}
    steps = [
        Step(EVIL, 0, 100, attributes={**attributes, "gen_ai.operation.name": "invoke_agent"}),
        Step(EVIL, 1, 50, 0, attributes, error=EVIL, events=[(EVIL, {EVIL: EVIL})]),
        Step(EVIL, 52, 20, 1, tool, error=EVIL),
    ]
    send(daemon.http, request(steps, 0xE1, START_NS, service=EVIL))
    exact = [  # the last begins first: lists show the beginning of a text that is cut within a character
        Step(
            f"n{number}",
            0 if number == CUT else number + 1,
            1,
            attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": text},
        )
        for number, text in enumerate(NASTY)
    ]
    send(daemon.http, request(exact, 0xE2, START_NS))
    turned = [
        Step(TURN, 0, 9, attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": TURN}),
        Step("chat", 1, 3, 0, {"gen_ai.operation.name": "chat", "gen_ai.request.model": TURN}),
        Step(
            "tool",
            5,
            2,
            0,
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": TURN.replace("agent", "tool")},
        ),
    ]
    send(daemon.http, request(turned, 0xE3, time.time_ns()))
    for trace in (TRACE, EXACT, TURNED):
        path = f"/api/v1/runs/{trace}/spans"
        wait_until(lambda path=path: daemon.get(path)[0] == 200, 30, trace)  # type: ignore[misc]


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "path",
    [
        "/runs?last=30d",
        f"/runs/{TRACE}",
        f"/runs/{TRACE}?span={2:016x}",
        f"/runs/{TRACE}/spans/{2:016x}",
        f"/runs/{TRACE}/spans/{3:016x}",
        *(f"/runs/{TRACE}?view={view}" for view in ("conversation", "rounds", "prompt", "tools")),
        *(f"/runs/{TRACE}?view=conversation&unfold=1&as={form}" for form in ("markdown", "exact")),
        *(f"/runs/{TRACE}?view={view}" for view in ("json", "print")),
        f"/runs/{TRACE}/spans/{2:016x}/input?as=json",
        f"/runs/{TRACE}/replay?step=2",
        "/spend?last=30d",
        f"/compare?a={TRACE}&b={EXACT}",
        f"/runs?q={EVIL.replace('&', '%26').replace('#', '%23')}",
        "/budgets",
    ],
)
def test_markup_in_every_field_stays_text(open_page: Open, seen: Seen, path: str) -> None:
    page = open_page(path)
    if "span=" in path:
        page.wait_for_selector("#span")
    assert page.evaluate("document.querySelectorAll('main img, main script, main b, main i, svg[onload]').length") == 0
    assert not [url for url in seen.requests if url.endswith("/x")]
    assert "49" not in page.title()


@pytest.mark.usefixtures("hostile")
def test_markup_stays_text_in_the_file_for_clients(open_page: Open, daemon: Daemon, seen: Seen) -> None:
    page = open_page("about:blank", ready=False)
    asked = len(seen.requests)
    for audience in ("team", "client"):
        file = daemon.get(f"/api/v1/runs/{TRACE}/export?format=html&audience={audience}")[1].decode()
        page.set_content(file)
        assert page.evaluate("document.querySelectorAll('img, script, b, i, svg[onload]').length") == 0
        assert "<img src=/x onerror=alert(1)>" in page.locator("body").inner_text()
    assert seen.requests[asked:] == []


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("path", ["/runs?last=30d", "/live", f"/runs/{TURNED}", f"/runs/{TURNED}?view=conversation"])
@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_not_seen_in_names_is_marked(open_page: Open, path: str, scripts: bool) -> None:
    page = open_page(path, java_script_enabled=scripts)
    if path == "/live" and scripts:
        expect(page.locator("#stream")).to_have_text("live")
    name = MARKED if "view=" not in path else MARKED.replace("agent", "tool")
    assert page.get_by_text(name).count()
    assert not page.evaluate(
        "[...document.documentElement.outerHTML].filter((one) => '\u202e\u200b'.includes(one)).length"
    )
    assert "\u202e" not in page.title()


@pytest.mark.usefixtures("hostile")
def test_exact_is_every_byte(open_page: Open, daemon: Daemon) -> None:
    page = open_page(f"/runs/{EXACT}", permissions=["clipboard-read", "clipboard-write"])
    for number, text in enumerate(NASTY):
        if not text:
            continue
        path = f"/runs/{EXACT}/spans/{number + 1:016x}"
        stored = daemon.get(f"/api/v1{path}/input")[1]
        assert stored == text.encode()
        page.goto(daemon.web + path)
        page.wait_for_selector("body[data-ready]")
        page.locator("#input [data-view=exact]").click()
        page.wait_for_selector("#input [data-pieces] pre", state="attached")
        if len(stored) > 65_536:
            page.get_by_role("button", name="Show all").click()
            page.get_by_text("shown.", exact=False).and_(page.get_by_text("All ", exact=False)).first.wait_for()
        shown = page.locator("#input [data-pieces]").evaluate(
            "one => [...one.querySelectorAll('pre')].map((piece) => piece.textContent).join('')"
        )
        assert shown == text, number
        with page.expect_download() as download:
            page.locator("#input").get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == stored
        if "\x00" not in text:  # which the clipboard of no system holds
            page.locator("#input").get_by_role("button", name="Copy").click()
            expect(page.locator("#announcement")).to_have_text("Copied.")
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.replace("\r\n", "\n") == text.replace("\r\n", "\n"), number


def test_a_run_arrives_while_it_is_watched(open_page: Open, daemon: Daemon) -> None:
    page = open_page("/live")
    now = time.time_ns()
    steps = [
        Step("root", 0, 500, attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "watched"}),
        Step("child", 10, 20, 0, attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}),
    ]
    send(daemon.http, request(steps, 0xF1, now, leave_out=[0]))
    row = page.locator(f"tr[data-trace='{0xF1:032x}']")
    row.wait_for()
    assert "running" in row.locator(".state").inner_text()
    send(daemon.http, request(steps[:1], 0xF1, now))
    expect(row.locator(".state")).to_have_text("done")
    assert row.locator(".what a").inner_text() == "watched"
    send(daemon.http, request(steps, 0xF2, now - 10**9))  # began before it, and came later
    page.locator(f"tr[data-trace='{0xF2:032x}']").wait_for()
    order = page.locator("tr[data-trace]").evaluate_all("all => all.map((one) => one.dataset.trace)")
    assert order.index(f"{0xF1:032x}") + 1 == order.index(f"{0xF2:032x}")

"""What pages may cost a browser: bytes and elements. Seconds of its main thread are printed: they are the machine's too."""

import gzip
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.support.daemon import Daemon
from tests.support.pages import LONG

STATIC = Path(__file__).parents[2] / "collector" / "web" / "pages" / "static"
_KB = 1024


def weigh(browser: Browser, url: str) -> dict[str, float]:
    """Of a page opened by a browser that knows nothing: seconds of its main thread, KB on the wire, elements."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Network.enable")
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    answer: dict[str, Any] = session.send("Performance.getMetrics")
    seconds = next(one["value"] for one in answer["metrics"] if one["name"] == "ThreadTime")
    elements = page.evaluate("document.querySelectorAll('*').length")
    context.close()
    return {"seconds": seconds, "kb": sum(received) / _KB, "elements": elements}


def test_a_long_run_opens_lightly(browser: Browser, daemon: Daemon, say: Any) -> None:
    weigh(browser, f"{daemon.web}/runs/{LONG}")  # the browser's own first page
    found = weigh(browser, f"{daemon.web}/runs/{LONG}")
    say(f"run of 3,000 spans: {found}")
    assert found["kb"] <= 300
    assert found["elements"] <= 2000


def test_the_list_of_runs_is_light(browser: Browser, daemon: Daemon, say: Any) -> None:
    found = weigh(browser, f"{daemon.web}/runs?last=30d")
    say(f"list of runs: {found}")
    assert found["kb"] <= 120
    assert found["elements"] <= 3000


def test_all_modules_and_styles_are_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 60 * _KB
    assert sum(path.stat().st_size for path in STATIC.glob("*.css")) <= 30 * _KB


def test_columns_are_few_bytes_a_span(daemon: Daemon, say: Any) -> None:
    status, body = daemon.get(f"/api/v1/runs/{LONG}/spans")
    assert status == 200
    size = len(gzip.compress(body, 1)) / 3000
    say(f"columns: {size:.1f} bytes a span")
    assert size <= 20

"""What pages cost a browser and the daemon, beside what they may cost: `python -m benchmarks.pages [--rounds 3]`.

Headless Chromium, cold for each row. Seconds are CPU of the renderer's main thread, which other work on the machine
moves less than wall time; of several rounds the median. Memory is what the renderer's process holds.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.support.agent_runs import Step, long_run, request, send
from tests.support.daemon import Daemon, running
from tests.support.waiting import wait_until

_CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_STATIC: Final = Path(__file__).parents[1] / "collector" / "web" / "pages" / "static"
_MB, _KB = 1_000_000, 1024
_LONG, _LONGEST, _TEXT, _LONG_TEXT = 0x10, 0x20, 0x30, 0x40
_SPANS: Final = {_LONG: 10_000, _LONGEST: 100_000}
_BYTES: Final = {_TEXT: 5 * _MB, _LONG_TEXT: 50 * _MB}
_SCROLL: Final = """() => new Promise((done) => {
    const rows = document.getElementById("rows"), gaps = [], begin = performance.now();
    let before = begin;
    const step = (now) => {
        gaps.push(now - before);
        before = now;
        rows.scrollTop = rows.scrollHeight * (now - begin) / 3000;
        if (now - begin < 3000) requestAnimationFrame(step);
        else done({frames: gaps.length / 3, slow: gaps.filter((gap) => gap > 34).length});
    };
    requestAnimationFrame(step);
})"""


@dataclass(frozen=True, slots=True)
class Row:
    """A measure: what it may be at most (at least, where `least`), and a function that takes it."""

    what: str
    unit: str
    must: float
    take: Callable[[], float]
    least: bool = False


class Opened:
    """A page in a context of its own, and what it has cost so far."""

    def __init__(self, browser: Browser, url: str) -> None:
        before = _renderers(browser)
        self.page: Page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        self._session: CDPSession = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._session.send("Network.enable")
        self._received: list[float] = []
        self._session.on("Network.loadingFinished", lambda event: self._received.append(event["encodedDataLength"]))
        self.page.goto(url, timeout=120_000)
        self.page.wait_for_selector("body[data-ready]", timeout=120_000)
        self._process = next(iter(_renderers(browser) - before), 0)

    @property
    def seconds(self) -> float:
        metrics: Sequence[dict[str, Any]] = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "ThreadTime"))

    @property
    def kilobytes(self) -> float:
        return sum(self._received) / _KB

    @property
    def elements(self) -> float:
        return float(self.page.evaluate("document.querySelectorAll('*').length"))

    @property
    def megabytes(self) -> float:
        return psutil.Process(self._process).memory_info().rss / _MB if self._process else 0.0

    def cost_of(self, act: Callable[[Page], object]) -> float:
        """Seconds of the main thread that `act` takes, until the next picture."""
        before = self.seconds
        act(self.page)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
        return self.seconds - before


def _renderers(browser: Browser) -> set[int]:
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return {one["id"] for one in found if one["type"] == "renderer"}


def rows(browser: Browser, daemon: Daemon) -> Iterator[Row]:
    """The budgets of pages, in the order of the table."""

    @contextmanager
    def opened(path: str) -> Iterator[Opened]:
        found = Opened(browser, daemon.web + path)
        try:
            yield found
        finally:
            found.page.context.close()

    def of(path: str, read: Callable[[Opened], float]) -> Callable[[], float]:
        def take() -> float:
            with opened(path) as found:
                return read(found)

        return take

    def act(path: str, key: str) -> Callable[[], float]:
        return of(path, lambda found: 1000 * found.cost_of(lambda page: page.keyboard.press(key)))

    def scrolled(name: str) -> Callable[[], float]:
        return of(run, lambda found: float(found.page.evaluate(_SCROLL)[name]))

    def text(*, whole: bool) -> Callable[[Opened], float]:
        return lambda found: found.cost_of(lambda page: _read(page, whole=whole))

    listed, run, longest = "/runs?last=30d", f"/runs/{_LONG:032x}", f"/runs/{_LONGEST:032x}"
    yield Row("list of runs: on the wire", "KB", 120, of(listed, lambda found: found.kilobytes))
    yield Row("list of runs: main thread", "s", 0.15, of(listed, lambda found: found.seconds))
    yield Row("all modules, raw", "KB", 60, lambda: _raw("js"))
    yield Row("all styles, raw", "KB", 30, lambda: _raw("css"))
    yield Row("run of 10,000 spans: main thread", "s", 0.25, of(run, lambda found: found.seconds))
    yield Row("... on the wire", "KB", 300, of(run, lambda found: found.kilobytes))
    yield Row("... elements", "", 2000, of(run, lambda found: found.elements))
    yield Row("... memory of the renderer", "MB", 300, of(run, lambda found: found.megabytes))
    yield Row("... its columns, CPU of the daemon", "s", 0.4, lambda: _columns(daemon))
    yield Row("scrolled through in 3 s: pictures a second", "", 50, scrolled("frames"), least=True)
    yield Row("... pictures later than 34 ms", "", 5, scrolled("slow"))
    yield Row("... main thread", "s", 1.5, of(run, lambda found: found.cost_of(lambda page: page.evaluate(_SCROLL))))
    yield Row("a key to the next row", "ms", 50, act(run, "j"))
    yield Row("fold", "ms", 150, act(run, "ArrowLeft"))
    yield Row("filter", "ms", 150, act(run, "3"))
    yield Row("zoom", "ms", 150, act(run, "+"))
    yield Row("run of 100,000 spans: main thread", "s", 1.5, of(longest, lambda found: found.seconds))
    yield Row("... memory of the renderer", "MB", 500, of(longest, lambda found: found.megabytes))
    for number, first, whole, memory in ((_TEXT, 0.1, 0.4, 300), (_LONG_TEXT, 0.1, 1.5, 500)):
        path, size = f"/runs/{number:032x}/spans/{1:016x}", f"text of {_BYTES[number] // _MB} MB"
        yield Row(f"{size}: first 64 KiB, main thread", "s", first, of(path, text(whole=False)))
        yield Row("... all of it, main thread", "s", whole, of(path, text(whole=True)))
        yield Row("... memory of the renderer", "MB", memory, of(path, _held))


def _read(page: Page, *, whole: bool) -> None:
    page.locator("#input [data-view=exact]").click()
    page.locator("#input [data-pieces] pre").first.wait_for()
    if whole:
        page.get_by_role("button", name="Show all").click()
        page.get_by_text("shown.").filter(has_text="All ").wait_for(timeout=120_000)


def _held(found: Opened) -> float:
    _read(found.page, whole=True)
    return found.megabytes


def _raw(ending: str) -> float:
    return sum(path.stat().st_size for path in _STATIC.glob(f"*.{ending}")) / _KB


def _columns(daemon: Daemon) -> float:
    before = daemon.cpu_seconds()
    daemon.get(f"/api/v1/runs/{_LONG:032x}/spans")
    return daemon.cpu_seconds() - before


def fill(daemon: Daemon) -> None:
    """Two long runs, two long texts, and sixty short runs."""
    now = time.time_ns() - 3600 * 10**9
    for number, spans in _SPANS.items():
        steps = long_run(spans)
        for begin in range(0, spans, 10_000):
            others = {*range(begin), *range(begin + 10_000, spans)}
            send(daemon.http, request(steps, number, now, service="planner", leave_out=others))
    for number, size in _BYTES.items():
        text = ("A line of a prompt that goes on and on.\n" * (size // 40 + 1))[:size]
        said = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": text}
        send(daemon.http, request([Step("chat", 0, 10, attributes=said)], number, now))
    for number in range(60):
        send(daemon.http, request(long_run(20, number), 0x1000 + number, now + number * 10**9))
    for number, spans in (*_SPANS.items(), *((number, 1) for number in _BYTES)):
        wait_until(lambda number=number, spans=spans: _stored(daemon, number) >= spans, 120, f"{number:x}")  # type: ignore[misc]


def _stored(daemon: Daemon, number: int) -> int:
    status, body = daemon.get(f"/api/v1/runs/{number:032x}/spans")
    return int(json.loads(body)["spans"]) if status == 200 else 0


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as daemon:
        fill(daemon)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            Opened(browser, f"{daemon.web}/runs").page.context.close()  # the browser's own first page
            print(f"| what | must | reached (median of {rounds}) | |\n|---|---|---|---|")
            for row in rows(browser, daemon):
                found = statistics.median(row.take() for _ in range(rounds))
                held = found >= row.must if row.least else found <= row.must
                sign = ">=" if row.least else "<="
                print(
                    f"| {row.what} | {sign} {row.must:g} {row.unit} | {found:,.3g} | {'' if held else 'missed'} |",
                    flush=True,
                )
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args().rounds)

"""Pictures of every page for README and docs, from the demo's data: `python -m tests.support.screens [DIRECTORY]`.

Each page as a PNG, in light, in dark, and as a phone shows it. Needs Chromium.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from collector.admit.auth import hash_token
from collector.demo.settings import SETTINGS
from tests.support.daemon import Daemon, running

_DESKTOP: Final = {"width": 1280, "height": 800}
_PHONE: Final = {"width": 390, "height": 844}
_CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_TOKENS: Final = """
auth:
  tokens:
    - {name: people, sha256: %s, scopes: [traces:read]}
"""


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        demo, empty = Path(temporary) / "demo", Path(temporary) / "empty"
        command = [sys.executable, "-m", "collector", "demo", "--data-dir", str(demo)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
        with running(demo, config=demo / SETTINGS) as daemon:
            for name, path in _pages(daemon):
                _take(browser, daemon.web + path, directory, name)
        with running(empty) as daemon:
            _take(browser, f"{daemon.web}/runs", directory, "first-visit")
        guarded = Path(temporary) / "guarded.yaml"
        guarded.write_text(_TOKENS % hash_token("people"))
        with running(empty, config=guarded, token="people") as daemon:
            _take(browser, f"{daemon.web}/sign-in", directory, "sign-in")
        browser.close()


def _pages(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Each page's name and path. The run is the longest of the support agent in which something failed."""
    run = _run(daemon, "agent=support&status=errors&sort=duration")
    before = _run(daemon, "agent=support&since=2000-01-01&order=asc")  # when it still had other rules
    talk = _run(daemon, "agent=researcher")
    spans = json.loads(daemon.get(f"/api/v1/runs/{run}/spans")[1])
    costs = [float(cost or 0) for cost in spans["columns"]["cost"]]
    dearest = spans["columns"]["span_id"][costs.index(max(costs))]
    yield "runs", "/runs"
    yield "run", f"/runs/{run}"
    yield "span", f"/runs/{run}?span={dearest}"
    for view in ("conversation", "rounds", "prompt", "tools", "json", "print"):
        yield view, f"/runs/{talk if view in ('conversation', 'tools') else run}?view={view}"
    yield "replay", f"/runs/{run}/replay?step=5"
    yield "live", "/live"
    yield "spend", "/spend"
    yield "budgets", "/budgets"
    yield "budget", "/budgets/users"
    yield "compare", f"/compare?a={before}&b={run}"
    yield "weeks", "/compare"
    yield "connect", "/connect?program=claude-code"


def _run(daemon: Daemon, asked: str) -> str:
    """The trace id of the first run that is asked for."""
    found = json.loads(daemon.get(f"/api/v1/runs?limit=1&{asked}")[1])["runs"]
    return str(found[0]["trace_id"])


def _take(browser: Browser, url: str, directory: Path, name: str) -> None:
    for suffix, theme, size in (("light", "light", _DESKTOP), ("dark", "dark", _DESKTOP), ("phone", "light", _PHONE)):
        shown: Any = {"viewport": size, "color_scheme": theme}
        page: Page = browser.new_page(**shown)
        page.goto(url)
        page.wait_for_selector("main" if name == "sign-in" else "body[data-ready]")
        if name in ("span", "replay"):
            page.wait_for_selector("#span, #replay")
            page.wait_for_load_state("networkidle")  # texts have been read
        page.screenshot(path=directory / f"{name}-{suffix}.png")
        page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))

"""Pictures of the pages for README and docs, from the demo's data: `python -m tests.support.screens [DIRECTORY]`.

Each page as a PNG, in light and dark, and some as a phone shows them. Needs Chromium.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from collector.demo.settings import SETTINGS
from tests.support.daemon import Daemon, running

_DESKTOP = {"width": 1280, "height": 800}
_PHONE = {"width": 390, "height": 844}
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "demo"
        command = [sys.executable, "-m", "collector", "demo", "--data-dir", str(data)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
        with running(data, config=data / SETTINGS) as daemon, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
            for name, path in _pages(daemon):
                for theme in ("light", "dark"):
                    _take(browser, daemon.web + path, directory / f"{name}-{theme}.png", theme, _DESKTOP)
                if name in ("runs", "run"):
                    _take(browser, daemon.web + path, directory / f"{name}-phone.png", "light", _PHONE)
            browser.close()


def _pages(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Each page's name and path. The run is the longest of the support agent in which something failed."""
    found = json.loads(daemon.get("/api/v1/runs?agent=support&status=errors&sort=duration&limit=2")[1])["runs"]
    run, other = (each["trace_id"] for each in found)
    yield "runs", "/runs"
    yield "run", f"/runs/{run}"
    yield "conversation", f"/runs/{run}?view=conversation"
    yield "rounds", f"/runs/{run}?view=rounds"
    yield "spend", "/spend"
    yield "budgets", "/budgets"
    yield "compare", f"/compare?a={run}&b={other}"


def _take(browser: Browser, url: str, path: Path, theme: Any, size: Any) -> None:
    page: Page = browser.new_page(viewport=size, color_scheme=theme)
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    page.screenshot(path=path)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))

"""A browser for each file of tests, one daemon for all in a process; skipped where there is no Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.agent_runs import long_run, request, send, support_agent
from tests.support.daemon import Daemon, running
from tests.support.pages import LONG, OPEN, RUN, START_NS, Open, Seen
from tests.support.waiting import wait_until

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_BUDGETS = """
budgets:
  - {name: everything, limit_usd: 5, period: month, warn_at: [0.8, 0.9]}
  - {name: refunds, limit_usd: 0.05, period: month, hard: true, match: {feature: refunds}}
  - {name: by feature, limit_usd: 0.1, period: month, per: [feature], warn_at: [0.7]}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _CHROMIUM is None:
        reason = "There is no Chromium on this machine: `apt-get install chromium`."
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright keeps an event loop running in this thread until it ends: none may outlive the file of its tests."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With a run of 36 spans, one of 3,000, and one whose root has not come."""
    directory = tmp_path_factory.mktemp("ui")
    (directory / "config.yaml").write_text(_BUDGETS)
    with running(directory / "data", config=directory / "config.yaml") as daemon:
        send(daemon.http, request(support_agent(), 0xA1, START_NS))
        send(daemon.http, request(long_run(3000), 0xA2, START_NS - 10**13, service="planner"))
        send(daemon.http, request(support_agent(), 0xA3, START_NS + 10**12, leave_out=[0]))
        for trace in (RUN, LONG, OPEN):
            path = f"/api/v1/runs/{trace}/spans"
            wait_until(lambda path=path: daemon.get(path)[0] == 200, 30, f"the run {trace}")  # type: ignore[misc]
        yield daemon


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def open_page(browser: Browser, daemon: Daemon, seen: Seen) -> Iterator[Open]:
    """Opens a path of the daemon, or an address, in a context of its own, and holds it to silence: no message, no foreign request."""
    contexts: list[BrowserContext] = []

    def go(path: str, *, ready: bool = True, expected: tuple[str, ...] = (), **options: object) -> Page:
        defaults: dict[str, object] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
        seen.origins += ["/".join(path.split("/")[:3])] if path.startswith("http") else []
        context = browser.new_context(**{**defaults, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda one: None if any(text in one.text for text in expected) else seen.messages.append(one.text),
        )
        page.on("pageerror", lambda error: seen.messages.append(str(error)))
        page.on("dialog", lambda dialog: seen.messages.append(f"dialog {dialog.message}"))
        page.on("request", lambda asked: seen.requests.append(asked.url))
        page.goto(path if path.startswith(("http", "about:")) else daemon.web + path)
        if ready and options.get("java_script_enabled", True):
            page.wait_for_selector("body[data-ready]")
        return page

    yield go
    for context in contexts:
        context.close()
    assert seen.messages == []
    assert [url for url in seen.requests if not url.startswith((*seen.origins, daemon.web, "data:"))] == []

"""What holds for every page: rules of accessibility in both themes, phones and zoom, and scripts in every field."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.daemon import Daemon
from tests.support.pages import OPEN, RULES, RUN, Open

STATIC = Path(__file__).parents[2] / "collector" / "web" / "pages" / "static"
SPAN = f"{3:016x}"
PAGES = {
    "runs": "/runs?last=30d",
    "no run matches": "/runs?last=30d&agent=nobody",
    "run": f"/runs/{RUN}",
    "run with a span": f"/runs/{RUN}?span={SPAN}",
    "span": f"/runs/{RUN}/spans/{SPAN}",
    "conversation": f"/runs/{RUN}?view=conversation",
    "conversation unfolded, as Markdown": f"/runs/{RUN}?view=conversation&unfold=1&as=markdown",
    "conversation exactly": f"/runs/{RUN}?view=conversation&as=exact",
    "rounds": f"/runs/{RUN}?view=rounds",
    "prompt": f"/runs/{RUN}?view=prompt",
    "tools": f"/runs/{RUN}?view=tools",
    "json": f"/runs/{RUN}?view=json",
    "print": f"/runs/{RUN}?view=print",
    "markdown": f"/runs/{RUN}/spans/{SPAN}/input",
    "JSON": f"/runs/{RUN}/spans/{SPAN}/input?as=json",
    "live": "/live",
    "spend": "/spend?last=30d",
    "budgets": "/budgets",
    "budget": "/budgets/by%20feature",
    "compare": "/compare",
    "connect": "/connect",
    "connect a program": "/connect?program=vercel&content=1&since=2026-01-01",
    "replay": f"/runs/{RUN}/replay?step=4",
    "two runs": f"/compare?a={RUN}&b={OPEN}",
    "not found": f"/runs/{'0' * 32}",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everyone(open_page: Open, name: str) -> None:
    """axe finds nothing in either theme, and nothing but tables and waterfalls scrolls sideways at 320 pixels."""
    missing = name == "not found"
    page = open_page(PAGES[name], ready=not missing, expected=("404",) if missing else ())
    if "span" in name:
        page.wait_for_selector("#span")
    assert page.title().endswith("spanmeter")
    for theme, rules in (("light", RULES), ("dark", {"runOnly": {"type": "rule", "values": ["color-contrast"]}})):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found = Axe().run(page, options=rules).response["violations"]
        assert [(rule["id"], [node["html"][:300] for node in rule["nodes"][:3]]) for rule in found] == [], theme
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_no_module_makes_markup_of_text() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for banned in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "eval(",
            'setTimeout("',
        ):
            assert banned not in text, (path.name, banned)


def test_pages_are_kept_to_themselves(daemon: Daemon) -> None:
    for path in (*PAGES.values(), "/sign-in"):
        try:
            answer = urllib.request.urlopen(daemon.web + path, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            body = answer.read().decode()
        assert " style=" not in body
        assert "<script>" not in body
        assert " onclick=" not in body

"""Documents lead where they say: links, headings, paths of the code, the indexes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
        *(ROOT / "clients").rglob("*.md"),
    ]
)
# What these name may be gone: they tell of what was.
OF_THE_PAST = (ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "RESULTS.md")

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(
    r"(?:collector|tests|schema|docs|clients|benchmarks)/[\w./-]*\w/?|[\w-]+/[\w./-]+\.(?:py|hpp|sql|yaml|md)"
)
_PLACEHOLDER = re.compile(r"[A-Z]{4,}")
_INDEXED = re.compile(r"^\| \[(\d+)\]\(([\w.-]+)\) \| (.+?) \| (\d{4}-\d{2}-\d{2}) \| (.+?) \|$", re.MULTILINE)


def prose(document: Path) -> str:
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The fragments of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(prose(document))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document: Path) -> Iterator[str]:
    for link in _LINK.findall(_CODE.sub("", prose(document))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, fragment = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            yield link


def named(document: Path) -> Iterator[str]:
    """Paths that a document names as code: from the root of the checkout, or from `collector/`."""
    for code in _CODE.findall(prose(document)):
        if _PATH.fullmatch(code) and not _PLACEHOLDER.search(code):
            yield code


def exists(path: str) -> bool:
    return (ROOT / path).exists() or (ROOT / "collector" / path).exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert list(broken(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_of_the_code_exist(document: Path) -> None:
    if document not in OF_THE_PAST:
        assert [path for path in named(document) if not exists(path)] == []


def test_every_page_is_in_the_index() -> None:
    linked = set(_LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_every_decision_is_in_the_index_with_its_title_and_a_status() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    rows = _INDEXED.findall(index)
    assert [name for _, name, *_ in rows] == sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    for number, name, title, _, status in rows:
        first = (DECISIONS / name).read_text(encoding="utf-8").splitlines()[0]
        assert int(name[:4]) == int(number)
        assert re.sub(r"^# (\d+[.:] )?", "", first).lower() == title.lower(), name
        assert status.startswith(("accepted", "superseded by ")), name

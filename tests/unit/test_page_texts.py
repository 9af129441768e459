"""Texts as pages and files have them: JSON, exactly, line by line, and as CSV."""

import csv
import io
import json
import re
from html import unescape

import pytest

from collector.runs.text_difference import difference
from collector.web.csv_text import csv_text
from collector.web.pages.pretty import exact, pretty
from collector.web.unseen import visible

_MARKUP = re.compile(r"<[^>]*>")


def text_of(markup: str) -> str:
    return unescape(_MARKUP.sub("", markup))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2.5, "x", true, null], "b": {}}',
        '{"<script>": "</pre><b>&amp;", "quote": "\\"1, true\\""}',
        "123456789012345678901234567890",
        '"\\r\\u0000\\u202e"',
    ],
)
def test_json_is_indented_and_stays_what_it_is(text: str) -> None:
    shown = pretty(text)
    assert shown is not None
    assert json.loads(text_of(shown)) == json.loads(text)
    assert set(re.findall(r"<(?!/?span)", shown)) == set()


@pytest.mark.parametrize("text", ["", "[1,2", "no", "[" * 100_000])
def test_what_is_no_json_is_not_shown_as_such(text: str) -> None:
    assert pretty(text) is None


@pytest.mark.parametrize("text", ["\nfirst", "a\r\nb\r", "<b>&amp;</b>", "pay \u202e9\u202c \u200b", "\ufeff", ""])
def test_exact_text_is_every_character(text: str) -> None:
    shown = exact(text)
    assert shown.startswith("\n")  # the line end that an element of this kind swallows
    assert "\r" not in shown  # a parser would read it as a line end
    assert text_of(shown[1:]) == text


def test_what_is_not_seen_is_marked() -> None:
    joined = "\U0001f469\u200d\U0001f680"
    assert re.findall(r'data-code="([^"]+)"', exact(f"\u202ea\u202c {joined} x\u200d \0")) == [
        "U+202E",
        "U+202C",
        "U+200D",
        "U+0000",
    ]


def test_lines_have_their_numbers_in_both_texts() -> None:
    before = [f"line {number}" for number in range(1, 31)]
    after = [*before[:9], "new", *before[9:19], *before[20:]]
    found = difference("\n".join(before), "\n".join(after))
    assert [(line.mark, line.before, line.after) for line in found if line.mark in "-+"] == [("+", 0, 10), ("-", 20, 0)]
    for line in found:
        assert (
            line.text
            == {"-": before, " ": before, "+": after}.get(line.mark, [line.text])[
                (line.after if line.mark == "+" else line.before or 1) - 1
            ]
        )
    hidden = [int(line.text.split()[0]) for line in found if line.mark == "…"]
    assert sum(hidden) + sum(line.mark in "- " for line in found) == len(before)
    whole = difference("\n".join(before), "\n".join(after), whole=True)
    assert [line.before for line in whole if line.before] == list(range(1, 31))
    assert [line.after for line in whole if line.after] == list(range(1, 31))
    assert difference("same", "same", whole=True) == []


def test_cells_are_texts_for_a_spreadsheet() -> None:
    rows: list[dict[str, object]] = [
        {"value": "=1+1", "cost": None},
        {"value": 'a, "b"\n', "cost": "0.5"},
        {"value": "@x", "cost": 3},
    ]
    written = csv_text(["value", "cost"], rows).decode()
    assert list(csv.reader(io.StringIO(written, newline=""))) == [
        ["value", "cost"],
        ["'=1+1", ""],
        ['a, "b"\n', "0.5"],
        ["'@x", "3"],
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "plain"),
        ("a\tb\n \u65e5\u672c \u00e9", "a\tb\n \u65e5\u672c \u00e9"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("a\u202etxt", "a\u27e8U+202E\u27e9txt"),
        ("a\u200bb\x1b[0m", "a\u27e8U+200B\u27e9b\u27e8U+001B\u27e9[0m"),
        ("\u3164\ud83d", "\u27e8U+3164\u27e9\u27e8U+D83D\u27e9"),
    ],
)
def test_names_show_what_is_not_seen(name: str, shown: str) -> None:
    assert visible(name) == shown

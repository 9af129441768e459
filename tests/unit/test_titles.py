"""What a run was asked, from inputs in the shapes that libraries write."""

import json

import pytest

from collector.query.titles import title_of

MESSAGES = json.dumps(
    [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": '\n Was ist "l\u00f6s"?\nzweite Zeile'}]},
    ]
)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        ("plain\nsecond", "plain"),
        ("\n\n  later  \n", "later"),
        (MESSAGES, 'Was ist "lös"?'),
        (MESSAGES[:150], 'Was ist "lö'),
        (MESSAGES[:147], 'Was ist "l'),
        ('{"messages": [{"role": "user", "content": "hi"}]}', "hi"),
        ('[{"content": "first", "role": "human"}]', "first"),
        ('{"query": "weather"}', '{"query": "weather"}'),
        ("[not json", "[not json"),
        ("x" * 200, "x" * 119 + "…"),
    ],
)
def test_title(text: str, title: str) -> None:
    assert title_of(text) == title

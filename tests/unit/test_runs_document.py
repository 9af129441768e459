"""JSON that remembers how it was written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.runs.document import document, raw, unquoted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON), st.booleans(), st.sampled_from([None, 1]))
def test_values_are_as_the_standard_library_reads_them(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    found = document(text)
    assert found == json.loads(text)
    assert raw(found) == text


@given(st.text(alphabet="{}[]\",:\\u0 1e-tn'ab\n") | st.text())
def test_no_text_raises(text: str) -> None:
    found = document(text)
    assert found is None or isinstance(found, dict | list)
    if found is not None and text[0] in "{[" and "'" not in text:
        assert found == json.loads(text)


def test_parts_are_kept_byte_for_byte() -> None:
    text = r'[{"arguments": {"city":"Z\u00fcrich",  "n": 1.0e2, "n": 3}}]'
    assert raw(document(text)[0]["arguments"]) == r'{"city":"Z\u00fcrich",  "n": 1.0e2, "n": 3}'


@pytest.mark.parametrize(
    "text",
    ["", "plain", "12", '"text"', '{"a": 1', "[1,]", '{"a":1,}', "[1] 2", "[" * 100_000, "{'a': object}", "{'a'}"],
)
def test_what_is_no_object_or_array_is_none(text: str) -> None:
    assert document(text) is None


def test_json_within_a_json_string_and_printed_objects_are_read() -> None:
    assert document(json.dumps('{"a": 1}')) == {"a": 1}
    assert document("{'city': 'Zürich', 'on': True}") == {"city": "Zürich", "on": True}


def test_unquoted() -> None:
    assert unquoted('"a\\nb"') == "a\nb"
    assert unquoted('"a" and "b"') == '"a" and "b"'
    assert unquoted('{"a": 1}') == '{"a": 1}'

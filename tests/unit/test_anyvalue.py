"""Attribute values as text: the table of the Collector's ClickHouse exporter, value by value."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collector.decode.anyvalue import double_text, text
from tests.support import generated
from tests.support.otlp import any_value, number_text, text_of

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (None, ""),
        ("", ""),
        ('<a href="x">&\u2028\'', '<a href="x">&\u2028\''),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1, "-1"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
        (b"", ""),
        (b"\x00\xff\xfe", "AP/+"),
        ([], "[]"),
        ({}, "{}"),
        ([None, True, 1, 1.0, 0.5, "s", b"\xff", [], {}], '[null,true,1,1,0.5,"s","/w==",[],{}]'),
        ({"b": 1, "a": {"z": [1], "y": "x"}, "": None}, '{"":null,"a":{"y":"x","z":[1]},"b":1}'),
        ({"\U0001f600": 1, "\uffff": 2}, '{"\uffff":2,"\U0001f600":1}'),
        ([NAN, INF, -INF], '["NaN","Infinity","-Infinity"]'),
        (['<&>\u2028\u2029\u00e9\x00\x1f\n"\\'], '["<&>\\u2028\\u2029\u00e9\\u0000\\u001f\\n\\"\\\\"]'),
        ([2**63 - 1, 1e21, -0.0], "[9223372036854775807,1e+21,-0]"),
    ],
)
def test_value(plain: Any, expected: str) -> None:
    assert text(any_value(plain)) == expected


def test_a_profile_index_has_no_text() -> None:
    index = AnyValue(string_value_strindex=7)
    assert text(index) == ""
    assert text(any_value([index, {"k": index}])) == '[null,{"k":null}]'


def test_the_last_of_equal_keys_in_a_map_wins() -> None:
    value: Any = AnyValue()
    value.kvlist_value.values.add(key="k").value.int_value = 1
    value.kvlist_value.values.add(key="k").value.int_value = 2
    assert text(value) == '{"k":2}'


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (100.0, "100"),
        (123456789.125, "123456789.125"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (9.999999e-7, "9.999999e-7"),
        (1e-7, "1e-7"),
        (-1.5e-10, "-1.5e-10"),
        (1e-100, "1e-100"),
        (1e15, "1000000000000000"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (1e100, "1e+100"),
        (9007199254740993.0, "9007199254740992"),
        (5e-324, "5e-324"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (NAN, "NaN"),
        (INF, "Infinity"),
        (-INF, "-Infinity"),
    ],
)
def test_double(number: float, expected: str) -> None:
    assert double_text(number) == expected
    assert number_text(number) == expected  # the tests' own rules, used on generated numbers, are held to the same


@given(st.floats(width=64))
def test_every_double_reads_back(number: float) -> None:
    written = double_text(number)
    assert written == number_text(number)
    back = float(written.replace("Infinity", "inf"))
    assert back == number or (math.isnan(back) and math.isnan(number))


@given(generated.values)
def test_any_value(value: Any) -> None:
    assert text(value) == text_of(value)

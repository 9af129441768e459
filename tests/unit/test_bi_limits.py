"""Limits that clients ask for: never more than the settings have, and never none at all."""

import pytest

from collector.bi.errors import QueryError
from collector.bi.settings import Limits
from collector.config import QueryConfig

CONFIG = {"max_execution_time": "5s", "max_memory_usage": "200MiB", "max_result_rows": 10, "max_threads": 2}
LIMITS = Limits.of(QueryConfig.model_validate(CONFIG))


@pytest.mark.parametrize(
    ("name", "asked", "has"),
    [
        ("max_execution_time", "0", "5.000"),
        ("max_execution_time", "-0.0", "5.000"),
        ("max_execution_time", "6", "5.000"),
        ("max_execution_time", "1e300", "5.000"),
        ("max_execution_time", "2.5", "2.500"),
        ("max_execution_time", "1e-20", "0.001"),
        ("max_memory_usage", "0.5", "1"),
        ("max_memory_usage", "1e-300", "1"),
        ("max_memory_usage", "99999999999999", "209715200"),
        ("max_result_rows", "0.1", "1"),
        ("max_result_rows", "9.5", "10"),
        ("max_threads", "0.9", "1"),
        ("max_threads", "1_0", "2"),
        ("max_result_bytes", "0", "0"),
        ("max_result_bytes", "0.2", "1"),
        ("max_result_bytes", "1e300", str((1 << 63) - 1)),
    ],
)
def test_a_limit_is_lowered_only(name: str, asked: str, has: str) -> None:
    assert LIMITS.capped(name, asked) == has


@pytest.mark.parametrize("asked", ["-1", "nan", "inf", "-inf", "1e999", "", "auto", "0x10", "1;2", "'1'"])
def test_what_is_no_limit(asked: str) -> None:
    with pytest.raises(QueryError, match="a number from 0"):
        LIMITS.capped("max_threads", asked)

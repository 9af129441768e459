"""Who may ask without a token: programs on this machine, and no page that a browser shows there."""

import pytest

from collector.admit.auth import Gate
from collector.bi.credentials import authenticate
from collector.bi.errors import QueryError
from collector.config import AuthConfig
from collector.model.principal import ANONYMOUS

HERE = {"host": "127.0.0.1:8123"}


@pytest.fixture
def gate() -> Gate:
    return Gate(AuthConfig())


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_a_program_may(gate: Gate, site: str) -> None:
    assert authenticate(gate, {}, HERE) is ANONYMOUS
    assert authenticate(gate, {"user": "default"}, {**HERE, "sec-fetch-site": site}) is ANONYMOUS


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ({}, {**HERE, "sec-fetch-site": "cross-site"}),
        ({}, {**HERE, "sec-fetch-site": "same-site"}),
        ({}, {"host": "evil.example:8123"}),
        ({}, {"host": "127.0.0.1.evil.example"}),
        ({"user": "admin"}, HERE),
        ({"password": "x"}, HERE),
        ({}, {**HERE, "x-clickhouse-key": "x"}),
        ({}, {**HERE, "authorization": "Basic AAAA"}),
        ({}, {**HERE, "authorization": "Basic \xff"}),
        ({"user": "default"}, {**HERE, "x-clickhouse-user": "default"}),
    ],
)
def test_others_may_not(gate: Gate, url: dict[str, str], headers: dict[str, str]) -> None:
    with pytest.raises(QueryError) as failed:
        authenticate(gate, url, headers)
    assert failed.value.code == 516

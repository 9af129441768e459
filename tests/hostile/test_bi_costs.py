"""What a query of the ClickHouse interface may cost: time, memory, and turns of others."""

from collections.abc import Iterator

import pytest

from tests.support.bi import ask, bi_daemon
from tests.support.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi"), "query.max_execution_time=1s") as daemon:
        yield daemon


# One step of each takes the product of two lengths of time, or the memory it is told: no limit of time ends it.
ENDLESS = [
    "arrayLevenshteinDistance(range(900000), range(900000))",
    "arrayLevenshteinDistanceWeighted(range(9), range(9), range(9), range(9))",
    "arraySimilarity(range(9), range(9), range(9), range(9))",
    "editDistance('a', 'b')",
    "editDistanceUTF8('a', 'b')",
    "levenshteinDistance('a', 'b')",
    "levenshteinDistanceUTF8('a', 'b')",
    "damerauLevenshteinDistance('a', 'b')",
    "jaroSimilarity('a', 'b')",
    "jaroWinklerSimilarity('a', 'b')",
    "printf('%2000000000d', 1)",
    "arrayMap(editDistance, ['a'], ['b'])",
    "sleep(3)",
    "sleepEachRow(3)",
]


@pytest.mark.parametrize("call", ENDLESS)
def test_what_no_limit_of_time_ends_is_refused(daemon: Daemon, call: str) -> None:
    assert ask(daemon, f"SELECT {call}").code == 497


@pytest.mark.parametrize("asked", ["0", "0.0000000001", "1e-300", "1e9"])
def test_no_value_of_a_limit_is_none(daemon: Daemon, asked: str) -> None:
    busy = "SELECT max(number % 7) FROM numbers(1000000000000)"
    assert ask(daemon, busy, max_execution_time=asked).code == 159
    assert ask(daemon, f"{busy} SETTINGS max_execution_time = {asked}").code == 159


@pytest.mark.parametrize(
    ("head", "blank"),
    [
        ("DESCRIBE SELECT 1", " "),
        ("DESCRIBE (SELECT 1)", " "),
        ("DESC WITH 1 AS a SELECT a", ";"),
        ("DESCRIBE TABLE calls", "\n"),
        ("EXISTS calls", " "),
        ("SHOW CREATE TABLE calls", "\t"),
        ("SHOW PROCESSLIST", " ;"),
        ("KILL QUERY WHERE query_id = 'x'", " "),
        ("KILL QUERY", " "),
        ("/*", "/*"),
        ("--", "-- \n"),
    ],
)
def test_long_blanks_are_read_in_one_pass(daemon: Daemon, head: str, blank: str) -> None:
    """Patterns that went back and forth in them would hold the interpreter, and with it ingest, for hours."""
    ask(daemon, head + blank * (240_000 // len(blank)) + "!")
    assert ask(daemon, "SELECT 1").text == "1\n"

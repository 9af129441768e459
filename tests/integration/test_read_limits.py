"""Questions of pages and REST end at the limits of the settings, with a sentence; others than they go on."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from collector.config import ReadsConfig
from collector.errors import Reason, Rejected, Unavailable
from collector.query.limits import Reader
from collector.store import Store

MANY = "SELECT number FROM numbers({rows:UInt64})"
WIDE = "SELECT groupArray(repeat(toString(number), 100)) AS all FROM numbers(2000000)"
LONG = "SELECT count() AS rows FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


@pytest.mark.parametrize(
    ("statement", "limits", "setting"),
    [
        (MANY, {"max_result_rows": 200_000}, "reads.max_result_rows"),
        (WIDE, {"max_memory_usage": "16MiB"}, "reads.max_memory_usage"),
        (LONG, {"max_execution_time": "1s"}, "reads.max_execution_time"),
    ],
)
def test_a_question_that_takes_too_much_is_told_so(
    store: Store, statement: str, limits: dict[str, object], setting: str
) -> None:
    reader = Reader(lambda: store, ReadsConfig.model_validate(limits))
    with pytest.raises(Rejected, match=setting) as raised:
        reader.query(statement, {"rows": 1_000_000})
    assert raised.value.reason is Reason.TOO_LARGE
    assert reader.query(MANY, {"rows": 10}).num_rows == 10
    assert store.query(MANY, {"rows": 1_500_000}).num_rows == 1_500_000


def test_questions_wait_for_their_turn(store: Store) -> None:
    reader = Reader(lambda: store, ReadsConfig(max_concurrent_queries=1))
    statement = "SELECT count() AS running, sleep(0.1) AS slept FROM system.processes"
    with ThreadPoolExecutor(4) as people:
        answers = list(people.map(lambda _: reader.query(statement, {}).to_pylist()[0]["running"], range(4)))
    assert answers == [1, 1, 1, 1]


def test_a_question_does_not_wait_for_ever(store: Store) -> None:
    reader = Reader(lambda: store, ReadsConfig(max_concurrent_queries=1, max_execution_time=0.01))
    with reader._turn(), pytest.raises(Unavailable, match="Too many questions"):
        reader.query(MANY, {"rows": 10})
    assert reader.query(MANY, {"rows": 10}).num_rows == 10

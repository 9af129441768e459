"""Benches of budgets over the test's own store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.store import Store
from tests.support.alerting import Told
from tests.support.spending import rules_of


@pytest.fixture
def made() -> Iterator[list[Told]]:
    """Benches to be closed after the test."""
    benches: list[Told] = []
    yield benches
    for bench in benches:
        assert bench.outbox
        bench.outbox.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path, made: list[Told]) -> Callable[..., Told]:
    def make(*budgets: dict[str, Any]) -> Told:
        made.append(Told(store, rules_of(*budgets), tmp_path))
        return made[-1]

    return make

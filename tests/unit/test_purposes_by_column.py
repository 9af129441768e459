"""What spans were made for, read row by row and by column alike."""

import numpy as np
import pytest

from collector.decode import decode
from collector.enrich.enricher import NATIVE, Implementation
from collector.enrich.rowwise import RowEnricher
from tests.support.calls import Call, envelope
from tests.support.priced import CATALOGUE, CONVENTIONS

# As many of each as are read together.
SPANS = 20
SAID: dict[str, dict[str, str]] = {
    "": {},
    "judge": {"spanmeter.kind": "eval"},
    "adversary": {"spanmeter.purpose": "adversary"},
    "gate": {"spanmeter.purpose": "gate", "spanmeter.kind": "eval"},
}


def implementations() -> list[Implementation]:
    found: list[Implementation] = [RowEnricher(CONVENTIONS)]
    if NATIVE:
        from collector.enrich.columns.columnwise import ColumnEnricher

        found.append(ColumnEnricher(CONVENTIONS))
    return found


@pytest.mark.parametrize("enricher", implementations(), ids=lambda one: type(one).__name__)
def test_who_says_it_decides(enricher: Implementation) -> None:
    calls = [
        Call(1, 1 + place * SPANS + number, 1_800_000_000 * 10**9, attributes=said)
        for place, said in enumerate(SAID.values())
        for number in range(SPANS)
    ]
    batch = decode([envelope(calls, 1)])
    reading = enricher.read(batch)
    expected = [purpose for purpose in SAID for _ in range(SPANS)]
    assert reading.with_purpose.tolist() == [bool(purpose) for purpose in expected]
    rows = enricher.finish(CATALOGUE, reading, np.ones(batch.num_rows, np.bool_))
    assert rows.column("Purpose").to_pylist() == expected

"""Stored calls priced again: the difference first, then new versions, once, with an audit row."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.billing.reprice import LATER, Selection, apply, compare, outcome_json
from collector.config import PricingConfig
from collector.enrich import Enricher, RecentTraces
from collector.store import Store
from tests.support import stored
from tests.support.calls import OVERRIDES, Call, envelope
from tests.support.captured import captured
from tests.support.spending import ALL, NOW

PERIOD = pa.schema([("Since", pa.int64()), ("Until", pa.int64())])
MODEL = "gpt-4o-mini-2024-07-18"


def priced_by(*overrides: dict[str, Any]) -> Enricher:
    return enricher(PricingConfig.model_validate({"overrides": overrides}))


def deliver(store: Store, case: str, used: Enricher) -> None:
    stored.deliver(store, Billing(used, RecentTraces(10_000)), captured(case), case)


def total(store: Store) -> Decimal:
    value = store.query("SELECT sum(Cost) AS c FROM otel_traces FINAL", {}).to_pylist()[0]["c"]
    assert isinstance(value, Decimal)
    return value


def test_a_corrected_price_is_compared_then_written_once(store: Store) -> None:
    wrong = priced_by({"name": "typo", "model": MODEL, "input": 15, "output": 60})
    right = priced_by()
    deliver(store, "strands-native-latest", right)
    deliver(store, "oi-openai", wrong)
    before = total(store)

    foreseen = compare(store, right, ALL)
    assert total(store) == before, "comparing changes nothing"
    change = foreseen.models[MODEL]
    assert change.changed > 0
    assert change.after < change.before

    done = apply(store, right, ALL)
    assert outcome_json(done)["models"] == outcome_json(foreseen)["models"]
    assert done.written == sum(model.changed for model in foreseen.models.values())
    assert total(store) == before + change.after - change.before
    assert apply(store, right, ALL).written == 0, "the second time there is nothing to change"
    audit = store.query("SELECT Rows, Before, After, Catalogue FROM reprices", {}).to_pylist()
    assert [row["Rows"] for row in audit] == [done.written]
    assert audit[0]["After"] - audit[0]["Before"] == change.after - change.before
    assert audit[0]["Catalogue"].startswith("genai-prices/")


def test_everything_but_the_price_of_a_row_stays(store: Store) -> None:
    deliver(store, "oi-openai", priced_by({"model": MODEL, "input": 1, "output": 1}))
    columns = "* EXCEPT (Cost, CostDetails, PriceStatus, PriceRef, Version, Timestamp, ReceivedAt, `Events.Timestamp`)"
    statement = f"SELECT {columns} FROM otel_traces FINAL ORDER BY TraceId, SpanId"
    before = store.query(statement, {}).to_pylist()
    assert apply(store, priced_by(), ALL).written > 0
    assert store.query(statement, {}).to_pylist() == before


def test_a_model_that_had_no_price_gets_one(store: Store) -> None:
    deliver(store, "langfuse-sdk", priced_by())
    own = priced_by({"name": "ours", "model": "my-custom-model", "input": 2, "output": 4})
    outcome = apply(store, own, Selection(ALL.since, ALL.until, "my-custom-model"))
    assert outcome.written == 1
    row = store.query("SELECT PriceStatus, PriceRef FROM otel_traces FINAL WHERE PriceRef LIKE 'override:%'", {})
    assert row.to_pylist() == [{"PriceStatus": "priced", "PriceRef": "override:ours"}]


def test_what_it_would_have_cost_on_another_model_is_never_written(store: Store) -> None:
    deliver(store, "oi-openai", priced_by())
    other = Selection(ALL.since, ALL.until, MODEL, as_model="gpt-4o")
    change = compare(store, priced_by(), other).models[MODEL]
    assert change.after > change.before > 0
    with pytest.raises(ValueError, match="never written"):
        apply(store, priced_by(), other)


@pytest.mark.parametrize(
    ("since", "until", "calls"), [(0, 1, 1), (-1, 0, 0), (1, 10**9, 0), (-(10**9), LATER - NOW, 1)]
)
def test_a_period_is_half_open_to_the_nanosecond(store: Store, since: int, until: int, calls: int) -> None:
    used = priced_by(*OVERRIDES)
    call = envelope([Call(1, 1, NOW, 500)], NOW)
    stored.deliver(store, Billing(used, RecentTraces(10)), [call], "edge")
    models = apply(
        store, priced_by({"model": "small-model", "input": 2, "output": 2}), Selection(NOW + since, NOW + until)
    ).models
    assert sum(model.calls for model in models.values()) == calls
    periods = store.query("SELECT Since, Until FROM reprices", {}).cast(PERIOD).to_pylist()
    assert periods == [{"Since": NOW + since, "Until": NOW + until}] * calls


def test_pages_meet_every_call_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(store, "pydantic-ai-native", priced_by())
    deliver(store, "oi-openai", priced_by())
    whole = compare(store, priced_by(), ALL)
    monkeypatch.setattr("collector.billing.reprice._PAGE", 3)
    assert outcome_json(compare(store, priced_by(), ALL)) == outcome_json(whole)
    assert sum(model.calls for model in whole.models.values()) > 10

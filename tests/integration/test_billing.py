"""Captured runs through the real engine: each call billed once, however its spans are split, ordered and repeated."""

import itertools
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.admit.validate import validate_traces
from collector.app import enricher
from collector.billing import Billing
from collector.config import PricingConfig
from collector.decode import decode, one_span
from collector.enrich import RecentTraces
from collector.model.envelope import Encoding, Envelope
from collector.model.principal import ANONYMOUS
from collector.query.service import Dimension, Query
from collector.store import Store
from collector.store.writer import by_day, insert_spans

FIXTURES = Path(__file__).parents[1] / "fixtures" / "otlp"
ENRICHER = enricher(PricingConfig())

# Runs in which a naive sum counts twice: parents with sums, nested doubles, doubles in traces of their own, siblings.
DOUBLED = (
    "oi-anthropic",
    "oi-langgraph+openai-double",
    "pydantic-ai-native",
    "strands-native-latest",
    "vercel-ai6-proto",
    "vercel-ai7-otel-json",
)
_tokens = itertools.count()


def captured(case: str) -> list[Envelope]:
    envelopes = []
    for number, path in enumerate(sorted((FIXTURES / case).glob("*.traces.*"))):
        if path.suffix not in {".pb", ".json"} or path.name.endswith(".meta.json"):
            continue
        encoding = Encoding.JSON if path.suffix == ".json" else Encoding.PROTOBUF
        valid = validate_traces(path.read_bytes(), encoding)
        envelopes.append(Envelope("default", 1_800_000_000_000_000_000 + number, valid.receipt.accepted, valid.payload))
    return envelopes


def single_spans(envelopes: list[Envelope]) -> list[Envelope]:
    return [one_span(envelope, row) for envelope in envelopes for row in range(envelope.spans)]


def deliver(store: Store, billing: Billing, envelopes: list[Envelope]) -> None:
    """What the drain does with one segment."""
    judged = billing.enrich(store, decode(envelopes))
    for _, rows, _ in by_day(judged.batch):
        insert_spans(store, rows, f"test-{next(_tokens)}")
    billing.settle(store, judged)


def new_billing(max_spans: int = 10_000) -> Billing:
    return Billing(ENRICHER, RecentTraces(max_spans))


def stored_rows(store: Store) -> list[dict[str, Any]]:
    """Every row as it counts, without what says when it came."""
    table = store.query("SELECT * FROM otel_traces FINAL ORDER BY TraceId, SpanId", {})
    rows: list[dict[str, Any]] = table.drop_columns(["Version", "ReceivedAt"]).cast(_without_times(table)).to_pylist()
    return rows


def _without_times(table: pa.Table) -> pa.Schema:
    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind):
            return pa.int64()
        return pa.list_(pa.int64()) if kind.equals(pa.list_(pa.timestamp("ns"))) or _is_times(kind) else kind

    return pa.schema([(f.name, plain(f.type)) for f in table.schema if f.name not in {"Version", "ReceivedAt"}])


def _is_times(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type))


def runs(store: Store) -> list[dict[str, Any]]:
    table = store.query("SELECT * EXCEPT (Start, End) FROM runs ORDER BY TraceId", {})
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.mark.parametrize("case", DOUBLED)
def test_tokens_billed_are_the_tokens_of_the_truth(store: Store, case: str) -> None:
    deliver(store, new_billing(), captured(case))
    truth = json.loads((FIXTURES / case / "truth.json").read_text())["totals"]
    row = store.query(
        "SELECT sum(InputTokens) AS i, sum(OutputTokens) AS o, sum(Cost) AS c, countIf(Cost IS NULL) AS unpriced "
        "FROM otel_traces FINAL WHERE PriceStatus IN ('priced', 'reported', 'unknown_model')",
        {},
    ).to_pylist()[0]
    assert (row["i"], row["o"]) == (truth["input_tokens_all"], truth["output_tokens_all"])
    assert row["unpriced"] == 0
    assert row["c"] > 0


@pytest.mark.parametrize("case", DOUBLED[:5])
@pytest.mark.parametrize("seed", range(2))
def test_any_split_order_and_repetition_stores_the_same(store: Store, case: str, seed: int) -> None:
    envelopes = captured(case)
    deliver(store, new_billing(), envelopes)
    expected, expected_runs = stored_rows(store), runs(store)
    store.command("TRUNCATE TABLE otel_traces")
    store.command("TRUNCATE TABLE otel_traces_trace_id_ts")

    chance = random.Random(f"{case}{seed}")
    spans = single_spans(envelopes)
    spans += chance.sample(spans, len(spans) // 4)
    chance.shuffle(spans)
    billing = new_billing()
    while spans:
        size = chance.randint(1, max(1, len(spans) // 2))
        deliver(store, billing, spans[:size])
        spans = spans[size:]
    assert stored_rows(store) == expected
    assert runs(store) == expected_runs


def test_a_restart_and_a_small_memory_change_nothing(store: Store) -> None:
    envelopes = captured("strands-native-latest")
    deliver(store, new_billing(), envelopes)
    expected = stored_rows(store)
    store.command("TRUNCATE TABLE otel_traces")
    store.command("TRUNCATE TABLE otel_traces_trace_id_ts")
    spans = single_spans(envelopes)
    random.Random(7).shuffle(spans)
    for begin in range(0, len(spans), 7):
        deliver(store, new_billing(max_spans=3), spans[begin : begin + 7])
    assert stored_rows(store) == expected


def test_the_api_gives_the_sums_of_the_table(store: Store) -> None:
    deliver(store, new_billing(), captured("oi-langgraph+openai-double"))
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    answer = Query(lambda: store).spend(ANONYMOUS, Dimension.MODEL, since, until).to_pylist()
    table = store.query("SELECT ResponseModel AS m, sum(Cost) AS c FROM otel_traces FINAL GROUP BY m", {}).to_pylist()
    assert {row["Value"]: row["Cost"] for row in answer} == {row["m"]: row["c"] for row in table if row["c"]}
    total = sum((row["Cost"] for row in answer), Decimal(0))
    listed = Query(lambda: store).runs(ANONYMOUS, since, until, 1000).to_pylist()
    assert sum((row["Cost"] for row in listed if row["Cost"]), Decimal(0)) == total > 0

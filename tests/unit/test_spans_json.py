"""Rows as JSON: column by column, whatever the table's chunks, slices and repeated keys."""

from decimal import Decimal

import pyarrow as pa

from collector.web.spans import rows_json, spans_json

MAP = pa.map_(pa.string(), pa.string())
ROWS = [
    {
        "Timestamp": 1_790_000_000_123_456_789,
        "SpanName": "chat",
        "Spans": 3,
        "Cost": Decimal("0.000000000001"),
        "SpanAttributes": [("a", "1"), ("a", "2"), ("b", "")],
        "CostDetails": [("input", Decimal("1.500000000000"))],
        "Models": ["x", "y"],
        "Events.Timestamp": [1, 2],
        "Events.Attributes": [[("k", "v")], []],
    },
    {
        "Timestamp": 0,
        "SpanName": "",
        "Spans": 0,
        "Cost": None,
        "SpanAttributes": [],
        "CostDetails": [],
        "Models": [],
        "Events.Timestamp": [],
        "Events.Attributes": [],
    },
]
SCHEMA = pa.schema(
    {
        "Timestamp": pa.timestamp("ns", "UTC"),
        "SpanName": pa.string(),
        "Spans": pa.uint64(),
        "Cost": pa.decimal128(18, 12),
        "SpanAttributes": MAP,
        "CostDetails": pa.map_(pa.string(), pa.decimal128(18, 12)),
        "Models": pa.list_(pa.string()),
        "Events.Timestamp": pa.list_(pa.timestamp("ns", "UTC")),
        "Events.Attributes": pa.list_(MAP),
    }
)
FIRST = {
    "Timestamp": "1790000000123456789",
    "SpanName": "chat",
    "Spans": 3,
    "Cost": "0.000000000001",
    "SpanAttributes": {"a": "2", "b": ""},
    "CostDetails": {"input": "1.500000000000"},
    "Models": ["x", "y"],
    "Events": [{"Timestamp": "1", "Attributes": {"k": "v"}}, {"Timestamp": "2", "Attributes": {}}],
    "Links": [],
}
SECOND = {
    "Timestamp": "0",
    "SpanName": "",
    "Spans": 0,
    "Cost": None,
    "SpanAttributes": {},
    "CostDetails": {},
    "Models": [],
    "Events": [],
    "Links": [],
}
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)


def test_values_are_exact_and_groups_are_objects() -> None:
    assert spans_json(TABLE) == [FIRST, SECOND]


def test_chunks_and_slices_change_nothing() -> None:
    assert spans_json(pa.concat_tables([TABLE, TABLE.slice(1), TABLE])) == [FIRST, SECOND, SECOND, FIRST, SECOND]
    assert spans_json(pa.concat_tables([TABLE, TABLE]).combine_chunks().slice(2, 1)) == [FIRST]
    assert spans_json(TABLE.slice(0, 0)) == spans_json(SCHEMA.empty_table()) == []


def test_rows_keep_their_columns() -> None:
    assert rows_json(TABLE.select(["SpanName", "Events.Timestamp"])) == [
        {"SpanName": "chat", "Events.Timestamp": ["1", "2"]},
        {"SpanName": "", "Events.Timestamp": []},
    ]


def test_missing_texts_stay_missing() -> None:
    assert rows_json(pa.table({"text": pa.array(["a", None, "a"])})) == [{"text": "a"}, {"text": None}, {"text": "a"}]

"""What C++ knows by position or number is what the Python side calls it: columns of schemas, events of HTTP/2."""

from types import ModuleType

import pyarrow as pa
import pytest

from collector.enrich.billed.schema import SEEN_SCHEMA
from collector.model.columns import DECODED_SCHEMA
from collector.net.http2 import EventKind, Fault


@pytest.fixture
def kernel() -> ModuleType:
    module: ModuleType = pytest.importorskip("collector.decode._kernel", exc_type=ImportError)
    return module


@pytest.fixture
def traces() -> ModuleType:
    module: ModuleType = pytest.importorskip("collector.enrich.billed._traces", exc_type=ImportError)
    return module


def renamed(schema: pa.Schema, old: str, new: str) -> pa.Schema:
    return pa.schema([field.with_name(new) if field.name == old else field for field in schema])


def retyped(schema: pa.Schema, name: str, kind: pa.DataType) -> pa.Schema:
    return pa.schema([field.with_type(kind) if field.name == name else field for field in schema])


def swapped(schema: pa.Schema, first: str, second: str) -> pa.Schema:
    other = {first: schema.field(second), second: schema.field(first)}
    return pa.schema([other.get(field.name, field) for field in schema])


def test_decode_fills_every_column_of_its_schema(kernel: ModuleType) -> None:
    kernel.check_columns(DECODED_SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        renamed(DECODED_SCHEMA, "SpanName", "Name"),
        renamed(DECODED_SCHEMA, "Links.SpanId", "Links.Span"),
        retyped(DECODED_SCHEMA, "TraceFlags", pa.uint64()),
        retyped(DECODED_SCHEMA, "Events.Name", pa.list_(pa.int64())),
        DECODED_SCHEMA.append(pa.field("Sampled", pa.bool_())),
        DECODED_SCHEMA.remove(0),
    ],
)
def test_decode_refuses_a_schema_it_does_not_fill(kernel: ModuleType, schema: pa.Schema) -> None:
    with pytest.raises(TypeError, match="The native columns and the schema differ in these columns"):
        kernel.check_columns(schema)


def test_decoded_batches_have_the_columns_in_the_order_of_the_schema(kernel: ModuleType) -> None:
    assert kernel.decode([]).schema == DECODED_SCHEMA


def test_who_is_billed_reads_the_columns_of_its_schema_in_their_order(traces: ModuleType) -> None:
    traces.check_columns(SEEN_SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        swapped(SEEN_SCHEMA, "InputTokens", "OutputTokens"),
        renamed(SEEN_SCHEMA, "ScopeName", "Scope"),
        retyped(SEEN_SCHEMA, "Detail", pa.int64()),
        SEEN_SCHEMA.append(pa.field("Sampled", pa.bool_())),
    ],
)
def test_who_is_billed_refuses_a_schema_of_another_order(traces: ModuleType, schema: pa.Schema) -> None:
    with pytest.raises(TypeError, match=r"seen_batch\.hpp reads the columns"):
        traces.check_columns(schema)


def test_http2_numbers_events_and_faults_as_they_are_named() -> None:
    codec = pytest.importorskip("collector.net.http2._codec", exc_type=ImportError)
    assert {kind.name: kind.value for kind in EventKind} == codec.KINDS
    assert {fault.name: fault.value for fault in Fault} == codec.FAULTS

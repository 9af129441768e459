# distutils: language = c++
"""The native `decode` and `decode_logs`: equal to those of reference.py and logs.py in everything but speed.

The walks (span_walk.hpp, log_walk.hpp) take plain bodies. One that is not plain is parsed and written again by the protobuf library,
which resolves what is rare (fields that merge, members of a oneof that replace each other) and refuses what is
malformed.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libcpp.string cimport string
from libcpp.vector cimport vector

import pyarrow as pa
from google.protobuf.message import EncodeError

from collector.decode import logs, points, reference
from collector.errors import Reason, Rejected
from collector.model.columns import DECODED_SCHEMA, LATEST_NS, MAP, TEXT
from collector.model import log_columns, metric_columns
from collector.model.envelope import Signal
from collector.model.versions import ENDED, RESOLUTION_NS
from collector.wire.otlp import REQUESTS, parse_checked


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass Bytes "std::string_view":
        Bytes()
        Bytes(const char*, size_t)


cdef extern from "column_builders.hpp" namespace "spanmeter::decode" nogil:
    struct Memory:
        void* data
        size_t size

    cppclass Buffer[T]:
        size_t size()
        Memory release()

    cppclass Offsets:
        size_t rows()
        Memory release() except +

    cppclass Strings:
        size_t rows()
        Memory release_data()
        Memory release_offsets() except +

    cppclass Maps:
        Strings keys
        Strings values
        size_t rows()
        Memory release_offsets() except +


cdef extern from "span_columns.hpp" namespace "spanmeter::decode" nogil:
    struct ColumnNames:
        vector[string] text
        vector[string] wide
        vector[string] narrow
        vector[string] maps

    ColumnNames column_names() except +

    cppclass Events:
        Offsets rows
        Buffer[uint64_t] time
        Strings name
        Maps attributes

    cppclass Links:
        Offsets rows
        Strings trace_id
        Strings span_id
        Strings trace_state
        Maps attributes


cdef extern from "walk.hpp" namespace "spanmeter::decode" nogil:
    struct Input "spanmeter::decode::Envelope":
        Bytes payload
        Bytes project
        uint64_t received_at

    cppclass Walk:
        void reserve(const vector[Input]&, size_t) except +
        size_t add(const vector[Input]&, size_t) except +


cdef extern from "span_walk.hpp" namespace "spanmeter::decode" nogil:
    struct WalkRules:
        uint64_t latest
        uint64_t ended
        uint64_t resolution
        Bytes start_key
        Bytes end_key
        Bytes pending_key
        Bytes pending
        Bytes pending_parent_key

    cppclass SpanWalk(Walk):
        Strings* text
        Buffer[uint64_t]* wide
        Buffer[uint32_t]* narrow
        Maps* maps
        Events events
        Links links
        SpanWalk(WalkRules) except +
        size_t size()


cdef extern from "log_walk.hpp" namespace "spanmeter::decode::log" nogil:
    struct LogColumnNames:
        vector[string] text
        vector[string] wide
        vector[string] narrow
        vector[string] byte
        vector[string] maps

    LogColumnNames log_column_names "spanmeter::decode::log::column_names"() except +

    struct LogRules:
        vector[string] event
        vector[string] session
        vector[string] prompt
        vector[string] request
        string resource_session

    cppclass LogWalk(Walk):
        Strings* text
        Buffer[uint64_t]* wide
        Buffer[uint32_t]* narrow
        Buffer[uint8_t]* byte
        Maps* maps
        LogWalk(LogRules) except +
        size_t size()


cdef extern from "metric_walk.hpp" namespace "spanmeter::decode::metric" nogil:
    cppclass Numbers:
        Offsets rows
        Buffer[uint64_t] values

    cppclass Exemplars:
        Offsets rows
        Buffer[uint64_t] time
        Buffer[uint64_t] value
        Strings span_id
        Strings trace_id
        Maps attributes

    cppclass PointRows:
        Strings* text
        Buffer[uint64_t]* wide
        Buffer[uint32_t]* narrow
        Buffer[uint8_t] monotonic
        Maps* maps
        Numbers* lists
        Exemplars exemplars
        size_t size()

    cppclass MetricWalk(Walk):
        PointRows* tables
        MetricWalk() except +


cdef tuple _names(vector[string] names):
    return tuple([name.decode() for name in names])


cdef ColumnNames _COLUMNS = column_names()
_TEXT = _names(_COLUMNS.text)
_WIDE = _names(_COLUMNS.wide)
_NARROW = _names(_COLUMNS.narrow)
_MAPS = _names(_COLUMNS.maps)

_KINDS = {field.name: field.type for field in DECODED_SCHEMA}
_ENTRIES = MAP.field(0).type
_WORDS = tuple(
    text.encode()
    for text in (
        reference.START_ATTRIBUTE,
        reference.END_ATTRIBUTE,
        reference.PENDING_ATTRIBUTE,
        reference.PENDING,
        reference.PENDING_PARENT_ATTRIBUTE,
    )
)

# What memory each column is filled as.
_LAYOUTS = {
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys(_WIDE, "64 bits"),
    **dict.fromkeys(_NARROW, "32 bits"),
    **dict.fromkeys(_MAPS, "map"),
    "Events.Timestamp": "list of 64 bits",
    "Events.Name": "list of text",
    "Events.Attributes": "list of map",
    "Links.TraceId": "list of text",
    "Links.SpanId": "list of text",
    "Links.TraceState": "list of text",
    "Links.Attributes": "list of map",
}


cdef LogColumnNames _LOG_COLUMNS = log_column_names()
_LOG_TEXT = _names(_LOG_COLUMNS.text)
_LOG_WIDE = _names(_LOG_COLUMNS.wide)
_LOG_NARROW = _names(_LOG_COLUMNS.narrow)
_LOG_BYTE = _names(_LOG_COLUMNS.byte)
_LOG_MAPS = _names(_LOG_COLUMNS.maps)
_LOG_KINDS = {field.name: field.type for field in log_columns.LOG_SCHEMA}
_LOG_LAYOUTS = {
    **dict.fromkeys(_LOG_TEXT, "text"),
    **dict.fromkeys(_LOG_WIDE, "64 bits"),
    **dict.fromkeys(_LOG_NARROW, "32 bits"),
    **dict.fromkeys(_LOG_BYTE, "8 bits"),
    **dict.fromkeys(_LOG_MAPS, "map"),
}


# The columns of metric_walk.hpp, in its order.
_POINT_TEXT = (
    *("ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeSchemaUrl", "ServiceName"),
    *("MetricName", "MetricDescription", "MetricUnit", "Project"),
)
_POINT_WIDE = (
    *("StartTimeUnix", "TimeUnix", "ReceivedAt", "Series", "RowKey"),
    *("Value", "Count", "Sum", "ZeroCount", "Min", "Max"),
)
_POINT_NARROW = (
    *("ScopeDroppedAttrCount", "Flags", "AggregationTemporality", "Scale", "PositiveOffset", "NegativeOffset"),
)
_POINT_MAPS = ("ResourceAttributes", "ScopeAttributes", "Attributes")
_POINT_LISTS = (
    *("BucketCounts", "ExplicitBounds", "PositiveBucketCounts", "NegativeBucketCounts"),
    *("ValueAtQuantiles.Quantile", "ValueAtQuantiles.Value"),
)


def _layout(kind):
    if pa.types.is_list(kind):
        return f"list of {_layout(kind.value_type)}"
    return {TEXT: "text", MAP: "map"}.get(kind) or f"{kind.bit_width} bits"


def check_columns(schema, layouts=_LAYOUTS):
    """Raise TypeError unless `schema` has the columns that are filled here, each of a type of that layout."""
    expected = {field.name: _layout(field.type) for field in schema}
    if wrong := sorted(layouts.items() ^ expected.items()):
        raise TypeError(f"The native columns and the schema differ in these columns: {wrong}")


check_columns(DECODED_SCHEMA)
check_columns(log_columns.LOG_SCHEMA, _LOG_LAYOUTS)


def decode(envelopes):
    """The contract of reference.decode."""
    return _decode(_Walk, reference.decode, envelopes)


def decode_logs(envelopes):
    """The contract of logs.decode_logs."""
    return _decode(_LogRows, logs.decode_logs, envelopes)


def decode_metrics(envelopes):
    """The contract of points.decode_metrics."""
    inputs = _Inputs(envelopes)
    try:
        parts = list(_point_batches(envelopes, inputs))
    except OverflowError as error:
        raise Rejected(Reason.TOO_LARGE, f"The rows are too large for one batch: {error}.") from None
    return parts[0] if len(parts) == 1 else [pa.concat_batches(list(of_kind)) for of_kind in zip(*parts)]


def _point_batches(envelopes, _Inputs inputs):
    """Lists of a batch for each kind, which follow each other."""
    cdef size_t position = 0
    cdef _PointTables walk
    while True:
        walk = _PointTables()
        position = walk.read(envelopes, inputs, position)
        yield walk.batch()
        if position == inputs.items.size():
            return
        yield points.decode_metrics([envelopes[position]])
        position += 1


cdef object _decode(walk_type, by_reference, envelopes):
    try:
        return _decode_inputs(walk_type, by_reference, envelopes, _Inputs(envelopes))
    except OverflowError as error:
        raise Rejected(Reason.TOO_LARGE, f"The rows are too large for one batch: {error}.") from None


cdef object _decode_inputs(walk_type, by_reference, envelopes, _Inputs inputs):
    cdef size_t position = 0
    cdef _Rows walk
    batches = []
    while True:
        walk = walk_type()
        position = walk.read(envelopes, inputs, position)
        batches.append(walk.batch())
        if position == inputs.items.size():
            return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        batches.append(by_reference([envelopes[position]]))
        position += 1


cdef class _View:
    """A look at the bytes of an object, which stay where they are meanwhile."""

    cdef Py_buffer buffer

    def __cinit__(self, source):
        PyObject_GetBuffer(source, &self.buffer, PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)

    cdef Bytes bytes(self):
        return Bytes(<const char*> self.buffer.buf, <size_t> self.buffer.len)


cdef class _Inputs:
    """What the walk reads of envelopes, and the objects that own the bytes."""

    cdef vector[Input] items
    cdef list owners

    def __init__(self, envelopes):
        self.owners = []
        for envelope in envelopes:
            self._add(_View(envelope.payload), _View(envelope.project.encode()), envelope.received_at)

    cdef int _add(self, _View payload, _View project, int64_t received_at) except -1:
        if received_at < 0:
            raise OverflowError("a time before 1970")
        self.owners += (payload, project)
        self.items.push_back(Input(payload.bytes(), project.bytes(), <uint64_t> received_at))
        return 0


cdef class _Owner:
    """Memory that is freed with the last Arrow buffer that shows it."""

    cdef void* data

    def __dealloc__(self):
        free(self.data)


cdef object _buffer(Memory memory):
    cdef _Owner owner
    try:
        owner = _Owner()
    except MemoryError:
        free(memory.data)
        raise
    owner.data = memory.data
    return pa.foreign_buffer(<size_t> memory.data, memory.size, owner) if memory.size else pa.py_buffer(b"")


cdef Bytes _word(bytes text):
    """A view of one of `_WORDS`, which stay."""
    return Bytes(<const char*> text, len(text))


cdef WalkRules _rules():
    cdef WalkRules rules
    rules.latest, rules.ended, rules.resolution = LATEST_NS, ENDED, RESOLUTION_NS
    rules.start_key, rules.end_key = _word(_WORDS[0]), _word(_WORDS[1])
    rules.pending_key, rules.pending, rules.pending_parent_key = _word(_WORDS[2]), _word(_WORDS[3]), _word(_WORDS[4])
    return rules


cdef class _Rows:
    """The columns of one signal while they grow. Whoever makes `walk` leaves it to this class."""

    cdef object signal
    cdef Walk* walk

    def __dealloc__(self):
        del self.walk

    cdef size_t add(self, _Inputs inputs, size_t position) except *:
        """Append the rows of inputs; returns the position of the first that is not plain."""
        cdef size_t reached
        with nogil:
            reached = self.walk.add(inputs.items, position)
        return reached

    cdef object batch(self):
        """The arrays made of the columns."""
        raise NotImplementedError

    cdef size_t read(self, envelopes, _Inputs inputs, size_t position) except *:
        """Append the rows of the envelopes from `position` on; returns that of one which only the reference can read."""
        self.walk.reserve(inputs.items, position)
        while True:
            position = self.add(inputs, position)
            if position == inputs.items.size() or not self._read_rewritten(envelopes[position]):
                return position
            position += 1

    cdef bint _read_rewritten(self, envelope) except -1:
        """Append the rows of an envelope that is not plain as it came."""
        request = parse_checked(REQUESTS[self.signal], envelope.payload)
        request.DiscardUnknownFields()  # no row shows them, and deep groups among them are not plain
        try:
            payload = request.SerializeToString()
        except EncodeError:  # deeper than admission allows
            return False
        cdef _Inputs inputs = _Inputs([])
        inputs._add(_View(payload), _View(envelope.project.encode()), envelope.received_at)
        return self.add(inputs, 0) == 1


cdef class _Walk(_Rows):
    """Those of traces."""

    cdef SpanWalk* rows

    def __cinit__(self):
        self.signal = Signal.TRACES
        self.walk = self.rows = new SpanWalk(_rules())

    cdef object batch(self):
        cdef size_t rows = self.rows.size()
        cdef size_t i
        arrays = {}
        for i, name in enumerate(_TEXT):
            arrays[name] = _strings(&self.rows.text[i])
        for i, name in enumerate(_WIDE):
            arrays[name] = _flat(_KINDS[name], rows, _buffer(self.rows.wide[i].release()))
        for i, name in enumerate(_NARROW):
            arrays[name] = _flat(_KINDS[name], rows, _buffer(self.rows.narrow[i].release()))
        for i, name in enumerate(_MAPS):
            arrays[name] = _maps(&self.rows.maps[i])
        arrays |= _lists(rows, _buffer(self.rows.events.rows.release()), self._events())
        arrays |= _lists(rows, _buffer(self.rows.links.rows.release()), self._links())
        return pa.RecordBatch.from_arrays([arrays[name] for name in DECODED_SCHEMA.names], schema=DECODED_SCHEMA)

    cdef dict _events(self):
        cdef Events* events = &self.rows.events
        cdef size_t count = events.time.size()
        kind = _KINDS["Events.Timestamp"].value_type
        return {
            "Events.Timestamp": _flat(kind, count, _buffer(events.time.release())),
            "Events.Name": _strings(&events.name),
            "Events.Attributes": _maps(&events.attributes),
        }

    cdef dict _links(self):
        cdef Links* links = &self.rows.links
        return {
            "Links.TraceId": _strings(&links.trace_id),
            "Links.SpanId": _strings(&links.span_id),
            "Links.TraceState": _strings(&links.trace_state),
            "Links.Attributes": _maps(&links.attributes),
        }


cdef vector[string] _keys(names):
    cdef vector[string] keys
    for name in names:
        keys.push_back(name.encode())
    return keys


cdef LogRules _log_rules():
    cdef LogRules rules
    rules.event, rules.session = _keys(log_columns.EVENT_KEYS), _keys(log_columns.SESSION_KEYS)
    rules.prompt, rules.request = _keys(log_columns.PROMPT_KEYS), _keys(log_columns.REQUEST_KEYS)
    rules.resource_session = log_columns.RESOURCE_SESSION_KEY.encode()
    return rules


cdef class _LogRows(_Rows):
    """Those of logs."""

    cdef LogWalk* rows

    def __cinit__(self):
        self.signal = Signal.LOGS
        self.walk = self.rows = new LogWalk(_log_rules())

    cdef object batch(self):
        cdef size_t rows = self.rows.size()
        cdef size_t i
        arrays = {}
        for i, name in enumerate(_LOG_TEXT):
            arrays[name] = _strings(&self.rows.text[i])
        for i, name in enumerate(_LOG_WIDE):
            arrays[name] = _flat(_LOG_KINDS[name], rows, _buffer(self.rows.wide[i].release()))
        for i, name in enumerate(_LOG_NARROW):
            arrays[name] = _flat(_LOG_KINDS[name], rows, _buffer(self.rows.narrow[i].release()))
        for i, name in enumerate(_LOG_BYTE):
            arrays[name] = _flat(_LOG_KINDS[name], rows, _buffer(self.rows.byte[i].release()))
        for i, name in enumerate(_LOG_MAPS):
            arrays[name] = _maps(&self.rows.maps[i])
        schema = log_columns.LOG_SCHEMA
        return pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)


cdef class _PointTables(_Rows):
    """Those of metrics."""

    cdef MetricWalk* rows

    def __cinit__(self):
        self.signal = Signal.METRICS
        self.walk = self.rows = new MetricWalk()

    cdef object batch(self):
        schemas = metric_columns.METRIC_SCHEMAS.values()
        return [_points(&self.rows.tables[number], schema) for number, schema in enumerate(schemas)]


cdef object _points(PointRows* table, schema):
    cdef size_t rows = table.size()
    cdef size_t i
    kinds = {field.name: field.type for field in schema}
    arrays = {name: _strings(&table.text[i]) for i, name in enumerate(_POINT_TEXT)}
    for i, name in enumerate(_POINT_WIDE):
        if name in kinds:
            arrays[name] = _flat(kinds[name], rows, _buffer(table.wide[i].release()))
    for i, name in enumerate(_POINT_NARROW):
        if name in kinds:
            arrays[name] = _flat(kinds[name], rows, _buffer(table.narrow[i].release()))
    for i, name in enumerate(_POINT_MAPS):
        arrays[name] = _maps(&table.maps[i])
    for i, name in enumerate(_POINT_LISTS):
        if name in kinds:
            arrays[name] = _numbers(kinds[name], rows, &table.lists[i])
    if "IsMonotonic" in kinds:
        arrays["IsMonotonic"] = _flat(pa.uint8(), rows, _buffer(table.monotonic.release())).cast(pa.bool_())
    if "Exemplars.Value" in kinds:
        arrays |= _exemplars(kinds, rows, &table.exemplars)
    return pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)


cdef object _numbers(kind, size_t rows, Numbers* column):
    cdef size_t count = column.values.size()
    offsets = _buffer(column.rows.release())
    values = _flat(kind.value_type, count, _buffer(column.values.release()))
    return pa.Array.from_buffers(kind, rows, [None, offsets], 0, children=[values])


cdef dict _exemplars(dict kinds, size_t rows, Exemplars* column):
    cdef size_t count = column.time.size()
    offsets = _buffer(column.rows.release())
    values = {
        "Exemplars.FilteredAttributes": _maps(&column.attributes),
        "Exemplars.TimeUnix": _flat(kinds["Exemplars.TimeUnix"].value_type, count, _buffer(column.time.release())),
        "Exemplars.Value": _flat(pa.float64(), count, _buffer(column.value.release())),
        "Exemplars.SpanId": _strings(&column.span_id),
        "Exemplars.TraceId": _strings(&column.trace_id),
    }
    return {
        name: pa.Array.from_buffers(kinds[name], rows, [None, offsets], 0, children=[array])
        for name, array in values.items()
    }


cdef object _flat(kind, size_t rows, values):
    return pa.Array.from_buffers(kind, rows, [None, values], 0)


cdef object _strings(Strings* column):
    cdef size_t rows = column.rows()
    offsets = _buffer(column.release_offsets())
    return pa.StringArray.from_buffers(rows, offsets, _buffer(column.release_data()), None, 0)


cdef object _maps(Maps* column):
    cdef size_t rows = column.rows()
    offsets = _buffer(column.release_offsets())
    keys, values = _strings(&column.keys), _strings(&column.values)
    entries = pa.Array.from_buffers(_ENTRIES, len(keys), [None], 0, children=[keys, values])
    return pa.Array.from_buffers(MAP, rows, [None, offsets], 0, children=[entries])


cdef dict _lists(size_t rows, offsets, dict columns):
    """List arrays that share their offsets."""
    return {
        name: pa.Array.from_buffers(
            _KINDS[name], rows, [None, offsets], 0, children=[values]
        )
        for name, values in columns.items()
    }

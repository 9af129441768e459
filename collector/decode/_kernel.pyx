# distutils: language = c++
"""The native `decode`: equal to reference.decode in everything but speed.

The walk (span_walk.hpp) takes plain bodies. One that is not plain is parsed and written again by the protobuf library,
which resolves what is rare (fields that merge, members of a oneof that replace each other) and refuses what is
malformed.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libcpp.string cimport string
from libcpp.vector cimport vector

import pyarrow as pa
from google.protobuf.message import EncodeError

from collector.decode import reference
from collector.errors import Reason, Rejected
from collector.model.columns import DECODED_SCHEMA, LATEST_NS, MAP, TEXT
from collector.model.envelope import Signal
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


cdef extern from "span_walk.hpp" namespace "spanmeter::decode" nogil:
    struct Input "spanmeter::decode::Envelope":
        Bytes payload
        Bytes project
        uint64_t received_at

    cppclass SpanWalk:
        Strings* text
        Buffer[uint64_t]* wide
        Buffer[uint32_t]* narrow
        Maps* maps
        Events events
        Links links
        SpanWalk(uint64_t, Bytes, Bytes) except +
        size_t size()
        void reserve(const vector[Input]&, size_t) except +
        size_t add(const vector[Input]&, size_t) except +


cdef tuple _names(vector[string] names):
    return tuple([name.decode() for name in names])


cdef ColumnNames _COLUMNS = column_names()
_TEXT = _names(_COLUMNS.text)
_WIDE = _names(_COLUMNS.wide)
_NARROW = _names(_COLUMNS.narrow)
_MAPS = _names(_COLUMNS.maps)

_KINDS = {field.name: field.type for field in DECODED_SCHEMA}
_ENTRIES = MAP.field(0).type
cdef bytes _START = reference.START_ATTRIBUTE.encode()
cdef bytes _END = reference.END_ATTRIBUTE.encode()
_LATEST = LATEST_NS

# What memory each column is filled as.
_LAYOUTS = {
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys((*_WIDE, "Version"), "64 bits"),
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


def _layout(kind):
    if pa.types.is_list(kind):
        return f"list of {_layout(kind.value_type)}"
    return {TEXT: "text", MAP: "map"}.get(kind) or f"{kind.bit_width} bits"


def check_columns(schema):
    """Raise TypeError unless `schema` has the columns that are filled here, each of a type of that layout."""
    expected = {field.name: _layout(field.type) for field in schema}
    if wrong := sorted(_LAYOUTS.items() ^ expected.items()):
        raise TypeError(f"span_columns.hpp and DECODED_SCHEMA differ in these columns: {wrong}")


check_columns(DECODED_SCHEMA)


def decode(envelopes):
    """The contract of reference.decode."""
    inputs = _Inputs(envelopes)
    try:
        return _decode(envelopes, inputs)
    except OverflowError as error:
        raise Rejected(Reason.TOO_LARGE, f"The spans are too large for one batch: {error}.") from None


cdef object _decode(envelopes, _Inputs inputs):
    cdef size_t position = 0
    batches = []
    while True:
        walk = _Walk()
        position = walk.read(envelopes, inputs, position)
        batches.append(walk.batch())
        if position == inputs.items.size():
            return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        batches.append(reference.decode([envelopes[position]]))
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


cdef class _Walk:
    """The columns while they grow, and the arrays made of them."""

    cdef SpanWalk* rows

    def __cinit__(self):
        self.rows = new SpanWalk(_LATEST, Bytes(_START, len(_START)), Bytes(_END, len(_END)))

    def __dealloc__(self):
        del self.rows

    cdef size_t read(self, envelopes, _Inputs inputs, size_t position) except *:
        """Append the rows of the envelopes from `position` on; returns that of one which only the reference can read."""
        self.rows.reserve(inputs.items, position)
        while True:
            with nogil:
                position = self.rows.add(inputs.items, position)
            if position == inputs.items.size() or not self._read_rewritten(envelopes[position]):
                return position
            position += 1

    cdef bint _read_rewritten(self, envelope) except -1:
        """Append the rows of an envelope that is not plain as it came."""
        request = parse_checked(REQUESTS[Signal.TRACES], envelope.payload)
        request.DiscardUnknownFields()  # no row shows them, and deep groups among them are not plain
        try:
            payload = request.SerializeToString()
        except EncodeError:  # deeper than admission allows
            return False
        cdef _Inputs inputs = _Inputs([])
        inputs._add(_View(payload), _View(envelope.project.encode()), envelope.received_at)
        with nogil:
            added = self.rows.add(inputs.items, 0)
        return added == 1

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
        arrays["Version"] = _flat(_KINDS["Version"], rows, arrays["ReceivedAt"].buffers()[1])
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

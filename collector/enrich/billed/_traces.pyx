# distutils: language = c++
"""`RecentTraces` of `traces.py`, natively: the same contract, the same decisions. What it does is in `recent_traces.hpp`."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

import numpy as np
import pyarrow as pa

from collector.enrich.billed.schema import SEEN_SCHEMA, Billed

cdef extern from "seen_batch.hpp" namespace "spanmeter::billed" nogil:
    cdef struct Wide:
        uint64_t high
        uint64_t low

    cdef struct ArrowArray:
        pass

    cdef cppclass SeenField:
        const char* name
        const char* format

    const size_t SEEN_COLUMNS
    const SeenField* SEEN_FIELDS

    cdef cppclass SeenBatch:
        SeenBatch(const ArrowArray&)


cdef extern from "revisions.hpp" namespace "spanmeter::billed" nogil:
    cdef cppclass Revision:
        string project
        Wide trace
        uint64_t span
        bint billed


cdef extern from "recent_traces.hpp" namespace "spanmeter::billed" nogil:
    cdef cppclass Moved:
        size_t row
        int64_t start

    cdef cppclass Native "spanmeter::billed::RecentTraces":
        Native(size_t, size_t) except +
        void remember(string_view, string_view) except +
        vector[uint32_t] forgotten(const SeenBatch&) except +
        void load(const SeenBatch&) except +
        void absorb(const SeenBatch&, uint8_t*, uint8_t*) except +
        const vector[Revision]& revisions()
        const vector[Moved]& moved()
        const vector[uint32_t]& repeated()
        void confirm(const SeenBatch&, const uint8_t*, const uint8_t*, bint) except +
        void revised(string_view, string_view, string_view, bint) except +
        void forget() except +


_ARROW_FORMATS = {"u": pa.string(), "l": pa.int64(), "i": pa.int32(), "b": pa.bool_(), "c": pa.int8()}


def native_columns():
    """The names and types of the columns that the native code reads, by their positions."""
    cdef size_t i
    return [
        (SEEN_FIELDS[i].name.decode(), _ARROW_FORMATS[SEEN_FIELDS[i].format.decode()]) for i in range(SEEN_COLUMNS)
    ]


def check_columns(schema):
    """Raise TypeError unless `schema` is in names, order and types what the native code reads."""
    expected = [(field.name, field.type) for field in schema]
    if native_columns() != expected:
        raise TypeError(f"seen_batch.hpp reads the columns {native_columns()}, but SEEN_SCHEMA has {expected}")


check_columns(SEEN_SCHEMA)


cdef string_view _view(str text) except *:
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    return string_view(data, size)


cdef class _Exported:
    """The columns of a batch, for as long as this is held."""

    cdef object _capsules
    cdef unique_ptr[SeenBatch] rows

    def __init__(self, spans):
        if spans.schema != SEEN_SCHEMA:
            raise TypeError(f"spans are batches of SEEN_SCHEMA, not of {spans.schema}")
        self._capsules = spans.__arrow_c_array__()
        cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(self._capsules[1], "arrow_array")
        self.rows.reset(new SeenBatch(array[0]))


cdef class RecentTraces:
    cdef unique_ptr[Native] _native
    cdef object _spans  # of the last batch
    cdef _Exported _exported
    cdef bint _absorbed

    def __init__(self, size_t max_spans, size_t max_known=1_000_000):
        self._native.reset(new Native(max_spans, max_known))

    cdef const SeenBatch* _rows(self, spans) except NULL:
        """The columns of a batch, which mostly is asked about three times."""
        if spans is not self._spans:
            self._exported = _Exported(spans)
            self._spans, self._absorbed = spans, False
        return self._exported.rows.get()

    def remember(self, projects, trace_ids):
        for project, trace_id in zip(projects, trace_ids, strict=True):
            self._native.get().remember(_view(project), _view(trace_id))

    def forgotten(self, spans):
        cdef const SeenBatch* given = self._rows(spans)
        cdef Native* native = self._native.get()
        cdef vector[uint32_t] rows
        with nogil:
            rows = native.forgotten(given[0])
        projects, trace_ids = spans.column("Project"), spans.column("TraceId")
        return sorted({(projects[row].as_py(), trace_ids[row].as_py()) for row in rows})

    def load(self, spans):
        cdef _Exported exported = _Exported(spans)
        cdef const SeenBatch* rows = exported.rows.get()
        cdef Native* native = self._native.get()
        with nogil:
            native.load(rows[0])
        self._absorbed = False

    def absorb(self, spans):
        cdef const SeenBatch* rows = self._rows(spans)
        cdef Native* native = self._native.get()
        cdef Py_ssize_t count = spans.num_rows
        masks = np.zeros((2, count + 1), np.uint8)  # one more, so that a batch without rows has an address
        cdef uint8_t[:, ::1] decisions = masks
        self._absorbed = False
        with nogil:
            native.absorb(rows[0], &decisions[0, 0], &decisions[1, 0])
        self._absorbed = True
        billed, superseded = masks[:, :count].view(np.bool_)
        cdef vector[uint32_t] repeated = native.repeated()
        counting = [row for row in repeated if not superseded[row]]
        return Billed(billed, self._revisions(), superseded, self._moved(), counting)

    cdef dict _moved(self):
        cdef size_t number
        cdef const Moved* moved
        cdef dict starts = {}
        for number in range(self._native.get().moved().size()):
            moved = &self._native.get().moved()[number]
            starts[moved.row] = moved.start
        return starts

    cdef dict _revisions(self):
        cdef dict revise = {}
        cdef size_t number
        cdef const Revision* revision
        for number in range(self._native.get().revisions().size()):
            revision = &self._native.get().revisions()[number]
            trace = revision.project.decode(), f"{revision.trace.high:016x}{revision.trace.low:016x}"
            revise[trace, f"{revision.span:016x}"] = bool(revision.billed)
        return revise

    def confirm(self, spans, decided):
        cdef const SeenBatch* rows = self._rows(spans)
        cdef Py_ssize_t count = spans.num_rows
        masks = np.zeros((2, count + 1), np.uint8)
        masks[:, :count] = decided.billed, decided.superseded
        cdef const uint8_t[:, ::1] decisions = masks
        cdef Native* native = self._native.get()
        with nogil:
            native.confirm(rows[0], &decisions[0, 0], &decisions[1, 0], self._absorbed)
        for ((project, trace_id), span_id), is_billed in decided.revise.items():
            native.revised(_view(project), _view(trace_id), _view(span_id), is_billed)
        with nogil:
            native.forget()
        self._spans = self._exported = None

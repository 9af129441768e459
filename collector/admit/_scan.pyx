# distutils: language = c++
"""A look at the bytes of a request before anything is made of them: sound, and how much is in it?"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool
from libcpp.string cimport string
from libcpp.vector cimport vector

# Below this the look is shorter than waiting to have the interpreter back.
cdef Py_ssize_t _LONG = 1 << 20


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass Bytes "std::string_view":
        Bytes(const char*, size_t)


cdef extern from "otlp_schema.hpp" namespace "spanmeter::admit" nogil:
    enum Outcome:
        PLAIN, NOT_PLAIN, TOO_MANY_ITEMS, TOO_MANY_ELEMENTS

    cppclass CppSchema "spanmeter::admit::Schema":
        void add_message(bool item, bool container)
        void add_field(string json_name, int kind, bool repeated, bool wide, uint32_t number, int message)


cdef extern from "request_scan.hpp" namespace "spanmeter::admit" nogil:
    struct Problem:
        int id
        size_t length
        uint64_t spans

    cppclass RequestScan:
        uint64_t accepted
        uint64_t repeated
        uint64_t elements
        vector[Problem] problems
        RequestScan(uint64_t max_items, uint64_t max_elements)
        Outcome read(Bytes) except +


cdef extern from "item_count.hpp" namespace "spanmeter::admit" nogil:
    cppclass ItemCount:
        uint64_t items
        uint64_t elements
        uint64_t repeated
        bool sound
        ItemCount(const CppSchema&, uint64_t max_items, uint64_t max_elements)
        Outcome read(Bytes) except +


cdef extern from "json_transcoder.hpp" namespace "spanmeter::admit" nogil:
    uint64_t c_json_separators "spanmeter::admit::json_separators"(Bytes)

    cppclass JsonTranscoder:
        string out
        JsonTranscoder(const CppSchema&, uint64_t max_elements, int max_depth)
        Outcome read(Bytes) except +


class TooManyItemsError(ValueError):
    """There are more spans, log records or data points than allowed."""


class TooManyElementsError(ValueError):
    """There are more messages and values than allowed."""


cdef class Schema:
    """The messages of a request, as `collector.wire.schema` describes them."""

    cdef CppSchema _schema

    def __init__(self, messages):
        for message in messages:
            self._schema.add_message(message.item, message.container)
            for field in message.fields:
                self._schema.add_field(
                    field.json_name.encode(), field.kind, field.repeated, field.wide, field.number, field.message
                )

    def count(self, body, max_items, max_elements):
        """(items, elements, bytes repeated for each item, whether it is sound) of a protobuf body.

        Of one that is not sound the library has to say whether it is malformed; the counts are of what it reads.
        Raises TooManyItemsError and TooManyElementsError.
        """
        cdef Py_buffer view
        cdef Outcome outcome
        cdef ItemCount* found = new ItemCount(self._schema, max_items, max_elements)
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            if view.len < _LONG:
                outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
            else:
                with nogil:
                    outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
            _raise_too_many(outcome)
            return found.items, found.elements, found.repeated, outcome == PLAIN and found.sound
        finally:
            PyBuffer_Release(&view)
            del found

    def transcode(self, body, max_elements, max_depth):
        """A JSON body in protobuf; None when the reader in Python has to look at it. Raises TooManyElementsError."""
        cdef Py_buffer view
        cdef Outcome outcome
        cdef JsonTranscoder* found = new JsonTranscoder(self._schema, max_elements, max_depth)
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            if view.len < _LONG:
                outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
            else:
                with nogil:
                    outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
            _raise_too_many(outcome)
            if outcome == NOT_PLAIN:
                return None
            return PyBytes_FromStringAndSize(found.out.data(), <Py_ssize_t> found.out.size())
        finally:
            PyBuffer_Release(&view)
            del found


def json_separators(bytes body):
    """The commas and the openings of objects and arrays in a JSON document, texts left out."""
    cdef const char* data = body
    cdef size_t size = len(body)
    cdef uint64_t found
    with nogil:
        found = c_json_separators(Bytes(data, size))
    return found


def scan(body, max_items, max_elements):
    """(spans with valid ids, bytes repeated for each span, elements, problems) of an ExportTraceServiceRequest.

    `problems` are (0 for the trace id or 1 for the span id, its length, spans) in the order first met. None when the
    body is not plain: malformed, not UTF-8 where it has to be, deep, or odd; the protobuf library has to look at it.
    Raises TooManyItemsError and TooManyElementsError.
    """
    cdef Py_buffer view
    cdef RequestScan* found = new RequestScan(max_items, max_elements)
    cdef Outcome outcome
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        if view.len < _LONG:
            outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
        else:
            with nogil:
                outcome = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
        _raise_too_many(outcome)
        if outcome == NOT_PLAIN:
            return None
        problems = [(one.id, one.length, one.spans) for one in found.problems]
        return found.accepted, found.repeated, found.elements, problems
    finally:
        PyBuffer_Release(&view)
        del found


cdef _raise_too_many(Outcome outcome):
    if outcome == TOO_MANY_ITEMS:
        raise TooManyItemsError
    if outcome == TOO_MANY_ELEMENTS:
        raise TooManyElementsError

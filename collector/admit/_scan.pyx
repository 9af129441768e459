# distutils: language = c++
"""A quick look at a protobuf body: sound, and with how many spans? Parses nothing into objects."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libcpp cimport bool
from libcpp.vector cimport vector

# Below this the look is shorter than waiting to have the interpreter back.
cdef Py_ssize_t _LONG = 1 << 20


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass Bytes "std::string_view":
        Bytes(const char*, size_t)


cdef extern from "request_scan.hpp" namespace "spanmeter::admit" nogil:
    struct Problem:
        int id
        size_t length
        uint64_t spans

    cppclass RequestScan:
        uint64_t accepted
        uint64_t repeated
        vector[Problem] problems
        bool read(Bytes) except +


def scan(body):
    """(spans with valid ids, bytes repeated for each span, problems) of an ExportTraceServiceRequest.

    `problems` are (0 for the trace id or 1 for the span id, its length, spans) in the order first met. None when the
    body is not plain: malformed, not UTF-8 where it has to be, deep, or odd; the protobuf library has to look at it.
    """
    cdef Py_buffer view
    cdef RequestScan found
    cdef bool plain
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        if view.len < _LONG:
            plain = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
        else:
            with nogil:
                plain = found.read(Bytes(<const char*> view.buf, <size_t> view.len))
    finally:
        PyBuffer_Release(&view)
    if not plain:
        return None
    return found.accepted, found.repeated, [(one.id, one.length, one.spans) for one in found.problems]

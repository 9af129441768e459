"""`leave_out` of `memory.py`, natively."""

from cpython.ref cimport PyObject


cdef extern from "Python.h":
    int PyObject_GC_IsTracked(PyObject*)
    void PyObject_GC_UnTrack(void*)


def leave_out(objects):
    cdef object found
    for found in objects:
        if PyObject_GC_IsTracked(<PyObject*>found):
            PyObject_GC_UnTrack(<void*>found)

# distutils: language = c++
"""Attribute maps read by column: the native half of `reader.py`. Arrays are numpy's, texts Arrow's (utf8, no nulls)."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

import numpy as np
import pyarrow as pa


cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char*, size_t)
        const char* data()
        size_t size()


cdef extern from "text_map.hpp" namespace "spanmeter::columns" nogil:
    cdef cppclass TextMap:
        int32_t add(string_view)
        string_view text_of(int32_t)
        int32_t size()
        size_t bytes()


cdef extern from "text_array.hpp" namespace "spanmeter::columns" nogil:
    const int64_t _OTHER "(int64_t(spanmeter::columns::OTHER) << spanmeter::columns::SOURCE_SHIFT)"

    cdef cppclass TextArray:
        const int32_t* ends
        const char* data

    cdef cppclass SourceBuffers:
        SourceBuffers()
        SourceBuffers(const char*, const char*, const char*)
        string_view at(int64_t, int32_t)


cdef extern from "key_table.hpp" namespace "spanmeter::columns" nogil:
    cdef cppclass CKeyTable "spanmeter::columns::KeyTable":
        CKeyTable(vector[string], vector[string])
        int32_t keys()

    cbool positions_of(CKeyTable, const int32_t*, TextArray, int64_t, vector[int32_t]*) except +


cdef extern from "shapes.hpp" namespace "spanmeter::columns" nogil:
    cdef cppclass CShapes "spanmeter::columns::Shapes":
        vector[int32_t] group
        vector[int64_t] start
        vector[int32_t] positions
        vector[uint8_t] repeated
        vector[string] scopes
        vector[vector[int32_t]] present

    CShapes shapes_of(CKeyTable, TextArray, const int32_t*, TextArray, int64_t, size_t) except +


cdef extern from "plan.hpp" namespace "spanmeter::columns" nogil:
    const int _PLAIN "spanmeter::columns::Place::PLAIN"
    const int _JSON "spanmeter::columns::Place::JSON"
    const int _EVENT "spanmeter::columns::Place::EVENT"
    const int _NAME "spanmeter::columns::Place::NAME"
    const int _RESOURCE_KEY "spanmeter::columns::Place::RESOURCE_KEY"
    const int _PREFIX "spanmeter::columns::Place::PREFIX"

    cdef cppclass PlanInput "spanmeter::columns::Plan::Input":
        TextArray values
        const int64_t* start
        const int32_t* positions
        TextArray names
        const int32_t* event_ends
        TextArray event_names
        TextArray resource_values
        const int32_t* resource
        int32_t resource_keys

    cdef cppclass CPlan "spanmeter::columns::Plan":
        void add_field(cbool)
        void add_place(int32_t, int32_t, cbool, vector[string], string)
        size_t size()
        void extract(PlanInput, const int64_t*, int64_t, const uint8_t*, int64_t*, int32_t*, int8_t*, uint8_t*)


cdef extern from "values.hpp" namespace "spanmeter::columns" nogil:
    void parse_counts(SourceBuffers, const int64_t*, const int32_t*, int64_t, int64_t, int64_t*, uint8_t*)
    void distinct_rows(const int32_t*, int64_t, int64_t, int32_t*, vector[int64_t]*) except +


cdef extern from "remaining.hpp" namespace "spanmeter::columns" nogil:
    cdef cppclass Remaining:
        int32_t* map_ends
        int32_t* key_ends
        int32_t* value_ends
        char* keys
        char* values

    int64_t copy_without(
        const int32_t*, TextArray, TextArray, int64_t, const int32_t*, const int32_t*, const uint8_t*, Remaining
    )


PLAIN, JSON, EVENT, NAME, RESOURCE_KEY, PREFIX = _PLAIN, _JSON, _EVENT, _NAME, _RESOURCE_KEY, _PREFIX
cdef int64_t OTHER = _OTHER


cdef const int32_t* ends_of(array) except? NULL:
    """The offsets of a utf8, list or map array, from its first row on."""
    buffer = array.buffers()[1]
    if buffer is None or buffer.size == 0:
        return &NO_ENDS
    return (<const int32_t*><uintptr_t>buffer.address) + <int64_t>array.offset


cdef const char* data_of(array) except? NULL:
    buffer = array.buffers()[2]
    if buffer is None or buffer.size == 0:
        return NO_DATA
    return <const char*><uintptr_t>buffer.address


cdef TextArray texts_of(array) except *:
    cdef TextArray texts
    texts.ends = ends_of(array)
    texts.data = data_of(array)
    return texts


cdef int32_t NO_ENDS = 0
cdef const char* NO_DATA = ""


cdef numpy_of(const void* data, size_t count, dtype):
    result = np.empty(count, dtype)
    if count:
        memcpy(<void*><uintptr_t>result.ctypes.data, data, count * <size_t>result.itemsize)
    return result


cdef class KeyTable:
    """The attribute names and prefixes that conventions look for, numbered in this order."""

    cdef CKeyTable* table
    cdef readonly tuple names

    def __cinit__(self, keys, prefixes):
        if len(keys) + len(prefixes) > 4096 or len(prefixes) > 64:
            raise ValueError("a key table holds 64 prefixes and a few thousand keys at most")
        self.names = (*keys, *prefixes)
        self.table = new CKeyTable([key.encode() for key in keys], [prefix.encode() for prefix in prefixes])

    def __dealloc__(self):
        del self.table

    def shapes(self, scopes, attributes, longest_scope):
        """(group of each row, start of each row in positions, positions, repeated, groups).

        `groups` has (scope, names present in order of number); positions are those of the present names, prefixes
        left out, in a map's entries; `repeated` marks rows that have a known key twice.
        """
        cdef CShapes found
        cdef TextArray scope_texts = texts_of(scopes), key_texts = texts_of(attributes.keys)
        cdef const int32_t* map_ends = ends_of(attributes)
        cdef int64_t rows = len(attributes)
        cdef size_t longest = longest_scope
        with nogil:
            found = shapes_of(self.table[0], scope_texts, map_ends, key_texts, rows, longest)
        groups = []
        for number in range(found.scopes.size()):
            names = tuple([self.names[key] for key in found.present[number]])
            groups.append((found.scopes[number].decode("utf-8"), names))
        return (
            numpy_of(found.group.data(), found.group.size(), np.int32),
            numpy_of(found.start.data(), found.start.size(), np.int64),
            numpy_of(found.positions.data(), found.positions.size(), np.int32),
            numpy_of(found.repeated.data(), found.repeated.size(), np.uint8),
            groups,
        )

    def positions(self, attributes):
        """The entry of each known key in each row's map, -1 where absent: rows x keys; None when nobody has any."""
        cdef vector[int32_t] found
        cdef TextArray key_texts = texts_of(attributes.keys)
        cdef const int32_t* map_ends = ends_of(attributes)
        cdef int64_t rows = len(attributes)
        cdef cbool present
        with nogil:
            present = positions_of(self.table[0], map_ends, key_texts, rows, &found)
        return numpy_of(found.data(), found.size(), np.int32) if present else None


cdef class Plan:
    """Fields in order, each with its places, for the rows of one shape."""

    cdef CPlan plan

    def add_field(self, *, values=False):
        """The next field. `values`: an empty text inside JSON is a value and not absence."""
        self.plan.add_field(values)

    def add_place(self, kind, rank=0, in_content=False, steps=(), event=""):
        """The next place of the last field; `rank` of the key among the shape's, or the number of a resource key."""
        self.plan.add_place(kind, rank, in_content, [step.encode() for step in steps], event.encode())

    def extract(self, source, rows, is_call=None):
        """(begin, size, which, hard) of `rows`, the first three fields x rows: see plan.hpp."""
        cdef PlanInput given
        cdef int64_t count = len(rows)
        fields = self.plan.size()
        begin = np.empty((fields, count), np.int64)
        size = np.empty((fields, count), np.int32)
        which = np.empty((fields, count), np.int8)
        hard = np.zeros(count, np.uint8)
        given.values = texts_of(source.values)
        given.start = <const int64_t*><uintptr_t>source.start.ctypes.data
        given.positions = <const int32_t*><uintptr_t>source.positions.ctypes.data
        given.names = texts_of(source.names)
        given.event_ends = ends_of(source.events)
        given.event_names = texts_of(source.events.values)
        given.resource_values = texts_of(source.resource_values)
        given.resource = <const int32_t*><uintptr_t>source.resource.ctypes.data
        given.resource_keys = source.resource_keys
        cdef const int64_t* row_numbers = <const int64_t*><uintptr_t>rows.ctypes.data
        cdef const uint8_t* calls = NULL
        if is_call is not None:
            calls = <const uint8_t*><uintptr_t>is_call.ctypes.data
        cdef int64_t* begins = <int64_t*><uintptr_t>begin.ctypes.data
        cdef int32_t* sizes = <int32_t*><uintptr_t>size.ctypes.data
        cdef int8_t* whichs = <int8_t*><uintptr_t>which.ctypes.data
        cdef uint8_t* hards = <uint8_t*><uintptr_t>hard.ctypes.data
        with nogil:
            self.plan.extract(given, row_numbers, count, calls, begins, sizes, whichs, hards)
        return begin, size, which, hard.view(np.bool_)


cdef class Slices:
    """Values by where they lie: in the values of span attributes, of resource attributes, or in `other`."""

    cdef SourceBuffers buffers
    cdef object kept
    cdef string other

    def __init__(self, values, resource_values):
        self.kept = values, resource_values
        self._point()

    cdef _point(self):
        self.buffers = SourceBuffers(data_of(self.kept[0]), data_of(self.kept[1]), self.other.data())

    def put(self, text):
        """(begin, size) of a text that lies nowhere yet."""
        cdef bytes encoded = text.encode()
        begin = self.other.size()
        self.other.append(<const char*>encoded, <size_t>len(encoded))
        self._point()
        return OTHER + begin, len(encoded)

    def counts(self, begin, size, most):
        """(values, states): 0 nothing sent, 1 a whole number up to `most` in at most ten digits, 2 something else."""
        cdef int64_t rows = len(begin), limit = most
        values, states = np.empty(rows, np.int64), np.empty(rows, np.uint8)
        parse_counts(
            self.buffers, <const int64_t*><uintptr_t>begin.ctypes.data, <const int32_t*><uintptr_t>size.ctypes.data,
            rows, limit, <int64_t*><uintptr_t>values.ctypes.data, <uint8_t*><uintptr_t>states.ctypes.data,
        )
        return values, states

    def array(self, begin, size):
        """The values as an Arrow array."""
        cdef int64_t rows = len(begin), row
        cdef const int64_t* begins = <const int64_t*><uintptr_t>begin.ctypes.data
        cdef const int32_t* sizes = <const int32_t*><uintptr_t>size.ctypes.data
        ends = np.zeros(rows + 1, np.int64)
        np.cumsum(size, out=ends[1:])
        if ends[rows] > 2**31 - 1:
            raise OverflowError("a column of one batch is larger than two gigabytes")
        ends = ends.astype(np.int32)
        data = np.empty(int(ends[rows]), np.uint8)
        cdef char* out = <char*><uintptr_t>data.ctypes.data
        cdef string_view text
        with nogil:
            for row in range(rows):
                if sizes[row]:
                    text = self.buffers.at(begins[row], sizes[row])
                    memcpy(out, text.data(), text.size())
                    out += text.size()
        return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(ends), pa.py_buffer(data)])


cdef class Interner:
    """TextArray that repeat, by number; 0 is the empty text."""

    cdef TextMap texts
    cdef list known

    def __cinit__(self):
        self.texts.add(string_view(b"", 0))
        self.known = [""]

    def __len__(self):
        return self.texts.size()

    @property
    def size_in_bytes(self):
        return self.texts.bytes()

    def code(self, text):
        """The number of one text."""
        cdef bytes encoded = text.encode()
        return self.texts.add(string_view(encoded, len(encoded)))

    def text(self, int32_t code):
        """The text of a number."""
        cdef string_view found
        while len(self.known) <= code:
            found = self.texts.text_of(<int32_t>len(self.known))
            self.known.append(found.data()[: found.size()].decode("utf-8"))
        return self.known[code]

    def codes(self, Slices slices, begin, size):
        """The number of each value."""
        cdef int64_t rows = len(begin), row
        cdef const int64_t* begins = <const int64_t*><uintptr_t>begin.ctypes.data
        cdef const int32_t* sizes = <const int32_t*><uintptr_t>size.ctypes.data
        result = np.empty(rows, np.int32)
        cdef int32_t* out = <int32_t*><uintptr_t>result.ctypes.data
        with nogil:
            for row in range(rows):
                out[row] = self.texts.add(slices.buffers.at(begins[row], sizes[row])) if sizes[row] else 0
        return result

    def codes_of(self, array, rows):
        """The number of each text of an Arrow array at `rows`."""
        cdef TextArray texts = texts_of(array)
        cdef int64_t count = len(rows), i
        cdef const int64_t* numbers = <const int64_t*><uintptr_t>rows.ctypes.data
        cdef const int32_t* ends = texts.ends
        result = np.empty(count, np.int32)
        cdef int32_t* out = <int32_t*><uintptr_t>result.ctypes.data
        with nogil:
            for i in range(count):
                out[i] = self.texts.add(
                    string_view(texts.data + ends[numbers[i]], <size_t>(ends[numbers[i] + 1] - ends[numbers[i]]))
                )
        return result


def texts_at(values, entries):
    """The values at `entries` of a text array, empty at -1, as an Arrow array."""
    sizes = np.zeros(len(entries), np.int32)
    begins = np.zeros(len(entries), np.int64)
    cdef TextArray texts = texts_of(values)
    cdef int64_t rows = len(entries), row
    cdef const int32_t* numbers = <const int32_t*><uintptr_t>entries.ctypes.data
    cdef int32_t* size = <int32_t*><uintptr_t>sizes.ctypes.data
    cdef int64_t* begin = <int64_t*><uintptr_t>begins.ctypes.data
    with nogil:
        for row in range(rows):
            if numbers[row] >= 0:
                begin[row] = texts.ends[numbers[row]]
                size[row] = texts.ends[numbers[row] + 1] - texts.ends[numbers[row]]
    return Slices(values, values).array(begins, sizes)


def distinct(codes):
    """(the different values of an int32 array without negatives, the place of each element's value among them)."""
    cdef int64_t rows = len(codes), row
    cdef const int32_t* values = <const int32_t*><uintptr_t>codes.ctypes.data
    cdef int32_t largest = -1
    for row in range(rows):
        if values[row] > largest:
            largest = values[row]
    places = np.full(largest + 1, -1, np.int32)
    inverse = np.empty(rows, np.int32)
    cdef int32_t* place = <int32_t*><uintptr_t>places.ctypes.data
    cdef int32_t* out = <int32_t*><uintptr_t>inverse.ctypes.data
    cdef vector[int32_t] found
    with nogil:
        for row in range(rows):
            if place[values[row]] < 0:
                place[values[row]] = <int32_t>found.size()
                found.push_back(values[row])
            out[row] = place[values[row]]
    return numpy_of(found.data(), found.size(), np.int32), inverse


def distinct_rows_of(table):
    """(the first of each of the different rows of an int32 table, the place of each row among the different ones)."""
    cdef vector[int64_t] firsts
    cdef int64_t rows = len(table), width = table.shape[1]
    table = np.ascontiguousarray(table, np.int32)
    places = np.empty(rows, np.int32)
    distinct_rows(
        <const int32_t*><uintptr_t>table.ctypes.data, rows, width, <int32_t*><uintptr_t>places.ctypes.data, &firsts
    )
    return numpy_of(firsts.data(), firsts.size(), np.int64), places


def maps_without(attributes, first, second, repeated):
    """A map array without the entries at `first` and `second` (-1: none); of `repeated` rows without namesakes too."""
    cdef TextArray keys = texts_of(attributes.keys), values = texts_of(attributes.items)
    cdef const int32_t* map_ends = ends_of(attributes)
    cdef int64_t rows = len(attributes), entries
    cdef int32_t begin = map_ends[0], end = map_ends[rows]
    cdef const int32_t* firsts = <const int32_t*><uintptr_t>first.ctypes.data
    cdef const int32_t* seconds = <const int32_t*><uintptr_t>second.ctypes.data
    cdef const uint8_t* marks = <const uint8_t*><uintptr_t>repeated.ctypes.data
    left_ends = np.empty(rows + 1, np.int32)
    key_ends, value_ends = np.empty(end - begin + 1, np.int32), np.empty(end - begin + 1, np.int32)
    key_data = np.empty(keys.ends[end] - keys.ends[begin], np.uint8)
    value_data = np.empty(values.ends[end] - values.ends[begin], np.uint8)
    cdef Remaining left
    left.map_ends = <int32_t*><uintptr_t>left_ends.ctypes.data
    left.key_ends = <int32_t*><uintptr_t>key_ends.ctypes.data
    left.value_ends = <int32_t*><uintptr_t>value_ends.ctypes.data
    left.keys = <char*><uintptr_t>key_data.ctypes.data
    left.values = <char*><uintptr_t>value_data.ctypes.data
    with nogil:
        entries = copy_without(map_ends, keys, values, rows, firsts, seconds, marks, left)
    return pa.MapArray.from_arrays(
        pa.array(left_ends),
        pa.Array.from_buffers(pa.string(), entries, [None, pa.py_buffer(key_ends), pa.py_buffer(key_data)]),
        pa.Array.from_buffers(pa.string(), entries, [None, pa.py_buffer(value_ends), pa.py_buffer(value_data)]),
    )

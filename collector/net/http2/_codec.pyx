# distutils: language = c++
"""The server's side of an HTTP/2 connection with gRPC calls: bytes in, events and bytes out. What it does is in `session.hpp`."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint32_t
from libcpp cimport bool
from libcpp.memory cimport unique_ptr
from libcpp.pair cimport pair
from libcpp.string cimport string
from libcpp.utility cimport move
from libcpp.vector cimport vector


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass Bytes "std::string_view":
        Bytes()
        Bytes(const char*, size_t)
        const char* data()
        size_t size()


cdef extern from "session.hpp" namespace "spanmeter::http2":
    enum _Kind "spanmeter::http2::EventKind":
        _CALL "spanmeter::http2::EventKind::CALL"
        _OPEN "spanmeter::http2::EventKind::OPEN"
        _PART "spanmeter::http2::EventKind::PART"
        _FAULT "spanmeter::http2::EventKind::FAULT"
        _GONE "spanmeter::http2::EventKind::GONE"

    enum _Fault "spanmeter::http2::Fault":
        _METHOD "spanmeter::http2::Fault::METHOD"
        _MEDIA_TYPE "spanmeter::http2::Fault::MEDIA_TYPE"
        _PATH "spanmeter::http2::Fault::PATH"
        _HEADERS_TOO_LARGE "spanmeter::http2::Fault::HEADERS_TOO_LARGE"
        _TOO_LARGE "spanmeter::http2::Fault::TOO_LARGE"
        _NO_MESSAGE "spanmeter::http2::Fault::NO_MESSAGE"
        _CUT "spanmeter::http2::Fault::CUT"
        _SECOND_MESSAGE "spanmeter::http2::Fault::SECOND_MESSAGE"
        _BAD_FLAG "spanmeter::http2::Fault::BAD_FLAG"
        _TWICE "spanmeter::http2::Fault::TWICE"

    cppclass BytesObject:
        PyObject* give()

    cppclass Event:
        _Kind kind
        uint32_t stream
        int path
        _Fault fault
        string detail
        vector[pair[string, string]] credentials
        bool compressed
        string coding
        BytesObject message
        size_t size

    cppclass Rules:
        size_t max_message
        size_t max_streams
        double min_ping_interval
        bool pings_without_calls
        vector[string] paths

    cppclass Session:
        Session(Rules) except +
        void feed(Bytes, double) except +
        vector[Event] events()
        Bytes out()
        void sent()
        void answer(uint32_t, Bytes) except +
        bool send(uint32_t, Bytes) except +
        void refuse(uint32_t, Bytes, const vector[pair[string, string]]&) except +
        void ping() except +
        void announce_end() except +
        void drain() except +
        size_t calls()
        bool ended()
        bool ending()
        bool draining()
        bool greeted()
        double unfinished_since()
        size_t blocked()
        Bytes why()


# The numbers that events carry, as `EventKind` and `Fault` of this package name them.
KINDS = {"CALL": <int> _CALL, "OPEN": <int> _OPEN, "PART": <int> _PART, "FAULT": <int> _FAULT, "GONE": <int> _GONE}
FAULTS = {
    "METHOD": <int> _METHOD,
    "MEDIA_TYPE": <int> _MEDIA_TYPE,
    "PATH": <int> _PATH,
    "HEADERS_TOO_LARGE": <int> _HEADERS_TOO_LARGE,
    "TOO_LARGE": <int> _TOO_LARGE,
    "NO_MESSAGE": <int> _NO_MESSAGE,
    "CUT": <int> _CUT,
    "SECOND_MESSAGE": <int> _SECOND_MESSAGE,
    "BAD_FLAG": <int> _BAD_FLAG,
    "TWICE": <int> _TWICE,
}


cdef Bytes _view(bytes text):
    return Bytes(<const char*> text, <size_t> len(text))


cdef str _text(const string& value):
    return value.data()[:value.size()].decode("latin-1")


cdef tuple _credentials(vector[pair[string, string]]& fields):
    if fields.empty():
        return ()
    return tuple([(_text(field.first), _text(field.second)) for field in fields])


cdef object _given(BytesObject& message):
    """What was `bytes` in C++; the reference is the caller's now."""
    cdef PyObject* given = message.give()
    content = <object> given
    Py_DECREF(content)
    return content


cdef tuple _event(Event& event):
    cdef int kind = <int> event.kind
    if event.kind == _CALL:
        coding = _text(event.coding) if event.compressed else None
        return kind, event.stream, event.path, coding, _credentials(event.credentials), _given(event.message)
    if event.kind == _FAULT:
        return kind, event.stream, event.path, _text(event.detail), _credentials(event.credentials), <int> event.fault
    return kind, event.stream, event.path, None, _credentials(event.credentials), event.size


cdef class Codec:
    """One connection from the server's side, for the calls of `paths`.

    Raises MemoryError where a message finds no room; the connection must be ended then.
    """

    cdef unique_ptr[Session] _session

    def __init__(self, paths, *, size_t max_message, size_t max_streams, double min_ping_interval,
                 bint pings_without_calls):
        cdef Rules rules
        rules.max_message = max_message
        rules.max_streams = max_streams
        rules.min_ping_interval = min_ping_interval
        rules.pings_without_calls = pings_without_calls
        for path in paths:
            rules.paths.push_back(<string> path)
        self._session.reset(new Session(rules))

    def feed(self, data, Py_ssize_t size, double now):
        """Take the first `size` bytes of `data`; `now` is in seconds on any clock. Returns what has happened.

        Events are (kind, stream, path, text, credentials, value): `path` is an index into `paths` or -1, `credentials`
        are the header fields `authorization` and `x-api-key`, and by kind

        - CALL: a whole call; `value` is its message, `text` its grpc-encoding if the message is compressed, else None.
        - OPEN: a call has begun and more is to come; `value` is how many bytes of memory its message has.
        - PART: more of its message has come; `value` as before.
        - FAULT: a call that cannot be taken; `value` is a Fault, `text` what it is about. It waits for `refuse`.
        - GONE: the client has given the call up.

        A call that is whole at the end of the bytes is never reported open, and credentials are reported once.
        """
        cdef Py_buffer view
        cdef vector[Event] events
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if size < 0 or size > view.len:
                raise ValueError("more bytes than there are")
            self._session.get().feed(Bytes(<const char*> view.buf, <size_t> size), now)
        finally:
            PyBuffer_Release(&view)
        events = self._session.get().events()
        cdef list found = []
        cdef size_t at
        for at in range(events.size()):
            found.append(_event(events[at]))
        return found

    def out(self):
        """What is to be sent; taken once."""
        cdef Bytes out = self._session.get().out()
        taken = out.data()[:out.size()]
        self._session.get().sent()
        return taken

    def answer(self, uint32_t stream, bytes message):
        """Answer a call with `message` and success; nothing happens when the client has given it up."""
        self._session.get().answer(stream, _view(message))

    def send(self, uint32_t stream, bytes message):
        """Answer with `message` and more to come. False when the client has given the call up."""
        return self._session.get().send(stream, _view(message))

    def refuse(self, uint32_t stream, bytes status, fields):
        """End a call with these trailers; `status` is the HTTP status where nothing was answered before."""
        cdef vector[pair[string, string]] copied
        for name, value in fields:
            copied.push_back(pair[string, string](<string> name, <string> value))
        self._session.get().refuse(stream, _view(status), copied)

    def ping(self):
        """Ask whether the client is there; whatever comes then says so."""
        self._session.get().ping()

    def announce_end(self):
        """Ask the client to make no more calls. Those it sends before it hears are taken, then `drain` follows by itself."""
        self._session.get().announce_end()

    def drain(self):
        """Take no more calls, and say so; those begun go on."""
        self._session.get().drain()

    @property
    def pending(self):
        """Whether there is something to be sent."""
        return self._session.get().out().size() > 0

    @property
    def calls(self):
        """How many calls wait for the end of their answers."""
        return self._session.get().calls()

    @property
    def ended(self):
        """Whether the client broke the protocol; `why` says how. Nothing more is taken."""
        return self._session.get().ended()

    @property
    def ending(self):
        """Whether the client is asked to make no more calls, or none is taken any more."""
        return self._session.get().ending()

    @property
    def draining(self):
        """Whether no more calls are taken."""
        return self._session.get().draining()

    @property
    def greeted(self):
        """Whether the client has said that it speaks HTTP/2."""
        return self._session.get().greeted()

    @property
    def unfinished_since(self):
        """When the frame or header block began, DATA aside, that has not ended; infinity without one."""
        return self._session.get().unfinished_since()

    @property
    def blocked(self):
        """How many answers the client's windows do not take whole."""
        return self._session.get().blocked()

    @property
    def why(self):
        cdef Bytes why = self._session.get().why()
        return why.data()[:why.size()].decode("ascii")

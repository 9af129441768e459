# distutils: language = c++
"""Policies and redaction on the bytes of requests: equal to reference.py and redaction.py in everything but speed.

What is not plain (rare forms, fields that OTLP does not have) is left to them. Names are asked of the keeper in Python
once each. All of it holds the interpreter.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool
from libcpp.string cimport string
from libcpp.unordered_set cimport unordered_set
from libcpp.vector cimport vector

from collections import Counter

from collector.model.capture import POLICY_ATTRIBUTE, Kept, Policy
from collector.wire.schema import Kind


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass Bytes "std::string_view":
        Bytes()
        Bytes(const char*, size_t)
        const char* data()
        size_t size()


cdef extern from "output.hpp" namespace "spanmeter::capture" nogil:
    cppclass Output:
        string bytes
        void content(uint32_t tag, Bytes content)


cdef extern from "withhold.hpp" namespace "spanmeter::capture":
    int BY_AGENT
    enum Question:
        SHORT_TEXT, PARTS_OF, SPAN_NAME, EVENT_NAME, TELLS_OF_SESSION
    enum Withheld:
        REWRITTEN, LEFT, RAISED

    cppclass Keeper:
        void* self
        int (*kept)(void*, int, Bytes) noexcept
        int (*answer)(void*, int, int, Bytes, Bytes, string*) noexcept
        int (*of_service)(void*, Bytes) noexcept
        int (*of_agents)(void*, const vector[Bytes]*) noexcept

    cppclass Remembered:
        pass

    cppclass CppSettings "spanmeter::capture::Settings":
        unordered_set[string] agent_keys
        string own_key
        string words[3]
        string schemas
        size_t max_schema
        size_t max_text

    cppclass CppWithholder "spanmeter::capture::Withholder":
        Output out
        uint64_t items[3]
        CppWithholder(const CppSettings&, Remembered&, Keeper)
        Withheld traces(Bytes) except +
        Withheld logs(Bytes) except +


cdef extern from "known.hpp" namespace "spanmeter::capture" nogil:
    cppclass Known:
        pass


cdef extern from "texts.hpp" namespace "spanmeter::capture":
    enum Role:
        PLAIN_MESSAGE, PAIR, VALUE
    enum FieldRole:
        NUMBER_VARINT, NUMBER_FIXED64, NUMBER_FIXED32, TEXT, BYTES, MESSAGE
    enum KeyFlags:
        COUNTED, HAS_RULES, IS_WHOLE
    enum Looked:
        TAKEN, NOT_TAKEN, KEY_RAISED

    cppclass CppShapes "spanmeter::capture::Shapes":
        void add_message(int)
        void add_field(uint32_t, int, bool, int)

    cppclass Keys:
        void* self
        int (*flags)(void*, Bytes) noexcept
        Known* known

    struct Place:
        size_t seen
        size_t start
        size_t end
        size_t text_start
        size_t text_size
        uint32_t tag
        bool in_bytes

    struct Whole:
        size_t start
        size_t key_start
        size_t key_size
        size_t text_start
        size_t text_size

    struct Patch:
        size_t start
        uint32_t tag
        string text

    cppclass CppTexts "spanmeter::capture::Texts":
        string seen
        vector[Place] places
        vector[Whole] wholes
        CppTexts(const CppShapes&, Keys)
        Looked read(Bytes) except +
        size_t place_of(size_t)

    cppclass Patcher:
        Output out
        Patcher(const CppShapes&, const vector[Patch]&)
        void write(Bytes) except +


cdef str _text(Bytes text):
    return PyUnicode_DecodeUTF8(text.data(), <Py_ssize_t> text.size(), NULL)


cdef bytes _bytes(const string& content):
    return PyBytes_FromStringAndSize(content.data(), <Py_ssize_t> content.size())


# -- policies -----------------------------------------------------------------------------------------------------------

_KEPT = {Kept.NOTHING: 0, Kept.NAME: 1, Kept.SHORT: 2, Kept.PARTS: 3}
_POLICIES = tuple(Policy)


cdef class Withholder:
    """The policies of one load on requests with spans or log records."""

    cdef object _keeper
    cdef CppSettings _settings
    cdef Remembered _remembered

    def __init__(self, keeper, agent_keys, schemas, max_schema):
        self._keeper = keeper
        for key in agent_keys:
            self._settings.agent_keys.insert(<string> key.encode())
        self._settings.own_key = POLICY_ATTRIBUTE.encode()
        for policy in Policy:
            self._settings.words[<int> policy] = policy.word.encode()
        self._settings.schemas = schemas.encode()
        self._settings.max_schema = max_schema
        self._settings.max_text = keeper.longest

    def withhold(self, bytes payload, bint logs, of_service):
        """(what the policies leave of a request, how many items each applied to); None when it is not plain.

        Raises what the keeper or `of_service` raises.
        """
        cdef _Asking asking = _Asking.__new__(_Asking)
        cdef Keeper keeper
        cdef Withheld outcome
        cdef CppWithholder* found
        asking.keeper, asking.of_service = self._keeper, of_service
        keeper.self = <void*> asking
        keeper.kept, keeper.answer, keeper.of_service, keeper.of_agents = _kept, _answer, _of_service, _of_agents
        found = new CppWithholder(self._settings, self._remembered, keeper)
        try:
            outcome = found.logs(_view(payload)) if logs else found.traces(_view(payload))
            if outcome == RAISED:
                raise asking.error
            if outcome == LEFT:
                return None
            counts = Counter({policy: found.items[<int> policy] for policy in _POLICIES[1:] if found.items[<int> policy]})
            return _bytes(found.out.bytes), counts
        finally:
            del found


cdef Bytes _view(bytes payload):
    return Bytes(<const char*> payload, <size_t> len(payload))


cdef class _Asking:
    """What a request is asking of Python."""

    cdef object keeper
    cdef object of_service
    cdef object policies
    cdef object error


cdef int _kept(void* this, int policy, Bytes key) noexcept:
    cdef _Asking asking = <_Asking> this
    try:
        return _KEPT[asking.keeper.kept(_POLICIES[policy], _text(key))]
    except BaseException as error:
        asking.error = error
        return -1


cdef int _answer(void* this, int question, int policy, Bytes key, Bytes text, string* answer) noexcept:
    cdef _Asking asking = <_Asking> this
    try:
        answer[0] = _answered(asking.keeper, question, _POLICIES[policy], _text(key), _text(text)).encode()
        return 0
    except BaseException as error:
        asking.error = error
        return -1


cdef str _answered(keeper, int question, policy, str key, str text):
    if question == SHORT_TEXT:
        return keeper.short(text)
    if question == PARTS_OF:
        return keeper.parts(key, text)
    if question == SPAN_NAME:
        return keeper.name(policy, text)
    if question == EVENT_NAME:
        return keeper.event(policy, text)
    return "yes" if keeper.tells_of_session(text, key) else ""


cdef int _of_service(void* this, Bytes service) noexcept:
    cdef _Asking asking = <_Asking> this
    try:
        asking.policies = asking.of_service(_text(service))
        uniform = asking.policies.uniform
        return BY_AGENT if uniform is None else <int> uniform
    except BaseException as error:
        asking.error = error
        return -1


cdef int _of_agents(void* this, const vector[Bytes]* agents) noexcept:
    cdef _Asking asking = <_Asking> this
    cdef size_t i
    try:
        return <int> asking.policies.of([_text(agents[0][i]) for i in range(agents.size())])
    except BaseException as error:
        asking.error = error
        return -1


# -- redaction ----------------------------------------------------------------------------------------------------------

_ROLES = {"KeyValue": PAIR, "AnyValue": VALUE}
_VARINTS = frozenset((Kind.SINT, Kind.UINT, Kind.ENUM, Kind.BOOLEAN, Kind.ZIGZAG))
_LENGTHS = {Kind.STRING: TEXT, Kind.HEX: BYTES, Kind.BASE64: BYTES, Kind.MESSAGE: MESSAGE}


cdef int _role(field):
    if field.kind in _LENGTHS:
        return _LENGTHS[field.kind]
    return NUMBER_VARINT if field.kind in _VARINTS else NUMBER_FIXED64 if field.wide else NUMBER_FIXED32


cdef class Shapes:
    """The messages of a request, as `collector.wire.schema` describes them."""

    cdef CppShapes _shapes

    def __init__(self, messages):
        for message in messages:
            self._shapes.add_message(_ROLES.get(message.name, PLAIN_MESSAGE))
            for field in message.fields:
                self._shapes.add_field(field.number, _role(field), field.repeated, field.message)


cdef class AttributeNames:
    """What is known of the names of attributes: whether their numbers are counts, whether rules are for them, and one
    for their whole value.
    """

    cdef object _is_count
    cdef object _has_rules
    cdef object _is_whole
    cdef Known _known

    def __init__(self, is_count, has_rules, is_whole):
        self._is_count = is_count
        self._has_rules = has_rules
        self._is_whole = is_whole

    cdef int flags(self, str name):
        ruled = IS_WHOLE if self._is_whole(name) else HAS_RULES if self._has_rules(name) else 0
        return ruled | (COUNTED if self._is_count(name) else 0)


cdef class Texts:
    """The texts of a request, in the order they stand there."""

    cdef bytes _payload
    cdef Shapes _shapes
    cdef AttributeNames _names
    cdef object _error
    cdef CppTexts* _found

    def __cinit__(self):
        self._found = NULL

    def __dealloc__(self):
        del self._found

    @staticmethod
    def of(Shapes shapes, bytes payload, AttributeNames names):
        """Those of a request; None when it is not plain, or rules are for parts of some of its attributes.

        Raises what asking for names raises.
        """
        cdef Texts texts = Texts.__new__(Texts)
        cdef Keys keys
        texts._payload, texts._shapes, texts._names = payload, shapes, names
        keys.self = <void*> texts
        keys.flags = _key_flags
        keys.known = &names._known
        texts._found = new CppTexts(shapes._shapes, keys)
        outcome = texts._found.read(_view(payload))
        if outcome == KEY_RAISED:
            raise texts._error
        return texts if outcome == TAKEN else None

    @property
    def seen(self):
        """All of them, as they are and with what is in escapes of JSON, a line end after each."""
        return _bytes(self._found.seen)

    def __len__(self):
        return self._found.places.size()

    def place_of(self, size_t at):
        """The number of the text that a position of `seen` belongs to."""
        return self._found.place_of(at)

    def start_of(self, size_t number):
        """Where in `seen` a text begins; that of the one after the last is where it ends."""
        return self._found.places[number].seen if number < self._found.places.size() else self._found.seen.size()

    def text(self, size_t number):
        """A text. Of bytes, each is a character."""
        cdef Place place = self._found.places[number]
        if not place.text_size:
            return self._seen_number(number)
        content = self._payload[place.text_start : place.text_start + place.text_size]
        return content.decode("latin-1") if place.in_bytes else content.decode()

    cdef str _seen_number(self, size_t number):
        cdef size_t start = self._found.places[number].seen
        cdef size_t end = self._found.seen.find(b"\n", start)
        return _bytes(self._found.seen.substr(start, end - start)).decode()

    def wholes(self):
        """(name, text) of the attributes of which the whole value is to be replaced."""
        cdef Whole whole
        for whole in self._found.wholes:
            key = self._payload[whole.key_start : whole.key_start + whole.key_size]
            yield key.decode(), self._payload[whole.text_start : whole.text_start + whole.text_size].decode()

    def replaced(self, texts, wholes):
        """The request with other texts, by their numbers, and with others for each of `wholes`."""
        cdef vector[Patch] patches
        cdef Patcher* patcher
        cdef size_t number
        changes = [(self._found.places[number].start, number, text, False) for number, text in texts.items()]
        changes += [(self._found.wholes[number].start, number, text, True) for number, text in enumerate(wholes)]
        for _, number, text, is_whole in sorted(changes):
            patches.push_back(self._whole(number, text) if is_whole else self._patch(number, text))
        patcher = new Patcher(self._shapes._shapes, patches)
        try:
            patcher.write(_view(self._payload))
            return _bytes(patcher.out.bytes)
        finally:
            del patcher

    cdef Patch _patch(self, size_t number, str text):
        cdef Patch patch
        cdef Place place = self._found.places[number]
        patch.start = place.start
        # A number becomes a text.
        patch.tag = place.tag if place.text_size else 10
        patch.text = text.encode("latin-1", "replace") if place.in_bytes else text.encode()
        return patch

    cdef Patch _whole(self, size_t number, str text):
        cdef Patch patch
        cdef Output value
        content = text.encode()
        value.content(10, _view(content))
        patch.start = self._found.wholes[number].start
        patch.tag = 18  # the value of a pair
        patch.text = value.bytes
        return patch


cdef int _key_flags(void* this, Bytes key) noexcept:
    cdef Texts texts = <Texts> this
    try:
        return texts._names.flags(_text(key))
    except BaseException as error:
        texts._error = error
        return -1

// What the codec needs of CPython's bytes objects, so that it is fuzzed without an interpreter: memory of exactly the
// size asked for, counted, and refused when a test wants that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

using Py_ssize_t = std::ptrdiff_t;

struct PyObject {
    Py_ssize_t size;
    char* content;
};

namespace spanmeter::fuzz {
struct Allocations {
    std::size_t bytes = 0;      // that all objects have together
    std::size_t objects = 0;    // there are
    std::uint64_t left = NONE;  // before one is refused
    static constexpr std::uint64_t NONE = UINT64_MAX;
};
inline Allocations allocations;

inline void free_object(PyObject* object) {
    allocations.bytes -= std::size_t(object->size);
    --allocations.objects;
    std::free(object->content);
    delete object;
}
}  // namespace spanmeter::fuzz

#define PyBytes_AS_STRING(object) ((object)->content)
#define PyBytes_GET_SIZE(object) ((object)->size)

inline void PyErr_Clear() {}

inline void Py_XDECREF(PyObject* object) {
    if (object) spanmeter::fuzz::free_object(object);
}

inline PyObject* PyBytes_FromStringAndSize(const char*, Py_ssize_t size) {
    auto& all = spanmeter::fuzz::allocations;
    if (all.left == 0) return nullptr;
    if (all.left != all.NONE) --all.left;
    all.bytes += std::size_t(size);
    ++all.objects;
    return new PyObject{size, static_cast<char*>(std::malloc(std::size_t(size)))};
}

// As CPython's, it frees the object and leaves null when there is no room. The new memory is always elsewhere.
inline int _PyBytes_Resize(PyObject** object, Py_ssize_t size) {
    PyObject* const old = *object;
    *object = PyBytes_FromStringAndSize(nullptr, size);
    if (*object) std::memcpy((*object)->content, old->content, std::size_t(old->size < size ? old->size : size));
    spanmeter::fuzz::free_object(old);
    return *object ? 0 : -1;
}

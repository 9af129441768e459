// One gRPC message as it comes in: five bytes of prefix, then the message, straight into a Python bytes object.
#pragma once

#include <Python.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "frames.hpp"

namespace spanmeter::http2 {

// A bytes object that is ours alone until it is given away. Needs the GIL.
class BytesObject {
   public:
    BytesObject() = default;
    BytesObject(BytesObject&& other) noexcept : bytes_(std::exchange(other.bytes_, nullptr)) {}
    BytesObject& operator=(BytesObject&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~BytesObject() { Py_XDECREF(bytes_); }

    char* data() { return PyBytes_AS_STRING(bytes_); }
    size_t size() const { return bytes_ ? size_t(PyBytes_GET_SIZE(bytes_)) : 0; }

    // Throws bad_alloc, with Python's error set aside; the buffer is empty then.
    void resize(size_t size) {
        if (bytes_) {
            _PyBytes_Resize(&bytes_, Py_ssize_t(size));
        } else {
            bytes_ = PyBytes_FromStringAndSize(nullptr, Py_ssize_t(size));
        }
        if (!bytes_) {
            PyErr_Clear();
            throw std::bad_alloc();
        }
    }

    // A new reference, or null.
    PyObject* give() { return std::exchange(bytes_, nullptr); }

   private:
    PyObject* bytes_ = nullptr;
};

constexpr size_t PREFIX = 5;
// A message gets room for a few times as much as has come of it, however much it says is to come: for a first frame of
// the usual 16 KiB this much at once.
constexpr size_t FIRST_ROOM = 1 << 16;
constexpr size_t ROOM_A_BYTE = 4;

enum class Taken { SOME, TOO_LARGE, SECOND, BAD_FLAG };

class Message {
   public:
    // Takes what has come of it.
    Taken take(Bytes part, size_t max_size) {
        if (prefix_ < PREFIX) {
            const size_t size = std::min(PREFIX - prefix_, part.size());
            std::memcpy(head_ + prefix_, part.data(), size);
            prefix_ += size;
            part.remove_prefix(size);
            if (prefix_ < PREFIX) return Taken::SOME;
            if (uint8_t(head_[0]) > 1) return Taken::BAD_FLAG;
            length_ = read32(head_ + 1);
            if (length_ > max_size) return Taken::TOO_LARGE;
        }
        if (part.size() > length_ - held_) return Taken::SECOND;
        if (part.empty()) return Taken::SOME;
        if (held_ + part.size() > content_.size()) {
            const size_t first = std::min(FIRST_ROOM, ROOM_A_BYTE * part.size());
            content_.resize(std::min(length_, std::max({held_ + part.size(), 2 * content_.size(), first})));
        }
        std::memcpy(content_.data() + held_, part.data(), part.size());
        held_ += part.size();
        return Taken::SOME;
    }

    bool begun() const { return prefix_ > 0; }
    bool whole() const { return prefix_ == PREFIX && held_ == length_; }
    bool compressed() const { return head_[0] == 1; }
    size_t length() const { return length_; }
    // Bytes of memory that it has.
    size_t room() const { return content_.size(); }

    // The whole message.
    BytesObject give() {
        if (!content_.size()) content_.resize(0);
        return std::move(content_);
    }

   private:
    char head_[PREFIX] = {};
    size_t prefix_ = 0, held_ = 0, length_ = 0;
    BytesObject content_;
};

}  // namespace spanmeter::http2

// Reading protobuf's wire format (protobuf.dev/programming-guides/encoding): every read is bounds-checked.
//
// A reader accepts less than the protobuf library does, never more and never with another meaning. What it does not
// accept, malformed bytes as well as rare but legal ones, it throws as NotPlain; the library then has the last word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spanmeter {

using Bytes = std::string_view;

struct NotPlain {};

[[noreturn]] __attribute__((noinline, cold)) inline void not_plain() { throw NotPlain{}; }

// Groups within groups beyond this are left to the library, which counts them as messages.
constexpr int MAX_GROUPS = 8;

// The library refuses bodies and fields of 2 GiB and more.
constexpr uint64_t MAX_SIZE = INT32_MAX;

enum Wire : uint32_t { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

// The tag of field `number` in wire type `wire`. A known number in another wire type is an unknown field.
constexpr uint32_t tag_of(uint32_t number, Wire wire) { return number << 3 | wire; }
constexpr uint32_t message_tag(uint32_t number) { return tag_of(number, LENGTH); }
constexpr uint32_t bytes_tag(uint32_t number) { return tag_of(number, LENGTH); }
constexpr uint32_t text_tag(uint32_t number) { return tag_of(number, LENGTH); }
constexpr uint32_t varint_tag(uint32_t number) { return tag_of(number, VARINT); }
constexpr uint32_t fixed64_tag(uint32_t number) { return tag_of(number, FIXED64); }
constexpr uint32_t fixed32_tag(uint32_t number) { return tag_of(number, FIXED32); }

template <class T>
inline T load(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Little-endian, whatever the machine is.
inline uint64_t little_endian(const char* at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value |= uint64_t(uint8_t(at[i])) << (8 * i);
    return value;
}

// -- UTF-8 ---------------------------------------------------------------------------------------------------------

// Bytes of the well-formed sequence at `at`, whose first byte is no ASCII; 0 when it is none. The Unicode Standard,
// table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF.
inline size_t utf8_sequence(const uint8_t* at, size_t left) {
    auto follows = [at](size_t i) { return (at[i] & 0xC0) == 0x80; };
    const uint8_t lead = at[0];
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return left >= 2 && follows(1) ? 2 : 0;
    if (lead < 0xF0) {
        if (left < 3 || !follows(1) || !follows(2)) return 0;
        if (lead == 0xE0 && at[1] < 0xA0) return 0;
        return lead == 0xED && at[1] > 0x9F ? 0 : 3;
    }
    if (lead > 0xF4 || left < 4 || !follows(1) || !follows(2) || !follows(3)) return 0;
    if (lead == 0xF0 && at[1] < 0x90) return 0;
    return lead == 0xF4 && at[1] > 0x8F ? 0 : 4;
}

inline bool is_utf8(Bytes text) {
    constexpr uint64_t HIGH = 0x8080808080808080;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (end - at >= 32) {
        const uint64_t any = load<uint64_t>(at) | load<uint64_t>(at + 8) | load<uint64_t>(at + 16) | load<uint64_t>(at + 24);
        if (any & HIGH) break;
        at += 32;
    }
    while (at < end) {
        if (end - at >= 8 && !(load<uint64_t>(at) & HIGH)) {
            at += 8;
        } else if (uint8_t(*at) < 0x80) {
            ++at;
        } else {
            const size_t size = utf8_sequence(reinterpret_cast<const uint8_t*>(at), size_t(end - at));
            if (!size) return false;
            at += size;
        }
    }
    return true;
}

// -- fields --------------------------------------------------------------------------------------------------------

// The fields of one message, in the order they were sent.
class Reader {
   public:
    explicit Reader(Bytes message) : at_(message.data()), end_(message.data() + message.size()) {}

    bool more() const { return at_ < end_; }

    // A tag is a 32-bit varint whose field number is not 0.
    uint32_t tag() {
        const uint64_t value = short_varint();
        if (value > UINT32_MAX || value < 8) not_plain();
        return uint32_t(value);
    }

    uint64_t varint() {
        if (at_ < end_ && uint8_t(*at_) < 0x80) return uint8_t(*at_++);
        return long_varint(10);
    }

    uint64_t fixed64() { return little_endian(take(8), 8); }
    uint32_t fixed32() { return uint32_t(little_endian(take(4), 4)); }

    // The content of a length-delimited field: a message, a string or bytes.
    Bytes bytes() {
        const uint64_t size = short_varint();
        if (size > MAX_SIZE) not_plain();
        return Bytes(take(size_t(size)), size_t(size));
    }

    // proto3: a string field that is not UTF-8 makes the whole body malformed.
    Bytes text() {
        const Bytes content = bytes();
        if (!is_utf8(content)) not_plain();
        return content;
    }

    // Pass over the unknown field whose tag was just read.
    void skip(uint32_t tag) {
        if (Wire(tag & 7) == GROUP) {
            skip_group(tag >> 3);
        } else {
            skip_value(tag);
        }
    }

   private:
    const char* take(size_t size) {
        if (size_t(end_ - at_) < size) not_plain();
        const char* content = at_;
        at_ += size;
        return content;
    }

    // Tags and lengths: the library reads no more than the five bytes that 32 bits can take.
    uint64_t short_varint() {
        if (at_ < end_ && uint8_t(*at_) < 0x80) return uint8_t(*at_++);
        return long_varint(5);
    }

    // Bytes beyond the shortest form are legal. The tenth may only hold the last bit of 64.
    uint64_t long_varint(int longest) {
        uint64_t value = 0;
        for (int i = 0; i < longest && at_ < end_; ++i) {
            const uint8_t byte = uint8_t(*at_++);
            if (i == 9 && byte > 1) break;
            value |= uint64_t(byte & 0x7F) << (7 * i);
            if (byte < 0x80) return value;
        }
        not_plain();
    }

    void skip_value(uint32_t tag) {
        switch (Wire(tag & 7)) {
            case VARINT: varint(); break;
            case FIXED64: take(8); break;
            case LENGTH: bytes(); break;
            case FIXED32: take(4); break;
            default: not_plain();  // an end without its group, or a wire type that does not exist
        }
    }

    // A group lasts until the end tag of its own number; groups in it are counted, not recursed into.
    void skip_group(uint32_t number) {
        uint32_t open[MAX_GROUPS] = {number};
        for (int depth = 1; depth > 0;) {
            if (!more()) not_plain();
            const uint32_t inner = tag();
            if (Wire(inner & 7) == GROUP) {
                if (depth == MAX_GROUPS) not_plain();
                open[depth++] = inner >> 3;
            } else if (Wire(inner & 7) == END_GROUP) {
                if (open[--depth] != inner >> 3) not_plain();
            } else {
                skip_value(inner);
            }
        }
    }

    const char* at_;
    const char* end_;
};

}  // namespace spanmeter

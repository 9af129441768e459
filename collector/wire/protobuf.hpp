// Reading protobuf's wire format (protobuf.dev/programming-guides/encoding): every read is bounds-checked.
//
// A reader accepts less than the protobuf library does, never more and never with another meaning. What it does not
// accept, malformed bytes as well as rare but legal ones, it throws as NotPlain; the library then has the last word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spanmeter::wire {

using Bytes = std::string_view;

struct NotPlain {};

[[noreturn]] __attribute__((noinline, cold)) inline void not_plain() { throw NotPlain{}; }

// Groups within groups beyond this are left to the library, which counts them as messages.
constexpr int MAX_GROUPS = 8;

// The library refuses bodies and fields of 2 GiB and more.
constexpr uint64_t MAX_SIZE = INT32_MAX;

enum WireType : uint32_t { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

// The tag of field `number` in wire type `wire`. A known number in another wire type is an unknown field.
constexpr uint32_t tag_of(uint32_t number, WireType wire) { return number << 3 | wire; }
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

// -- text -------------------------------------------------------------------------------------------------------------

// What may follow in a well-formed text: the Unicode Standard, table 3-7 (no overlong forms, no surrogates, nothing
// beyond U+10FFFF). ANY is between characters; ONE, TWO and THREE need so many more bytes 80..BF; the others are named
// after the first byte that restricts the second.
enum Utf8 : uint8_t { ANY, BAD, ONE, TWO, THREE, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4, UTF8_STATES };

constexpr Utf8 utf8_lead(int byte) {
    if (byte < 0x80) return ANY;
    if (byte < 0xC2 || byte > 0xF4) return BAD;
    if (byte < 0xE0) return ONE;
    if (byte < 0xF0) return byte == 0xE0 ? AFTER_E0 : byte == 0xED ? AFTER_ED : TWO;
    return byte == 0xF0 ? AFTER_F0 : byte == 0xF4 ? AFTER_F4 : THREE;
}

constexpr Utf8 utf8_next(Utf8 state, int byte) {
    if (state == ANY) return utf8_lead(byte);
    if (byte < 0x80 || byte > 0xBF) return BAD;
    switch (state) {
        case ONE: return ANY;
        case TWO: return ONE;
        case THREE: return TWO;
        case AFTER_E0: return byte >= 0xA0 ? ONE : BAD;
        case AFTER_ED: return byte <= 0x9F ? ONE : BAD;
        case AFTER_F0: return byte >= 0x90 ? TWO : BAD;
        case AFTER_F4: return byte <= 0x8F ? TWO : BAD;
        default: return BAD;
    }
}

// For each byte the states after it, six bits each, at six times the state before: a step is one shift, without a
// branch that mixed text would mispredict.
struct Utf8Steps {
    uint64_t after[256] = {};

    constexpr Utf8Steps() {
        for (int byte = 0; byte < 256; ++byte) {
            for (int state = ANY; state < UTF8_STATES; ++state) {
                after[byte] |= uint64_t(6 * utf8_next(Utf8(state), byte)) << (6 * state);
            }
        }
    }
};
inline constexpr Utf8Steps UTF8;

inline uint64_t utf8_after(uint64_t state, const char* at, size_t size) {
    for (size_t i = 0; i < size; ++i) state = UTF8.after[uint8_t(at[i])] >> (state & 63);
    return state;
}

inline bool is_utf8(Bytes text) {
    constexpr uint64_t HIGH = 0x8080808080808080;
    constexpr size_t BLOCK = 32;
    const char* at = text.data();
    size_t left = text.size();
    uint64_t state = ANY;
    for (; left >= BLOCK; at += BLOCK, left -= BLOCK) {
        const uint64_t any =
            load<uint64_t>(at) | load<uint64_t>(at + 8) | load<uint64_t>(at + 16) | load<uint64_t>(at + 24);
        if ((any & HIGH) || (state & 63) != ANY) state = utf8_after(state, at, BLOCK);
    }
    for (; left >= 8 && (state & 63) == ANY && !(load<uint64_t>(at) & HIGH); left -= 8) at += 8;
    return (utf8_after(state, at, left) & 63) == ANY;
}

// -- fields -----------------------------------------------------------------------------------------------------------

// The fields of one message, in the order they were sent.
class Reader {
   public:
    explicit Reader(Bytes message) : at_(message.data()), end_(message.data() + message.size()) {}

    bool more() const { return at_ < end_; }
    const char* at() const { return at_; }

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
        if (WireType(tag & 7) == GROUP) {
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
    uint64_t long_varint(int max_bytes) {
        uint64_t value = 0;
        for (int i = 0; i < max_bytes && at_ < end_; ++i) {
            const uint8_t byte = uint8_t(*at_++);
            if (i == 9 && byte > 1) break;
            value |= uint64_t(byte & 0x7F) << (7 * i);
            if (byte < 0x80) return value;
        }
        not_plain();
    }

    void skip_value(uint32_t tag) {
        switch (WireType(tag & 7)) {
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
            if (WireType(inner & 7) == GROUP) {
                if (depth == MAX_GROUPS) not_plain();
                open[depth++] = inner >> 3;
            } else if (WireType(inner & 7) == END_GROUP) {
                if (open[--depth] != inner >> 3) not_plain();
            } else {
                skip_value(inner);
            }
        }
    }

    const char* at_;
    const char* end_;
};

// Calls `take` with every message in field 1, which is all that an export request has: ResourceSpans, say.
template <class Take>
inline void each_of_request(Bytes body, Take take) {
    if (body.size() > MAX_SIZE) not_plain();
    for (Reader in(body); in.more();) {
        const uint32_t tag = in.tag();
        if (tag == message_tag(1)) {
            take(in.bytes());
        } else {
            in.skip(tag);
        }
    }
}

}  // namespace spanmeter::wire

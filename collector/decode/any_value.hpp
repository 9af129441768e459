// AnyValue as text: what anyvalue.py writes, byte for byte.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "../wire/protobuf.hpp"
#include "column_builders.hpp"

namespace spanmeter::decode {

using namespace wire;

using TextBuffer = Buffer<char>;

inline void put(TextBuffer& out, Bytes text) { out.append(text.data(), text.size()); }

// -- scalars ----------------------------------------------------------------------------------------------------------

template <class Integer>
inline void put_integer(TextBuffer& out, Integer number) {
    constexpr size_t MAX_DIGITS = 20;  // -9223372036854775808
    char* begin = out.room(MAX_DIGITS);
    out.add(size_t(std::to_chars(begin, begin + MAX_DIGITS, number).ptr - begin));
}

// ES6 Number::toString, except that minus zero keeps its sign.
inline void put_double(TextBuffer& out, double number) {
    if (std::isnan(number)) return put(out, "NaN");
    if (std::signbit(number)) put(out, "-");
    if (std::isinf(number)) return put(out, "Infinity");
    char shortest[32];  // d.ddde-xx: the fewest digits that read back as the same number
    const char* end =
        std::to_chars(shortest, shortest + sizeof shortest, std::fabs(number), std::chars_format::scientific).ptr;
    const char* e = std::find(const_cast<const char*>(shortest), end, 'e');
    char digits[32];
    int count = 0;
    for (const char* at = shortest; at < e; ++at) {
        if (*at != '.') digits[count++] = *at;
    }
    int exponent = 0;
    std::from_chars(e + (e[1] == '+' ? 2 : 1), end, exponent);
    const Bytes all(digits, size_t(count));
    if (number != 0 && (exponent < -6 || exponent >= 21)) {
        put(out, all.substr(0, 1));
        if (count > 1) {
            put(out, ".");
            put(out, all.substr(1));
        }
        put(out, exponent < 0 ? "e-" : "e+");
        put_integer(out, std::abs(exponent));
    } else if (exponent < 0) {
        put(out, "0.");
        for (int i = 1; i < -exponent; ++i) put(out, "0");
        put(out, all);
    } else if (exponent + 1 >= count) {
        put(out, all);
        for (int i = count; i <= exponent; ++i) put(out, "0");
    } else {
        put(out, all.substr(0, size_t(exponent) + 1));
        put(out, ".");
        put(out, all.substr(size_t(exponent) + 1));
    }
}

inline void put_base64(TextBuffer& out, Bytes bytes) {
    static constexpr char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t size = (bytes.size() + 2) / 3 * 4;
    char* to = out.room(size);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t left = bytes.size() - i;
        const uint32_t second = left > 1 ? uint8_t(bytes[i + 1]) : 0, third = left > 2 ? uint8_t(bytes[i + 2]) : 0;
        const uint32_t word = uint32_t(uint8_t(bytes[i])) << 16 | second << 8 | third;
        *to++ = DIGITS[word >> 18];
        *to++ = DIGITS[word >> 12 & 63];
        *to++ = left > 1 ? DIGITS[word >> 6 & 63] : '=';
        *to++ = left > 2 ? DIGITS[word & 63] : '=';
    }
    out.add(size);
}

// -- messages ---------------------------------------------------------------------------------------------------------

enum class ValueKind { NONE, TEXT, BOOLEAN, INTEGER, FLOATING, ARRAY, KVLIST, BYTES };

struct AnyValue {
    ValueKind kind = ValueKind::NONE;
    Bytes bytes;        // text, bytes, or the encoded ArrayValue or KeyValueList
    uint64_t bits = 0;  // of a boolean, integer or double
};

struct KeyValue {
    Bytes key;
    AnyValue value;
};

// The members of a oneof replace each other, messages merge: more than one member is left to the library.
// Every attribute is read here: a call of its own would be a tenth of the walk.
[[gnu::always_inline]] inline AnyValue read_any_value(Bytes message) {
    AnyValue value;
    int members = 0;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        switch (tag) {
            case text_tag(1): value.kind = ValueKind::TEXT, value.bytes = in.text(); break;
            case varint_tag(2): value.kind = ValueKind::BOOLEAN, value.bits = in.varint(); break;
            case varint_tag(3): value.kind = ValueKind::INTEGER, value.bits = in.varint(); break;
            case fixed64_tag(4): value.kind = ValueKind::FLOATING, value.bits = in.fixed64(); break;
            case message_tag(5): value.kind = ValueKind::ARRAY, value.bytes = in.bytes(); break;
            case message_tag(6): value.kind = ValueKind::KVLIST, value.bytes = in.bytes(); break;
            case bytes_tag(7): value.kind = ValueKind::BYTES, value.bytes = in.bytes(); break;
            case varint_tag(8): in.varint(); break;  // string_value_strindex: an index into a table we do not have
            default: in.skip(tag); continue;
        }
        if (++members > 1) not_plain();
    }
    return value;
}

// A `value` that occurs twice would merge; the last `key` counts.
[[gnu::always_inline]] inline KeyValue read_key_value(Bytes message) {
    KeyValue pair;
    bool valued = false;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        switch (tag) {
            case text_tag(1): pair.key = in.text(); break;
            case message_tag(2):
                if (std::exchange(valued, true)) not_plain();
                pair.value = read_any_value(in.bytes());
                break;
            default: in.skip(tag);
        }
    }
    return pair;
}

// -- JSON -------------------------------------------------------------------------------------------------------------

// The escape of the character at `at`, if it needs one; `size` becomes the bytes of the character.
inline Bytes json_escape(const char* at, size_t left, char (&room)[6], size_t& size) {
    size = 1;
    const uint8_t byte = uint8_t(*at);
    switch (byte) {
        case '"': return "\\\"";
        case '\\': return "\\\\";
        case '\n': return "\\n";
        case '\r': return "\\r";
        case '\t': return "\\t";
        case '\b': return "\\b";
        case '\f': return "\\f";
        default: break;
    }
    if (byte < 0x20) {
        static constexpr char HEX[] = "0123456789abcdef";
        std::memcpy(room, "\\u00", 4);
        room[4] = HEX[byte >> 4];
        room[5] = HEX[byte & 15];
        return {room, 6};
    }
    if (byte == 0xE2 && left >= 3 && uint8_t(at[1]) == 0x80 && (uint8_t(at[2]) | 1) == 0xA9) {
        size = 3;
        return uint8_t(at[2]) == 0xA8 ? "\\u2028" : "\\u2029";
    }
    return {};
}

inline void put_quoted(TextBuffer& out, Bytes text) {
    put(out, "\"");
    const char* at = text.data();
    const char* const end = at + text.size();
    for (const char* plain = at; at <= end;) {
        if (at == end) {
            put(out, Bytes(plain, size_t(at - plain)));
            break;
        }
        char room[6];
        size_t size;
        const Bytes escape = json_escape(at, size_t(end - at), room, size);
        if (!escape.empty()) {
            put(out, Bytes(plain, size_t(at - plain)));
            put(out, escape);
            plain = at + size;
        }
        at += size;
    }
    put(out, "\"");
}

// OTLP bodies are admitted with at most MAX_DEPTH (model/otlp.py) lists around a value.
constexpr int MAX_DEPTH = 100;

void put_json(TextBuffer& out, const AnyValue& value, int depth);

inline void put_array(TextBuffer& out, Bytes message, int depth) {
    if (depth > MAX_DEPTH) not_plain();
    put(out, "[");
    bool first = true;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        if (tag != message_tag(1)) {
            in.skip(tag);
            continue;
        }
        if (!std::exchange(first, false)) put(out, ",");
        put_json(out, read_any_value(in.bytes()), depth);
    }
    put(out, "]");
}

// A KeyValue in the bytes of a KeyValueList, small because a list may have one every two bytes.
struct ListEntry {
    uint32_t key, key_size, message, message_size;

    Bytes key_in(Bytes list) const { return list.substr(key, key_size); }
    Bytes message_in(Bytes list) const { return list.substr(message, message_size); }
};

inline Bytes last_key(Bytes message) {
    Bytes key;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        if (tag == text_tag(1)) {
            key = in.bytes();
        } else {
            in.skip(tag);
        }
    }
    return key;
}

inline std::vector<ListEntry> read_entries(Bytes list) {
    std::vector<ListEntry> entries;
    auto position = [list](Bytes part) { return part.empty() ? 0 : uint32_t(part.data() - list.data()); };
    for (Reader in(list); in.more();) {
        const uint32_t tag = in.tag();
        if (tag == message_tag(1)) {
            const Bytes message = in.bytes(), key = last_key(message);
            entries.push_back({position(key), uint32_t(key.size()), position(message), uint32_t(message.size())});
        } else {
            in.skip(tag);
        }
    }
    return entries;
}

// In the order of the keys' code points, which is that of their bytes; of equal keys the last one counts.
inline std::vector<ListEntry> sorted_entries(Bytes list) {
    std::vector<ListEntry> entries = read_entries(list);
    std::stable_sort(entries.begin(), entries.end(),
                     [list](const ListEntry& a, const ListEntry& b) { return a.key_in(list) < b.key_in(list); });
    return entries;
}

inline void put_kvlist(TextBuffer& out, Bytes list, int depth) {
    if (depth > MAX_DEPTH) not_plain();
    const std::vector<ListEntry> entries = sorted_entries(list);
    put(out, "{");
    const size_t begin = out.size();
    for (size_t i = 0; i < entries.size(); ++i) {
        const size_t before = out.size();
        if (before != begin) put(out, ",");
        const KeyValue pair = read_key_value(entries[i].message_in(list));
        put_quoted(out, pair.key);
        put(out, ":");
        put_json(out, pair.value, depth);
        // Written even so: what is in it has to be sound.
        if (i + 1 < entries.size() && entries[i + 1].key_in(list) == pair.key) out.truncate(before);
    }
    put(out, "}");
}

// The text of a value that is neither text nor none.
inline void put_plain(TextBuffer& out, const AnyValue& value, int depth) {
    switch (value.kind) {
        case ValueKind::BOOLEAN: return put(out, value.bits ? "true" : "false");
        case ValueKind::INTEGER: return put_integer(out, int64_t(value.bits));
        case ValueKind::FLOATING: return put_double(out, load<double>(reinterpret_cast<const char*>(&value.bits)));
        case ValueKind::ARRAY: return put_array(out, value.bytes, depth + 1);
        case ValueKind::KVLIST: return put_kvlist(out, value.bytes, depth + 1);
        default: return put_base64(out, value.bytes);
    }
}

inline bool quoted_in_json(const AnyValue& value) {
    if (value.kind == ValueKind::BYTES) return true;
    return value.kind == ValueKind::FLOATING &&
           !std::isfinite(load<double>(reinterpret_cast<const char*>(&value.bits)));
}

inline void put_json(TextBuffer& out, const AnyValue& value, int depth) {
    if (value.kind == ValueKind::NONE) return put(out, "null");
    if (value.kind == ValueKind::TEXT) return put_quoted(out, value.bytes);
    const bool quoted = quoted_in_json(value);
    if (quoted) put(out, "\"");
    put_plain(out, value, depth);
    if (quoted) put(out, "\"");
}

inline void put_text(TextBuffer& out, const AnyValue& value) {
    if (value.kind == ValueKind::TEXT) return put(out, value.bytes);
    if (value.kind != ValueKind::NONE) put_plain(out, value, 0);
}

}  // namespace spanmeter::decode

// OTLP/JSON to protobuf (OTLP specification, "JSON Protobuf Encoding"), without a document in between.
//
// It takes less than the reader in Python does (otlp_json.py), never more and never with another meaning. What it does
// not take, wrong documents as well as rare but legal ones, it throws as NotPlain, and the reader in Python has the
// last word.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>

#include "otlp_schema.hpp"

namespace spanmeter::admit {

using namespace wire;

// The commas and the openings of objects and arrays in a document: what takes time to read it.
inline uint64_t json_separators(Bytes document) {
    uint64_t found = 0;
    bool in_string = false;
    for (size_t at = 0; at < document.size(); ++at) {
        const char c = document[at];
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            at += c == '\\';
        } else {
            found += c == ',' || c == '{' || c == '[';
        }
    }
    return found;
}

class JsonTranscoder {
   public:
    std::string out;

    // `max_depth` is how far arrays and key-value lists may nest around a value.
    JsonTranscoder(const Schema& schema, uint64_t max_elements, int max_depth)
        : schema_(schema), max_elements_(max_elements), max_depth_(max_depth) {}

    Outcome read(Bytes document) {
        return outcome_of([&] { whole(document); });
    }

   private:
    static constexpr int MAX_UNKNOWN_DEPTH = 200;
    // Messages this deep get their length in as many bytes as it can take, rather than be moved once more each.
    static constexpr int MAX_MOVED = 16;
    // Longer ones Python does not read.
    static constexpr int MAX_DIGITS = 4000;

    void whole(Bytes document) {
        if (document.substr(0, 3) == "\xEF\xBB\xBF") document.remove_prefix(3);
        if (!is_utf8(document)) not_plain();
        at_ = document.data();
        end_ = at_ + document.size();
        out.reserve(document.size() / 2);
        space();
        object(schema_.messages[0], 0, 0);
        space();
        if (at_ != end_) not_plain();
    }

    // -- values ---------------------------------------------------------------------------------------------------

    void object(const Message& type, int depth, int containers) {
        if (type.container && ++containers > max_depth_) not_plain();
        expect('{');
        uint32_t seen = 0;
        if (space_then('}')) return;
        do {
            space();
            key();
            space();
            expect(':');
            space();
            const Field* field = type.find(name_);
            if (!field) {
                skip_value();
            } else {
                // Of equal names the last would count, in all of the document.
                const uint32_t bit = uint32_t(1) << field->number;
                if (seen & bit) not_plain();
                seen |= bit;
                member(*field, depth, containers);
            }
        } while (space_then(','));
        expect('}');
    }

    void member(const Field& field, int depth, int containers) {
        if (literal("null")) return;
        if (!field.repeated) return value(field, depth, containers);
        expect('[');
        if (space_then(']')) return;
        do {
            space();
            if (field.kind != MESSAGE) count();
            value(field, depth, containers);
        } while (space_then(','));
        expect(']');
    }

    void value(const Field& field, int depth, int containers) {
        switch (field.kind) {
            case MESSAGE: return submessage(field, depth, containers);
            case STRING: return text(field);
            case HEX: return hex(field);
            case BOOLEAN: return varint_field(field, boolean());
            case DOUBLE: return fixed64_field(field, bits(real()));
            case SINT:
            case ENUM: return varint_field(field, uint64_t(signed_integer(field.wide)));
            case ZIGZAG: return varint_field(field, zigzag(signed_integer(field.wide)));
            case UINT: return varint_field(field, unsigned_integer(field.wide));
            case FIXED_SINT: return fixed_field(field, uint64_t(signed_integer(field.wide)));
            case FIXED_UINT: return fixed_field(field, unsigned_integer(field.wide));
            default: not_plain();  // bytes in base64
        }
    }

    void submessage(const Field& field, int depth, int containers) {
        count();
        const Message& type = schema_.messages[size_t(field.message)];
        tag(field.number, LENGTH);
        const size_t room = depth < MAX_MOVED ? 1 : 5;
        out.append(room, '\0');
        const size_t start = out.size();
        object(type, depth + 1, containers);
        const size_t size = out.size() - start;
        char length[5];
        size_t bytes = 0;
        for (size_t rest = size; bytes < room || rest; rest >>= 7) length[bytes++] = char((rest & 0x7F) | 0x80);
        length[bytes - 1] &= 0x7F;
        if (bytes > room) out.insert(start, bytes - room, '\0');
        out.replace(start - room, bytes, length, bytes);
    }

    void text(const Field& field) {
        string(scratch_);
        tag(field.number, LENGTH);
        varint(scratch_.size());
        out += scratch_;
    }

    void hex(const Field& field) {
        string(scratch_);
        if (scratch_.size() % 2) not_plain();
        tag(field.number, LENGTH);
        varint(scratch_.size() / 2);
        for (size_t i = 0; i < scratch_.size(); i += 2) {
            out += char(hex_digit(scratch_[i]) << 4 | hex_digit(scratch_[i + 1]));
        }
    }

    bool boolean() {
        if (literal("true")) return true;
        if (!literal("false")) not_plain();
        return false;
    }

    int64_t signed_integer(bool wide) {
        const int64_t value = integer<int64_t>();
        if (!wide && (value < INT32_MIN || value > INT32_MAX)) not_plain();
        return value;
    }

    uint64_t unsigned_integer(bool wide) {
        const uint64_t value = integer<uint64_t>();
        if (!wide && value > UINT32_MAX) not_plain();
        return value;
    }

    // A number without fraction and exponent, or a string of its digits.
    template <class T>
    T integer() {
        const bool quoted = at_ < end_ && *at_ == '"';
        if (quoted) ++at_;
        const char* start = at_;
        if (at_ < end_ && *at_ == '-') ++at_;
        const char* digits = at_;
        while (at_ < end_ && is_digit(*at_)) ++at_;
        if (at_ == digits || (!quoted && *digits == '0' && at_ - digits > 1)) not_plain();
        T value{};
        const auto [stop, error] = std::from_chars(start, at_, value);
        if (error != std::errc() || stop != at_) not_plain();
        if (quoted) {
            expect('"');
        } else if (at_ < end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E')) {
            not_plain();
        }
        return value;
    }

    double real() {
        if (at_ < end_ && *at_ == '"') return real_in_words();
        const char* start = at_;
        number();
        const Bytes written(start, size_t(at_ - start));
        return written == "-0" ? 0 : parsed(start, at_);  // that is an integer, which has no sign at 0
    }

    double real_in_words() {
        string(scratch_);
        if (scratch_ == "NaN") return std::numeric_limits<double>::quiet_NaN();
        if (scratch_ == "Infinity") return std::numeric_limits<double>::infinity();
        if (scratch_ == "-Infinity") return -std::numeric_limits<double>::infinity();
        not_plain();
    }

    static double parsed(const char* start, const char* stop) {
        double value = 0;
        const auto [end, error] = std::from_chars(start, stop, value);
        if (error != std::errc() || end != stop) not_plain();  // beyond a double's range, for one
        return value;
    }

    // -- what is unknown ------------------------------------------------------------------------------------------

    void skip_value() {
        std::string open;
        do {
            space();
            if (at_ == end_) not_plain();
            const char first = *at_;
            if (first == '{' || first == '[') {
                count();
                if (open.size() == MAX_UNKNOWN_DEPTH) not_plain();
                ++at_;
                if (space_then(first == '{' ? '}' : ']')) {
                    // empty
                } else {
                    open += first;
                    if (first == '{') skip_key();
                    continue;
                }
            } else if (first == '"') {
                skip_string();
            } else if (!literal("null") && !literal("true") && !literal("false")) {
                number();
            }
            while (!open.empty() && !space_then(',')) {
                expect(open.back() == '{' ? '}' : ']');
                open.pop_back();
            }
            if (!open.empty() && open.back() == '{') skip_key();
        } while (!open.empty());
    }

    void skip_key() {
        space();
        skip_string();
        space();
        expect(':');
    }

    void skip_string() { string(scratch_); }

    // -- tokens ---------------------------------------------------------------------------------------------------

    void space() {
        while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }

    bool space_then(char wanted) {
        space();
        if (at_ == end_ || *at_ != wanted) return false;
        ++at_;
        return true;
    }

    void expect(char wanted) {
        if (at_ == end_ || *at_ != wanted) not_plain();
        ++at_;
    }

    bool literal(Bytes word) {
        if (size_t(end_ - at_) < word.size() || Bytes(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }

    void key() {
        count_member();
        string(name_);
    }

    // A string's characters. A lone surrogate, of which JavaScript can make strings, becomes U+FFFD.
    void string(std::string& into) {
        into.clear();
        expect('"');
        for (;;) {
            const char* start = at_;
            while (at_ < end_ && *at_ != '"' && *at_ != '\\' && uint8_t(*at_) >= 0x20) ++at_;
            into.append(start, at_);
            if (at_ == end_ || uint8_t(*at_) < 0x20) not_plain();
            if (*at_++ == '"') return;
            escape(into);
        }
    }

    void escape(std::string& into) {
        if (at_ == end_) not_plain();
        switch (*at_++) {
            case '"': into += '"'; return;
            case '\\': into += '\\'; return;
            case '/': into += '/'; return;
            case 'b': into += '\b'; return;
            case 'f': into += '\f'; return;
            case 'n': into += '\n'; return;
            case 'r': into += '\r'; return;
            case 't': into += '\t'; return;
            case 'u': break;
            default: not_plain();
        }
        uint32_t code = unit();
        if (code >= 0xD800 && code < 0xDC00) {
            const char* before = at_;
            const uint32_t low = size_t(end_ - at_) >= 6 && at_[0] == '\\' && at_[1] == 'u' ? (at_ += 2, unit()) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            } else {
                at_ = before;
            }
        }
        utf8(into, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    }

    uint32_t unit() {
        if (end_ - at_ < 4) not_plain();
        uint32_t value = 0;
        for (int i = 0; i < 4; ++i) value = value << 4 | hex_digit(*at_++);
        return value;
    }

    static void utf8(std::string& into, uint32_t code) {
        if (code < 0x80) {
            into += char(code);
        } else if (code < 0x800) {
            into += {char(0xC0 | code >> 6), char(0x80 | (code & 0x3F))};
        } else if (code < 0x10000) {
            into += {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 0x3F)), char(0x80 | (code & 0x3F))};
        } else {
            into += {char(0xF0 | code >> 18), char(0x80 | (code >> 12 & 0x3F)), char(0x80 | (code >> 6 & 0x3F)),
                     char(0x80 | (code & 0x3F))};
        }
    }

    // RFC 8259 section 6.
    void number() {
        if (at_ < end_ && *at_ == '-') ++at_;
        const char* start = at_;
        digits();
        if (*start == '0' && at_ - start > 1) not_plain();
        if (at_ < end_ && *at_ == '.') ++at_, digits();
        if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
            digits();
        }
    }

    void digits() {
        const char* start = at_;
        while (at_ < end_ && is_digit(*at_)) ++at_;
        if (at_ == start || at_ - start > MAX_DIGITS) not_plain();
    }

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }

    static uint32_t hex_digit(char c) {
        if (is_digit(c)) return uint32_t(c - '0');
        if (c >= 'a' && c <= 'f') return uint32_t(c - 'a' + 10);
        if (c >= 'A' && c <= 'F') return uint32_t(c - 'A' + 10);
        not_plain();
    }

    // -- protobuf -------------------------------------------------------------------------------------------------

    void tag(uint32_t number, WireType wire) { varint(tag_of(number, wire)); }

    void varint(uint64_t value) {
        for (; value > 0x7F; value >>= 7) out += char((value & 0x7F) | 0x80);
        out += char(value);
    }

    void varint_field(const Field& field, uint64_t value) {
        tag(field.number, VARINT);
        varint(value);
    }

    void fixed_field(const Field& field, uint64_t value) {
        if (field.wide) return fixed64_field(field, value);
        tag(field.number, FIXED32);
        little_endian(value, 4);
    }

    void fixed64_field(const Field& field, uint64_t value) {
        tag(field.number, FIXED64);
        little_endian(value, 8);
    }

    void little_endian(uint64_t value, int size) {
        for (int i = 0; i < size; ++i) out += char(value >> (8 * i));
    }

    static uint64_t zigzag(int64_t value) { return uint64_t(value) << 1 ^ uint64_t(value >> 63); }

    static uint64_t bits(double value) {
        uint64_t raw;
        std::memcpy(&raw, &value, sizeof raw);
        return raw;
    }

    // -- limits ---------------------------------------------------------------------------------------------------

    void count() {
        if (++elements_ > max_elements_) throw TooMany{TOO_MANY_ELEMENTS};
    }

    // Members of objects are what fields are in protobuf, and a message has several.
    void count_member() {
        if (++members_ > 16 * max_elements_) throw TooMany{TOO_MANY_ELEMENTS};
    }

    const Schema& schema_;
    const uint64_t max_elements_;
    const int max_depth_;
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    uint64_t elements_ = 0, members_ = 0;
    std::string name_, scratch_;
};

}  // namespace spanmeter::admit

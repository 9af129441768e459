// The texts of a request as redaction looks at them, and a request with some of them replaced.
//
// Takes requests of which every field is known, and of values and pairs what redaction.py says. It throws NotPlain for
// others.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "known.hpp"
#include "output.hpp"

namespace spanmeter::capture {

// What a message of the schema (collector/wire/schema.py) is here.
enum Role : int { PLAIN_MESSAGE, PAIR, VALUE };
// What its fields are: numbers by how they are written; -1 for those that are not known.
enum FieldRole : int {
    UNKNOWN = -1,
    NUMBER_VARINT = 0,
    NUMBER_FIXED64 = 1,
    NUMBER_FIXED32 = 5,
    TEXT = 8,
    BYTES,
    MESSAGE
};

constexpr uint32_t MAX_FIELDS = 32;

struct Field {
    int role = UNKNOWN;
    bool repeated = false;
    int message = -1;
};

struct MessageShape {
    int role = PLAIN_MESSAGE;
    Field fields[MAX_FIELDS];
};

// The first is the request.
struct Shapes {
    std::vector<MessageShape> messages;

    void add_message(int role) {
        messages.emplace_back();
        messages.back().role = role;
    }
    void add_field(uint32_t number, int role, bool repeated, int message) {
        if (number < MAX_FIELDS) messages.back().fields[number] = Field{role, repeated, message};
    }
};

// What Python knows of the name of an attribute; -1 says that it has raised.
enum KeyFlags : int { COUNTED = 1, HAS_RULES = 2, IS_WHOLE = 4 };
struct Keys {
    void* self;
    int (*flags)(void*, Bytes key);
    Known* known;
};

enum Looked : int { TAKEN, NOT_TAKEN, KEY_RAISED };

// A text, and the field it stands in.
struct Place {
    size_t seen;        // where it begins in what is looked at
    size_t start, end;  // of the field in the request
    size_t text_start, text_size;
    uint32_t tag;   // of the field
    bool in_bytes;  // it is the content of a bytes_value, of which each byte is a character
};

// A pair of whose value, a text, nothing stays: a rule is for the whole of it.
struct Whole {
    size_t start;  // of the field with the value
    size_t key_start, key_size;
    size_t text_start, text_size;
};

// -- escapes, as unescape.py decodes them -----------------------------------------------------------------------------

constexpr int MAX_LAYERS = 5;

inline void append_character(std::string& out, uint32_t code) {
    if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
    if (code < 0x80) {
        out.push_back(char(code));
    } else if (code < 0x800) {
        out.push_back(char(0xC0 | code >> 6));
        out.push_back(char(0x80 | (code & 0x3F)));
    } else {
        out.push_back(char(0xE0 | code >> 12));
        out.push_back(char(0x80 | (code >> 6 & 0x3F)));
        out.push_back(char(0x80 | (code & 0x3F)));
    }
}

inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = char(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four digits after `at`, or -1.
inline int hex_code(Bytes text, size_t at) {
    if (at + 4 > text.size()) return -1;
    int code = 0;
    for (size_t i = at; i < at + 4; ++i) {
        const int digit = hex_digit(text[i]);
        if (digit < 0) return -1;
        code = code << 4 | digit;
    }
    return code;
}

// What an escape of one character stands for, or 0.
inline char simple_escape(char c) {
    switch (c) {
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case '"':
        case '\\':
        case '/': return c;
        default: return 0;
    }
}

// Appends `text` with its escapes decoded; whether that changed anything.
inline bool append_unescaped(std::string& out, Bytes text) {
    bool changed = false;
    for (size_t at = 0; at < text.size();) {
        const size_t escape = text.find('\\', at);
        if (escape == Bytes::npos || escape + 1 == text.size()) {
            out.append(text.substr(at));
            break;
        }
        out.append(text.substr(at, escape - at));
        const char next = text[escape + 1];
        const int code = next == 'u' ? hex_code(text, escape + 2) : -1;
        at = escape + 2;
        if (code >= 0) {
            append_character(out, uint32_t(code));
            at += 4;
            changed = true;
        } else if (const char simple = simple_escape(next)) {
            out.push_back(simple);
            changed = true;
        } else {
            out.append(text.substr(escape, 2));
        }
    }
    return changed;
}

// -- finding ----------------------------------------------------------------------------------------------------------

class Texts {
   public:
    std::string seen;  // every text with what is in its escapes, each ended by a line end
    std::vector<Place> places;
    std::vector<Whole> wholes;

    Texts(const Shapes& shapes, Keys keys) : shapes_(shapes), keys_(keys) {}

    Looked read(Bytes body) {
        try {
            begin_ = body.data();
            seen.reserve(body.size() + body.size() / 8);
            message(shapes_.messages[0], body, 0, false);
            return TAKEN;
        } catch (const NotPlain&) {
            return NOT_TAKEN;
        } catch (const KeyRaised&) {
            return KEY_RAISED;
        }
    }

    // The place that position `at` of `seen` belongs to.
    size_t place_of(size_t at) const {
        const auto after = std::upper_bound(places.begin(), places.end(), at,
                                            [](size_t position, const Place& place) { return position < place.seen; });
        return size_t(after - places.begin()) - 1;
    }

   private:
    struct KeyRaised {};
    // The library refuses messages nested 100 deep.
    static constexpr int MAX_MESSAGES = 90;
    // Whole numbers of so many digits are looked at (see redaction.py).
    static constexpr double LONG_NUMBER = 1e7, LONGEST_NUMBER = 1e20;

    static const Field& field_of(const MessageShape& shape, uint32_t tag) {
        const uint32_t number = tag >> 3;
        if (number >= MAX_FIELDS) not_plain();
        const Field& field = shape.fields[number];
        const uint32_t wire = field.role >= TEXT ? uint32_t(LENGTH) : uint32_t(field.role);
        const bool packed = field.repeated && field.role < TEXT && (tag & 7) == LENGTH;
        if (field.role == UNKNOWN || ((tag & 7) != wire && !packed)) not_plain();
        return field;
    }

    // `counted`: its numbers are counts of calls.
    void message(const MessageShape& shape, Bytes content, int depth, bool counted) {
        if (depth > MAX_MESSAGES) not_plain();
        if (shape.role == PAIR) return pair(shape, content, depth);
        bool has_value = false;
        for (Reader in(content); in.more();) {
            const char* start = in.at();
            const uint32_t tag = in.tag();
            const Field& field = field_of(shape, tag);
            if (shape.role == VALUE && std::exchange(has_value, true)) not_plain();
            if (field.role == TEXT) {
                const Bytes text = in.text();
                add(start, in.at(), text, tag);
            } else if (field.role == MESSAGE) {
                message(shapes_.messages[size_t(field.message)], in.bytes(), depth + 1, counted);
            } else if (shape.role == VALUE) {
                value(start, tag, in, counted);
            } else {
                in.skip(tag);
            }
        }
    }

    // The name comes before the value, or there is none.
    void pair(const MessageShape& shape, Bytes content, int depth) {
        bool has_key = false, has_value = false;
        int flags = 0;
        Bytes key;
        for (Reader in(content); in.more();) {
            const char* start = in.at();
            const uint32_t tag = in.tag();
            const Field& field = field_of(shape, tag);
            if (field.role == TEXT) {
                if (has_key || has_value) not_plain();
                has_key = true;
                key = in.text();
                flags = flags_of(key);
                if (!(flags & IS_WHOLE)) add(start, in.at(), key, tag);
            } else if (field.role == MESSAGE) {
                if (std::exchange(has_value, true)) not_plain();
                const Bytes held = in.bytes();
                if (flags & IS_WHOLE) {
                    whole(start, key, held);
                } else {
                    message(shapes_.messages[size_t(field.message)], held, depth + 1, flags & COUNTED);
                }
            } else {
                in.skip(tag);
            }
        }
        if (!has_key && (flags_of({}) & IS_WHOLE)) not_plain();
        if ((flags & IS_WHOLE) && !has_value) not_plain();
    }

    void whole(const char* start, Bytes key, Bytes held) {
        Reader in(held);
        if (!in.more() || in.tag() != text_tag(1)) not_plain();
        const Bytes text = in.text();
        if (in.more()) not_plain();
        wholes.push_back({size_t(start - begin_), size_t(key.data() - begin_), key.size(), size_t(text.data() - begin_),
                          text.size()});
    }

    void value(const char* start, uint32_t tag, Reader& in, bool counted) {
        switch (tag) {
            case bytes_tag(7): return add(start, in, in.bytes(), tag);
            case varint_tag(3): {
                const int64_t number = int64_t(in.varint());
                const double size = std::fabs(double(number));
                if (!counted && size >= LONG_NUMBER) add_number(start, in.at(), std::to_string(number), tag);
                return;
            }
            case fixed64_tag(4): {
                const uint64_t bits = in.fixed64();
                double number;
                std::memcpy(&number, &bits, sizeof number);
                if (!counted && std::fabs(number) >= LONG_NUMBER && std::fabs(number) < LONGEST_NUMBER) {
                    add_number(start, in.at(), whole(number), tag);
                }
                return;
            }
            default: in.skip(tag);
        }
    }

    int flags_of(Bytes key) {
        const int* known = keys_.known->find(key);
        const int flags = known ? *known : keys_.flags(keys_.self, key);
        if (flags == -1) throw KeyRaised{};
        if (!known) keys_.known->add(key, flags);
        if (flags & HAS_RULES) not_plain();
        return flags;
    }

    void add(const char* start, const char* end, Bytes text, uint32_t tag) {
        if (text.empty()) return;
        place(start, end, text, tag, false);
        seen.append(text);
        see_layers(text);
    }

    // The content of a bytes_value, of which each byte is a character.
    void add(const char* start, const Reader& in, Bytes content, uint32_t tag) {
        if (content.empty()) return;
        place(start, in.at(), content, tag, true);
        std::string text;
        for (const char byte : content) append_character(text, uint8_t(byte));
        seen.append(text);
        see_layers(text);
    }

    void add_number(const char* start, const char* end, const std::string& digits, uint32_t tag) {
        place(start, end, {}, tag, false);
        seen.append(digits).push_back('\n');
    }

    void place(const char* start, const char* end, Bytes text, uint32_t tag, bool in_bytes) {
        const size_t text_start = text.empty() ? 0 : size_t(text.data() - begin_);
        places.push_back(
            {seen.size(), size_t(start - begin_), size_t(end - begin_), text_start, text.size(), tag, in_bytes});
    }

    void see_layers(Bytes text) {
        Bytes last = text;
        for (int layer = 0; layer < MAX_LAYERS && last.find('\\') != Bytes::npos; ++layer) {
            std::string inner;
            if (!append_unescaped(inner, last)) break;
            std::swap(layer_, inner);
            last = layer_;
            seen.push_back('\n');
            seen.append(last);
        }
        seen.push_back('\n');
    }

    // A whole part below 10^20, in digits.
    static std::string whole(double number) {
        unsigned __int128 rest = static_cast<unsigned __int128>(std::fabs(number));
        std::string digits;
        for (; rest; rest /= 10) digits.insert(digits.begin(), char('0' + int(rest % 10)));
        return number < 0 ? "-" + digits : digits;
    }

    const Shapes& shapes_;
    const Keys keys_;
    const char* begin_ = nullptr;
    std::string layer_;
};

// -- replacing --------------------------------------------------------------------------------------------------------

// Another text for the field at `start` in the request.
struct Patch {
    size_t start;
    uint32_t tag;
    std::string text;
};

// A request with some fields replaced. `patches` are in order; the request was taken by Texts.
class Patcher {
   public:
    Output out;

    Patcher(const Shapes& shapes, const std::vector<Patch>& patches) : shapes_(shapes), patches_(patches) {}

    void write(Bytes body) {
        begin_ = body.data();
        out.bytes.reserve(body.size());
        message(shapes_.messages[0], body);
    }

   private:
    void message(const MessageShape& shape, Bytes content) {
        const char* copied = content.data();
        Reader in(content);
        while (in.more() && next_ < patches_.size()) {
            const char* start = in.at();
            const uint32_t tag = in.tag();
            if ((tag & 7) != LENGTH) {
                in.skip(tag);
                if (in_field(in.at())) replace(copied, start, in.at());
                continue;
            }
            const Bytes inner = in.bytes();
            if (!in_field(in.at())) continue;
            if (begin_ + patches_[next_].start == start) {
                replace(copied, start, in.at());
                continue;
            }
            out.raw(Bytes(copied, size_t(start - copied)));
            out.message(tag, inner.size(),
                        [&] { message(shapes_.messages[size_t(shape.fields[tag >> 3].message)], inner); });
            copied = in.at();
        }
        out.raw(Bytes(copied, size_t(content.data() + content.size() - copied)));
    }

    bool in_field(const char* end) const { return begin_ + patches_[next_].start < end; }

    void replace(const char*& copied, const char* start, const char* end) {
        out.raw(Bytes(copied, size_t(start - copied)));
        const Patch& patch = patches_[next_++];
        out.content(patch.tag, patch.text);
        copied = end;
    }

    const Shapes& shapes_;
    const std::vector<Patch>& patches_;
    const char* begin_ = nullptr;
    size_t next_ = 0;
};

}  // namespace spanmeter::capture

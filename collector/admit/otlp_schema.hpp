// The messages of an export request as the protobuf library describes them: fields by number and by JSON name.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "../wire/protobuf.hpp"

namespace spanmeter::admit {

using wire::Bytes;

enum FieldKind : uint8_t {
    UNKNOWN,
    SINT,
    UINT,
    ENUM,
    BOOLEAN,
    DOUBLE,
    STRING,
    HEX,
    BASE64,
    FIXED_SINT,
    FIXED_UINT,
    ZIGZAG,
    MESSAGE
};

struct Field {
    FieldKind kind = UNKNOWN;
    bool repeated = false;
    bool wide = false;  // 64 bits rather than 32
    uint32_t number = 0;
    int message = -1;  // what a MESSAGE holds, by its place in the schema
};

// The numbers of OTLP's fields are below this.
constexpr uint32_t MAX_FIELDS = 32;

struct Message {
    bool item = false;       // a span, log record or data point
    bool container = false;  // an array or key-value list, whose nesting is limited
    Field fields[MAX_FIELDS];
    std::unordered_map<std::string, uint32_t> numbers;  // by JSON name

    const Field* find(const std::string& json_name) const {
        const auto found = numbers.find(json_name);
        return found == numbers.end() ? nullptr : &fields[found->second];
    }
};

// The first message is the request.
struct Schema {
    std::vector<Message> messages;

    void add_message(bool item, bool container) {
        messages.emplace_back();
        messages.back().item = item;
        messages.back().container = container;
    }

    // Adds a field to the message that was added last.
    void add_field(std::string json_name, int kind, bool repeated, bool wide, uint32_t number, int message) {
        if (number >= MAX_FIELDS) return;  // unknown, as a field of a later version is
        Message& last = messages.back();
        last.fields[number] = Field{FieldKind(kind), repeated, wide, number, message};
        last.numbers.emplace(std::move(json_name), number);
    }
};

// How looking at a request ended.
enum Outcome : uint8_t {
    PLAIN,
    NOT_PLAIN,       // malformed, or for the library to decide
    TOO_MANY_ITEMS,  // spans, log records or data points
    TOO_MANY_ELEMENTS,
};

// A request has more items or elements than it may have.
struct TooMany {
    Outcome outcome;
};

template <class Look>
inline Outcome outcome_of(Look look) {
    try {
        look();
        return PLAIN;
    } catch (const wire::NotPlain&) {
        return NOT_PLAIN;
    } catch (const TooMany& too_many) {
        return too_many.outcome;
    }
}

}  // namespace spanmeter::admit

// How much is in a request, before anything is made of it.
#pragma once

#include "otlp_schema.hpp"

namespace spanmeter::admit {

using namespace wire;

// Counts the items of a request (spans, log records, data points) and its elements: messages, unknown fields, fields of
// groups, and values that are repeated one by one. Bytes that are no request end the count: the library reads no
// further either.
class ItemCount {
   public:
    uint64_t items = 0;
    uint64_t elements = 0;
    uint64_t repeated = 0;  // bytes of what items share (resource, scope, metric), as often as there are items of it
    bool sound = true;      // as far as was read: text is UTF-8, and nothing nests deeper than the library reads

    ItemCount(const Schema& schema, uint64_t max_items, uint64_t max_elements)
        : schema_(schema), max_items_(max_items), max_elements_(max_elements) {}

    Outcome read(Bytes body) {
        return outcome_of([&] { message(schema_.messages[0], body, 0); });
    }

   private:
    // Deeper than the library goes, even with its limit lifted for values of the allowed depth.
    static constexpr int MAX_MESSAGES = 330;
    // The library refuses messages nested 100 deep, groups counted; this leaves room for theirs.
    static constexpr int MAX_SOUND = 80;

    void message(const Message& type, Bytes content, int depth) {
        if (depth > MAX_MESSAGES) not_plain();
        sound = sound && depth <= MAX_SOUND;
        const uint64_t before = items;
        uint64_t shared = 0;
        size_t place = 0;
        for (Reader in(content); in.more();) {
            const uint32_t tag = in.tag(), number = tag >> 3;
            const Field* field = number < MAX_FIELDS ? &type.fields[number] : nullptr;
            if ((tag & 7) == GROUP) {
                group(in, number);
            } else if (field && field->kind == MESSAGE && (tag & 7) == LENGTH) {
                const Bytes held = in.bytes();
                const uint64_t others = items;
                if (type.item) {
                    part_of_item(size_t(field->message), held, depth + 1, place++);
                } else {
                    part(size_t(field->message), held, depth + 1);
                }
                if (items == others) shared += held.size();
            } else if (field && field->kind == STRING && (tag & 7) == LENGTH) {
                if (field->repeated) count(false);
                const Bytes text = in.bytes();
                shared += text.size();
                sound = is_utf8(text) && sound;
            } else {
                if (!field || field->kind == UNKNOWN || field->repeated) count(false);
                in.skip(tag);
            }
        }
        repeated += shared * (items - before);
    }

    void part(size_t number, Bytes content, int depth) {
        const Message& type = schema_.messages[number];
        count(type.item);
        message(type, content, depth);
    }

    // Most attributes of an item are, byte for byte, those that the item before has at the same place: what was found
    // in them is counted again. Nothing else of an item depends on where it stands: items do not nest.
    void part_of_item(size_t number, Bytes content, int depth, size_t place) {
        if (place >= MAX_PLACES) return part(number, content, depth);
        Part& before = before_[place];
        if (before.number == number && before.content == content) {
            elements += before.elements - 1;
            return count(false);
        }
        const uint64_t begun = elements;
        part(number, content, depth);
        before = {number, content, elements - begun};
    }

    void group(Reader& in, uint32_t number) {
        std::vector<uint32_t> open{number};
        while (!open.empty()) {
            count(false);
            if (!in.more()) not_plain();
            const uint32_t tag = in.tag();
            if ((tag & 7) == GROUP) {
                open.push_back(tag >> 3);
                sound = sound && open.size() <= MAX_GROUPS;
            } else if ((tag & 7) == END_GROUP) {
                if (open.back() != tag >> 3) not_plain();
                open.pop_back();
            } else {
                in.skip(tag);
            }
        }
    }

    void count(bool item) {
        if (++elements > max_elements_) throw TooMany{TOO_MANY_ELEMENTS};
        if (item && ++items > max_items_) throw TooMany{TOO_MANY_ITEMS};
    }

    struct Part {
        size_t number = SIZE_MAX;
        Bytes content;
        uint64_t elements = 0;
    };
    static constexpr size_t MAX_PLACES = 64;

    Part before_[MAX_PLACES];  // of the items so far, the last at each place
    const Schema& schema_;
    const uint64_t max_items_, max_elements_;
};

}  // namespace spanmeter::admit

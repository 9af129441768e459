// Is this an ExportTraceServiceRequest, and which of its spans have ids? Reads and checks, keeps nothing.
#pragma once

#include <algorithm>
#include <vector>

#include "otlp_schema.hpp"

namespace spanmeter::admit {

using namespace wire;

// The messages of an ExportTraceServiceRequest, and what a length-delimited field of them may hold instead.
enum MessageType : uint8_t {
    OPAQUE,  // bytes, or a field we do not know
    TEXT,
    RESOURCE,
    ENTITY_REF,
    SCOPE,
    SPAN,
    EVENT,
    LINK,
    STATUS,
    KEY_VALUE,
    ANY_VALUE,
    ARRAY_VALUE,
    KEY_VALUE_LIST,
    MESSAGE_TYPES
};

// What the length-delimited fields of each message hold, by their numbers.
constexpr uint32_t FIELDS = 16;
struct Catalogue {
    MessageType holds[MESSAGE_TYPES][FIELDS] = {};

    constexpr Catalogue() {
        holds[RESOURCE][1] = KEY_VALUE;
        holds[RESOURCE][3] = ENTITY_REF;
        for (int number = 1; number <= 4; ++number) holds[ENTITY_REF][number] = TEXT;
        holds[SCOPE][1] = TEXT;
        holds[SCOPE][2] = TEXT;
        holds[SCOPE][3] = KEY_VALUE;
        holds[SPAN][3] = TEXT;
        holds[SPAN][5] = TEXT;
        holds[SPAN][9] = KEY_VALUE;
        holds[SPAN][11] = EVENT;
        holds[SPAN][13] = LINK;
        holds[SPAN][15] = STATUS;
        holds[EVENT][2] = TEXT;
        holds[EVENT][3] = KEY_VALUE;
        holds[LINK][3] = TEXT;
        holds[LINK][4] = KEY_VALUE;
        holds[STATUS][2] = TEXT;
        holds[KEY_VALUE][1] = TEXT;
        holds[KEY_VALUE][2] = ANY_VALUE;
        holds[ANY_VALUE][1] = TEXT;
        holds[ANY_VALUE][5] = ARRAY_VALUE;
        holds[ANY_VALUE][6] = KEY_VALUE_LIST;
        holds[ARRAY_VALUE][1] = ANY_VALUE;
        holds[KEY_VALUE_LIST][1] = KEY_VALUE;
    }
};
inline constexpr Catalogue CATALOGUE;

// The library refuses messages nested 100 deep, groups counted; this leaves room for theirs.
constexpr int MAX_MESSAGES = 90;

// Spans refused for the same reason: a trace id (0) or span id (1) of this length, or of the right one and all zero.
struct Problem {
    int id;
    size_t length;
    uint64_t spans;
};

// More kinds of problems than this are left to the slow way, which counts them in a table.
constexpr size_t MAX_PROBLEMS = 64;

class RequestScan {
   public:
    uint64_t accepted = 0;
    uint64_t repeated = 0;  // bytes of resource and scope, as often as there are spans of them
    uint64_t elements = 0;  // messages and unknown fields
    std::vector<Problem> problems;

    RequestScan(uint64_t max_items, uint64_t max_elements) : max_items_(max_items), max_elements_(max_elements) {}

    Outcome read(Bytes body) {
        return outcome_of([&] { each_of_request(body, [this](Bytes message) { resource_spans(message); }); });
    }

   private:
    void resource_spans(Bytes message) {
        count();
        uint64_t size = 0, spans = 0;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1): size += checked(RESOURCE, in.bytes(), 2); break;
                case message_tag(2): spans += scope_spans(in.bytes()); break;
                case text_tag(3): size += in.text().size(); break;
                default: in.skip(tag);
            }
        }
        repeated += size * spans;
    }

    uint64_t scope_spans(Bytes message) {
        count();
        uint64_t size = 0, spans = 0;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1): size += checked(SCOPE, in.bytes(), 3); break;
                case message_tag(2): span(in.bytes()), ++spans; break;
                case text_tag(3): size += in.text().size(); break;
                default: in.skip(tag);
            }
        }
        repeated += size * spans;
        return spans;
    }

    void span(Bytes message) {
        count();
        if (++items_ > max_items_) throw TooMany{TOO_MANY_ITEMS};
        Bytes trace_id, span_id;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case bytes_tag(1): trace_id = in.bytes(); break;
                case bytes_tag(2): span_id = in.bytes(); break;
                default: field(SPAN, tag, in, 3);
            }
        }
        if (!is_id(trace_id, 16)) {
            refuse(0, trace_id.size());
        } else if (!is_id(span_id, 8)) {
            refuse(1, span_id.size());
        } else {
            ++accepted;
        }
    }

    static bool is_id(Bytes id, size_t size) {
        return id.size() == size && std::any_of(id.begin(), id.end(), [](char byte) { return byte != 0; });
    }

    void refuse(int id, size_t length) {
        for (Problem& problem : problems) {
            if (problem.id == id && problem.length == length) {
                ++problem.spans;
                return;
            }
        }
        if (problems.size() == MAX_PROBLEMS) not_plain();
        problems.push_back({id, length, 1});
    }

    // The size of a message, once all in it is sound. `depth` counts the messages around it.
    size_t checked(MessageType type, Bytes message, int depth) {
        if (depth > MAX_MESSAGES) not_plain();
        count();
        for (Reader in(message); in.more();) field(type, in.tag(), in, depth);
        return message.size();
    }

    void field(MessageType type, uint32_t tag, Reader& in, int depth) {
        const uint32_t number = tag >> 3;
        if ((tag & 7) != LENGTH || number >= FIELDS) return in.skip(tag);  // scalars, and what later versions add
        const MessageType held = CATALOGUE.holds[type][number];
        if (held == TEXT) {
            in.text();
        } else {
            const Bytes content = in.bytes();
            if (held != OPAQUE) checked(held, content, depth + 1);
        }
    }

    void count() {
        if (++elements > max_elements_) throw TooMany{TOO_MANY_ELEMENTS};
    }

    const uint64_t max_items_, max_elements_;
    uint64_t items_ = 0;
};

}  // namespace spanmeter::admit

// ExportTraceServiceRequest from the wire into columns: what reference.py does.
// One function for each message, named as in opentelemetry/proto/trace/v1/trace.proto.
#pragma once

#include <string>
#include <vector>

#include "any_value.hpp"
#include "column_builders.hpp"
#include "details.hpp"
#include "span_columns.hpp"
#include "walk.hpp"

namespace spanmeter::decode {

using namespace wire;

// What reference.py and model/versions.py have as constants. The views last as long as the walk.
struct WalkRules {
    uint64_t latest, ended, resolution;
    Bytes start_key, end_key, pending_key, pending, pending_parent_key;
};

// Scalars of a message; of a field sent twice the last counts.
struct Span {
    Bytes trace_id, span_id, trace_state, parent_span_id, name, status_message;
    uint64_t start = 0, end = 0;
    int32_t kind = 0, status_code = 0;
    uint32_t flags = 0, dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
    bool has_type = false;  // an attribute that may say that it is pending
};

inline bool is_zero(Bytes id) {
    return std::all_of(id.begin(), id.end(), [](char byte) { return byte == 0; });
}

inline void put_hex(Strings& column, Bytes bytes) {
    static constexpr char DIGITS[] = "0123456789abcdef";
    char* to = column.open().room(2 * bytes.size());
    for (const char byte : bytes) {
        *to++ = DIGITS[uint8_t(byte) >> 4];
        *to++ = DIGITS[uint8_t(byte) & 15];
    }
    column.open().add(2 * bytes.size());
    column.close();
}

// The id of another span: absent when empty or all zero, in hex whatever its length otherwise.
inline void put_reference(Strings& column, Bytes id) {
    const bool sized = id.empty() || id.size() == 8 || id.size() == 16;
    put_hex(column, sized && is_zero(id) ? Bytes() : id);
}

inline uint64_t capped(uint64_t nanoseconds) { return std::min<uint64_t>(nanoseconds, INT64_MAX); }

// proto3 enums are open: an unknown number has no name.
template <size_t N>
inline Bytes name_of(const Bytes (&names)[N], int32_t number) {
    return number >= 0 && size_t(number) < N ? names[number] : Bytes();
}

// Close the open row and have it once for each of `count` rows that share it.
inline void share(Maps& column, size_t count) {
    const size_t row = column.rows();
    column.close();
    if (count) {
        column.repeat_last(count - 1);
    } else {
        column.truncate(row);
    }
}

// No column holds these; their text has to be sound all the same.
inline void entity_ref(Bytes message) {
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        if (tag >= text_tag(1) && tag <= text_tag(4) && (tag & 7) == LENGTH) {
            in.text();
        } else {
            in.skip(tag);
        }
    }
}

class SpanWalk : public Walk {
   public:
    Strings text[TEXT_COLUMNS];
    Buffer<uint64_t> wide[WIDE_COLUMNS];
    Buffer<uint32_t> narrow[NARROW_COLUMNS];
    Maps maps[MAPS_COLUMNS];
    Events events;
    Links links;

    explicit SpanWalk(const WalkRules& rules) : rules_(rules) {}

    size_t size() const { return wide[TIMESTAMP].size(); }

    // Most of a body are the attributes of its spans. Memory that is not written costs nothing.
    void reserve(const std::vector<Envelope>& envelopes, size_t first) override {
        const size_t bytes = bytes_from(envelopes, first);
        maps[SPAN_ATTRIBUTES].values.reserve(bytes);
        maps[SPAN_ATTRIBUTES].keys.reserve(bytes / 2);
    }

   private:
    void mark() override { marked_ = size(); }
    void drop() override { truncate(marked_); }

    void append(const Envelope& envelope) override {
        const size_t before = size();
        arrival_ = envelope.received_at / rules_.resolution;
        each_of_request(envelope.payload, [this](Bytes message) { resource_spans(message); });
        text[PROJECT].fill(envelope.project, size() - before);
        wide[RECEIVED_AT].fill(envelope.received_at, size() - before);
    }

    void truncate(size_t rows) {
        for (auto& column : text) column.truncate(rows);
        for (auto& column : wide) column.truncate(std::min(column.size(), rows));
        for (auto& column : narrow) column.truncate(std::min(column.size(), rows));
        for (auto& column : maps) column.truncate(rows);
        events.truncate(rows);
        links.truncate(rows);
    }

    // The fields of a message come in any order: what its spans share is repeated for them at the end.
    void resource_spans(Bytes message) {
        const size_t before = size();
        bool seen = false, begun = false;
        Bytes schema_url;
        std::string name;
        details_.begin_resource();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1):
                    // Two would merge, and what spans say of their resource is written with them.
                    if (begun || std::exchange(seen, true)) not_plain();
                    name = resource(in.bytes());
                    break;
                case message_tag(2):
                    begun = true;
                    scope_spans(in.bytes());
                    break;
                case text_tag(3): schema_url = in.text(); break;
                default: in.skip(tag);
            }
        }
        const size_t spans = size() - before;
        share(maps[RESOURCE_ATTRIBUTES], spans);
        text[SERVICE_NAME].fill(name, spans);
        text[RESOURCE_SCHEMA_URL].fill(schema_url, spans);
    }

    // The text of the first service.name.
    std::string resource(Bytes message) {
        Maps& column = maps[RESOURCE_ATTRIBUTES];
        const size_t first = column.keys.rows();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1): attribute(column, details_.resource, in.bytes()); break;
                case varint_tag(2): details_.resource_dropped[0] = uint32_t(in.varint()); break;
                case message_tag(3): entity_ref(in.bytes()); break;
                default: in.skip(tag);
            }
        }
        details_.end_resource();
        for (size_t i = first; i < column.keys.rows(); ++i) {
            if (column.keys.row(i) == "service.name") return std::string(column.values.row(i));
        }
        return {};
    }

    void scope_spans(Bytes message) {
        const size_t before = size();
        bool seen = false, begun = false;
        Scope shared;
        Bytes schema_url;
        details_.begin_scope();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1):
                    if (begun || std::exchange(seen, true)) not_plain();
                    shared = scope(in.bytes());
                    break;
                case message_tag(2):
                    begun = true;
                    span(in.bytes());
                    break;
                case text_tag(3): schema_url = in.text(); break;
                default: in.skip(tag);
            }
        }
        const size_t spans = size() - before;
        share(maps[SCOPE_ATTRIBUTES], spans);
        text[SCOPE_NAME].fill(shared.name, spans);
        text[SCOPE_VERSION].fill(shared.version, spans);
        text[SCOPE_SCHEMA_URL].fill(schema_url, spans);
    }

    struct Scope {
        Bytes name, version;
    };

    Scope scope(Bytes message) {
        Scope found;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case text_tag(1): found.name = in.text(); break;
                case text_tag(2): found.version = in.text(); break;
                case message_tag(3): attribute(maps[SCOPE_ATTRIBUTES], details_.scope, in.bytes()); break;
                case varint_tag(4): details_.scope_dropped[0] = uint32_t(in.varint()); break;
                default: in.skip(tag);
            }
        }
        details_.end_scope();
        return found;
    }

    void span(Bytes message) {
        Span found;
        details_.begin_span();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case bytes_tag(1): found.trace_id = in.bytes(); break;
                case bytes_tag(2): found.span_id = in.bytes(); break;
                case text_tag(3): found.trace_state = in.text(); break;
                case bytes_tag(4): found.parent_span_id = in.bytes(); break;
                case text_tag(5): found.name = in.text(); break;
                case varint_tag(6): found.kind = int32_t(in.varint()); break;
                case fixed64_tag(7): found.start = in.fixed64(); break;
                case fixed64_tag(8): found.end = in.fixed64(); break;
                case message_tag(9):
                    found.has_type |= attribute(maps[SPAN_ATTRIBUTES], details_.span, in.bytes()) == rules_.pending_key;
                    break;
                case varint_tag(10): found.dropped_attributes = uint32_t(in.varint()); break;
                case message_tag(11): event(in.bytes()); break;
                case varint_tag(12): found.dropped_events = uint32_t(in.varint()); break;
                case message_tag(13): link(in.bytes()); break;
                case varint_tag(14): found.dropped_links = uint32_t(in.varint()); break;
                case message_tag(15): status(in.bytes(), found); break;
                case fixed32_tag(16): found.flags = in.fixed32(); break;
                default: in.skip(tag);
            }
        }
        const bool valid = found.trace_id.size() == 16 && found.span_id.size() == 8 && !is_zero(found.trace_id) &&
                           !is_zero(found.span_id);
        if (valid) {
            close(found);
        } else {
            const size_t rows = size();
            maps[SPAN_ATTRIBUTES].truncate(rows);
            events.truncate(rows);
            links.truncate(rows);
        }
    }

    // A row of the columns that a span fills by itself.
    void close(const Span& span) {
        static constexpr Bytes KINDS[] = {"Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"};
        static constexpr Bytes STATUS[] = {"Unset", "Ok", "Error"};
        put_hex(text[TRACE_ID], span.trace_id);
        const bool pending = is_pending(span);
        put_hex(text[SPAN_ID], pending ? span.parent_span_id : span.span_id);
        if (pending) {
            put_pending_parent();
        } else {
            put_reference(text[PARENT_SPAN_ID], span.parent_span_id);
        }
        text[TRACE_STATE].append(span.trace_state);
        text[SPAN_NAME].append(span.name);
        text[SPAN_KIND].append(name_of(KINDS, span.kind));
        text[STATUS_CODE].append(name_of(STATUS, span.status_code));
        text[STATUS_MESSAGE].append(span.status_message);
        wide[TIMESTAMP].push(capped(span.start));
        wide[DURATION].push(span.end > span.start ? span.end - span.start : 0);
        wide[VERSION].push(arrival_ | (span.end && !pending ? rules_.ended : 0));
        narrow[FLAGS].push(span.flags);
        narrow[DROPPED_ATTRIBUTES].push(span.dropped_attributes);
        narrow[DROPPED_EVENTS].push(span.dropped_events);
        narrow[DROPPED_LINKS].push(span.dropped_links);
        if (span.start > rules_.latest) time_attribute(rules_.start_key, span.start);
        if (span.end < span.start) time_attribute(rules_.end_key, span.end);
        maps[SPAN_ATTRIBUTES].close();
        details_.put_text(text[OTLP_DETAILS].open(), events.attributes.keys, events.attributes.begin(events.rows.end()),
                          links.attributes.keys, links.attributes.begin(links.rows.end()));
        text[OTLP_DETAILS].close();
        events.rows.close(events.time.size());
        links.rows.close(links.trace_id.rows());
    }

    // Whether the span stands for the open one that it names as its parent.
    bool is_pending(const Span& span) const {
        return span.has_type && span.parent_span_id.size() == 8 && !is_zero(span.parent_span_id) &&
               last_text(rules_.pending_key) == rules_.pending;
    }

    // The parent of the span that a pending one stands for: sixteen digits, not all zero; else it is a root.
    void put_pending_parent() {
        static constexpr Bytes ROOT = "0000000000000000";
        std::string digits(last_text(rules_.pending_parent_key));
        for (char& digit : digits) {
            if (digit >= 'A' && digit <= 'F') digit += 'a' - 'A';
        }
        const bool valid = digits.size() == ROOT.size() && digits != ROOT &&
                           digits.find_first_not_of("0123456789abcdef") == std::string::npos;
        text[PARENT_SPAN_ID].append(valid ? Bytes(digits) : Bytes());
    }

    // The last value of an attribute of the open row.
    Bytes last_text(Bytes key) const {
        const Maps& column = maps[SPAN_ATTRIBUTES];
        for (size_t i = column.keys.rows(); i-- > column.open_row();) {
            if (column.keys.row(i) == key) return column.values.row(i);
        }
        return {};
    }

    void time_attribute(Bytes name, uint64_t nanoseconds) {
        Maps& column = maps[SPAN_ATTRIBUTES];
        column.keys.append(name);
        put_integer(column.values.open(), nanoseconds);
        column.values.close();
    }

    // A status that occurs twice merges, which for scalars is the same as reading on.
    static void status(Bytes message, Span& span) {
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case text_tag(2): span.status_message = in.text(); break;
                case varint_tag(3): span.status_code = int32_t(in.varint()); break;
                default: in.skip(tag);
            }
        }
    }

    void event(Bytes message) {
        const size_t number = details_.events_dropped.size();
        uint64_t time = 0;
        uint32_t dropped = 0;
        Bytes name;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(1): time = in.fixed64(); break;
                case text_tag(2): name = in.text(); break;
                case message_tag(3): attribute(events.attributes, details_.events, in.bytes(), number); break;
                case varint_tag(4): dropped = uint32_t(in.varint()); break;
                default: in.skip(tag);
            }
        }
        details_.events_dropped.push_back(dropped);
        events.time.push(capped(time));
        events.name.append(name);
        events.attributes.close();
    }

    void link(Bytes message) {
        const size_t number = details_.links_dropped.size();
        uint32_t dropped = 0, flags = 0;
        Bytes trace_id, span_id, trace_state;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case bytes_tag(1): trace_id = in.bytes(); break;
                case bytes_tag(2): span_id = in.bytes(); break;
                case text_tag(3): trace_state = in.text(); break;
                case message_tag(4): attribute(links.attributes, details_.links, in.bytes(), number); break;
                case varint_tag(5): dropped = uint32_t(in.varint()); break;
                case fixed32_tag(6): flags = in.fixed32(); break;
                default: in.skip(tag);
            }
        }
        details_.links_dropped.push_back(dropped);
        details_.link_flags.push_back(flags);
        put_reference(links.trace_id, trace_id);
        put_reference(links.span_id, span_id);
        links.trace_state.append(trace_state);
        links.attributes.close();
    }

    // Append to the map with number `map` of several. Returns the key.
    static Bytes attribute(Maps& column, Types& types, Bytes message, size_t map = 0) {
        const KeyValue pair = read_key_value(message);
        column.keys.append(pair.key);
        put_text(column.values.open(), pair.value);
        column.values.close();
        if (pair.value.kind != ValueKind::TEXT) types.push_back({pair.key, type_name(pair.value), map});
        return pair.key;
    }

    const WalkRules rules_;
    size_t marked_ = 0;
    Details details_;
    uint64_t arrival_ = 0;  // what a version has of the time of receipt
};

}  // namespace spanmeter::decode

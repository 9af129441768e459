// ExportTraceServiceRequest from the wire into columns: what reference.py does.
// One function for each message, named as in opentelemetry/proto/trace/v1/trace.proto.
#pragma once

#include <string>
#include <vector>

#include "any_value.hpp"
#include "column_builders.hpp"
#include "span_columns.hpp"

namespace spanmeter::decode {

using namespace wire;

// One accepted request and what its rows say about it. The views outlive the walk.
struct Envelope {
    Bytes payload;
    Bytes project;
    uint64_t received_at;
};

// Scalars of a message; of a field sent twice the last counts.
struct Span {
    Bytes trace_id, span_id, trace_state, parent_span_id, name, status_message;
    uint64_t start = 0, end = 0;
    int32_t kind = 0, status_code = 0;
    uint32_t flags = 0, dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
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

class SpanWalk {
   public:
    Strings text[TEXT_COLUMNS];
    Buffer<uint64_t> wide[WIDE_COLUMNS];
    Buffer<uint32_t> narrow[NARROW_COLUMNS];
    Maps maps[MAPS_COLUMNS];
    Events events;
    Links links;

    // `latest` is LATEST_NS; the names are START_ATTRIBUTE and END_ATTRIBUTE.
    SpanWalk(uint64_t latest, Bytes start_name, Bytes end_name)
        : latest_(latest), start_name_(start_name), end_name_(end_name) {}

    size_t size() const { return wide[TIMESTAMP].size(); }

    // Most of a body are the attributes of its spans. Memory that is not written costs nothing.
    void reserve(const std::vector<Envelope>& envelopes, size_t first) {
        size_t bytes = 0;
        for (size_t i = first; i < envelopes.size(); ++i) bytes += envelopes[i].payload.size();
        maps[SPAN_ATTRIBUTES].values.reserve(bytes);
        maps[SPAN_ATTRIBUTES].keys.reserve(bytes / 2);
    }

    // Append the rows of envelopes; returns the position of the first that is not plain, which adds nothing.
    size_t add(const std::vector<Envelope>& envelopes, size_t first) {
        for (size_t i = first; i < envelopes.size(); ++i) {
            const size_t before = size();
            try {
                add(envelopes[i]);
            } catch (const NotPlain&) {
                truncate(before);
                return i;
            }
        }
        return envelopes.size();
    }

   private:
    void add(const Envelope& envelope) {
        const size_t before = size();
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
        bool seen = false;
        Bytes schema_url;
        std::string name;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1):
                    if (std::exchange(seen, true)) not_plain();  // the two would merge
                    name = resource(in.bytes());
                    break;
                case message_tag(2): scope_spans(in.bytes()); break;
                case text_tag(3): schema_url = in.text(); break;
                default: in.skip(tag);
            }
        }
        const size_t spans = size() - before;
        share(maps[RESOURCE_ATTRIBUTES], spans);
        text[SERVICE_NAME].fill(name, spans);
        text[RESOURCE_SCHEMA_URL].fill(schema_url, spans);
    }

    // Close the open row and have it once for each of `spans`.
    static void share(Maps& column, size_t spans) {
        const size_t row = column.rows();
        column.close();
        if (spans) {
            column.repeat_last(spans - 1);
        } else {
            column.truncate(row);
        }
    }

    // The text of the first service.name.
    std::string resource(Bytes message) {
        Maps& column = maps[RESOURCE_ATTRIBUTES];
        const size_t first = column.keys.rows();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1): attribute(column, in.bytes()); break;
                case message_tag(3): entity_ref(in.bytes()); break;
                default: in.skip(tag);
            }
        }
        for (size_t i = first; i < column.keys.rows(); ++i) {
            if (column.keys.row(i) == "service.name") return std::string(column.values.row(i));
        }
        return {};
    }

    // No column holds these; their text has to be sound all the same.
    static void entity_ref(Bytes message) {
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            if (tag >= text_tag(1) && tag <= text_tag(4) && (tag & 7) == LENGTH) {
                in.text();
            } else {
                in.skip(tag);
            }
        }
    }

    void scope_spans(Bytes message) {
        const size_t before = size();
        bool seen = false;
        Scope shared;
        Bytes schema_url;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case message_tag(1):
                    if (std::exchange(seen, true)) not_plain();  // the two would merge
                    shared = scope(in.bytes());
                    break;
                case message_tag(2): span(in.bytes()); break;
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
                case message_tag(3): attribute(maps[SCOPE_ATTRIBUTES], in.bytes()); break;
                default: in.skip(tag);
            }
        }
        return found;
    }

    void span(Bytes message) {
        Span found;
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
                case message_tag(9): attribute(maps[SPAN_ATTRIBUTES], in.bytes()); break;
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
        put_hex(text[SPAN_ID], span.span_id);
        put_reference(text[PARENT_SPAN_ID], span.parent_span_id);
        text[TRACE_STATE].append(span.trace_state);
        text[SPAN_NAME].append(span.name);
        text[SPAN_KIND].append(name_of(KINDS, span.kind));
        text[STATUS_CODE].append(name_of(STATUS, span.status_code));
        text[STATUS_MESSAGE].append(span.status_message);
        wide[TIMESTAMP].push(capped(span.start));
        wide[DURATION].push(span.end > span.start ? span.end - span.start : 0);
        narrow[FLAGS].push(span.flags);
        narrow[DROPPED_ATTRIBUTES].push(span.dropped_attributes);
        narrow[DROPPED_EVENTS].push(span.dropped_events);
        narrow[DROPPED_LINKS].push(span.dropped_links);
        if (span.start > latest_) time_attribute(start_name_, span.start);
        if (span.end < span.start) time_attribute(end_name_, span.end);
        maps[SPAN_ATTRIBUTES].close();
        events.rows.close(events.time.size());
        links.rows.close(links.trace_id.rows());
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
        uint64_t time = 0;
        Bytes name;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(1): time = in.fixed64(); break;
                case text_tag(2): name = in.text(); break;
                case message_tag(3): attribute(events.attributes, in.bytes()); break;
                default: in.skip(tag);
            }
        }
        events.time.push(capped(time));
        events.name.append(name);
        events.attributes.close();
    }

    void link(Bytes message) {
        Bytes trace_id, span_id, trace_state;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case bytes_tag(1): trace_id = in.bytes(); break;
                case bytes_tag(2): span_id = in.bytes(); break;
                case text_tag(3): trace_state = in.text(); break;
                case message_tag(4): attribute(links.attributes, in.bytes()); break;
                default: in.skip(tag);
            }
        }
        put_reference(links.trace_id, trace_id);
        put_reference(links.span_id, span_id);
        links.trace_state.append(trace_state);
        links.attributes.close();
    }

    static void attribute(Maps& column, Bytes message) {
        const KeyValue pair = read_key_value(message);
        column.keys.append(pair.key);
        put_text(column.values.open(), pair.value);
        column.values.close();
    }

    const uint64_t latest_;
    const Bytes start_name_, end_name_;
};

}  // namespace spanmeter::decode

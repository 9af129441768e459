// What the messages of logs and metrics have in common: rows in groups that share a resource and a scope, as groups.py.
#pragma once

#include <utility>
#include <vector>

#include "fingerprint.hpp"
#include "span_walk.hpp"

namespace spanmeter::decode {

// Calls `take` with each message of a field.
template <class Take>
inline void each_message(Bytes message, uint32_t number, Take take) {
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        if (tag == message_tag(number)) {
            take(in.bytes());
        } else {
            in.skip(tag);
        }
    }
}

// Append an attribute to the open row; returns its part of the fingerprint.
inline uint64_t append_attribute(Maps& column, Bytes message) {
    const KeyValue pair = read_key_value(message);
    column.keys.append(pair.key);
    put_text(column.values.open(), pair.value);
    column.values.close();
    return fingerprint::attribute(pair);
}

// The attributes of a row, each at its place, for the next row: most say there what they said before, byte for byte.
class RowBefore {
   public:
    // Before other rows of the column go, or the bytes that attributes were read from.
    void forget() { places_.clear(); }

    // `append_attribute` to a column whose rows all come through here.
    uint64_t append(Maps& column, Bytes message) {
        const size_t entry = column.keys.rows(), place = entry - column.open_row();
        if (place < places_.size() && places_[place].message == message) {
            column.keys.append_again(places_[place].entry);
            column.values.append_again(places_[place].entry);
            return places_[place].fingerprint;
        }
        const uint64_t found = append_attribute(column, message);
        if (place < places_.size()) {
            places_[place] = {message, entry, found};
        } else if (place < MAX_PLACES) {
            places_.push_back({message, entry, found});
        }
        return found;
    }

   private:
    static constexpr size_t MAX_PLACES = 64;

    struct Attribute {
        Bytes message;
        size_t entry;
        uint64_t fingerprint;
    };
    std::vector<Attribute> places_;
};

// The first text under a key in the open row of a column; of empty ones only where they count too.
inline Bytes first_text(const Maps& column, Bytes key, bool even_empty) {
    for (size_t i = column.open_row(); i < column.keys.rows(); ++i) {
        if (column.keys.row(i) == key && (even_empty || !column.values.row(i).empty())) return column.values.row(i);
    }
    return {};
}

// logs.proto: an id of the wrong length or all zero says that there is none.
inline void put_id(Strings& column, Bytes id, size_t size) {
    put_hex(column, id.size() == size && !is_zero(id) ? id : Bytes());
}

// What the rows of a ResourceLogs or ScopeLogs share, ResourceMetrics or ScopeMetrics: these have the same fields.
struct Group {
    Bytes shared, schema_url;
};

inline Group read_group(Bytes message) {
    Group found;
    bool seen = false;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        switch (tag) {
            case message_tag(1):
                if (std::exchange(seen, true)) not_plain();  // the two would merge
                found.shared = in.bytes();
                break;
            case text_tag(3): found.schema_url = in.text(); break;
            default: in.skip(tag);
        }
    }
    return found;
}

// Appends the attributes of a resource to the open row; returns their fingerprint.
inline uint64_t read_resource(Maps& column, Bytes message) {
    uint64_t attributes = 0;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        switch (tag) {
            case message_tag(1): attributes += append_attribute(column, in.bytes()); break;
            case message_tag(3): entity_ref(in.bytes()); break;
            default: in.skip(tag);
        }
    }
    return attributes;
}

struct Scope {
    Bytes name, version;
    uint64_t attributes = 0;  // their fingerprint
    uint32_t dropped_attributes = 0;
};

// Appends the attributes of a scope to the open row.
inline Scope read_scope(Maps& column, Bytes message) {
    Scope found;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        switch (tag) {
            case text_tag(1): found.name = in.text(); break;
            case text_tag(2): found.version = in.text(); break;
            case message_tag(3): found.attributes += append_attribute(column, in.bytes()); break;
            case varint_tag(4): found.dropped_attributes = uint32_t(in.varint()); break;
            default: in.skip(tag);
        }
    }
    return found;
}

// The fingerprints of what a scope's rows have from above it.
struct GroupFingerprints {
    uint64_t project = 0, resource_attributes = 0, resource_schema_url = 0;

    uint64_t with(const Scope& scope, Bytes schema_url) const {
        return fingerprint::words({project, resource_attributes, resource_schema_url, fingerprint::text(scope.name),
                                   fingerprint::text(scope.version), scope.attributes, fingerprint::text(schema_url)});
    }
};

}  // namespace spanmeter::decode

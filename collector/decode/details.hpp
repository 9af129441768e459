// What the other columns of a row do not say of OTLP, as one text of JSON: what details.py writes, byte for byte.
#pragma once

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "any_value.hpp"

namespace spanmeter::decode {

// -- types of values --------------------------------------------------------------------------------------------------

inline std::string type_name(const AnyValue& value);

// The types of the members of an array or list while they are read.
class MemberTypes {
   public:
    void add(const std::string& type) {
        static const std::string OWN[] = {"string", "int", "bool", "none", "[]", "{}"};
        in_json_ = in_json_ && std::find(std::begin(OWN), std::end(OWN), type) != std::end(OWN);
        if (!count_) {
            first_ = type;
        } else if (same_ && type != first_) {
            same_ = false;
            all_ = first_;
            for (size_t i = 1; i < count_; ++i) (all_ += ',') += first_;
        }
        if (!same_) (all_ += ',') += type;
        ++count_;
    }

    std::string within(char opening, char closing) const {
        std::string text(1, opening);
        if (!in_json_) text += same_ ? first_ : all_;
        return text += closing;
    }

   private:
    bool in_json_ = true, same_ = true;
    size_t count_ = 0;
    std::string first_, all_;
};

[[gnu::noinline]] inline std::string array_type(Bytes message) {
    MemberTypes members;
    for (Reader in(message); in.more();) {
        const uint32_t tag = in.tag();
        if (tag == message_tag(1)) {
            members.add(type_name(read_any_value(in.bytes())));
        } else {
            in.skip(tag);
        }
    }
    return members.within('[', ']');
}

[[gnu::noinline]] inline std::string kvlist_type(Bytes list) {
    MemberTypes members;
    const std::vector<ListEntry> entries = sorted_entries(list);
    for (size_t i = 0; i < entries.size(); ++i) {
        if (i + 1 < entries.size() && entries[i + 1].key_in(list) == entries[i].key_in(list)) continue;
        members.add(type_name(read_key_value(entries[i].message_in(list)).value));
    }
    return members.within('{', '}');
}

// Of a value whose text was written before: it is plain and not too deep.
inline std::string type_name(const AnyValue& value) {
    switch (value.kind) {
        case ValueKind::TEXT: return "string";
        case ValueKind::BOOLEAN: return "bool";
        case ValueKind::INTEGER: return "int";
        case ValueKind::FLOATING: return "double";
        case ValueKind::BYTES: return "bytes";
        case ValueKind::ARRAY: return array_type(value.bytes);
        case ValueKind::KVLIST: return kvlist_type(value.bytes);
        default: return "none";
    }
}

// -- types of attributes ----------------------------------------------------------------------------------------------

// An attribute that is no string, in the map with number `map` of several.
struct Typed {
    Bytes key;
    std::string type;
    size_t map;
};

using Types = std::vector<Typed>;

inline void sort_by_key(Types& types) {
    const auto before = [](const Typed& a, const Typed& b) { return a.key < b.key; };
    if (!std::is_sorted(types.begin(), types.end(), before)) std::stable_sort(types.begin(), types.end(), before);
}

// Members of an object, separated; `name` needs no escapes.
class Members {
   public:
    explicit Members(TextBuffer& out) : out_(out) {}

    void begin() { put(out_, std::exchange(first_, false) ? "" : ","); }
    void begin(Bytes name) {
        begin();
        put(out_, "\"");
        put(out_, name);
        put(out_, "\":");
    }
    bool empty() const { return first_; }

   private:
    TextBuffer& out_;
    bool first_ = true;
};

// The types from `begin` to `end`, which are in the order of their keys, as an object; of one key the last counts.
inline void put_types(TextBuffer& out, Types::const_iterator begin, Types::const_iterator end) {
    put(out, "{");
    Members members(out);
    for (auto at = begin; at != end; ++at) {
        if (at + 1 != end && (at + 1)->key == at->key) continue;
        members.begin();
        put_quoted(out, at->key);
        put(out, ":\"");
        put(out, at->type);
        put(out, "\"");
    }
    put(out, "}");
}

// Texts of types as they were written before: most spans have the shape of an earlier one.
class TypeTexts {
   public:
    // The types of one map as an object. Sorts them when their text is new.
    Bytes text_of(Types& types) {
        shape_.clear();
        for (const Typed& typed : types) {
            const uint32_t size = uint32_t(typed.key.size());
            shape_.append(reinterpret_cast<const char*>(&size), sizeof size).append(typed.key);
            shape_.append(typed.type).push_back('\0');
        }
        const auto known = texts_.find(shape_);
        if (known != texts_.end()) return known->second;
        if (texts_.size() == MAX_SHAPES || shape_.size() > MAX_SIZE) texts_.clear();
        sort_by_key(types);
        TextBuffer out;
        put_types(out, types.cbegin(), types.cend());
        return texts_.emplace(shape_, std::string(out.data(), out.size())).first->second;
    }

   private:
    static constexpr size_t MAX_SHAPES = 256, MAX_SIZE = 64 * 1024;
    std::string shape_;
    std::unordered_map<std::string, std::string> texts_;
};

// Whether each key has one type in all the maps, whose keys are the rows of `keys` from `first` on. `types` are sorted.
inline bool same_everywhere(const Types& types, const Strings& keys, size_t first) {
    for (size_t i = 1; i < types.size(); ++i) {
        if (types[i].key == types[i - 1].key && types[i].type != types[i - 1].type) return false;
    }
    size_t found = 0;
    for (size_t row = first; row < keys.rows(); ++row) {
        const auto at = std::lower_bound(types.begin(), types.end(), keys.row(row),
                                         [](const Typed& typed, Bytes key) { return typed.key < key; });
        found += at != types.end() && at->key == keys.row(row);
    }
    return found == types.size();  // else a string has one of the keys too
}

// The types of `maps` maps: together when each key has one type everywhere, else for each map.
inline void put_types_of_each(TextBuffer& out, Types& types, size_t maps, const Strings& keys, size_t first) {
    sort_by_key(types);
    if (same_everywhere(types, keys, first)) return put_types(out, types.cbegin(), types.cend());
    std::stable_sort(types.begin(), types.end(), [](const Typed& a, const Typed& b) { return a.map < b.map; });
    put(out, "[");
    auto begin = types.cbegin();
    for (size_t map = 0; map < maps; ++map) {
        const auto end = std::find_if(begin, types.cend(), [map](const Typed& typed) { return typed.map != map; });
        if (map) put(out, ",");
        put_types(out, begin, end);
        begin = end;
    }
    put(out, "]");
}

// -- counts -----------------------------------------------------------------------------------------------------------

using Counts = std::vector<uint32_t>;

// A member unless all counts are zero: one number when it is that of all of them.
inline void put_counts(TextBuffer& out, Members& members, Bytes name, const Counts& counts) {
    const auto all = [&](uint32_t number) {
        return std::all_of(counts.begin(), counts.end(), [number](uint32_t count) { return count == number; });
    };
    if (all(0)) return;
    members.begin(name);
    if (all(counts[0])) return put_integer(out, counts[0]);
    put(out, "[");
    for (size_t i = 0; i < counts.size(); ++i) {
        if (i) put(out, ",");
        put_integer(out, counts[i]);
    }
    put(out, "]");
}

// -- a span -----------------------------------------------------------------------------------------------------------

// What is read of a span, its scope and its resource before its row is closed.
struct Details {
    Types resource, scope, span, events, links;
    Counts resource_dropped{0}, scope_dropped{0}, events_dropped, links_dropped, link_flags;

    void begin_resource() {
        resource.clear();
        resource_text_.clear();
        resource_dropped[0] = 0;
        begin_scope();
    }
    void end_resource() { resource_text_ = texts_.text_of(resource); }
    void begin_scope() {
        scope.clear();
        scope_text_.clear();
        scope_dropped[0] = 0;
    }
    void end_scope() { scope_text_ = texts_.text_of(scope); }
    void begin_span() {
        for (Types* types : {&span, &events, &links}) types->clear();
        for (Counts* counts : {&events_dropped, &links_dropped, &link_flags}) counts->clear();
    }

    // The text of the span. Its events' attributes are the rows of `event_keys` from `first_event_key` on, those of its
    // links likewise.
    void put_text(TextBuffer& out, const Strings& event_keys, size_t first_event_key, const Strings& link_keys,
                  size_t first_link_key) {
        const size_t before = out.size();
        put(out, "{");
        Members members(out);
        put_map(out, members, "resource", resource, resource_text_);
        put_map(out, members, "scope", scope, scope_text_);
        if (!span.empty()) put_map(out, members, "span", span, texts_.text_of(span));
        put_maps(out, members, "events", events, events_dropped.size(), event_keys, first_event_key);
        put_maps(out, members, "links", links, links_dropped.size(), link_keys, first_link_key);
        put_dropped(out, members);
        put_counts(out, members, "link_flags", link_flags);
        if (members.empty()) return out.truncate(before);
        put(out, "}");
    }

   private:
    TypeTexts texts_;
    std::string resource_text_, scope_text_;

    static void put_map(TextBuffer& out, Members& members, Bytes name, const Types& types, Bytes text) {
        if (types.empty()) return;
        members.begin(name);
        put(out, text);
    }
    static void put_maps(TextBuffer& out, Members& members, Bytes name, Types& types, size_t maps, const Strings& keys,
                         size_t first) {
        if (types.empty()) return;
        members.begin(name);
        put_types_of_each(out, types, maps, keys, first);
    }
    void put_dropped(TextBuffer& out, Members& members) const {
        const auto is_zero = [](uint32_t count) { return !count; };
        bool none = true;
        for (const Counts* counts : {&resource_dropped, &scope_dropped, &events_dropped, &links_dropped}) {
            none = none && std::all_of(counts->begin(), counts->end(), is_zero);
        }
        if (none) return;
        members.begin("dropped");
        put(out, "{");
        Members inner(out);
        put_counts(out, inner, "resource", resource_dropped);
        put_counts(out, inner, "scope", scope_dropped);
        put_counts(out, inner, "events", events_dropped);
        put_counts(out, inner, "links", links_dropped);
        put(out, "}");
    }
};

}  // namespace spanmeter::decode

// The first of several places that holds a value, for the rows of one shape.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "json_path.hpp"
#include "text_array.hpp"

namespace spanmeter::columns {

// One place of a field, for rows of one shape. `rank` is that of its key among the shape's known keys.
struct Place {
    enum Kind : int32_t { PLAIN, JSON, EVENT, NAME, RESOURCE_KEY, PREFIX };
    Kind kind;
    int32_t rank;     // of the key; for RESOURCE_KEY the number of the key
    bool in_content;  // counts on model calls only
    std::shared_ptr<JsonPath> path;
    std::string event;             // a name, or with a dot at its end a prefix
    std::vector<size_t> searched;  // for JSON: what has to be in the text, by number
};

// What is looked for in texts of JSON before they are parsed: once for all the places that want the same.
class Searches {
   public:
    size_t add(int32_t rank, const std::string& needle) {
        for (size_t number = 0; number < wanted_.size(); ++number) {
            if (wanted_[number].rank == rank && wanted_[number].needle == needle) return number;
        }
        wanted_.push_back({rank, needle});
        return wanted_.size() - 1;
    }

    size_t size() const { return wanted_.size(); }

    // Whether `text`, that of the attribute, has it; `known` keeps the answers for one row, 0 is not asked yet.
    bool finds(size_t number, std::string_view text, std::vector<uint8_t>* known) const {
        uint8_t& answer = (*known)[number];
        if (!answer) {
            const std::string& needle = wanted_[number].needle;
            const bool found = needle.empty()
                                   ? JsonPath::hides_names(text)
                                   : memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
            answer = found ? 1 : 2;
        }
        return answer == 1;
    }

   private:
    struct Wanted {
        int32_t rank;
        std::string needle;  // empty: escapes that may hide names
    };

    std::vector<Wanted> wanted_;
};

// The fields of a shape in order, each with its places, most believed first.
class Plan {
   public:
    void add_field(bool values) { fields_.push_back({{}, values}); }

    void add_place(int32_t kind, int32_t rank, bool in_content, const std::vector<std::string>& steps,
                   const std::string& event) {
        std::shared_ptr<JsonPath> path;
        std::vector<size_t> searched;
        if (kind == Place::JSON) {
            path = std::make_shared<JsonPath>(steps);
            searched.push_back(searches_.add(rank, ""));
            for (const std::string& needle : path->needles()) searched.push_back(searches_.add(rank, needle));
        }
        fields_.back().places.push_back({Place::Kind(kind), rank, in_content, path, event, searched});
    }

    size_t size() const { return fields_.size(); }

    struct Input {
        TextArray values;           // of span attributes
        const int64_t* start;       // Shapes::start
        const int32_t* positions;   // Shapes::positions
        TextArray names;            // of spans
        const int32_t* event_ends;  // lists of events
        TextArray event_names;
        TextArray resource_values;
        const int32_t* resource;  // entry of each known resource key of each row, or -1: rows x resource_keys
        int32_t resource_keys;
    };

    // For each of `rows` and each field the first place that is not empty: `begin` and `size` say where its value lies,
    // `which` is its number, or -1. A row is `hard` when only the full parser can tell.
    void extract(const Input& input, const int64_t* rows, int64_t count, const uint8_t* is_call, int64_t* begin,
                 int32_t* size, int8_t* which, uint8_t* hard) const {
        std::vector<uint8_t> known(searches_.size());
        for (int64_t i = 0; i < count; ++i) {
            const int64_t row = rows[i];
            std::fill(known.begin(), known.end(), uint8_t(0));
            for (size_t f = 0; f < fields_.size(); ++f) {
                const size_t cell = f * size_t(count) + size_t(i);
                size[cell] = 0;
                begin[cell] = 0;
                which[cell] = -1;
                read(fields_[f], input, row, is_call && is_call[i], begin + cell, size + cell, which + cell, hard + i,
                     &known);
            }
        }
    }

   private:
    static constexpr size_t MAX_JSON = 1 << 20;

    struct Field {
        std::vector<Place> places;
        // An empty text inside JSON is a value of its own here, not one that is absent.
        bool values;
    };

    static bool has_event(const Input& input, int64_t row, const std::string& wanted) {
        const bool prefix = wanted.back() == '.';
        for (int32_t event = input.event_ends[row]; event < input.event_ends[row + 1]; ++event) {
            const std::string_view name = input.event_names.at(event);
            if ((prefix ? name.substr(0, wanted.size()) : name) == wanted) return true;
        }
        return false;
    }

    // Whether a text that names cannot hide in lacks one of the path's.
    bool lacks_a_name(const Place& place, std::string_view text, std::vector<uint8_t>* known) const {
        for (size_t number = 1; number < place.searched.size(); ++number) {
            if (!searches_.finds(place.searched[number], text, known)) {
                return !searches_.finds(place.searched[0], text, known);
            }
        }
        return false;
    }

    void read(const Field& field, const Input& input, int64_t row, bool is_call, int64_t* begin, int32_t* size,
              int8_t* which, uint8_t* hard, std::vector<uint8_t>* known) const {
        for (size_t number = 0; number < field.places.size(); ++number) {
            const Place& place = field.places[number];
            if (place.in_content && !is_call) continue;
            std::string_view found;
            Source source = SPAN;
            const char* base = input.values.data;
            switch (place.kind) {
                case Place::PLAIN: found = input.values.at(input.positions[input.start[row] + place.rank]); break;
                case Place::JSON: {
                    const std::string_view text = input.values.at(input.positions[input.start[row] + place.rank]);
                    if (text.empty() || lacks_a_name(place, text, known)) continue;
                    if (place.path->leading(text, &found)) {
                        if (found.empty() && field.values) *hard = 1;
                        break;
                    }
                    const JsonResult outcome =
                        text.size() > MAX_JSON ? JsonResult::HARD : place.path->find(text, &found);
                    if (outcome == JsonResult::HARD) {
                        *hard = 1;
                        return;
                    }
                    if (outcome == JsonResult::ABSENT) continue;
                    break;
                }
                case Place::EVENT:
                    if (has_event(input, row, place.event)) {
                        *hard = 1;
                        return;
                    }
                    continue;
                case Place::NAME:
                    found = input.names.at(row);
                    if (found.empty()) continue;
                    *size = int32_t(found.size());
                    *which = int8_t(number);
                    return;
                case Place::RESOURCE_KEY: {
                    const int32_t entry = input.resource[row * input.resource_keys + place.rank];
                    if (entry < 0) continue;
                    found = input.resource_values.at(entry);
                    source = RESOURCE;
                    base = input.resource_values.data;
                    break;
                }
                case Place::PREFIX: *which = int8_t(number); return;
            }
            if (found.empty()) continue;
            *begin = (int64_t(source) << SOURCE_SHIFT) | int64_t(found.data() - base);
            *size = int32_t(found.size());
            *which = int8_t(number);
            return;
        }
    }

    std::vector<Field> fields_;
    Searches searches_;
};

}  // namespace spanmeter::columns

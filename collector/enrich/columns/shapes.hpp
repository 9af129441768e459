// Attribute maps by row: which known keys each has, and which rows have the same ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "key_table.hpp"
#include "text_array.hpp"
#include "text_map.hpp"

namespace spanmeter::columns {

// The rows of a batch by shape: a scope's name and the known keys (and prefixes) that are present.
struct Shapes {
    std::vector<int32_t> group;       // of each row
    std::vector<int64_t> start;       // of each row in `positions`
    std::vector<int32_t> positions;   // of each known key present, ascending by number: its last entry in the map
    std::vector<uint8_t> repeated;    // a row has some key twice
    std::vector<std::string> scopes;  // of each group
    std::vector<std::vector<int32_t>> present;  // of each group: numbers, ascending
};

inline Shapes shapes_of(KeyTable& table, TextArray scopes, const int32_t* map_ends, TextArray keys, int64_t rows,
                        size_t max_scope) {
    Shapes result;
    result.group.reserve(size_t(rows));
    result.start.reserve(size_t(rows));
    result.positions.reserve(size_t(rows) * 8);
    result.repeated.assign(size_t(rows), 0);
    TextMap groups;
    const size_t words = table.words();
    std::vector<uint64_t> present(words);
    std::vector<int32_t> last(size_t(table.keys()));
    std::string name;
    for (int64_t row = 0; row < rows; ++row) {
        std::fill(present.begin(), present.end(), 0);
        for (int32_t entry = map_ends[row]; entry < map_ends[row + 1]; ++entry) {
            const int32_t number = table.classify(keys.at(entry), present.data());
            if (number < 0) continue;
            if (present[size_t(number >> 6)] >> (number & 63) & 1) result.repeated[size_t(row)] = 1;
            KeyTable::mark(present.data(), number);
            last[size_t(number)] = entry;
        }
        name.assign(head(scopes.at(row), max_scope));
        name.append(reinterpret_cast<const char*>(present.data()), words * sizeof(uint64_t));
        const int32_t group = groups.add(name);
        std::vector<int32_t>* members = nullptr;
        if (size_t(group) == result.scopes.size()) {
            result.scopes.push_back(name.substr(0, name.size() - words * sizeof(uint64_t)));
            members = &result.present.emplace_back();
        }
        result.group.push_back(group);
        result.start.push_back(int64_t(result.positions.size()));
        for (size_t word = 0; word < words; ++word) {
            for (uint64_t left = present[word]; left; left &= left - 1) {
                const int32_t number = int32_t(word * 64) + __builtin_ctzll(left);
                if (members) members->push_back(number);
                if (number < table.keys()) result.positions.push_back(last[size_t(number)]);
            }
        }
    }
    return result;
}

}  // namespace spanmeter::columns

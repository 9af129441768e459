// Attribute maps without the entries that became columns.
#pragma once

#include <cstdint>
#include <cstring>

#include "text_array.hpp"

namespace spanmeter::columns {

// Where the remaining entries of maps go; room for all of them.
struct Remaining {
    int32_t* map_ends;
    int32_t* key_ends;
    int32_t* value_ends;
    char* keys;
    char* values;
};

// Copies maps without the entries at `first` and `second` (-1: none), and where a row is `repeated`, without their
// namesakes. How many entries remain.
inline int64_t copy_without(const int32_t* map_ends, TextArray keys, TextArray values, int64_t rows,
                            const int32_t* first, const int32_t* second, const uint8_t* repeated, Remaining left) {
    int32_t entries = 0, key_size = 0, value_size = 0;
    left.map_ends[0] = left.key_ends[0] = left.value_ends[0] = 0;
    const auto keep = [&](int32_t from, int32_t to) {  // entries that lie side by side move together
        if (from == to) return;
        const int32_t key_shift = key_size - keys.ends[from], value_shift = value_size - values.ends[from];
        std::memcpy(left.keys + key_size, keys.data + keys.ends[from], size_t(keys.ends[to] - keys.ends[from]));
        std::memcpy(left.values + value_size, values.data + values.ends[from],
                    size_t(values.ends[to] - values.ends[from]));
        for (int32_t entry = from + 1; entry <= to; ++entry) {
            ++entries;
            left.key_ends[entries] = keys.ends[entry] + key_shift;
            left.value_ends[entries] = values.ends[entry] + value_shift;
        }
        key_size = left.key_ends[entries];
        value_size = left.value_ends[entries];
    };
    for (int64_t row = 0; row < rows; ++row) {
        const auto gone = [&](int32_t entry) {
            if (entry == first[row] || entry == second[row]) return true;
            if (!repeated[row]) return false;
            return (first[row] >= 0 && keys.at(entry) == keys.at(first[row])) ||
                   (second[row] >= 0 && keys.at(entry) == keys.at(second[row]));
        };
        int32_t from = map_ends[row];
        for (int32_t entry = from; entry < map_ends[row + 1]; ++entry) {
            if (!gone(entry)) continue;
            keep(from, entry);
            from = entry + 1;
        }
        keep(from, map_ends[row + 1]);
        left.map_ends[row + 1] = entries;
    }
    return entries;
}

}  // namespace spanmeter::columns

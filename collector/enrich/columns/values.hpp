// Values found, as numbers: counts, and the different rows of a table.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text_array.hpp"
#include "text_map.hpp"

namespace spanmeter::columns {

// Counts as providers' libraries send them: up to ten ASCII digits. State 0: nothing sent, 1: a count, 2: something
// else.
inline void parse_counts(const SourceBuffers& buffers, const int64_t* begin, const int32_t* size, int64_t count,
                         int64_t max, int64_t* values, uint8_t* states) {
    for (int64_t i = 0; i < count; ++i) {
        values[i] = 0;
        states[i] = 0;
        if (!size[i]) continue;
        const std::string_view text = buffers.at(begin[i], size[i]);
        int64_t value = 0;
        bool plain = text.size() <= 10;
        for (size_t at = 0; plain && at < text.size(); ++at) {
            plain = text[at] >= '0' && text[at] <= '9';
            value = value * 10 + (text[at] - '0');
        }
        states[i] = plain && value <= max ? 1 : 2;
        if (states[i] == 1) values[i] = value;
    }
}

// The different rows of a table of numbers: the place of each row among them, and the first row of each.
inline void distinct_rows(const int32_t* table, int64_t rows, int64_t width, int32_t* places,
                          std::vector<int64_t>* firsts) {
    TextMap seen;
    for (int64_t row = 0; row < rows; ++row) {
        const char* bytes = reinterpret_cast<const char*>(table + row * width);
        places[row] = seen.add({bytes, size_t(width) * sizeof(int32_t)});
        if (size_t(places[row]) == firsts->size()) firsts->push_back(row);
    }
}

}  // namespace spanmeter::columns

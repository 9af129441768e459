// Columns as walks leave them, taken out and checked.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "collector/decode/column_builders.hpp"
#include "collector/decode/walk.hpp"
#include "harness.hpp"

namespace spanmeter::fuzz {

// The memory of every column, in a fixed order.
using Rows = std::vector<std::string>;

// Takes the columns of a walk, and checks that they are what Arrow wants: offsets within, text UTF-8, all of a length.
class RowsTaker {
   public:
    // The columns that every walk has, by layout.
    template <class Columns>
    void columns(Columns& walk, size_t rows) {
        for (auto& column : walk.text) strings(column, rows);
        for (auto& column : walk.wide) flat(column.release(), rows * sizeof(uint64_t));
        for (auto& column : walk.narrow) flat(column.release(), rows * sizeof(uint32_t));
        for (auto& column : walk.maps) maps(column, rows);
    }

    Rows taken() { return std::move(rows_); }

    void flat(decode::Memory memory, size_t size) {
        require(memory.size == size, "columns have as many rows as there are spans");
        rows_.emplace_back();
        if (memory.size) rows_.back().assign(static_cast<const char*>(memory.data), memory.size);
        std::free(memory.data);
    }

    // Returns the last offset: how many there are of what they point to.
    size_t offsets(decode::Memory memory, size_t rows) {
        flat(memory, (rows + 1) * sizeof(int32_t));
        int32_t before = offset(0);
        require(before == 0, "offsets begin at 0");
        for (size_t row = 1; row <= rows; ++row) {
            require(offset(row) >= before, "offsets grow");
            before = offset(row);
        }
        return size_t(before);
    }

    void strings(decode::Strings& column, size_t rows) {
        require(column.rows() == rows, "columns have as many rows as there are spans");
        for (size_t row = 0; row < rows; ++row) require(wire::is_utf8(column.row(row)), "text is UTF-8");
        const size_t size = offsets(column.release_offsets(), rows);
        flat(column.release_data(), size);
    }

    void maps(decode::Maps& column, size_t rows) {
        const size_t entries = offsets(column.release_offsets(), rows);
        strings(column.keys, entries);
        strings(column.values, entries);
    }

   private:
    int32_t offset(size_t row) const { return wire::load<int32_t>(rows_.back().data() + row * sizeof(int32_t)); }

    Rows rows_;
};

inline decode::Envelope envelope(Bytes body) { return {body, "a project", 1'760'000'000'000'000'000}; }

}  // namespace spanmeter::fuzz

// The rows of trace requests as the walk makes them, and what must be true of them.
#pragma once

#include <string>
#include <vector>

#include "collector/admit/item_count.hpp"
#include "collector/admit/request_scan.hpp"
#include "collector/decode/span_walk.hpp"
#include "generated.hpp"
#include "harness.hpp"

namespace spanmeter::fuzz {

// The memory of every column, in a fixed order.
using Rows = std::vector<std::string>;

// Takes the columns of a walk, and checks that they are what Arrow wants: offsets within, text UTF-8, all of a length.
class RowsTaker {
   public:
    static Rows of(decode::SpanWalk& walk) {
        RowsTaker taker;
        const size_t rows = walk.size();
        for (auto& column : walk.text) taker.strings(column, rows);
        for (auto& column : walk.wide) taker.flat(column.release(), rows * sizeof(uint64_t));
        for (auto& column : walk.narrow) taker.flat(column.release(), rows * sizeof(uint32_t));
        for (auto& column : walk.maps) taker.maps(column, rows);
        taker.events(walk.events, rows);
        taker.links(walk.links, rows);
        return std::move(taker.rows_);
    }

   private:
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

    int32_t offset(size_t row) const { return wire::load<int32_t>(rows_.back().data() + row * sizeof(int32_t)); }

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

    void events(decode::Events& events, size_t rows) {
        const size_t count = offsets(events.rows.release(), rows);
        flat(events.time.release(), count * sizeof(uint64_t));
        strings(events.name, count);
        maps(events.attributes, count);
    }

    void links(decode::Links& links, size_t rows) {
        const size_t count = offsets(links.rows.release(), rows);
        strings(links.trace_id, count);
        strings(links.span_id, count);
        strings(links.trace_state, count);
        maps(links.attributes, count);
    }

    Rows rows_;
};

inline decode::Envelope envelope(Bytes body) { return {body, "a project", 1'760'000'000'000'000'000}; }

// The rows of these requests, all of which are plain.
inline Rows rows_of(const std::vector<decode::Envelope>& plain) {
    decode::SpanWalk walk(walk_rules());
    walk.reserve(plain, 0);
    require(walk.add(plain, 0) == plain.size(), "plain again");
    return RowsTaker::of(walk);
}

inline bool is_plain(Bytes body, size_t& spans) {
    decode::SpanWalk walk(walk_rules());
    const bool plain = walk.add({envelope(body)}, 0) == 1;
    spans = walk.size();
    require(plain || !spans, "a request that is not plain adds nothing");
    RowsTaker::of(walk);
    return plain;
}

// What the scan says, and that the count at the door and the rows agree with it. Returns whether it is plain to the
// walk.
inline bool check_request(Bytes body) {
    admit::RequestScan scan(UINT64_MAX, UINT64_MAX);
    const bool scanned = scan.read(body) == admit::PLAIN;
    admit::ItemCount count(schema(0), UINT64_MAX, UINT64_MAX);
    const bool counted = count.read(body) == admit::PLAIN;
    size_t rows = 0;
    const bool plain = is_plain(body, rows);
    require(count.items <= count.elements && count.elements <= body.size(), "everything counted has a byte of its own");
    if (scanned) {
        uint64_t refused = 0;
        for (const admit::Problem& problem : scan.problems) refused += problem.spans;
        require(counted, "what is scanned is counted");
        require(count.items == scan.accepted + refused, "as many items are counted as spans are scanned");
        require(scan.elements <= count.elements, "the count sees all that the scan does");
    }
    if (plain) {
        require(counted, "what has rows is counted");
        require(rows <= count.items, "no more rows than items");
        require(!scanned || rows == scan.accepted, "as many rows as spans are accepted");
    }
    return plain;
}

}  // namespace spanmeter::fuzz

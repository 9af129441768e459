// The rows of trace requests as the walk makes them, and what must be true of them.
#pragma once

#include <vector>

#include "collector/admit/item_count.hpp"
#include "collector/admit/request_scan.hpp"
#include "collector/decode/span_walk.hpp"
#include "generated.hpp"
#include "harness.hpp"
#include "rows.hpp"

namespace spanmeter::fuzz {

inline void take(RowsTaker& taker, decode::Events& events, size_t rows) {
    const size_t count = taker.offsets(events.rows.release(), rows);
    taker.flat(events.time.release(), count * sizeof(uint64_t));
    taker.strings(events.name, count);
    taker.maps(events.attributes, count);
}

inline void take(RowsTaker& taker, decode::Links& links, size_t rows) {
    const size_t count = taker.offsets(links.rows.release(), rows);
    taker.strings(links.trace_id, count);
    taker.strings(links.span_id, count);
    taker.strings(links.trace_state, count);
    taker.maps(links.attributes, count);
}

inline Rows rows_of(decode::SpanWalk& walk) {
    RowsTaker taker;
    const size_t rows = walk.size();
    take(taker, walk.events, rows);
    take(taker, walk.links, rows);
    taker.columns(walk, rows);
    return taker.taken();
}

// The rows of these requests, all of which are plain.
inline Rows rows_of(const std::vector<decode::Envelope>& plain) {
    decode::SpanWalk walk(walk_rules());
    walk.reserve(plain, 0);
    require(walk.add(plain, 0) == plain.size(), "plain again");
    return rows_of(walk);
}

inline bool is_plain(Bytes body, size_t& spans) {
    decode::SpanWalk walk(walk_rules());
    const bool plain = walk.add({envelope(body)}, 0) == 1;
    spans = walk.size();
    require(plain || !spans, "a request that is not plain adds nothing");
    rows_of(walk);
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

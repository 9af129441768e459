// What is kept of spans, their reports, their traces, and the calls that may be each other's doubles.
//
//   Trace -- its spans (a list) -- Span -- Report, of a span that reports usage -- Bucket: equal project, service,
//   totals
//
// Records refer to each other by number; NONE is no record.
#pragma once

#include <cstdint>
#include <memory>

#include "call_index.hpp"
#include "containers.hpp"
#include "evidence.hpp"
#include "secret.hpp"

namespace spanmeter::billed {

struct Span {
    uint64_t id = 0, parent_id = 0;
    uint32_t trace = NONE, next = NONE;  // the next of its trace
    uint32_t parent = NONE;              // once it is known
    uint32_t report = NONE;
    uint32_t nearest = NONE;  // while its trace is decided: the reporting span at or above it
    uint32_t row = NONE;      // of the batch in which it was last replaced
    int32_t hour = 0;         // in which its first row started
    int64_t version = INT64_MIN;
    bool has_parent = false, is_stored = false, stored = false;
};

struct alignas(64) Report {
    // The first cache line: what deciding a trace reads of every report in it.
    Wide response;
    int64_t input = 0, output = 0;
    uint32_t span = NONE, scope = NONE;
    uint32_t local = NONE;                              // while its trace is decided
    uint32_t next_answer = NONE, answer_before = NONE;  // of those with its response id
    uint32_t answered_by = NONE;                        // the call that stands for it, by the response id
    int8_t detail = 0;
    bool has_id = false, is_call = false, root = false;
    bool proves = false;  // its response id is a provider's
    bool billable = false, in_bucket = false, in_answers = false;
    // The second one.
    int64_t start = 0, end = 0;
    Models models;
    uint32_t bucket = NONE;
    uint32_t next = NONE, before = NONE;  // in its bucket
    uint32_t partner = NONE;              // the call of another trace that is the same call
    int32_t provider = 0;
    bool moved = false, was_answered = false;  // in the turn at hand: whether `answered_by` changed, and from what
    bool is_double = false;                    // of its partner
    bool pinned = false;  // a double of a call that is not in memory: it is not billed until that is
    bool noted = false;   // whether it is billed or its row may have changed

    bool billed() const { return billable && !is_double && !pinned && answered_by == NONE; }
    bool has_totals() const { return input || output; }
    bool shares_id() const { return next_answer != NONE || answer_before != NONE; }
    bool belongs_in_bucket() const { return billable && is_call && has_totals() && answered_by == NONE; }
    bool same_totals(const Report& other) const { return input == other.input && output == other.output; }
    // They name two responses, and so are two calls.
    bool contradicts(const Report& other) const { return has_id && other.has_id && response != other.response; }
    // Equal but for its scope and its bucket.
    bool same_values(const Report& other) const {
        return start == other.start && end == other.end && detail == other.detail && is_call == other.is_call &&
               root == other.root && has_id == other.has_id && response == other.response && models == other.models &&
               provider == other.provider;
    }
};

// `rules.rank_across`: whether the first stands, by what it tells.
inline bool stands_across(const Report& first, const Report& second) {
    return first.root != second.root ? second.root : first.detail > second.detail;
}

struct Trace {
    Wide id;
    uint32_t project = NONE, spans = NONE, span_count = 0;
    uint32_t older = NONE, newer = NONE;
    uint32_t noted = 0;  // the generation of the filter it was added to
    uint64_t touched = 0;
    bool changed = false;
};

struct Bucket {
    uint32_t project = NONE, service = NONE;
    int64_t input = 0, output = 0;
    uint32_t reports = 0, calls = 0, roots = 0, first = NONE;
    uint32_t scope = NONE;  // of its first call
    bool mixed = false;     // calls of another scope came
    bool listed = false;    // to be decided now
    bool stale = false;     // to be decided when it is touched: a call of a pair was forgotten
    uint64_t touched = 0;
    std::unique_ptr<CallIndex> index;
};

}  // namespace spanmeter::billed

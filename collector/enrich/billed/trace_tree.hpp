// The reports of one trace, and which reporting span is above which.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "record_store.hpp"

namespace spanmeter::billed {

// Reports are numbered by their place in `reports()`: their local numbers.
class TraceTree {
   public:
    explicit TraceTree(RecordStore& records) : records_(records) {}

    void read(const Trace& trace) {
        RecordStore& records = records_;
        reports_.clear(), found_.clear();
        for (uint32_t at = trace.spans, next; at != NONE; at = next) {
            Span& span = records.span(at);
            next = span.next;
            span.nearest = NONE;
            if (span.report == NONE) continue;
            Report& report = records.report(span.report);
            report.local = uint32_t(reports_.size());
            reports_.push_back(span.report);
            found_.push_back(&report);
            records.prefetch_answer(report);  // where it is looked up, once the trace is decided
        }
        if (!reports_.empty()) find_uppers();
    }

    const std::vector<uint32_t>& reports() const { return reports_; }
    size_t size() const { return reports_.size(); }
    // Whether any report is above another.
    bool is_deep() const { return is_deep_; }
    const Report& report(uint32_t local) const { return *found_[local]; }
    const std::vector<const Report*>& found() const { return found_; }
    uint64_t span_id(uint32_t local) const { return records_.span(report(local).span).id; }
    // The nearest report above, or NONE; and how many are above.
    uint32_t upper(uint32_t local) const { return upper_[local]; }
    uint32_t depth(uint32_t local) const { return depth_[local]; }
    uint32_t max_depth() const { return *std::max_element(depth_.begin(), depth_.end()); }

   private:
    // In `nearest`: for those on the way, and those below none.
    static constexpr uint32_t AWAY = NONE - 1;

    // Cycles are cut at their smallest id.
    void find_uppers() {
        const size_t count = reports_.size();
        upper_.resize(count);
        is_deep_ = false;
        for (size_t i = 0; i < count; ++i) {
            upper_[i] = reporting(records_.parent_of(report(uint32_t(i)).span));
            is_deep_ |= upper_[i] != NONE;
        }
        depth_.assign(count, 0);
        if (!is_deep_) return;
        cut_cycles();
        find_depths();
    }

    // The first reporting span at `at` or above.
    uint32_t reporting(uint32_t at) {
        RecordStore& records = records_;
        path_.clear();
        while (at != NONE && records.span(at).report == NONE && records.span(at).nearest == NONE) {
            records.span(at).nearest = AWAY;
            path_.push_back(at);
            at = records.parent_of(at);
        }
        uint32_t found = AWAY;
        if (at != NONE) {
            const Span& span = records.span(at);
            found = span.report != NONE ? records.report(span.report).local : span.nearest;
        }
        for (uint32_t passed : path_) records.span(passed).nearest = found;
        return found == AWAY ? NONE : found;
    }

    void cut_cycles() {
        enum State : uint8_t { UNKNOWN, ON_PATH, DONE };
        state_.assign(upper_.size(), UNKNOWN);
        for (uint32_t i = 0; i < upper_.size(); ++i) {
            path_.clear();
            uint32_t at = i;
            for (; at != NONE && state_[at] == UNKNOWN; at = upper_[at]) {
                state_[at] = ON_PATH;
                path_.push_back(at);
            }
            if (at != NONE && state_[at] == ON_PATH) upper_[least_of_cycle(at)] = NONE;
            for (uint32_t passed : path_) state_[passed] = DONE;
        }
    }

    uint32_t least_of_cycle(uint32_t begin) const {
        uint32_t least = begin;
        for (uint32_t next = upper_[begin]; next != begin; next = upper_[next]) {
            if (span_id(next) < span_id(least)) least = next;
        }
        return least;
    }

    void find_depths() {
        depth_.assign(upper_.size(), NONE);
        for (uint32_t i = 0; i < upper_.size(); ++i) {
            path_.clear();
            uint32_t at = i;
            for (; at != NONE && depth_[at] == NONE; at = upper_[at]) path_.push_back(at);
            uint32_t depth = at == NONE ? 0 : depth_[at] + 1;
            for (size_t step = path_.size(); step-- > 0;) depth_[path_[step]] = depth++;
        }
    }

    RecordStore& records_;
    std::vector<uint32_t> reports_, upper_, depth_, path_;
    std::vector<const Report*> found_;  // of `reports_`: no report is added while a trace is decided
    std::vector<uint8_t> state_;
    bool is_deep_ = false;
};

}  // namespace spanmeter::billed

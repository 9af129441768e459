// Reports of one trace that are one call: the rules of `rules._without_doubles`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "pairing.hpp"
#include "trace_tree.hpp"

namespace spanmeter::billed {

// Disjoint sets of numbers (union-find).
class Groups {
   public:
    void reset(size_t count) {
        leader_.resize(count);
        for (uint32_t i = 0; i < count; ++i) leader_[i] = i;
        joined_ = false;
    }
    uint32_t find(uint32_t number) {
        while (leader_[number] != number) number = leader_[number] = leader_[leader_[number]];
        return number;
    }
    void join(uint32_t first, uint32_t second) {
        leader_[find(first)] = find(second);
        joined_ = true;
    }
    bool joined() const { return joined_; }

   private:
    std::vector<uint32_t> leader_;
    bool joined_ = false;
};

class TraceDoubles {
   public:
    TraceDoubles(const RecordStore& records, const TraceTree& tree) : records_(records), tree_(tree) {}

    // Of each group of `calls` that are one only the best one stands.
    void drop(const std::vector<uint32_t>& calls, std::vector<uint8_t>& billable) {
        if (calls.size() < 2) return;
        groups_.reset(tree_.size());
        if (tree_.is_deep()) join_nested(calls);
        join_responses(calls);
        join_enclosed(calls);
        if (!groups_.joined()) return;
        best_.assign(tree_.size(), NONE);
        for (uint32_t call : calls) {
            uint32_t& best = best_[groups_.find(call)];
            if (best == NONE || stands_before(call, best)) best = call;
        }
        for (uint32_t call : calls) billable[call] = best_[groups_.find(call)] == call;
    }

   private:
    // An instrumentation wraps another within a few levels; a search to the root would be quadratic in a deep chain.
    static constexpr int MAX_LEVELS = 64;

    // A call by its totals.
    struct Totals {
        int64_t input, output;
        uint32_t call;
        bool operator<(const Totals& other) const {
            if (input != other.input) return input < other.input;
            return output != other.output ? output < other.output : call < other.call;
        }
    };

    bool stands_before(uint32_t first, uint32_t second) const {
        const Report &a = tree_.report(first), &b = tree_.report(second);
        if (a.detail != b.detail) return a.detail > b.detail;
        if (a.root != b.root) return b.root;
        if (tree_.depth(first) != tree_.depth(second)) return tree_.depth(first) > tree_.depth(second);
        return tree_.span_id(first) < tree_.span_id(second);
    }

    void join_nested(const std::vector<uint32_t>& calls) {
        for (uint32_t call : calls) {
            const Report& inner = tree_.report(call);
            if (!inner.has_totals()) continue;
            uint32_t above = tree_.upper(call);
            for (int level = 0; above != NONE && level < MAX_LEVELS; ++level, above = tree_.upper(above)) {
                const Report& outer = tree_.report(above);
                if (!outer.is_call || !outer.same_totals(inner)) continue;
                if (!outer.contradicts(inner)) groups_.join(call, above);
            }
        }
    }

    void join_responses(const std::vector<uint32_t>& calls) {
        size_t size = 16;
        while (size < calls.size() * 2) size *= 2;
        named_.assign(size, NONE);
        for (uint32_t call : calls) {
            const Report& report = tree_.report(call);
            if (!report.has_id) continue;
            size_t at = report.response.low & (size - 1);
            while (named_[at] != NONE && tree_.report(named_[at]).response != report.response) {
                at = (at + 1) & (size - 1);
            }
            if (named_[at] != NONE) groups_.join(call, named_[at]);
            named_[at] = call;
        }
    }

    void join_enclosed(const std::vector<uint32_t>& calls) {
        const uint32_t scope = tree_.report(calls[0]).scope;
        const auto is_other = [&](uint32_t call) { return tree_.report(call).scope != scope; };
        if (std::none_of(calls.begin(), calls.end(), is_other)) return;
        by_totals_.clear();
        for (uint32_t call : calls) {
            const Report& report = tree_.report(call);
            if (report.has_totals()) by_totals_.push_back({report.input, report.output, call});
        }
        std::sort(by_totals_.begin(), by_totals_.end());
        for (size_t begin = 0, end; begin < by_totals_.size(); begin = end) {
            const Report& first = tree_.report(by_totals_[begin].call);
            bool mixed = false;
            for (end = begin + 1; end < by_totals_.size(); ++end) {
                const Report& next = tree_.report(by_totals_[end].call);
                if (!next.same_totals(first)) break;
                mixed |= next.scope != first.scope;
            }
            if (mixed) join_alike(begin, end);
        }
    }

    // Calls of equal totals, and of more than one scope.
    void join_alike(size_t begin, size_t end) {
        ordered_.clear();
        for (size_t i = begin; i < end; ++i) {
            const uint32_t call = by_totals_[i].call;
            ordered_.push_back({records_.position_of(tree_.reports()[call]), call});
        }
        std::sort(ordered_.begin(), ordered_.end());
        pairing_.intervals.clear();
        for (const auto& [position, call] : ordered_) {
            pairing_.intervals.push_back(records_.interval_of(tree_.reports()[call]));
        }
        pairing_.begin();
        for (uint32_t inner = 1; inner < ordered_.size(); ++inner) {
            const uint32_t outer = pairing_.outer_of(inner);
            if (outer != NONE) groups_.join(ordered_[outer].second, ordered_[inner].second);
        }
    }

    const RecordStore& records_;
    const TraceTree& tree_;
    Groups groups_;
    Pairing pairing_;
    std::vector<uint32_t> best_, named_;
    std::vector<Totals> by_totals_;
    std::vector<std::pair<Position, uint32_t>> ordered_;
};

}  // namespace spanmeter::billed

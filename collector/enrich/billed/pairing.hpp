// Pairs of reports that may be one call by their times: the rule of `rules._enclosed`, without its quadratic search.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "containers.hpp"
#include "evidence.hpp"
#include "secret.hpp"

namespace spanmeter::billed {

// A report among those of equal totals. `has_id`: it names a response.
struct Interval {
    int64_t start, end;
    Wide response;
    Models models;
    uint32_t scope;
    int32_t provider;
    bool has_id, root;
};

// For every node of a tree over intervals in order: the latest end below it, and the latest of any other scope.
class LatestEnds {
   public:
    void build(const std::vector<Interval>& intervals, const std::vector<uint32_t>& order) {
        for (size_ = 1; size_ < order.size(); size_ *= 2) {
        }
        nodes_.assign(2 * size_, Node());
        for (size_t i = 0; i < order.size(); ++i) {
            nodes_[size_ + i] = {intervals[order[i]].end, LOWEST, intervals[order[i]].scope};
        }
        for (size_t i = size_ - 1; i; --i) nodes_[i] = merged(nodes_[2 * i], nodes_[2 * i + 1]);
    }
    void close(size_t place) {
        size_t at = size_ + place;
        for (nodes_[at] = Node(); at /= 2;) nodes_[at] = merged(nodes_[2 * at], nodes_[2 * at + 1]);
    }
    // The last place in [from, to) that ends at `end` or later and is of another scope; NONE where there is none.
    uint32_t last(size_t from, size_t to, int64_t end, uint32_t scope) const {
        return from < to ? search(1, 0, size_, from, to, end, scope) : NONE;
    }

   private:
    static constexpr int64_t LOWEST = std::numeric_limits<int64_t>::min();
    struct Node {
        int64_t end = LOWEST, other = LOWEST;
        uint32_t scope = NONE;
    };
    static Node merged(const Node& first, const Node& second) {
        if (first.scope == second.scope) {
            return {std::max(first.end, second.end), std::max(first.other, second.other), first.scope};
        }
        if (first.end >= second.end) return {first.end, std::max(first.other, second.end), first.scope};
        return {second.end, std::max(second.other, first.end), second.scope};
    }
    uint32_t search(size_t node, size_t low, size_t high, size_t from, size_t to, int64_t end, uint32_t scope) const {
        const Node& here = nodes_[node];
        if (high <= from || to <= low || (here.scope == scope ? here.other : here.end) < end) return NONE;
        if (high - low == 1) return uint32_t(low);
        size_t middle = (low + high) / 2;
        uint32_t found = search(2 * node + 1, middle, high, from, to, end, scope);
        return found != NONE ? found : search(2 * node, low, middle, from, to, end, scope);
    }
    size_t size_ = 1;
    std::vector<Node> nodes_;
};

// Takes intervals in the order of (start, latest end first, span id), and pairs each once, as the earlier or the later.
class Pairing {
   public:
    std::vector<Interval> intervals;

    // To be called once `intervals` are complete. `lost`: the later of a pair has to be a root, unless both start
    // together.
    void begin(bool lost) {
        lost_ = lost;
        open_.assign(intervals.size(), 1);
        if (intervals.size() <= FEW) return;
        place_.resize(intervals.size());
        for (uint32_t i = 0; i < place_.size(); ++i) place_[i] = i;
        all_.build(intervals, place_);
        by_response();
    }

    // The latest interval before `later` that may be one call with it and that `accepts(earlier, later)`; NONE where
    // there is none. Both then are nobody else's.
    template <class Accepts>
    uint32_t outer_of(uint32_t later, Accepts accepts) {
        const Interval& call = intervals[later];
        uint32_t found = later;
        for (int refused = 0; refused < MAX_REFUSED; ++refused) {
            found = intervals.size() <= FEW ? scan(later, found) : search(later, found);
            if (found == NONE) return NONE;
            const Interval& earlier = intervals[found];
            if (providers_differ(earlier.provider, call.provider) || earlier.models.differ(call.models)) continue;
            if (!accepts(found, later)) continue;
            close(found), close(later);
            return found;
        }
        return NONE;
    }

   private:
    static constexpr size_t FEW = 24;
    // A search through all would be quadratic.
    static constexpr int MAX_REFUSED = 64;

    // Whether the later of two has to start with the other one.
    bool only_together(const Interval& call) const { return lost_ && !call.root; }

    // The last before `limit` that encloses a call in time, is of another scope, and names no other response.
    uint32_t scan(uint32_t later, uint32_t limit) const {
        const Interval& call = intervals[later];
        const int64_t start = earliest_start(call.start, call.end), end = earliest_end(call.start, call.end);
        for (uint32_t at = limit; at-- > 0;) {
            const Interval& earlier = intervals[at];
            if (!open_[at] || earlier.scope == call.scope || earlier.end < call.start) continue;
            if (earlier.has_id && call.has_id && earlier.response != call.response) continue;
            if (earlier.start >= start || (earlier.end >= end && !only_together(call))) return at;
        }
        return NONE;
    }
    uint32_t search(uint32_t later, uint32_t limit) const {
        const Interval& call = intervals[later];
        const int64_t start = earliest_start(call.start, call.end);
        const auto starts_before = [](const Interval& interval, int64_t time) { return interval.start < time; };
        const auto first = std::lower_bound(intervals.begin(), intervals.begin() + limit, start, starts_before);
        const uint32_t together = uint32_t(first - intervals.begin());
        const uint32_t found = last(later, together, limit, call.start);
        if (found != NONE || only_together(call)) return found;
        return last(later, 0, together, earliest_end(call.start, call.end));
    }
    // The last in [from, to) that ends at `end` or later, is of another scope than a call, and names no other response.
    uint32_t last(uint32_t later, uint32_t from, uint32_t to, int64_t end) const {
        const Interval& call = intervals[later];
        end = std::max(end, std::numeric_limits<int64_t>::min() + 1);
        if (!call.has_id) return all_.last(from, to, end, call.scope);
        const uint32_t without = alike_.last(unnamed_[from], unnamed_[to], end, call.scope);
        const auto begin = order_.begin() + group_[later], stop = order_.begin() + place_[later];
        const uint32_t same = alike_.last(std::lower_bound(begin, stop, from) - order_.begin(),
                                          std::lower_bound(begin, stop, to) - order_.begin(), end, call.scope);
        if (without == NONE || same == NONE)
            return without != NONE ? order_[without] : same != NONE ? order_[same] : NONE;
        return std::max(order_[without], order_[same]);
    }
    void close(uint32_t at) {
        open_[at] = 0;
        if (intervals.size() <= FEW) return;
        all_.close(at);
        alike_.close(place_[at]);
    }
    // The intervals that name no response, then those of each response, each in their order.
    void by_response() {
        size_t count = intervals.size();
        order_ = place_;
        std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
            const Interval &first = intervals[a], &second = intervals[b];
            if (first.has_id != second.has_id) return second.has_id;
            if (first.has_id && first.response != second.response) return first.response < second.response;
            return a < b;
        });
        group_.resize(count), unnamed_.assign(count + 1, 0);
        for (uint32_t i = 0, begin = 0; i < count; ++i) {
            const Interval &here = intervals[order_[i]], &first = intervals[order_[begin]];
            if (here.has_id != first.has_id || (here.has_id && here.response != first.response)) begin = i;
            place_[order_[i]] = i;
            group_[order_[i]] = begin;
        }
        for (uint32_t i = 0; i < count; ++i) unnamed_[i + 1] = unnamed_[i] + !intervals[i].has_id;
        alike_.build(intervals, order_);
    }

    std::vector<uint8_t> open_;
    std::vector<uint32_t> order_, place_, group_, unnamed_;
    LatestEnds all_, alike_;
    bool lost_ = false;
};

}  // namespace spanmeter::billed

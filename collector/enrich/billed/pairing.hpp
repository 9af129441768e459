// Pairs of reports that may be one call by their times: the rule of `rules._enclosed`, without its quadratic search.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "containers.hpp"
#include "secret.hpp"

namespace spanmeter::billed {

// A report among those of equal totals. `has_id`: it names a response.
struct Interval {
    int64_t start, end;
    Wide response;
    uint32_t scope;
    bool has_id;
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

// Takes intervals in the order of (start, latest end first, span id), and pairs each once, as the inner or the outer.
class Pairing {
   public:
    std::vector<Interval> intervals;

    // To be called once `intervals` are complete.
    void begin() {
        open_.assign(intervals.size(), 1);
        if (intervals.size() <= FEW) return;
        place_.resize(intervals.size());
        for (uint32_t i = 0; i < place_.size(); ++i) place_[i] = i;
        all_.build(intervals, place_);
        by_response();
    }

    // The interval that `inner` is a double of, which then is nobody else's; NONE where there is none.
    uint32_t outer_of(uint32_t inner) {
        const Interval& call = intervals[inner];
        int64_t end = std::max(call.start, call.end);
        if (end == std::numeric_limits<int64_t>::min()) return NONE;
        uint32_t found = intervals.size() <= FEW ? scan(inner, end) : search(inner, end);
        if (found != NONE) close(found), close(inner);
        return found;
    }

   private:
    static constexpr size_t FEW = 24;

    uint32_t scan(uint32_t inner, int64_t end) const {
        const Interval& call = intervals[inner];
        for (uint32_t at = inner; at-- > 0;) {
            const Interval& earlier = intervals[at];
            bool distinct = earlier.has_id && call.has_id && earlier.response != call.response;
            if (open_[at] && earlier.end >= end && earlier.scope != call.scope && !distinct) return at;
        }
        return NONE;
    }
    uint32_t search(uint32_t inner, int64_t end) const {
        const Interval& call = intervals[inner];
        if (!call.has_id) return all_.last(0, inner, end, call.scope);
        uint32_t without = alike_.last(0, unnamed_[inner], end, call.scope);
        uint32_t same = alike_.last(group_[inner], place_[inner], end, call.scope);
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
        group_.resize(count), unnamed_.resize(count);
        for (uint32_t i = 0, begin = 0; i < count; ++i) {
            const Interval &here = intervals[order_[i]], &first = intervals[order_[begin]];
            if (here.has_id != first.has_id || (here.has_id && here.response != first.response)) begin = i;
            place_[order_[i]] = i;
            group_[order_[i]] = begin;
        }
        for (uint32_t i = 0, unnamed = 0; i < count; ++i) {
            unnamed_[i] = unnamed;
            unnamed += !intervals[i].has_id;
        }
        alike_.build(intervals, order_);
    }

    std::vector<uint8_t> open_;
    std::vector<uint32_t> order_, place_, group_, unnamed_;
    LatestEnds all_, alike_;
};

}  // namespace spanmeter::billed

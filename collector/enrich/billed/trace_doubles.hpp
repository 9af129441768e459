// Reports of one trace that are one call: the rules of `rules._without_doubles`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "groups.hpp"
#include "pairing.hpp"
#include "trace_tree.hpp"

namespace spanmeter::billed {

class TraceDoubles {
   public:
    TraceDoubles(const RecordStore& records, const TraceTree& tree) : records_(records), tree_(tree) {}

    // Of each group of `calls` that are one only the best one stands.
    void drop(const std::vector<uint32_t>& calls, std::vector<uint8_t>& billable) {
        if (calls.size() < 2) return;
        groups_.reset(tree_.found());
        join_same_answers(calls);
        if (tree_.is_deep()) join_nested(calls);
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

    // A call and one above it that may be the same.
    struct Wrap {
        int level;
        uint64_t span_id;
        uint32_t call, above;
        bool operator<(const Wrap& other) const {
            return level != other.level ? level < other.level : span_id < other.span_id;
        }
    };

    // A call with those found to be one with it: until when all of them run, and their scopes.
    struct Alike {
        Position position;
        uint32_t call;
        int64_t until;
        std::vector<uint32_t> scopes;
        bool operator<(const Alike& other) const { return position < other.position; }
        bool is_apart(const Alike& other) const {
            return std::find_first_of(scopes.begin(), scopes.end(), other.scopes.begin(), other.scopes.end()) ==
                   scopes.end();
        }
    };

    bool stands_before(uint32_t first, uint32_t second) const {
        const Report &a = tree_.report(first), &b = tree_.report(second);
        if (a.detail != b.detail) return a.detail > b.detail;
        if (a.root != b.root) return b.root;
        if (tree_.depth(first) != tree_.depth(second)) return tree_.depth(first) > tree_.depth(second);
        return tree_.span_id(first) < tree_.span_id(second);
    }

    // The nearest first.
    void join_nested(const std::vector<uint32_t>& calls) {
        wraps_.clear();
        for (uint32_t call : calls) {
            const Report& inner = tree_.report(call);
            if (!inner.has_totals()) continue;
            uint32_t above = tree_.upper(call);
            for (int level = 0; above != NONE && level < MAX_LEVELS; ++level, above = tree_.upper(above)) {
                const Report& outer = tree_.report(above);
                if (!outer.is_call || !outer.same_totals(inner)) continue;
                if (may_wrap(outer, inner)) wraps_.push_back({level, tree_.span_id(call), call, above});
            }
        }
        std::sort(wraps_.begin(), wraps_.end());
        for (const Wrap& wrap : wraps_) groups_.join(wrap.call, wrap.above);
    }

    // A gateway has a provider's name of its own, and a client of one API reaches others: the model decides then.
    static bool may_wrap(const Report& above, const Report& call) {
        if (above.contradicts(call) || above.models.differ(call.models)) return false;
        return (above.models.any() && call.models.any()) || !providers_differ(above.provider, call.provider);
    }

    void join_same_answers(const std::vector<uint32_t>& calls) {
        size_t size = 16;
        while (size < calls.size() * 2) size *= 2;
        named_.assign(size, NONE);
        shared_.clear();
        for (uint32_t call : calls) {
            const Report& report = tree_.report(call);
            if (!report.proves) continue;
            size_t at = report.response.low & (size - 1);
            while (named_[at] != NONE && tree_.report(named_[at]).response != report.response) {
                at = (at + 1) & (size - 1);
            }
            if (named_[at] == NONE) {
                named_[at] = call;
            } else {
                shared_.push_back({named_[at], call});
            }
        }
        if (!shared_.empty()) join_shared();
    }

    // `shared_` has the first call with an id, and each of the others.
    void join_shared() {
        std::sort(shared_.begin(), shared_.end());
        for (size_t begin = 0, end; begin < shared_.size(); begin = end) {
            answers_.assign(1, shared_[begin].first);
            for (end = begin; end < shared_.size() && shared_[end].first == shared_[begin].first; ++end) {
                answers_.push_back(shared_[end].second);
            }
            if (answers_.size() > MAX_ANSWERS) continue;
            std::sort(answers_.begin(), answers_.end(),
                      [this](uint32_t first, uint32_t second) { return position_of(first) < position_of(second); });
            reports_.clear();
            for (uint32_t call : answers_) reports_.push_back(&tree_.report(call));
            join_answers(reports_, [this](size_t i, size_t j) { groups_.join(answers_[i], answers_[j]); });
        }
    }

    Position position_of(uint32_t call) const { return records_.position_of(tree_.reports()[call]); }

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

    // Calls of equal totals, and of more than one scope: as pairs, and then, of three scopes or more, pairs of pairs.
    void join_alike(size_t begin, size_t end) {
        ordered_.clear();
        for (size_t i = begin; i < end; ++i) {
            const uint32_t call = by_totals_[i].call;
            ordered_.push_back({position_of(call), call, tree_.report(call).end, {tree_.report(call).scope}});
        }
        std::sort(ordered_.begin(), ordered_.end());
        while (pair_alike() && count_scopes() > 2) merge_pairs();
    }

    bool pair_alike() {
        pairing_.intervals.clear();
        for (const Alike& each : ordered_)
            pairing_.intervals.push_back(records_.interval_of(tree_.reports()[each.call]));
        pairing_.begin(/*lost=*/false);
        pairs_.clear();
        const auto adds = [this](uint32_t outer, uint32_t inner) {
            const Alike &first = ordered_[outer], &second = ordered_[inner];
            return second.position.start <= first.until && first.is_apart(second);
        };
        for (uint32_t inner = 1; inner < ordered_.size(); ++inner) {
            const uint32_t outer = pairing_.outer_of(inner, adds);
            if (outer == NONE) continue;
            pairs_.push_back({outer, inner});
            groups_.join(ordered_[outer].call, ordered_[inner].call);
        }
        return !pairs_.empty();
    }

    size_t count_scopes() {
        std::vector<uint32_t> scopes;
        for (const Alike& each : ordered_) scopes.push_back(tree_.report(each.call).scope);
        std::sort(scopes.begin(), scopes.end());
        return std::unique(scopes.begin(), scopes.end()) - scopes.begin();
    }

    void merge_pairs() {
        for (const auto& [outer, inner] : pairs_) {
            Alike &first = ordered_[outer], &second = ordered_[inner];
            first.until = std::min(first.until, second.until);
            first.scopes.insert(first.scopes.end(), second.scopes.begin(), second.scopes.end());
            second.call = NONE;
        }
        const auto is_inside = [](const Alike& each) { return each.call == NONE; };
        ordered_.erase(std::remove_if(ordered_.begin(), ordered_.end(), is_inside), ordered_.end());
    }

    const RecordStore& records_;
    const TraceTree& tree_;
    Groups groups_;
    Pairing pairing_;
    std::vector<uint32_t> best_, named_, answers_;
    std::vector<const Report*> reports_;
    std::vector<std::pair<uint32_t, uint32_t>> shared_, pairs_;
    std::vector<Wrap> wraps_;
    std::vector<Totals> by_totals_;
    std::vector<Alike> ordered_;
};

}  // namespace spanmeter::billed

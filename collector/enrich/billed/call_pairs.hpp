// Calls of different traces that are one call, as pairs: `rules.foreign_doubles`, followed change by change.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "call_index.hpp"
#include "pairing.hpp"
#include "record_store.hpp"
#include "revisions.hpp"

namespace spanmeter::billed {

class CallPairs {
   public:
    CallPairs(RecordStore& records, Revisions& revisions) : records_(records), revisions_(revisions) {}

    // Pair the calls of an index again where they changed.
    void follow(CallIndex& index) {
        for (size_t change = 0; change < index.changes().size();) change = follow(index, change);
        index.clear_changes();
    }

    // A call and its partner are two calls again.
    void part(uint32_t number) {
        const uint32_t other = records_.report(number).partner;
        for (uint32_t each : {number, other}) {
            records_.report(each).partner = NONE;
            records_.report(each).is_double = false;
            revisions_.note(each);
        }
    }

   private:
    static constexpr size_t UNFINISHED = size_t(-1);

    // From the place of a change to where nothing that it concerns is open; the first change after that.
    size_t follow(const CallIndex& index, size_t change) {
        for (size_t max_entries = 256;; max_entries *= 8) {
            const size_t next = try_to_follow(index, change, max_entries);
            if (next != UNFINISHED) return next;
        }
    }
    size_t try_to_follow(const CallIndex& index, size_t change, size_t max_entries) {
        const std::vector<CallIndex::Entry>& entries = index.entries();
        const std::vector<CallIndex::Change>& changes = index.changes();
        const size_t first = index.first_from(changes[change].position);
        const size_t stop = std::min(entries.size(), first + max_entries);
        if (first == entries.size()) return changes.size();
        const size_t earlier = fill_window(entries, first, stop);
        pairing_.begin(/*lost=*/true);
        const auto is_lost = [this](uint32_t earlier, uint32_t later) {
            return pairing_.intervals[earlier].root || pairing_.intervals[later].root;
        };
        decisions_.clear();
        int64_t concerned = std::numeric_limits<int64_t>::min();
        size_t at = first;
        uint32_t local = uint32_t(earlier);
        for (; at < stop; ++at) {
            for (; change < changes.size() && !(entries[at].position < changes[change].position); ++change) {
                concerned = std::max(concerned, changes[change].reach);
            }
            if (concerned < entries[at].position.start) break;
            if (entries[at].report == NONE) continue;
            uint32_t outer = pairing_.outer_of(local, is_lost);
            outer = outer == NONE ? NONE : window_[outer];
            const uint32_t known = outer_of(entries[at].report);
            if (outer != known) {
                decisions_.push_back({entries[at].report, outer});
                concerned = std::max(concerned, entries[at].position.end);
                for (uint32_t other : {outer, known}) {
                    if (other != NONE) concerned = std::max(concerned, records_.report(other).end);
                }
            }
            ++local;
        }
        if (at == stop && stop < entries.size()) return UNFINISHED;
        apply();
        return at == entries.size() ? changes.size() : change;
    }

    void apply() {
        for (const auto& [inner, outer] : decisions_) {
            if (outer_of(inner) != NONE) part(inner);
        }
        for (const auto& [inner, outer] : decisions_) {
            if (outer != NONE) pair(outer, inner);
        }
    }

    // Among equals the one that encloses the other stands.
    void pair(uint32_t outer, uint32_t inner) {
        Report &first = records_.report(outer), &second = records_.report(inner);
        first.partner = inner, second.partner = outer;
        (stands_across(second, first) ? first : second).is_double = true;
        revisions_.unpin_pair(outer);
        revisions_.note(outer), revisions_.note(inner);
    }

    // The calls open before `first`, then those of [first, stop), as intervals; how many of the former.
    size_t fill_window(const std::vector<CallIndex::Entry>& entries, size_t first, size_t stop) {
        const Position& begin = entries[first].position;
        window_.clear();
        for (size_t i = first; i-- > 0 && entries[i].reach >= begin.start;) {
            const CallIndex::Entry& entry = entries[i];
            if (entry.report == NONE || entry.position.end < begin.start) continue;
            const uint32_t partner = records_.report(entry.report).partner;
            if (partner == NONE || !(records_.position_of(partner) < begin)) window_.push_back(entry.report);
        }
        std::reverse(window_.begin(), window_.end());
        const size_t earlier = window_.size();
        for (size_t i = first; i < stop; ++i) {
            if (entries[i].report != NONE) window_.push_back(entries[i].report);
        }
        pairing_.intervals.clear();
        for (uint32_t report : window_) pairing_.intervals.push_back(records_.interval_of(report));
        return earlier;
    }

    // The call that encloses this one, as far as is known by now.
    uint32_t outer_of(uint32_t number) const {
        const uint32_t partner = records_.report(number).partner;
        return partner != NONE && records_.position_of(partner) < records_.position_of(number) ? partner : NONE;
    }

    RecordStore& records_;
    Revisions& revisions_;
    // Of one window of a bucket: its calls, and the calls whose outer one is another now.
    Pairing pairing_;
    std::vector<uint32_t> window_;
    std::vector<std::pair<uint32_t, uint32_t>> decisions_;
};

}  // namespace spanmeter::billed

// The calls of a bucket in order of time, and where they changed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "containers.hpp"
#include "secret.hpp"

namespace spanmeter::billed {

// Where a call is in its bucket: by start, the latest end first, then ids.
struct Position {
    int64_t start = 0, end = 0;
    uint64_t span = 0;
    Wide trace;
    bool operator<(const Position& other) const {
        if (start != other.start) return start < other.start;
        if (end != other.end) return end > other.end;
        if (span != other.span) return span < other.span;
        return trace < other.trace;
    }
};

class CallIndex {
   public:
    struct Entry {
        Position position;
        uint32_t report = NONE;  // NONE for a call that left
        int64_t reach = 0;       // the latest end up to here
    };
    struct Change {
        Position position;
        int64_t reach;  // the latest end of those concerned
    };

    const std::vector<Entry>& entries() const { return entries_; }
    const std::vector<Change>& changes() const { return changes_; }

    void add(const Position& position, uint32_t report) {
        arriving_.push_back({position, report, 0});
        changes_.push_back({position, position.end});
    }
    // A call that came before `put_in_order` was called last.
    void remove(const Position& position, uint32_t report) {
        size_t at = first_from(position);
        while (entries_[at].report != report) ++at;  // it may have left before, and come again
        entries_[at].report = NONE;
        ++gone_;
    }
    void change(const Position& position, int64_t reach) { changes_.push_back({position, reach}); }
    void clear_changes() { changes_.clear(); }

    // The place of the first entry at `position` or behind it.
    size_t first_from(const Position& position) const {
        return std::lower_bound(entries_.begin(), entries_.end(), position, before) - entries_.begin();
    }

    // Sort what came, and the changes.
    void put_in_order() {
        size_t from = compact() ? 0 : entries_.size();
        if (!arriving_.empty()) from = std::min(from, merge());
        int64_t reach = from ? entries_[from - 1].reach : std::numeric_limits<int64_t>::min();
        for (size_t i = from; i < entries_.size(); ++i) {
            entries_[i].reach = reach = std::max(reach, entries_[i].position.end);
        }
        std::sort(changes_.begin(), changes_.end(), by_position<Change>);
    }

   private:
    static bool before(const Entry& entry, const Position& position) { return entry.position < position; }
    template <class Item>
    static bool by_position(const Item& first, const Item& second) {
        return first.position < second.position;
    }

    // Drop the entries of calls that left, once they are most.
    bool compact() {
        if (gone_ <= 64 || gone_ * 2 <= entries_.size()) return false;
        const auto has_left = [](const Entry& entry) { return entry.report == NONE; };
        entries_.erase(std::remove_if(entries_.begin(), entries_.end(), has_left), entries_.end());
        gone_ = 0;
        return true;
    }
    // The place of the first that came.
    size_t merge() {
        std::sort(arriving_.begin(), arriving_.end(), by_position<Entry>);
        const size_t middle = entries_.size(), first = first_from(arriving_[0].position);
        entries_.insert(entries_.end(), arriving_.begin(), arriving_.end());
        std::inplace_merge(entries_.begin() + first, entries_.begin() + middle, entries_.end(), by_position<Entry>);
        std::vector<Entry>().swap(arriving_);
        return first;
    }

    std::vector<Entry> entries_, arriving_;
    std::vector<Change> changes_;
    size_t gone_ = 0;
};

}  // namespace spanmeter::billed

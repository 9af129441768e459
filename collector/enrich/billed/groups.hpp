// Reports that are one call, brought together pair by pair: `rules._Groups`.
#pragma once

#include <cstdint>
#include <vector>

#include "records.hpp"

namespace spanmeter::billed {

// Disjoint sets of numbers (union-find), each of which says of its call one thing at most.
class Groups {
   public:
    // `reports` have to last.
    void reset(const std::vector<const Report*>& reports) {
        reports_ = &reports;
        leader_.resize(reports.size());
        for (uint32_t i = 0; i < leader_.size(); ++i) leader_[i] = i;
        place_.clear(), merged_.clear();
    }
    uint32_t find(uint32_t number) {
        while (leader_[number] != number) number = leader_[number] = leader_[leader_[number]];
        return number;
    }
    // Nothing happens when what the two groups say contradicts.
    void join(uint32_t first, uint32_t second) {
        const uint32_t leader = find(first), other = find(second);
        if (leader == other) return;
        const Evidence mine = evidence(leader), others = evidence(other);
        if (mine.contradicts(others)) return;
        leader_[leader] = other;
        if (place_.empty()) place_.assign(leader_.size(), NONE);
        place_[other] = uint32_t(merged_.size());
        merged_.push_back(mine.with(others));
    }
    bool joined() const { return !merged_.empty(); }

   private:
    struct Evidence {
        Models models;
        Wide response;
        bool has_id = false;
        bool contradicts(const Evidence& other) const {
            return (has_id && other.has_id && response != other.response) || models.differ(other.models);
        }
        Evidence with(const Evidence& other) const {
            return {models.merged(other.models), has_id ? response : other.response, has_id || other.has_id};
        }
    };
    Evidence evidence(uint32_t leader) const {
        if (!place_.empty() && place_[leader] != NONE) return merged_[place_[leader]];
        const Report& report = *(*reports_)[leader];
        return {report.models, report.response, report.has_id};
    }

    const std::vector<const Report*>* reports_ = nullptr;
    std::vector<uint32_t> leader_, place_;
    std::vector<Evidence> merged_;
};

// More reports with one response id than one call has: the id is made up.
constexpr size_t MAX_ANSWERS = 16;

// `rules._one_answer`: calls `join(i, j)` for those of `reports`, in order of time, that are of one call.
template <class Join>
void join_answers(const std::vector<const Report*>& reports, Join join) {
    const size_t count = reports.size();
    if (count < 2 || count > MAX_ANSWERS) return;
    for (size_t i = 0; i < count; ++i) {
        for (size_t j = i + 1; j < count; ++j) {
            if (reports[i]->scope == reports[j]->scope && !encloses(*reports[i], *reports[j])) return;
        }
    }
    const auto may_share_id = [](const Report& earlier, const Report& later) {
        if (providers_differ(earlier.provider, later.provider)) {
            return earlier.models.any() && later.models.any() && encloses(earlier, later);
        }
        return earlier.end >= later.start ||
               (is_near(earlier.input, later.input) && is_near(earlier.output, later.output));
    };
    for (size_t i = 0; i < count; ++i) {
        for (size_t j = i + 1; j < count; ++j) {
            if (reports[i]->models.differ(reports[j]->models)) continue;
            if (may_share_id(*reports[i], *reports[j])) join(i, j);
        }
    }
}

}  // namespace spanmeter::billed

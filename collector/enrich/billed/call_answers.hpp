// The billable calls of one service by their response ids: calls of different traces with one id may be one call.
// `RecentTraces._decide_answer` of traces.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "call_buckets.hpp"
#include "groups.hpp"
#include "record_store.hpp"
#include "revisions.hpp"

namespace spanmeter::billed {

class CallAnswers {
   public:
    CallAnswers(RecordStore& records, Revisions& revisions, CallBuckets& buckets)
        : records_(records), revisions_(revisions), buckets_(buckets) {}

    void begin_turn() {
        for (uint32_t number : moved_) records_.report(number).moved = false;
        moved_.clear(), listed_.clear();
    }

    // What the rules of its trace make of a report.
    void set_billable(uint32_t number) {
        const Report& report = records_.report(number);
        const bool belongs = report.billable && report.is_call && report.proves;
        if (belongs && !report.in_answers) enter(number);
        if (!belongs && report.in_answers) withdraw(number);
        list(number);
    }

    // A report is to change or to leave: those with its id are decided again without it.
    void withdraw(uint32_t number) {
        const Report& report = records_.report(number);
        if (!report.in_answers) return;
        const uint32_t other = report.answer_before != NONE ? report.answer_before : report.next_answer;
        set_answered(number, NONE);
        records_.remove_answer(number);
        if (other != NONE) listed_.push_back(other);
    }

    // A report is to be dropped. Its doubles stay doubles of a call that is not in memory.
    void forget(uint32_t number) {
        if (!records_.report(number).in_answers) return;
        if (records_.report(number).shares_id()) {
            read(number);
            for (uint32_t each : members_) {
                Report& report = records_.report(each);
                if (report.answered_by == number) report.answered_by = NONE, report.pinned = true;
            }
        }
        records_.report(number).answered_by = NONE;
        records_.remove_answer(number);
    }

    // Decide again where something changed, and where a batch touched it.
    void decide() {
        for (uint32_t number : listed_) {
            if (records_.report(number).in_answers) decide(number);
        }
        for (uint32_t number : moved_) {
            buckets_.settle(number);
            if (has_moved(records_.report(number))) buckets_.touch(records_.report(number).bucket);
        }
    }
    // List a report for that, if others have its id.
    void list(uint32_t number) {
        const Report& report = records_.report(number);
        if (report.shares_id() || report.answered_by != NONE) listed_.push_back(number);
    }

   private:
    void enter(uint32_t number) {
        records_.add_answer(number);
        if (!records_.report(number).shares_id()) return;
        read(number);
        if (members_.size() != MAX_ANSWERS + 1) return;
        for (uint32_t each : members_) set_answered(each, NONE);  // it has become one too many
    }

    // Those with the id of a report, or one more than there may be.
    void read(uint32_t number) {
        members_.clear();
        for (uint32_t at = records_.first_answer(number); at != NONE && members_.size() <= MAX_ANSWERS;) {
            members_.push_back(at);
            at = records_.report(at).next_answer;
        }
    }

    void decide(uint32_t number) {
        read(number);
        if (members_.size() > MAX_ANSWERS) return;
        std::sort(members_.begin(), members_.end(), [this](uint32_t first, uint32_t second) {
            return records_.position_of(first) < records_.position_of(second);
        });
        reports_.clear();
        for (uint32_t each : members_) reports_.push_back(&records_.report(each));
        groups_.reset(reports_);
        join_answers(reports_, [this](size_t i, size_t j) {
            const uint32_t first = records_.span(reports_[i]->span).trace;
            if (first != records_.span(reports_[j]->span).trace) groups_.join(uint32_t(i), uint32_t(j));
        });
        for (uint32_t i = 0; i < members_.size(); ++i) {
            if (groups_.find(i) == i) settle(i);
        }
    }

    // `RecentTraces._decide_group` of traces.py.
    void settle(uint32_t leader) {
        group_.clear();
        for (uint32_t i = 0; i < members_.size(); ++i) {
            if (groups_.find(i) == leader) group_.push_back(members_[i]);
        }
        if (group_.size() == 1) return set_answered(group_[0], NONE);
        const auto is_pinned = [this](uint32_t each) { return records_.report(each).pinned; };
        const auto is_billed = [&](uint32_t each) {
            const Span& span = records_.span(records_.report(each).span);
            return !is_pinned(each) && span.is_stored && span.stored;
        };
        if (std::any_of(group_.begin(), group_.end(), is_billed)) {
            for (uint32_t each : group_) revisions_.unpin(each);
        }
        const bool any_pinned = std::any_of(group_.begin(), group_.end(), is_pinned);
        uint32_t stands = NONE;
        for (uint32_t each : group_) {
            if (any_pinned && !is_pinned(each)) continue;
            if (stands == NONE || stands_before(each, stands)) stands = each;
        }
        for (uint32_t each : group_) set_answered(each, each == stands ? NONE : stands);
    }

    bool stands_before(uint32_t first, uint32_t second) const {
        const Report &a = records_.report(first), &b = records_.report(second);
        if (a.root != b.root || a.detail != b.detail) return stands_across(a, b);
        const Span &mine = records_.span(a.span), &other = records_.span(b.span);
        const Wide &trace = records_.trace(mine.trace).id, &others = records_.trace(other.trace).id;
        return trace != others ? trace < others : mine.id < other.id;
    }

    void set_answered(uint32_t number, uint32_t stands) {
        Report& report = records_.report(number);
        if (report.answered_by == stands) return;
        if ((report.answered_by == NONE) != (stands == NONE)) {
            if (!report.moved) moved_.push_back(number), report.was_answered = stands == NONE;
            report.moved = true;
        }
        report.answered_by = stands;
        revisions_.note(number);
    }

    static bool has_moved(const Report& report) {
        return report.moved && (report.answered_by != NONE) != report.was_answered;
    }

    RecordStore& records_;
    Revisions& revisions_;
    CallBuckets& buckets_;
    std::vector<uint32_t> listed_, moved_, members_, group_;
    std::vector<const Report*> reports_;
    Groups groups_;
};

}  // namespace spanmeter::billed

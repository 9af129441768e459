// Which stored rows are wrong: what is stored of a span against whether its report is billed now.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "record_store.hpp"

namespace spanmeter::billed {

struct Revision {
    std::string project;
    Wide trace;
    uint64_t span;
    bool billed;
};

class Revisions {
   public:
    explicit Revisions(RecordStore& records) : records_(records) {}

    // The row of a span that reports is stored, with this `billed`.
    void store(uint32_t number, bool billed) {
        Span& span = records_.span(number);
        span.is_stored = true, span.stored = billed;
        note(span.report);
    }
    // To be called for a report whose `billed` may have changed. A row can only be wrong of what was stored.
    void note(uint32_t number) {
        Report& report = records_.report(number);
        if (report.noted || !records_.span(report.span).is_stored) return;
        report.noted = true;
        noted_.push_back(number);
    }

    void pin(uint32_t number) {
        records_.report(number).pinned = true;
        if (records_.report(number).partner != NONE) pinned_pairs_.push_back(number);
        note(number);
    }
    void unpin(uint32_t number) {
        if (!records_.report(number).pinned) return;
        records_.report(number).pinned = false;
        note(number);
    }
    // A call was paired. While both are pinned, the call that both are doubles of is not in memory.
    void unpin_pair(uint32_t number) {
        const uint32_t partner = records_.report(number).partner;
        if (records_.report(number).pinned && records_.report(partner).pinned) {
            pinned_pairs_.push_back(number), pinned_pairs_.push_back(partner);
        } else {
            unpin(number), unpin(partner);
        }
    }
    bool has_pinned_pairs() const { return !pinned_pairs_.empty(); }
    // A pinned call of which the partner is not pinned is decided with it, once its bucket is touched.
    void unpin_pairs() {
        size_t kept = 0;
        for (uint32_t number : pinned_pairs_) {
            const Report& report = records_.report(number);
            if (!report.pinned || report.partner == NONE) continue;
            if (records_.bucket(report.bucket).touched == records_.turn() && !records_.report(report.partner).pinned) {
                unpin(number);
            } else {
                pinned_pairs_[kept++] = number;
            }
        }
        pinned_pairs_.resize(kept);
    }

    void find() {
        found_.clear();
        size_t kept = 0;
        for (uint32_t number : noted_) {
            Report& report = records_.report(number);
            if (!report.noted) continue;
            const Span& span = records_.span(report.span);
            if (!span.is_stored || span.stored == report.billed()) {
                report.noted = false;
                continue;
            }
            noted_[kept++] = number;
            const Trace& trace = records_.trace(span.trace);
            found_.push_back({records_.texts()[trace.project], trace.id, span.id, report.billed()});
        }
        noted_.resize(kept);
    }
    const std::vector<Revision>& found() const { return found_; }

   private:
    RecordStore& records_;
    std::vector<uint32_t> noted_, pinned_pairs_;
    std::vector<Revision> found_;
};

}  // namespace spanmeter::billed

// `RecentTraces` of traces.py, natively: the same decisions from compact records. The rules and their reasons are in
// rules.py, the contract in traces.py.
//
//   Intake -- RecordStore -- TraceRules: which reports of a trace stand
//                         -- CallAnswers: which of those are doubles by their response ids
//                         -- CallBuckets, CallPairs: which of those are doubles of calls of other traces
//                         -- Revisions: which stored rows are wrong
//                         -- Eviction
//
// No work repeats: a trace is decided again when a batch changed it, a bucket as far as a change reaches.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "call_answers.hpp"
#include "call_buckets.hpp"
#include "eviction.hpp"
#include "intake.hpp"
#include "record_store.hpp"
#include "revisions.hpp"
#include "secret.hpp"
#include "seen_batch.hpp"
#include "seen_traces.hpp"
#include "trace_rules.hpp"

namespace spanmeter::billed {

// A row whose span has its first row in another hour, and the nearest start in that hour.
struct Moved {
    size_t row;
    int64_t start;
};

class RecentTraces {
   public:
    RecentTraces(size_t max_spans, size_t max_known)
        : records_(secret_),
          seen_(secret_, max_known),
          revisions_(records_),
          buckets_(records_, revisions_),
          answers_(records_, revisions_, buckets_),
          rules_(records_),
          intake_(secret_, records_, seen_, revisions_, answers_, buckets_),
          eviction_(records_, answers_, buckets_, max_spans) {}
    RecentTraces(const RecentTraces&) = delete;
    RecentTraces& operator=(const RecentTraces&) = delete;

    void remember(std::string_view project, std::string_view trace) {
        Wide id;
        if (read_trace_id(trace, id)) seen_.add(project, id);
    }

    // One row at least of every trace that may have stored spans and is not in memory.
    std::vector<uint32_t> forgotten(const SeenBatch& rows) {
        std::vector<uint32_t> found;
        std::string_view project, trace;
        Wide id;
        for (size_t row = 0; row < rows.count; ++row) {
            const bool same = row && rows.trace.text(row) == trace && rows.project.text(row) == project;
            project = rows.project.text(row), trace = rows.trace.text(row);
            if (same || !read_trace_id(trace, id) || records_.find_trace(project, id) != NONE) continue;
            if (seen_.has(project, id)) found.push_back(uint32_t(row));
        }
        return found;
    }

    void load(const SeenBatch& rows) {
        intake_.take(rows);
        decide();
        for (size_t row = 0; row < rows.count; ++row) {
            if (!rows.billed.known(row) || rows.billed.flag(row)) continue;
            const uint32_t report = report_of(row);
            if (report != NONE && records_.report(report).billed()) revisions_.pin(report);
        }
        decide();
    }

    void absorb(const SeenBatch& rows, uint8_t* billed, uint8_t* superseded) {
        intake_.take(rows);
        decide();
        moved_.clear();
        for (size_t row = 0; row < rows.count; ++row) {
            const uint32_t report = report_of(row);
            billed[row] = report != NONE && records_.report(report).billed();
            superseded[row] = !place(rows, row);
        }
        revisions_.find();
    }
    const std::vector<Revision>& revisions() const { return revisions_.found(); }
    // Of the last `absorb`.
    const std::vector<Moved>& moved() const { return moved_; }
    const std::vector<uint32_t>& repeated() const { return intake_.repeated(); }

    // `same`: these are the rows of the last `absorb`, and nothing was forgotten since.
    void confirm(const SeenBatch& rows, const uint8_t* billed, const uint8_t* superseded, bool same) {
        if (!same) intake_.find(rows);
        for (size_t row = 0; row < rows.count; ++row) {
            const uint32_t span = intake_.row_spans()[row];
            if (span == NONE || superseded[row] || !rows.reports.flag(row)) continue;
            if (records_.span(span).report != NONE && counts(rows, row)) revisions_.store(span, billed[row]);
        }
    }
    void revised(std::string_view project, std::string_view trace, std::string_view span, bool billed) {
        Wide trace_id;
        uint64_t id;
        if (!read_trace_id(trace, trace_id) || !read_span_id(span, id)) return;
        uint32_t found = records_.find_trace(project, trace_id);
        found = found == NONE ? NONE : records_.find_span(found, id);
        if (found != NONE && records_.span(found).report != NONE) revisions_.store(found, billed);
    }
    void forget() { eviction_.run(); }

   private:
    uint32_t report_of(size_t row) const {
        const uint32_t span = intake_.row_spans()[row];
        return span == NONE ? NONE : records_.span(span).report;
    }

    // Whether no row of a greater version was seen of the span that was taken or found.
    bool counts(const SeenBatch& rows, size_t row) const {
        return records_.span(intake_.row_spans()[row]).version == rows.version.number<int64_t>(row);
    }

    // Where a row is to be stored, in `moved_` when that is not where it started; false when it is superseded.
    bool place(const SeenBatch& rows, size_t row) {
        const uint32_t number = intake_.row_spans()[row];
        if (number == NONE) return true;
        const Span& span = records_.span(number);
        if (span.row != row || !counts(rows, row)) return false;
        const int64_t start = rows.start.number<int64_t>(row);
        const int64_t first = span.hour * HOUR_NS;
        if (uint64_t(start) - uint64_t(first) < uint64_t(HOUR_NS)) return true;
        moved_.push_back({row, start < first ? first : first + HOUR_NS - 1});
        return true;
    }

    void decide() {
        decided_.clear();
        for (uint32_t number : records_.touched_traces()) {
            Trace& trace = records_.trace(number);
            if (trace.changed) {
                trace.changed = false;
                rules_.decide(trace, [this](uint32_t report, bool billable) { set_billable(report, billable); });
            } else {
                list_unchanged(trace);
            }
        }
        answers_.decide();
        for (uint32_t report : decided_) buckets_.settle(report);
        if (buckets_.any_stale() || revisions_.has_pinned_pairs()) buckets_.touch_all();
        buckets_.decide();
        revisions_.unpin_pairs();
    }

    // What the rules of its trace make of a report.
    void set_billable(uint32_t number, bool billable) {
        Report& report = records_.report(number);
        if (report.billable != billable) {
            report.billable = billable;
            revisions_.note(number);
        }
        answers_.set_billable(number);
        if (report.belongs_in_bucket() != report.in_bucket) decided_.push_back(number);
    }
    // What was forgotten may have left a report alone.
    void list_unchanged(const Trace& trace) {
        for (uint32_t at = trace.spans; at != NONE; at = records_.span(at).next) {
            const uint32_t number = records_.span(at).report;
            if (number == NONE) continue;
            const Report& report = records_.report(number);
            answers_.list(number);
            if (report.belongs_in_bucket() != report.in_bucket) decided_.push_back(number);
        }
    }

    Secret secret_;
    RecordStore records_;
    SeenTraces seen_;
    Revisions revisions_;
    CallBuckets buckets_;
    CallAnswers answers_;
    TraceRules rules_;
    Intake intake_;
    Eviction eviction_;
    std::vector<uint32_t> decided_;  // reports that may enter or leave their buckets
    std::vector<Moved> moved_;
};

}  // namespace spanmeter::billed

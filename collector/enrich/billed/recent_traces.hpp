// `RecentTraces` of traces.py, natively: the same decisions from compact records. The rules and their reasons are in
// rules.py, the contract in traces.py.
//
//   Intake -- RecordStore -- TraceRules: which reports of a trace stand
//                         -- CallBuckets, CallPairs: which of those are doubles of calls of other traces
//                         -- Revisions: which stored rows are wrong
//                         -- Eviction
//
// No work repeats: a trace is decided again when a batch changed it, a bucket as far as a change reaches.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

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

class RecentTraces {
   public:
    RecentTraces(size_t max_spans, size_t max_known)
        : records_(secret_),
          seen_(secret_, max_known),
          revisions_(records_),
          buckets_(records_, revisions_),
          rules_(records_),
          intake_(secret_, records_, seen_, revisions_, buckets_),
          eviction_(records_, buckets_, max_spans) {}
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
    }

    void absorb(const SeenBatch& rows, uint8_t* billed) {
        intake_.take(rows);
        decide();
        for (size_t row = 0; row < rows.count; ++row) {
            const uint32_t report = report_of(row);
            billed[row] = report != NONE && records_.report(report).billed();
        }
        find_revisions();
    }
    const std::vector<Revision>& revisions() const { return revisions_.found(); }

    // `same`: these are the rows of the last `absorb`, and nothing was forgotten since.
    void confirm(const SeenBatch& rows, const uint8_t* billed, bool same) {
        if (!same) intake_.find(rows);
        for (size_t row = 0; row < rows.count; ++row) {
            const uint32_t span = intake_.row_spans()[row];
            if (span != NONE && rows.reports.flag(row)) revisions_.store(span, billed[row]);
        }
    }
    void revised(std::string_view project, std::string_view trace, std::string_view span, bool billed) {
        Wide trace_id;
        uint64_t id;
        if (!read_trace_id(trace, trace_id) || !read_span_id(span, id)) return;
        uint32_t found = records_.find_trace(project, trace_id);
        found = found == NONE ? NONE : records_.find_span(found, id);
        if (found != NONE) revisions_.store(found, billed);
    }
    void forget() { eviction_.run(); }

   private:
    uint32_t report_of(size_t row) const {
        const uint32_t span = intake_.row_spans()[row];
        return span == NONE ? NONE : records_.span(span).report;
    }

    void decide() {
        for (uint32_t number : records_.touched_traces()) {
            Trace& trace = records_.trace(number);
            if (!trace.changed) continue;
            trace.changed = false;
            rules_.decide(trace, [this](uint32_t report, bool billable) { buckets_.set_billable(report, billable); });
        }
        if (buckets_.any_stale() || revisions_.has_pinned_pairs()) buckets_.touch_all();
        buckets_.decide();
        revisions_.unpin_pairs();
    }

    // What this batch concerns: reports in its traces, or in the buckets of their reports.
    void find_revisions() {
        revisions_.find([this](const Report& report) {
            if (records_.trace(records_.span(report.span).trace).touched == records_.turn()) return true;
            buckets_.touch_all();
            return report.in_bucket && records_.bucket(report.bucket).touched == records_.turn();
        });
    }

    Secret secret_;
    RecordStore records_;
    SeenTraces seen_;
    Revisions revisions_;
    CallBuckets buckets_;
    TraceRules rules_;
    Intake intake_;
    Eviction eviction_;
};

}  // namespace spanmeter::billed

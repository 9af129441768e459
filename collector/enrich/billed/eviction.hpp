// Memory is bounded: traces that got no spans for longest are dropped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "call_answers.hpp"
#include "call_buckets.hpp"
#include "record_store.hpp"

namespace spanmeter::billed {

class Eviction {
   public:
    Eviction(RecordStore& records, CallAnswers& answers, CallBuckets& buckets, size_t max_spans)
        : records_(records), answers_(answers), buckets_(buckets), max_spans_(max_spans) {}

    // The newest trace stays, however large it is.
    void run() {
        while (records_.span_count() > max_spans_ && records_.trace_count() > 1) drop(records_.oldest_trace());
    }

   private:
    void drop(uint32_t trace) {
        prefetch(trace);
        for (uint32_t at = records_.trace(trace).spans, next; at != NONE; at = next) {
            next = records_.span(at).next;
            if (records_.span(at).report != NONE) drop_report(records_.span(at).report);
            records_.remove_span(at);
        }
        records_.remove_trace(trace);
    }
    // What is dropped was not read for long, so nothing of it is in the cache.
    void prefetch(uint32_t trace) const {
        each_report(trace, [this](uint32_t number) { records_.prefetch_report(number); });
        each_report(trace, [this](uint32_t number) {
            const Report& report = records_.report(number);
            records_.prefetch_slot(records_.span(report.span));
            records_.prefetch_answer(report), records_.prefetch_bucket(report);
        });
    }
    template <class Visit>
    void each_report(uint32_t trace, Visit visit) const {
        for (uint32_t at = records_.trace(trace).spans; at != NONE; at = records_.span(at).next) {
            if (records_.span(at).report != NONE) visit(records_.span(at).report);
        }
    }
    void drop_report(uint32_t number) {
        answers_.forget(number);
        buckets_.forget(number);
        records_.remove_report(number);
    }

    RecordStore& records_;
    CallAnswers& answers_;
    CallBuckets& buckets_;
    const size_t max_spans_;
};

}  // namespace spanmeter::billed

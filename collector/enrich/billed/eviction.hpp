// Memory is bounded: traces that got no spans for longest are dropped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "call_buckets.hpp"
#include "record_store.hpp"

namespace spanmeter::billed {

class Eviction {
   public:
    Eviction(RecordStore& records, CallBuckets& buckets, size_t max_spans)
        : records_(records), buckets_(buckets), max_spans_(max_spans) {}

    // The newest trace stays, however large it is.
    void run() {
        while (records_.span_count() > max_spans_ && records_.trace_count() > 1) drop(records_.oldest_trace());
    }

   private:
    void drop(uint32_t trace) {
        for (uint32_t at = records_.trace(trace).spans, next; at != NONE; at = next) {
            next = records_.span(at).next;
            if (records_.span(at).report != NONE) drop_report(records_.span(at).report);
            records_.remove_span(at);
        }
        records_.remove_trace(trace);
    }
    void drop_report(uint32_t number) {
        buckets_.forget(number);
        records_.remove_report(number);
    }

    RecordStore& records_;
    CallBuckets& buckets_;
    const size_t max_spans_;
};

}  // namespace spanmeter::billed

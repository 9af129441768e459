// Rows of a batch into records.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "call_answers.hpp"
#include "call_buckets.hpp"
#include "record_store.hpp"
#include "revisions.hpp"
#include "seen_batch.hpp"
#include "seen_traces.hpp"

namespace spanmeter::billed {

class Intake {
   public:
    Intake(const Secret& secret, RecordStore& records, SeenTraces& seen, Revisions& revisions, CallAnswers& answers,
           CallBuckets& buckets)
        : secret_(secret),
          records_(records),
          seen_(seen),
          revisions_(revisions),
          answers_(answers),
          buckets_(buckets) {}

    void take(const SeenBatch& rows) {
        records_.begin_turn();
        answers_.begin_turn();
        buckets_.begin_turn();
        row_spans_.assign(rows.count, NONE);
        repeated_.clear();
        uint32_t trace = NONE;
        for (size_t row = 0; row < rows.count; ++row) {
            const bool same = trace != NONE && rows.trace.text(row) == rows.trace.text(row - 1) &&
                              rows.project.text(row) == rows.project.text(row - 1);
            Wide trace_id;
            uint64_t id;
            if (!read_span_id(rows.span.text(row), id) || !(same || read_trace_id(rows.trace.text(row), trace_id))) {
                trace = NONE;
                continue;
            }
            if (!same) {
                trace = records_.newest_trace(rows.project.text(row), trace_id);
                touch(trace, rows.project.text(row));
            }
            row_spans_[row] = take_row(rows, row, trace, id);
        }
    }

    // Find the spans of rows without taking them.
    void find(const SeenBatch& rows) {
        row_spans_.assign(rows.count, NONE);
        for (size_t row = 0; row < rows.count; ++row) {
            Wide trace_id;
            uint64_t id;
            if (!read_trace_id(rows.trace.text(row), trace_id) || !read_span_id(rows.span.text(row), id)) continue;
            const uint32_t trace = records_.find_trace(rows.project.text(row), trace_id);
            if (trace != NONE) row_spans_[row] = records_.find_span(trace, id);
        }
    }

    // The span of each row taken or found last; NONE for one that was not found, or has no valid ids.
    const std::vector<uint32_t>& row_spans() const { return row_spans_; }
    // The rows taken last of spans that were known before them.
    const std::vector<uint32_t>& repeated() const { return repeated_; }

   private:
    void touch(uint32_t number, std::string_view project) {
        if (!records_.touch_trace(number)) return;
        Trace& trace = records_.trace(number);
        if (trace.noted == seen_.generation()) return;
        seen_.add(project, trace.id);
        trace.noted = seen_.generation();
    }

    uint32_t take_row(const SeenBatch& rows, size_t row, uint32_t trace, uint64_t id) {
        uint32_t number = records_.find_span(trace, id);
        const bool is_new = number == NONE;
        if (is_new) {
            number = records_.add_span(trace, id);
        } else {
            repeated_.push_back(uint32_t(row));
        }
        uint64_t parent = 0;
        const bool has_parent = read_span_id(rows.parent.text(row), parent);
        Span& span = records_.span(number);
        const int64_t version = rows.version.number<int64_t>(row);
        if (is_new) span.hour = hour_of(rows.start.number<int64_t>(row));
        if (version < span.version) return number;
        span.version = version, span.row = uint32_t(row);
        if (is_new || span.has_parent != has_parent || span.parent_id != parent) {
            span.has_parent = has_parent, span.parent_id = parent, span.parent = NONE;
            records_.trace(trace).changed = true;
        }
        if (rows.reports.flag(row)) {
            take_report(rows, row, number);
            if (rows.billed.known(row)) revisions_.store(number, rows.billed.flag(row));
        } else if (span.report != NONE) {
            drop_report(number);
        }
        return number;
    }

    void take_report(const SeenBatch& rows, size_t row, uint32_t span) {
        const uint32_t scope = records_.scope(rows.scope.text(row));
        const uint32_t service = records_.service(rows.service.text(row));
        Trace& trace = records_.trace(records_.span(span).trace);
        const Report sent = read_report(rows, row);
        const uint32_t bucket = records_.bucket_of(trace.project, service, sent.input, sent.output);
        uint32_t number = records_.span(span).report;
        if (number != NONE) {
            const Report& known = records_.report(number);
            if (known.same_values(sent) && known.bucket == bucket && known.scope == scope) return;
            answers_.withdraw(number);
            buckets_.withdraw(number);
        } else {
            number = records_.add_report(span);
        }
        Report& report = records_.report(number);
        report.start = sent.start, report.end = sent.end, report.detail = sent.detail;
        report.input = sent.input, report.output = sent.output;
        report.is_call = sent.is_call, report.root = sent.root;
        report.has_id = sent.has_id, report.proves = sent.proves, report.response = sent.response;
        report.models = sent.models, report.provider = sent.provider;
        records_.move_report(number, scope, bucket);
        trace.changed = true;
    }

    void drop_report(uint32_t number) {
        Span& span = records_.span(number);
        answers_.withdraw(span.report);
        buckets_.withdraw(span.report);
        records_.remove_report(span.report);
        span.report = NONE, span.is_stored = false;
        records_.trace(span.trace).changed = true;
    }

    Report read_report(const SeenBatch& rows, size_t row) const {
        Report sent;
        sent.input = rows.input.number<int64_t>(row), sent.output = rows.output.number<int64_t>(row);
        sent.start = rows.start.number<int64_t>(row), sent.end = rows.end.number<int64_t>(row);
        sent.detail = rows.detail.number<int8_t>(row);
        sent.is_call = rows.is_call.flag(row), sent.root = rows.root.flag(row);
        const std::string_view response = rows.response.text(row);
        sent.has_id = !response.empty();
        if (sent.has_id) sent.response = secret_.digest(response);
        sent.proves = proves(response);
        sent.models = {rows.request_model.number<int64_t>(row), rows.response_model.number<int64_t>(row)};
        sent.provider = rows.provider.number<int32_t>(row);
        return sent;
    }

    // `Report.proving_id` of rules.py; of UTF-8 the characters count.
    static bool proves(std::string_view id) {
        const auto begins = [](char byte) { return (byte & 0xc0) != 0x80; };
        const auto is_digit = [](char byte) { return byte >= '0' && byte <= '9'; };
        return id.size() >= 16 && std::any_of(id.begin(), id.end(), is_digit) &&
               std::count_if(id.begin(), id.end(), begins) >= 16;
    }

    const Secret& secret_;
    RecordStore& records_;
    SeenTraces& seen_;
    Revisions& revisions_;
    CallAnswers& answers_;
    CallBuckets& buckets_;
    std::vector<uint32_t> row_spans_, repeated_;
};

}  // namespace spanmeter::billed

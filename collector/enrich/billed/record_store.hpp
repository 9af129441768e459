// The records in memory: found by their keys, made, and given back. Traces are in the order in which they got spans.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "containers.hpp"
#include "pairing.hpp"
#include "records.hpp"
#include "secret.hpp"

namespace spanmeter::billed {

class RecordStore {
   private:
    // First, because their types are deduced.
    uint64_t hash_trace(uint32_t project, const Wide& id) const {
        return secret_.mix(id.high ^ (uint64_t(project) << 32), id.low);
    }
    uint64_t hash_span(uint32_t trace, uint64_t id) const { return secret_.mix(id, trace); }
    uint64_t hash_bucket(uint32_t project, uint32_t service, int64_t input, int64_t output) const {
        const uint64_t owner = uint64_t(project) << 32 | service;
        return secret_.mix(secret_.mix(owner, uint64_t(input)), uint64_t(output));
    }
    auto trace_hasher() const {
        return [this](uint32_t at) { return hash_trace(traces_[at].project, traces_[at].id); };
    }
    auto span_hasher() const {
        return [this](uint32_t at) { return hash_span(spans_[at].trace, spans_[at].id); };
    }
    auto bucket_hasher() const {
        return [this](uint32_t at) {
            const Bucket& bucket = buckets_[at];
            return hash_bucket(bucket.project, bucket.service, bucket.input, bucket.output);
        };
    }
    // A digest with our secret.
    auto answer_hasher() const {
        return [this](uint32_t at) { return reports_[at].response.low; };
    }

   public:
    explicit RecordStore(const Secret& secret) : secret_(secret), texts_(secret) {}
    RecordStore(const RecordStore&) = delete;
    RecordStore& operator=(const RecordStore&) = delete;

    Span& span(uint32_t number) { return spans_[number]; }
    Report& report(uint32_t number) { return reports_[number]; }
    Trace& trace(uint32_t number) { return traces_[number]; }
    Bucket& bucket(uint32_t number) { return buckets_[number]; }
    const Span& span(uint32_t number) const { return spans_[number]; }
    const Report& report(uint32_t number) const { return reports_[number]; }
    const Trace& trace(uint32_t number) const { return traces_[number]; }

    size_t span_count() const { return span_count_; }
    size_t trace_count() const { return trace_count_; }
    uint32_t oldest_trace() const { return oldest_; }

    // -- texts -------------------------------------------------------------------------------------------------------

    InternedTexts& texts() { return texts_; }
    // Numbers that last until the next call.
    uint32_t scope(std::string_view name) { return number(last_scope_, name); }
    uint32_t service(std::string_view name) { return number(last_service_, name); }

    // -- traces ------------------------------------------------------------------------------------------------------

    uint32_t find_trace(std::string_view project, const Wide& id) {
        if (last_project_ == NONE || texts_[last_project_] != project) {
            const uint32_t found = texts_.find(project);
            if (found == NONE) return NONE;
            replace(last_project_, found);
        }
        const uint32_t number = last_project_;
        return trace_table_.find(hash_trace(number, id),
                                 [&](uint32_t at) { return traces_[at].id == id && traces_[at].project == number; });
    }
    // Makes it where there is none; it is the newest then.
    uint32_t newest_trace(std::string_view project, const Wide& id) {
        number(last_project_, project);
        uint32_t found = find_trace(project, id);
        if (found == NONE) {
            found = traces_.take();
            traces_[found].id = id;
            traces_[found].project = last_project_;
            texts_.hold(last_project_);
            trace_table_.add(found, trace_hasher());
            ++trace_count_;
        } else {
            unlink(found);
        }
        link_newest(found);
        return found;
    }
    // Its spans have to be gone.
    void remove_trace(uint32_t number) {
        unlink(number);
        trace_table_.remove(number, trace_hasher());
        texts_.release(traces_[number].project);
        traces_.give(number);
        --trace_count_;
    }

    // -- spans -------------------------------------------------------------------------------------------------------

    uint32_t find_span(uint32_t trace, uint64_t id) const {
        return span_table_.find(hash_span(trace, id),
                                [&](uint32_t at) { return spans_[at].id == id && spans_[at].trace == trace; });
    }
    uint32_t parent_of(uint32_t number) {
        Span& span = spans_[number];
        if (span.parent == NONE && span.has_parent) span.parent = find_span(span.trace, span.parent_id);
        return span.parent;
    }
    uint32_t add_span(uint32_t trace, uint64_t id) {
        const uint32_t number = spans_.take();
        Span& span = spans_[number];
        span.id = id, span.trace = trace;
        span.next = traces_[trace].spans;
        traces_[trace].spans = number;
        span_table_.add(number, span_hasher());
        ++traces_[trace].span_count, ++span_count_;
        return number;
    }
    void remove_span(uint32_t number) {
        span_table_.remove(number, span_hasher());
        spans_.give(number);
        --span_count_;
    }

    // -- reports and buckets -----------------------------------------------------------------------------------------

    uint32_t add_report(uint32_t span) {
        const uint32_t number = spans_[span].report = reports_.take();
        reports_[number].span = span;
        return number;
    }
    // It has to be out of its bucket.
    void remove_report(uint32_t number) {
        texts_.release(reports_[number].scope);
        release_bucket(reports_[number].bucket);
        reports_.give(number);
    }
    // Makes it where there is none; it lasts as long as reports are counted in it.
    uint32_t bucket_of(uint32_t project, uint32_t service, int64_t input, int64_t output) {
        uint32_t found = bucket_table_.find(hash_bucket(project, service, input, output), [&](uint32_t at) {
            const Bucket& bucket = buckets_[at];
            return bucket.input == input && bucket.output == output && bucket.project == project &&
                   bucket.service == service;
        });
        if (found != NONE) return found;
        found = buckets_.take();
        Bucket& bucket = buckets_[found];
        bucket.project = project, bucket.service = service, bucket.input = input, bucket.output = output;
        texts_.hold(project), texts_.hold(service);
        bucket_table_.add(found, bucket_hasher());
        return found;
    }
    void move_report(uint32_t number, uint32_t scope, uint32_t bucket) {
        Report& report = reports_[number];
        texts_.hold(scope);
        if (report.scope != NONE) texts_.release(report.scope);
        report.scope = scope;
        ++buckets_[bucket].reports;
        if (report.bucket != NONE) release_bucket(report.bucket);
        report.bucket = bucket;
    }
    Position position_of(uint32_t report_number) const {
        const Report& report = reports_[report_number];
        const Span& span = spans_[report.span];
        return {report.start, report.end, span.id, traces_[span.trace].id};
    }
    Interval interval_of(uint32_t report_number) const {
        const Report& report = reports_[report_number];
        return {report.start, report.end,      report.response, report.models,
                report.scope, report.provider, report.has_id,   report.root};
    }

    // -- reports with one response id, of one service ----------------------------------------------------------------

    // The first of the list that a report belongs to; NONE where nobody has its id.
    uint32_t first_answer(uint32_t number) const {
        const Report& report = reports_[number];
        return answer_table_.find(report.response.low, [&](uint32_t at) {
            return reports_[at].response == report.response && has_owner_of(reports_[at], report);
        });
    }
    // Its bucket has to last for as long as it is in the list.
    void add_answer(uint32_t number) {
        const uint32_t first = first_answer(number);
        Report& report = reports_[number];
        report.in_answers = true;
        if (first == NONE) return answer_table_.add(number, answer_hasher());
        const uint32_t next = reports_[first].next_answer;
        report.answer_before = first, report.next_answer = next;
        reports_[first].next_answer = number;
        if (next != NONE) reports_[next].answer_before = number;
    }
    void remove_answer(uint32_t number) {
        Report& report = reports_[number];
        if (report.answer_before == NONE) {
            answer_table_.remove(number, answer_hasher());
            if (report.next_answer != NONE) answer_table_.add(report.next_answer, answer_hasher());
        } else {
            reports_[report.answer_before].next_answer = report.next_answer;
        }
        if (report.next_answer != NONE) reports_[report.next_answer].answer_before = report.answer_before;
        report.in_answers = false;
        report.next_answer = report.answer_before = NONE;
    }

    // -- what is read soon -------------------------------------------------------------------------------------------

    void prefetch_answer(const Report& report) const {
        if (report.proves) answer_table_.prefetch(report.response.low);
    }
    void prefetch_report(uint32_t number) const {
        const char* record = reinterpret_cast<const char*>(&reports_[number]);
        __builtin_prefetch(record), __builtin_prefetch(record + 64);
    }
    void prefetch_slot(const Span& span) const { span_table_.prefetch(hash_span(span.trace, span.id)); }
    void prefetch_bucket(const Report& report) const { __builtin_prefetch(&buckets_[report.bucket]); }

    // -- what a batch touches ----------------------------------------------------------------------------------------

    // The number of the batch at hand.
    uint64_t turn() const { return turn_; }
    void begin_turn() {
        ++turn_;
        touched_.clear();
    }
    // False when it was touched in this turn before.
    bool touch_trace(uint32_t number) {
        if (traces_[number].touched == turn_) return false;
        traces_[number].touched = turn_;
        touched_.push_back(number);
        return true;
    }
    const std::vector<uint32_t>& touched_traces() const { return touched_; }

   private:
    bool has_owner_of(const Report& first, const Report& second) const {
        const Bucket &mine = buckets_[first.bucket], &other = buckets_[second.bucket];
        return mine.project == other.project && mine.service == other.service;
    }

    // The number of a text, mostly that of the row before.
    uint32_t number(uint32_t& last, std::string_view text) {
        if (last == NONE || texts_[last] != text) {
            const uint32_t found = texts_.hold(text);
            if (last != NONE) texts_.release(last);
            last = found;
        }
        return last;
    }
    void replace(uint32_t& last, uint32_t text) {
        texts_.hold(text);
        if (last != NONE) texts_.release(last);
        last = text;
    }

    void link_newest(uint32_t trace) {
        traces_[trace].older = newest_;
        traces_[trace].newer = NONE;
        (newest_ == NONE ? oldest_ : traces_[newest_].newer) = trace;
        newest_ = trace;
    }
    void unlink(uint32_t trace) {
        const Trace& gone = traces_[trace];
        (gone.older == NONE ? oldest_ : traces_[gone.older].newer) = gone.newer;
        (gone.newer == NONE ? newest_ : traces_[gone.newer].older) = gone.older;
    }

    void release_bucket(uint32_t number) {
        if (--buckets_[number].reports) return;
        bucket_table_.remove(number, bucket_hasher());
        texts_.release(buckets_[number].project), texts_.release(buckets_[number].service);
        buckets_.give(number);
    }

    const Secret& secret_;
    InternedTexts texts_;
    Pool<Span> spans_;
    Pool<Report> reports_;
    Pool<Trace> traces_;
    Pool<Bucket> buckets_;
    Table span_table_, trace_table_, bucket_table_, answer_table_;
    uint32_t oldest_ = NONE, newest_ = NONE;
    size_t span_count_ = 0, trace_count_ = 0;
    uint32_t last_project_ = NONE, last_scope_ = NONE, last_service_ = NONE;
    uint64_t turn_ = 0;
    std::vector<uint32_t> touched_;
};

}  // namespace spanmeter::billed

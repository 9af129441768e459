// `RecentTraces` of traces.py, natively: the same verdicts from compact records. The rules and their reasons are in
// verdicts.py, the contract in traces.py; what is said here is how it is done without work that repeats.
//
//   Trace ── its spans (a list) ── Span ── Report, of a span that reports usage ── Bucket: equal project, service, totals
//
// A trace is judged again when a batch changed it. A bucket keeps its calls as a mere list until calls of two scopes
// and a root are in it, since only then may there be doubles from other traces. From then on they are in order (Index),
// and a change is followed only as far as the times of those it concerns reach.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

#include "_containers.hpp"
#include "_enclosed.hpp"

namespace spanmeter {

// The Arrow C data interface.
struct ArrowArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};

class Column {
 public:
  Column(const ArrowArray& batch, int number)
      : array_(*batch.children[number]), offset_(batch.offset + array_.offset) {}
  std::string_view text(size_t row) const {
    const int32_t* offsets = static_cast<const int32_t*>(array_.buffers[1]) + offset_ + row;
    return {static_cast<const char*>(array_.buffers[2]) + offsets[0], static_cast<size_t>(offsets[1] - offsets[0])};
  }
  bool flag(size_t row) const { return bit(array_.buffers[1], row); }
  bool known(size_t row) const { return !array_.buffers[0] || bit(array_.buffers[0], row); }
  template <class Number>
  Number number(size_t row) const {
    return static_cast<const Number*>(array_.buffers[1])[offset_ + row];
  }

 private:
  bool bit(const void* bits, size_t row) const {
    size_t at = offset_ + row;
    return static_cast<const uint8_t*>(bits)[at / 8] >> (at % 8) & 1;
  }
  const ArrowArray& array_;
  int64_t offset_;
};

// A batch of SEEN_SCHEMA.
struct Rows {
  explicit Rows(const ArrowArray& a)
      : count(static_cast<size_t>(a.length)), project(a, 0), trace(a, 1), span(a, 2), parent(a, 3), service(a, 4),
        scope(a, 5), response(a, 6), start(a, 7), end(a, 8), reports(a, 9), is_call(a, 10), root(a, 11), input(a, 12),
        output(a, 13), detail(a, 14), billed(a, 15) {}
  size_t count;
  Column project, trace, span, parent, service, scope, response, start, end, reports, is_call, root, input, output,
      detail, billed;
};

// Sixteen lower-case hex digits; false for anything else.
inline bool hex(const char* digits, uint64_t& value) {
  uint64_t made = 0;
  for (int i = 0; i < 16; ++i) {
    char c = digits[i];
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
    if (digit > 15) return false;
    made = made << 4 | digit;
  }
  value = made;
  return true;
}
inline bool span_id(std::string_view text, uint64_t& id) { return text.size() == 16 && hex(text.data(), id); }
inline bool trace_id(std::string_view text, Wide& id) {
  return text.size() == 32 && hex(text.data(), id.high) && hex(text.data() + 16, id.low);
}

struct Revision {
  std::string project;
  Wide trace;
  uint64_t span;
  bool billed;
};

struct Span {
  uint64_t id = 0, parent_id = 0;
  uint32_t trace = NONE, next = NONE;  // the next of its trace
  uint32_t parent = NONE;              // once it is known
  uint32_t report = NONE;
  uint32_t nearest = NONE;  // while its trace is judged: the reporting span at or above it
  bool has_parent = false, is_stored = false, stored = false;
};

struct Report {
  int64_t start = 0, end = 0;
  int64_t input = 0, output = 0;
  Wide response;
  uint32_t span = NONE, bucket = NONE, scope = NONE;
  uint32_t next = NONE, before = NONE;  // in its bucket
  uint32_t partner = NONE;              // the call of another trace that is the same call
  uint32_t local = NONE;                // while its trace is judged
  int8_t detail = 0;
  bool has_id = false, is_call = false, root = false;
  bool standing = false, in_bucket = false;
  bool is_double = false;  // of its partner
  bool pinned = false;     // a double of a call that is not in memory: its verdict stays until that is
  bool noted = false;      // its verdict or its row may have changed

  bool has_totals() const { return input || output; }
  bool same_totals(const Report& other) const { return input == other.input && output == other.output; }
};

struct Trace {
  Wide id;
  uint32_t project = NONE, spans = NONE, span_count = 0;
  uint32_t older = NONE, newer = NONE;
  uint32_t noted = 0;  // the generation of the filter it was added to
  uint64_t touched = 0;
  bool changed = false;
};

// Where a call is in its bucket: by start, the latest end first, then ids.
struct Place {
  int64_t start = 0, end = 0;
  uint64_t span = 0;
  Wide trace;
  bool operator<(const Place& other) const {
    if (start != other.start) return start < other.start;
    if (end != other.end) return end > other.end;
    if (span != other.span) return span < other.span;
    return trace < other.trace;
  }
};

struct Entry {
  Place place;
  uint32_t report = NONE;  // NONE for a call that left
  int64_t reach = 0;       // the latest end up to here
};

struct Change {
  Place place;
  int64_t reach;  // the latest end of those concerned
};

struct Index {
  std::vector<Entry> entries, arriving;
  std::vector<Change> changes;
  size_t gone = 0;
};

struct Bucket {
  uint32_t project = NONE, service = NONE;
  int64_t input = 0, output = 0;
  uint32_t reports = 0, calls = 0, roots = 0, first = NONE;
  uint32_t scope = NONE;  // of its first call
  bool mixed = false;     // calls of another scope came
  bool listed = false;    // to be judged now
  bool stale = false;     // to be judged when it is touched: a call of a pair was forgotten
  uint64_t touched = 0;
  std::unique_ptr<Index> index;
};

// What is summed up below a report; sums of many int64 need more than one.
struct Sum {
  uint32_t count = 0;
  __int128 input = 0, output = 0;
};

// A call by its totals.
struct Totals {
  int64_t input, output;
  uint32_t call;
  bool operator<(const Totals& other) const {
    if (input != other.input) return input < other.input;
    return output != other.output ? output < other.output : call < other.call;
  }
};

class RecentTraces {
 public:
  RecentTraces(size_t max_spans, size_t max_known) : max_spans_(max_spans), seen_(max_known) {}
  RecentTraces(const RecentTraces&) = delete;
  RecentTraces& operator=(const RecentTraces&) = delete;

  void remember(std::string_view project, std::string_view trace) {
    Wide id;
    if (trace_id(trace, id)) seen_.add(seen_hash(project, id));
  }

  // One row at least of every trace that may have stored spans and is not in memory.
  std::vector<uint32_t> forgotten(const Rows& rows) {
    std::vector<uint32_t> found;
    std::string_view project, trace;
    Wide id;
    for (size_t row = 0; row < rows.count; ++row) {
      bool same = row && rows.trace.text(row) == trace && rows.project.text(row) == project;
      project = rows.project.text(row), trace = rows.trace.text(row);
      if (same || !trace_id(trace, id) || find_trace(project, id) != NONE) continue;
      if (seen_.has(seen_hash(project, id))) found.push_back(static_cast<uint32_t>(row));
    }
    return found;
  }

  void load(const Rows& rows) {
    take(rows);
    judge();
    for (size_t row = 0; row < rows.count; ++row) {
      if (row_spans_[row] == NONE || !rows.billed.known(row) || rows.billed.flag(row)) continue;
      uint32_t report = spans_[row_spans_[row]].report;
      if (report == NONE || !billed(reports_[report])) continue;
      reports_[report].pinned = true;
      if (reports_[report].partner != NONE) pinned_pairs_.push_back(report);
      note(report);
    }
  }

  void absorb(const Rows& rows, uint8_t* verdicts) {
    take(rows);
    judge();
    for (size_t row = 0; row < rows.count; ++row) {
      uint32_t report = row_spans_[row] == NONE ? NONE : spans_[row_spans_[row]].report;
      verdicts[row] = report != NONE && billed(reports_[report]);
    }
    find_revisions();
  }
  const std::vector<Revision>& revisions() const { return revisions_; }

  // `same`: these are the rows of the last `absorb`, and nothing was forgotten since.
  void confirm(const Rows& rows, const uint8_t* verdicts, bool same) {
    if (!same) find_spans(rows);
    for (size_t row = 0; row < rows.count; ++row) {
      if (row_spans_[row] != NONE && rows.reports.flag(row)) store(row_spans_[row], verdicts[row]);
    }
  }
  void revised(std::string_view project, std::string_view trace, std::string_view span, bool verdict) {
    Wide trace_number;
    uint64_t id;
    if (!trace_id(trace, trace_number) || !span_id(span, id)) return;
    uint32_t found = find_trace(project, trace_number);
    found = found == NONE ? NONE : find_span(found, id);
    if (found != NONE) store(found, verdict);
  }
  void forget() {
    forgetting_ = true;
    while (span_count_ > max_spans_ && trace_count_ > 1) drop(oldest_);
    forgetting_ = false;
  }
  size_t span_count() const { return span_count_; }

 private:
  // ── Finding and making records ──

  uint64_t seen_hash(std::string_view project, const Wide& id) {
    if (project != hashed_project_) {
      hashed_project_ = project;
      project_hash_ = secret_.digest(project).low;
    }
    return secret_.mix(secret_.mix(project_hash_, id.high), id.low);
  }
  uint64_t hash_trace(uint32_t project, const Wide& id) const {
    return secret_.mix(id.high ^ (uint64_t{project} << 32), id.low);
  }
  uint64_t hash_span(uint32_t trace, uint64_t id) const { return secret_.mix(id, trace); }
  uint64_t hash_bucket(uint32_t project, uint32_t service, int64_t input, int64_t output) const {
    uint64_t owner = uint64_t{project} << 32 | service;
    return secret_.mix(secret_.mix(owner, static_cast<uint64_t>(input)), static_cast<uint64_t>(output));
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

  uint32_t find_trace(std::string_view project, const Wide& id) {
    if (last_project_ == NONE || texts_[last_project_] != project) {
      uint32_t found = texts_.find(project);
      if (found == NONE) return NONE;
      keep(last_project_, found);
    }
    uint32_t number = last_project_;
    return trace_table_.find(hash_trace(number, id), [&](uint32_t at) {
      return traces_[at].id == id && traces_[at].project == number;
    });
  }
  uint32_t find_span(uint32_t trace, uint64_t id) const {
    return span_table_.find(hash_span(trace, id), [&](uint32_t at) {
      return spans_[at].id == id && spans_[at].trace == trace;
    });
  }
  // The number of a text, mostly that of the row before.
  uint32_t number(uint32_t& last, std::string_view text) {
    if (last == NONE || texts_[last] != text) {
      uint32_t found = texts_.hold(text);
      if (last != NONE) texts_.release(last);
      last = found;
    }
    return last;
  }
  void keep(uint32_t& last, uint32_t text) {
    texts_.hold(text);
    if (last != NONE) texts_.release(last);
    last = text;
  }

  uint32_t trace_of(std::string_view project, const Wide& id) {
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
  void link_newest(uint32_t trace) {
    traces_[trace].older = newest_;
    traces_[trace].newer = NONE;
    (newest_ == NONE ? oldest_ : traces_[newest_].newer) = trace;
    newest_ = trace;
  }
  void unlink(uint32_t trace) {
    Trace& gone = traces_[trace];
    (gone.older == NONE ? oldest_ : traces_[gone.older].newer) = gone.newer;
    (gone.newer == NONE ? newest_ : traces_[gone.newer].older) = gone.older;
  }

  uint32_t bucket_of(uint32_t project, uint32_t service, int64_t input, int64_t output) {
    uint32_t found = bucket_table_.find(hash_bucket(project, service, input, output), [&](uint32_t at) {
      const Bucket& bucket = buckets_[at];
      return bucket.input == input && bucket.output == output && bucket.project == project && bucket.service == service;
    });
    if (found != NONE) return found;
    found = buckets_.take();
    Bucket& made = buckets_[found];
    made.project = project, made.service = service, made.input = input, made.output = output;
    texts_.hold(project), texts_.hold(service);
    bucket_table_.add(found, bucket_hasher());
    return found;
  }
  void release_bucket(uint32_t bucket) {
    if (--buckets_[bucket].reports) return;
    bucket_table_.remove(bucket, bucket_hasher());
    texts_.release(buckets_[bucket].project), texts_.release(buckets_[bucket].service);
    buckets_.give(bucket);
  }

  // ── Taking in rows ──

  void take(const Rows& rows) {
    ++turn_;
    touched_.clear(), listed_.clear();
    are_buckets_touched_ = false;
    row_spans_.assign(rows.count, NONE);
    uint32_t trace = NONE;
    for (size_t row = 0; row < rows.count; ++row) {
      bool same = trace != NONE && rows.trace.text(row) == rows.trace.text(row - 1) &&
                  rows.project.text(row) == rows.project.text(row - 1);
      Wide trace_number;
      uint64_t id;
      if (!span_id(rows.span.text(row), id) || !(same || trace_id(rows.trace.text(row), trace_number))) {
        trace = NONE;
        continue;
      }
      if (!same) {
        trace = trace_of(rows.project.text(row), trace_number);
        touch(trace, rows.project.text(row));
      }
      row_spans_[row] = take_row(rows, row, trace, id);
    }
  }
  void touch(uint32_t number, std::string_view project) {
    Trace& trace = traces_[number];
    if (trace.touched == turn_) return;
    trace.touched = turn_;
    touched_.push_back(number);
    if (trace.noted != seen_.generation()) {
      seen_.add(seen_hash(project, trace.id));
      trace.noted = seen_.generation();
    }
  }
  uint32_t take_row(const Rows& rows, size_t row, uint32_t trace, uint64_t id) {
    uint32_t number = find_span(trace, id);
    bool is_new = number == NONE;
    if (is_new) {
      number = spans_.take();
      Span& made = spans_[number];
      made.id = id, made.trace = trace;
      made.next = traces_[trace].spans;
      traces_[trace].spans = number;
      span_table_.add(number, span_hasher());
      ++traces_[trace].span_count, ++span_count_;
    }
    uint64_t parent = 0;
    bool has_parent = span_id(rows.parent.text(row), parent);
    Span& span = spans_[number];
    if (is_new || span.has_parent != has_parent || span.parent_id != parent) {
      span.has_parent = has_parent, span.parent_id = parent, span.parent = NONE;
      traces_[trace].changed = true;
    }
    if (rows.reports.flag(row)) take_report(rows, row, number);
    if (rows.billed.known(row)) store(number, rows.billed.flag(row));
    return number;
  }
  void take_report(const Rows& rows, size_t row, uint32_t span) {
    uint32_t scope = number(last_scope_, rows.scope.text(row));
    uint32_t service = number(last_service_, rows.service.text(row));
    uint32_t project = traces_[spans_[span].trace].project;
    Report sent;
    sent.input = rows.input.number<int64_t>(row), sent.output = rows.output.number<int64_t>(row);
    uint32_t bucket = bucket_of(project, service, sent.input, sent.output);
    sent.start = rows.start.number<int64_t>(row), sent.end = rows.end.number<int64_t>(row);
    sent.detail = rows.detail.number<int8_t>(row);
    sent.is_call = rows.is_call.flag(row), sent.root = rows.root.flag(row);
    std::string_view response = rows.response.text(row);
    sent.has_id = !response.empty();
    if (sent.has_id) sent.response = secret_.digest(response);
    uint32_t known = spans_[span].report;
    if (known != NONE) {
      if (alike(reports_[known], sent) && reports_[known].bucket == bucket && reports_[known].scope == scope) return;
      if (reports_[known].in_bucket) leave(known);
      touch_bucket(buckets_[reports_[known].bucket], reports_[known].bucket);
    } else {
      known = spans_[span].report = reports_.take();
      reports_[known].span = span;
    }
    Report& report = reports_[known];
    report.start = sent.start, report.end = sent.end, report.detail = sent.detail;
    report.input = sent.input, report.output = sent.output;
    report.is_call = sent.is_call, report.root = sent.root;
    report.has_id = sent.has_id, report.response = sent.response;
    texts_.hold(scope);
    if (report.scope != NONE) texts_.release(report.scope);
    report.scope = scope;
    ++buckets_[bucket].reports;
    if (report.bucket != NONE) release_bucket(report.bucket);
    report.bucket = bucket;
    traces_[spans_[span].trace].changed = true;
  }
  static bool alike(const Report& first, const Report& second) {
    return first.start == second.start && first.end == second.end && first.detail == second.detail &&
           first.is_call == second.is_call && first.root == second.root && first.has_id == second.has_id &&
           first.response == second.response;
  }

  // ── Verdicts ──

  static bool billed(const Report& report) { return report.standing && !report.is_double && !report.pinned; }

  void store(uint32_t span, bool verdict) {
    spans_[span].is_stored = true, spans_[span].stored = verdict;
    if (spans_[span].report != NONE) note(spans_[span].report);
  }
  // A row can only be wrong of what was stored.
  void note(uint32_t number) {
    Report& report = reports_[number];
    if (report.noted || !spans_[report.span].is_stored) return;
    report.noted = true;
    noted_.push_back(number);
  }
  bool is_wrong(const Report& report) const {
    return spans_[report.span].is_stored && spans_[report.span].stored != billed(report);
  }

  // Of the rows that are wrong, those which this batch concerns: in its traces, or in the buckets of their reports.
  void find_revisions() {
    revisions_.clear();
    size_t kept = 0;
    for (uint32_t number : noted_) {
      Report& report = reports_[number];
      if (!report.noted) continue;
      if (!is_wrong(report)) {
        report.noted = false;
        continue;
      }
      noted_[kept++] = number;
      const Span& span = spans_[report.span];
      const Trace& trace = traces_[span.trace];
      if (trace.touched != turn_) touch_buckets();
      bool concerned = trace.touched == turn_ || (report.in_bucket && buckets_[report.bucket].touched == turn_);
      if (concerned) revisions_.push_back({texts_[trace.project], trace.id, span.id, billed(report)});
    }
    noted_.resize(kept);
  }

  void judge() {
    for (uint32_t trace : touched_) judge_trace(trace);
    if (stale_count_ || !pinned_pairs_.empty()) touch_buckets();
    for (uint32_t number : listed_) {
      if (buckets_[number].listed) judge_bucket(number);
    }
    size_t kept = 0;
    for (uint32_t number : pinned_pairs_) {
      const Report& report = reports_[number];
      if (!report.pinned || report.partner == NONE) continue;
      if (buckets_[report.bucket].touched == turn_) {
        unpin(number), unpin(report.partner);
      } else {
        pinned_pairs_[kept++] = number;
      }
    }
    pinned_pairs_.resize(kept);
  }
  void unpin(uint32_t number) {
    if (!reports_[number].pinned) return;
    reports_[number].pinned = false;
    note(number);
  }
  // Every bucket that a trace of the batch has a report of. Seldom needed, so not done along with other work.
  void touch_buckets() {
    if (are_buckets_touched_) return;
    are_buckets_touched_ = true;
    for (uint32_t trace : touched_) {
      for (uint32_t at = traces_[trace].spans; at != NONE; at = spans_[at].next) {
        if (spans_[at].report == NONE) continue;
        uint32_t number = reports_[spans_[at].report].bucket;
        touch_bucket(buckets_[number], number);
      }
    }
  }
  void touch_bucket(Bucket& bucket, uint32_t number) {
    bucket.touched = turn_;
    if (bucket.stale) list(bucket, number);
  }
  void list(Bucket& bucket, uint32_t number) {
    if (bucket.listed) return;
    bucket.listed = true;
    listed_.push_back(number);
  }
  void set_stale(Bucket& bucket, bool stale) {
    stale_count_ += stale, stale_count_ -= bucket.stale;
    bucket.stale = stale;
  }

  // ── One trace: verdicts.standing_reports ──

  void judge_trace(uint32_t number) {
    Trace& trace = traces_[number];
    if (!trace.changed) return;
    locals_.clear();
    for (uint32_t at = trace.spans; at != NONE; at = spans_[at].next) {
      spans_[at].nearest = NONE;
      if (spans_[at].report == NONE) continue;
      reports_[spans_[at].report].local = static_cast<uint32_t>(locals_.size());
      locals_.push_back(spans_[at].report);
    }
    trace.changed = false;
    if (locals_.empty()) return;
    find_uppers();
    find_standing();
  }

  uint32_t parent_of(uint32_t number) {
    Span& span = spans_[number];
    if (span.parent == NONE && span.has_parent) span.parent = find_span(span.trace, span.parent_id);
    return span.parent;
  }
  // The nearest reporting spans above, as numbers in `locals_`; cycles cut at their smallest id; depths.
  void find_uppers() {
    size_t count = locals_.size();
    upper_.resize(count);
    is_deep_ = false;
    for (size_t i = 0; i < count; ++i) {
      upper_[i] = reporting(parent_of(reports_[locals_[i]].span));
      is_deep_ |= upper_[i] != NONE;
    }
    depth_.assign(count, 0);
    if (!is_deep_) return;
    cut_cycles();
    find_depths();
  }
  // The first reporting span at `at` or above. In `nearest`: AWAY for those on the way and those below none.
  uint32_t reporting(uint32_t at) {
    path_.clear();
    while (at != NONE && spans_[at].report == NONE && spans_[at].nearest == NONE) {
      spans_[at].nearest = AWAY;
      path_.push_back(at);
      at = parent_of(at);
    }
    uint32_t found = AWAY;
    if (at != NONE) found = spans_[at].report != NONE ? reports_[spans_[at].report].local : spans_[at].nearest;
    for (uint32_t passed : path_) spans_[passed].nearest = found;
    return found == AWAY ? NONE : found;
  }
  uint64_t id_of(uint32_t local) const { return spans_[reports_[locals_[local]].span].id; }
  void cut_cycles() {
    state_.assign(upper_.size(), 0);
    for (uint32_t i = 0; i < upper_.size(); ++i) {
      path_.clear();
      uint32_t at = i;
      for (; at != NONE && !state_[at]; at = upper_[at]) {
        state_[at] = 1;
        path_.push_back(at);
      }
      if (at != NONE && state_[at] == 1) {
        uint32_t least = at;
        for (uint32_t next = upper_[at]; next != at; next = upper_[next]) {
          if (id_of(next) < id_of(least)) least = next;
        }
        upper_[least] = NONE;
      }
      for (uint32_t passed : path_) state_[passed] = 2;
    }
  }
  void find_depths() {
    depth_.assign(upper_.size(), NONE);
    for (uint32_t i = 0; i < upper_.size(); ++i) {
      path_.clear();
      uint32_t at = i;
      for (; at != NONE && depth_[at] == NONE; at = upper_[at]) path_.push_back(at);
      uint32_t depth = at == NONE ? 0 : depth_[at] + 1;
      for (size_t step = path_.size(); step-- > 0;) depth_[path_[step]] = depth++;
    }
  }

  void find_standing() {
    size_t count = locals_.size();
    standing_.assign(count, 1);
    calls_.clear();
    for (uint32_t i = 0; i < count; ++i) {
      if (report_at(i).is_call) calls_.push_back(i);
    }
    drop_doubles();
    if (is_deep_) drop_sums();
    for (uint32_t i = 0; i < count; ++i) stand(locals_[i], standing_[i]);
  }
  const Report& report_at(uint32_t local) const { return reports_[locals_[local]]; }

  void drop_doubles() {
    if (calls_.size() < 2) return;
    leader_.resize(locals_.size());
    for (uint32_t i = 0; i < leader_.size(); ++i) leader_[i] = i;
    joined_ = false;
    if (is_deep_) join_nested();
    join_responses();
    join_enclosed();
    if (!joined_) return;
    best_.assign(locals_.size(), NONE);
    for (uint32_t call : calls_) {
      uint32_t& best = best_[find(call)];
      if (best == NONE || stands_before(call, best)) best = call;
    }
    for (uint32_t call : calls_) standing_[call] = best_[find(call)] == call;
  }
  uint32_t find(uint32_t local) {
    while (leader_[local] != local) local = leader_[local] = leader_[leader_[local]];
    return local;
  }
  void join(uint32_t first, uint32_t second) {
    leader_[find(first)] = find(second);
    joined_ = true;
  }
  bool stands_before(uint32_t first, uint32_t second) const {
    const Report &a = report_at(first), &b = report_at(second);
    if (a.detail != b.detail) return a.detail > b.detail;
    if (a.root != b.root) return b.root;
    if (depth_[first] != depth_[second]) return depth_[first] > depth_[second];
    return id_of(first) < id_of(second);
  }
  void join_nested() {
    for (uint32_t call : calls_) {
      const Report& inner = report_at(call);
      if (!inner.has_totals()) continue;
      uint32_t above = upper_[call];
      for (int level = 0; above != NONE && level < MOST_LEVELS; ++level, above = upper_[above]) {
        const Report& outer = report_at(above);
        if (!outer.is_call || !outer.same_totals(inner)) continue;
        if (!(outer.has_id && inner.has_id && outer.response != inner.response)) join(call, above);
      }
    }
  }
  void join_responses() {
    size_t size = 16;
    while (size < calls_.size() * 2) size *= 2;
    named_.assign(size, NONE);
    for (uint32_t call : calls_) {
      const Report& report = report_at(call);
      if (!report.has_id) continue;
      size_t at = report.response.low & (size - 1);
      while (named_[at] != NONE && report_at(named_[at]).response != report.response) at = (at + 1) & (size - 1);
      if (named_[at] != NONE) join(call, named_[at]);
      named_[at] = call;
    }
  }
  void join_enclosed() {
    uint32_t scope = report_at(calls_[0]).scope;
    auto is_other = [&](uint32_t call) { return report_at(call).scope != scope; };
    if (std::none_of(calls_.begin(), calls_.end(), is_other)) return;
    by_totals_.clear();
    for (uint32_t call : calls_) {
      if (report_at(call).has_totals()) by_totals_.push_back({report_at(call).input, report_at(call).output, call});
    }
    std::sort(by_totals_.begin(), by_totals_.end());
    for (size_t begin = 0, end; begin < by_totals_.size(); begin = end) {
      const Report& first = report_at(by_totals_[begin].call);
      bool mixed = false;
      for (end = begin + 1; end < by_totals_.size() && report_at(by_totals_[end].call).same_totals(first); ++end) {
        mixed |= report_at(by_totals_[end].call).scope != first.scope;
      }
      if (mixed) join_alike(begin, end);
    }
  }
  // Calls of equal totals, and of more than one scope.
  void join_alike(size_t begin, size_t end) {
    ordered_.clear();
    for (size_t i = begin; i < end; ++i) {
      ordered_.push_back({place_of(locals_[by_totals_[i].call]), by_totals_[i].call});
    }
    std::sort(ordered_.begin(), ordered_.end());
    pairing_.intervals.clear();
    for (const auto& each : ordered_) pairing_.intervals.push_back(interval(locals_[each.second]));
    pairing_.begin();
    for (uint32_t inner = 1; inner < ordered_.size(); ++inner) {
      uint32_t outer = pairing_.outer_of(inner);
      if (outer != NONE) join(ordered_[outer].second, ordered_[inner].second);
    }
  }
  Place place_of(uint32_t number) const {
    const Report& report = reports_[number];
    const Span& span = spans_[report.span];
    return {report.start, report.end, span.id, traces_[span.trace].id};
  }
  Interval interval(uint32_t number) const {
    const Report& report = reports_[number];
    return {report.start, report.end, report.response, report.scope, report.has_id};
  }

  // Roll-ups, the deepest first.
  void drop_sums() {
    size_t count = locals_.size();
    uint32_t deepest = *std::max_element(depth_.begin(), depth_.end());
    starts_.assign(deepest + 2, 0);
    for (uint32_t depth : depth_) ++starts_[deepest - depth + 1];
    for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    by_depth_.resize(count);
    for (uint32_t i = 0; i < count; ++i) by_depth_[starts_[deepest - depth_[i]]++] = i;
    below_.assign(count, Sum());
    for (uint32_t i : by_depth_) {
      const Report& report = report_at(i);
      if (standing_[i] && rolls_up(report, below_[i])) standing_[i] = 0;
      if (upper_[i] == NONE) continue;
      Sum& sum = below_[upper_[i]];
      if (standing_[i]) {
        sum.count += 1, sum.input += report.input, sum.output += report.output;
      } else {
        sum.count += below_[i].count, sum.input += below_[i].input, sum.output += below_[i].output;
      }
    }
  }
  static bool rolls_up(const Report& report, const Sum& below) {
    if (!report.is_call) return below.count > 0;
    return below.count > 1 && below.input == report.input && below.output == report.output;
  }

  // ── Buckets: verdicts.foreign_doubles ──

  void stand(uint32_t number, bool standing) {
    Report& report = reports_[number];
    if (report.standing != standing) {
      report.standing = standing;
      note(number);
    }
    bool belongs = standing && report.is_call && report.has_totals();
    if (belongs && !report.in_bucket) enter(number);
    if (!belongs && report.in_bucket) leave(number);
  }
  void enter(uint32_t number) {
    Report& report = reports_[number];
    Bucket& bucket = buckets_[report.bucket];
    report.in_bucket = true;
    report.before = NONE, report.next = bucket.first;
    if (bucket.first != NONE) reports_[bucket.first].before = number;
    bucket.first = number;
    if (!bucket.calls++) bucket.scope = report.scope, bucket.mixed = false;
    bucket.mixed |= bucket.scope != report.scope;
    bucket.roots += report.root;
    if (bucket.index) arrive(*bucket.index, number);
    if (bucket.index || (bucket.mixed && bucket.roots)) list(bucket, report.bucket);
  }
  void arrive(Index& index, uint32_t number) {
    const Report& report = reports_[number];
    index.arriving.push_back({place_of(number), number, 0});
    index.changes.push_back({place_of(number), report.end});
  }
  void leave(uint32_t number) {
    Report& report = reports_[number];
    Bucket& bucket = buckets_[report.bucket];
    report.in_bucket = false;
    (report.before == NONE ? bucket.first : reports_[report.before].next) = report.next;
    if (report.next != NONE) reports_[report.next].before = report.before;
    bucket.roots -= report.root;
    if (bucket.index) {
      Index& index = *bucket.index;
      Place place = place_of(number);
      auto found = std::lower_bound(index.entries.begin(), index.entries.end(), place, before);
      while (found->report != number) ++found;  // it may have left before, and come again
      found->report = NONE;
      ++index.gone;
      if (report.partner != NONE) {
        Place other = place_of(report.partner);
        index.changes.push_back({std::max(place, other), std::max(place.end, other.end)});
        part(number);
        forgetting_ ? set_stale(bucket, true) : list(bucket, report.bucket);
      }
    }
    if (--bucket.calls) return;
    bucket.index.reset();
    set_stale(bucket, false);
  }
  static bool before(const Entry& entry, const Place& place) { return entry.place < place; }

  void part(uint32_t number) {
    uint32_t other = reports_[number].partner;
    for (uint32_t each : {number, other}) {
      reports_[each].partner = NONE;
      reports_[each].is_double = false;
      note(each);
    }
  }
  void pair(uint32_t outer, uint32_t inner) {
    Report &first = reports_[outer], &second = reports_[inner];
    first.partner = inner, second.partner = outer;
    bool better = second.detail != first.detail ? second.detail > first.detail : !second.root && first.root;
    (better ? first : second).is_double = true;
    unpin(outer), unpin(inner);
    note(outer), note(inner);
  }

  void judge_bucket(uint32_t number) {
    Bucket& bucket = buckets_[number];
    bucket.listed = false;
    set_stale(bucket, false);
    if (!bucket.calls) return;
    if (!bucket.index) {
      bucket.index = std::make_unique<Index>();
      for (uint32_t at = bucket.first; at != NONE; at = reports_[at].next) arrive(*bucket.index, at);
    }
    Index& index = *bucket.index;
    put_in_order(index);
    std::sort(index.changes.begin(), index.changes.end(), [](const Change& a, const Change& b) { return a.place < b.place; });
    for (size_t change = 0; change < index.changes.size();) change = follow(index, change);
    index.changes.clear();
  }
  static void put_in_order(Index& index) {
    auto by_place = [](const Entry& a, const Entry& b) { return a.place < b.place; };
    std::vector<Entry>& entries = index.entries;
    size_t from = entries.size();
    if (index.gone > 64 && index.gone * 2 > entries.size()) {
      entries.erase(std::remove_if(entries.begin(), entries.end(), [](const Entry& e) { return e.report == NONE; }), entries.end());
      index.gone = 0, from = 0;
    }
    if (!index.arriving.empty()) {
      std::sort(index.arriving.begin(), index.arriving.end(), by_place);
      size_t middle = entries.size();
      size_t first = std::lower_bound(entries.begin(), entries.end(), index.arriving[0].place, before) - entries.begin();
      entries.insert(entries.end(), index.arriving.begin(), index.arriving.end());
      std::inplace_merge(entries.begin() + first, entries.begin() + middle, entries.end(), by_place);
      std::vector<Entry>().swap(index.arriving);
      from = std::min(from, first);
    }
    int64_t reach = from ? entries[from - 1].reach : std::numeric_limits<int64_t>::min();
    for (size_t i = from; i < entries.size(); ++i) entries[i].reach = reach = std::max(reach, entries[i].place.end);
  }

  // Pair again from the place of a change to where nothing that it concerns is open; the first change after that.
  size_t follow(Index& index, size_t change) {
    for (size_t most = 256;; most *= 8) {
      size_t next = try_to_follow(index, change, most);
      if (next != UNFINISHED) return next;
    }
  }
  size_t try_to_follow(Index& index, size_t change, size_t most) {
    const std::vector<Entry>& entries = index.entries;
    size_t first = std::lower_bound(entries.begin(), entries.end(), index.changes[change].place, before) - entries.begin();
    size_t stop = std::min(entries.size(), first + most);
    if (first == entries.size()) return index.changes.size();
    size_t earlier = fill_window(entries, first, stop);
    pairing_.begin();
    decisions_.clear();
    int64_t concerned = std::numeric_limits<int64_t>::min();
    size_t at = first;
    uint32_t local = static_cast<uint32_t>(earlier);
    for (; at < stop; ++at) {
      for (; change < index.changes.size() && !(entries[at].place < index.changes[change].place); ++change) {
        concerned = std::max(concerned, index.changes[change].reach);
      }
      if (concerned < entries[at].place.start) break;
      if (entries[at].report == NONE) continue;
      uint32_t outer = reports_[entries[at].report].root ? pairing_.outer_of(local) : NONE;
      outer = outer == NONE ? NONE : window_[outer];
      uint32_t known = outer_of(entries[at].report);
      if (outer != known) {
        decisions_.push_back({entries[at].report, outer});
        concerned = std::max(concerned, entries[at].place.end);
        for (uint32_t other : {outer, known}) {
          if (other != NONE) concerned = std::max(concerned, reports_[other].end);
        }
      }
      ++local;
    }
    if (at == stop && stop < entries.size()) return UNFINISHED;
    for (const auto& decision : decisions_) {
      if (outer_of(decision.first) != NONE) part(decision.first);
    }
    for (const auto& decision : decisions_) {
      if (decision.second != NONE) pair(decision.second, decision.first);
    }
    return at == entries.size() ? index.changes.size() : change;
  }
  // The calls open before `first`, then those of [first, stop), as intervals; how many of the former.
  size_t fill_window(const std::vector<Entry>& entries, size_t first, size_t stop) {
    const Place& begin = entries[first].place;
    window_.clear();
    for (size_t i = first; i-- > 0 && entries[i].reach >= begin.start;) {
      const Entry& entry = entries[i];
      if (entry.report == NONE || entry.place.end < begin.start) continue;
      uint32_t partner = reports_[entry.report].partner;
      if (partner == NONE || !(place_of(partner) < begin)) window_.push_back(entry.report);
    }
    std::reverse(window_.begin(), window_.end());
    size_t earlier = window_.size();
    for (size_t i = first; i < stop; ++i) {
      if (entries[i].report != NONE) window_.push_back(entries[i].report);
    }
    pairing_.intervals.clear();
    for (uint32_t report : window_) pairing_.intervals.push_back(interval(report));
    return earlier;
  }
  // The call that encloses this one, as far as is known by now.
  uint32_t outer_of(uint32_t number) const {
    uint32_t partner = reports_[number].partner;
    return partner != NONE && place_of(partner) < place_of(number) ? partner : NONE;
  }

  // ── Forgetting ──

  void find_spans(const Rows& rows) {
    row_spans_.assign(rows.count, NONE);
    for (size_t row = 0; row < rows.count; ++row) {
      Wide trace_number;
      uint64_t id;
      if (!trace_id(rows.trace.text(row), trace_number) || !span_id(rows.span.text(row), id)) continue;
      uint32_t trace = find_trace(rows.project.text(row), trace_number);
      if (trace != NONE) row_spans_[row] = find_span(trace, id);
    }
  }
  void drop(uint32_t number) {
    for (uint32_t at = traces_[number].spans, next; at != NONE; at = next) {
      next = spans_[at].next;
      if (spans_[at].report != NONE) drop_report(spans_[at].report);
      span_table_.remove(at, span_hasher());
      spans_.give(at);
      --span_count_;
    }
    unlink(number);
    trace_table_.remove(number, trace_hasher());
    texts_.release(traces_[number].project);
    traces_.give(number);
    --trace_count_;
  }
  void drop_report(uint32_t number) {
    uint32_t partner = reports_[number].partner;
    if (partner != NONE && reports_[partner].is_double) reports_[partner].pinned = true;
    if (reports_[number].in_bucket) leave(number);
    texts_.release(reports_[number].scope);
    release_bucket(reports_[number].bucket);
    reports_.give(number);
  }

  static constexpr uint32_t AWAY = NONE - 1;
  static constexpr int MOST_LEVELS = 64;
  static constexpr size_t UNFINISHED = static_cast<size_t>(-1);

  size_t max_spans_;
  Secret secret_;
  Seen seen_;
  Texts texts_{secret_};
  Pool<Span> spans_;
  Pool<Report> reports_;
  Pool<Trace> traces_;
  Pool<Bucket> buckets_;
  Table span_table_, trace_table_, bucket_table_;
  uint32_t oldest_ = NONE, newest_ = NONE;
  size_t span_count_ = 0, trace_count_ = 0;
  size_t stale_count_ = 0;
  uint64_t turn_ = 0;
  bool are_buckets_touched_ = false, forgetting_ = false;
  std::string hashed_project_;
  uint64_t project_hash_ = secret_.digest("").low;
  uint32_t last_project_ = NONE, last_scope_ = NONE, last_service_ = NONE;
  std::vector<uint32_t> noted_, pinned_pairs_;

  // Of one batch.
  std::vector<uint32_t> row_spans_, touched_, listed_;
  std::vector<Revision> revisions_;

  // Of one trace: its reports, and by their place in that list.
  std::vector<uint32_t> locals_, upper_, depth_, calls_, leader_, best_, path_, starts_, by_depth_;
  std::vector<uint8_t> state_, standing_;
  std::vector<Sum> below_;
  std::vector<uint32_t> named_;
  std::vector<Totals> by_totals_;
  std::vector<std::pair<Place, uint32_t>> ordered_;
  bool is_deep_ = false, joined_ = false;

  // Of one window of a bucket: its calls, and the calls whose outer one is another now.
  Pairing pairing_;
  std::vector<uint32_t> window_;
  std::vector<std::pair<uint32_t, uint32_t>> decisions_;
};

}  // namespace spanmeter

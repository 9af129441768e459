// The billable calls of equal project, service and totals: only among them may one be the double of a call of another
// trace.
//
// A bucket keeps its calls as a mere list until calls of two scopes and a root are in it, since only then may there be
// doubles. From then on they are in order (CallIndex), and a change is followed only as far as the times of those it
// concerns reach.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "call_pairs.hpp"
#include "record_store.hpp"
#include "revisions.hpp"

namespace spanmeter::billed {

class CallBuckets {
   public:
    CallBuckets(RecordStore& records, Revisions& revisions)
        : records_(records), revisions_(revisions), pairs_(records, revisions) {}

    void begin_turn() {
        listed_.clear();
        are_touched_ = false;
    }

    // A report is in if it is a billable call that is nobody's double by its response id.
    void settle(uint32_t number) {
        const Report& report = records_.report(number);
        const bool belongs = report.belongs_in_bucket();
        if (belongs && !report.in_bucket) enter(number);
        if (!belongs && report.in_bucket) leave(number);
    }

    // A report is to change: where it is a call of a bucket, that is decided again without it.
    void withdraw(uint32_t number) {
        if (records_.report(number).in_bucket) leave(number);
        touch(records_.report(number).bucket);
    }

    // A report is to be dropped. A double of it stays one, and the bucket is decided again when a batch touches it.
    void forget(uint32_t number) {
        const uint32_t partner = records_.report(number).partner;
        if (partner != NONE && records_.report(partner).is_double) records_.report(partner).pinned = true;
        if (records_.report(number).in_bucket) leave(number, /*forgetting=*/true);
    }

    bool any_stale() const { return stale_count_ > 0; }

    // Touch every bucket that a trace of the batch has a report of. Seldom needed, so not done along with other work.
    void touch_all() {
        if (are_touched_) return;
        are_touched_ = true;
        for (uint32_t trace : records_.touched_traces()) {
            for (uint32_t at = records_.trace(trace).spans; at != NONE; at = records_.span(at).next) {
                const uint32_t report = records_.span(at).report;
                if (report != NONE) touch(records_.report(report).bucket);
            }
        }
    }

    // Decide the buckets that changed.
    void decide() {
        for (uint32_t number : listed_) {
            if (records_.bucket(number).listed) decide(records_.bucket(number));
        }
    }

    // The batch at hand concerns a bucket.
    void touch(uint32_t number) {
        Bucket& bucket = records_.bucket(number);
        bucket.touched = records_.turn();
        if (bucket.stale) list(bucket, number);
    }

   private:
    void enter(uint32_t number) {
        Report& report = records_.report(number);
        Bucket& bucket = records_.bucket(report.bucket);
        report.in_bucket = true;
        report.before = NONE, report.next = bucket.first;
        if (bucket.first != NONE) records_.report(bucket.first).before = number;
        bucket.first = number;
        if (!bucket.calls++) bucket.scope = report.scope, bucket.mixed = false;
        bucket.mixed |= bucket.scope != report.scope;
        bucket.roots += report.root;
        if (bucket.index) bucket.index->add(records_.position_of(number), number);
        if (bucket.index || (bucket.mixed && bucket.roots)) list(bucket, report.bucket);
    }

    void leave(uint32_t number, bool forgetting = false) {
        Report& report = records_.report(number);
        Bucket& bucket = records_.bucket(report.bucket);
        report.in_bucket = false;
        (report.before == NONE ? bucket.first : records_.report(report.before).next) = report.next;
        if (report.next != NONE) records_.report(report.next).before = report.before;
        bucket.roots -= report.root;
        if (bucket.index) leave_index(number, bucket, forgetting);
        if (--bucket.calls) return;
        bucket.index.reset();
        set_stale(bucket, false);
    }

    void leave_index(uint32_t number, Bucket& bucket, bool forgetting) {
        const Report& report = records_.report(number);
        const Position position = records_.position_of(number);
        bucket.index->remove(position, number);
        if (report.partner == NONE) return;
        const Position other = records_.position_of(report.partner);
        bucket.index->change(std::max(position, other), std::max(position.end, other.end));
        pairs_.part(number);
        forgetting ? set_stale(bucket, true) : list(bucket, report.bucket);
    }

    void decide(Bucket& bucket) {
        bucket.listed = false;
        set_stale(bucket, false);
        if (!bucket.calls) return;
        if (!bucket.index) {
            bucket.index = std::make_unique<CallIndex>();
            for (uint32_t at = bucket.first; at != NONE; at = records_.report(at).next) {
                bucket.index->add(records_.position_of(at), at);
            }
        }
        bucket.index->put_in_order();
        pairs_.follow(*bucket.index);
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

    RecordStore& records_;
    Revisions& revisions_;
    CallPairs pairs_;
    std::vector<uint32_t> listed_;
    size_t stale_count_ = 0;
    bool are_touched_ = false;
};

}  // namespace spanmeter::billed

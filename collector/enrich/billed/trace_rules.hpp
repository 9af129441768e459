// Which reports of one trace are billable: `rules.billable_reports`.
#pragma once

#include <cstdint>
#include <vector>

#include "roll_ups.hpp"
#include "trace_doubles.hpp"
#include "trace_tree.hpp"

namespace spanmeter::billed {

class TraceRules {
   public:
    explicit TraceRules(RecordStore& records) : tree_(records), doubles_(records, tree_), roll_ups_(tree_) {}

    // Calls `stand(report, billable)` for each report of the trace.
    template <class Stand>
    void decide(const Trace& trace, Stand stand) {
        tree_.read(trace);
        const uint32_t count = uint32_t(tree_.size());
        if (!count) return;
        standing_.assign(count, 1);
        calls_.clear();
        for (uint32_t i = 0; i < count; ++i) {
            if (tree_.report(i).is_call) calls_.push_back(i);
        }
        doubles_.drop(calls_, standing_);
        if (tree_.is_deep()) roll_ups_.drop(standing_);
        for (uint32_t i = 0; i < count; ++i) stand(tree_.reports()[i], bool(standing_[i]));
    }

   private:
    TraceTree tree_;
    TraceDoubles doubles_;
    RollUps roll_ups_;
    std::vector<uint32_t> calls_;
    std::vector<uint8_t> standing_;
};

}  // namespace spanmeter::billed

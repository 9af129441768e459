// Reports of one trace that repeat the sum of those below: the rule of `rules._rolls_up`.
#pragma once

#include <cstdint>
#include <vector>

#include "trace_tree.hpp"

namespace spanmeter::billed {

class RollUps {
   public:
    explicit RollUps(const TraceTree& tree) : tree_(tree) {}

    // The deepest first, so that what is below a report is decided before it.
    void drop(std::vector<uint8_t>& billable) {
        sort_by_depth();
        below_.assign(tree_.size(), Sum());
        for (uint32_t i : by_depth_) {
            const Report& report = tree_.report(i);
            const uint32_t upper = tree_.upper(i);
            if (billable[i] && rolls_up(report, below_[i])) billable[i] = 0;
            if (upper == NONE) continue;
            Sum& sum = below_[upper];
            if (billable[i]) {
                sum.count += 1, sum.input += report.input, sum.output += report.output;
            } else {
                sum.count += below_[i].count, sum.input += below_[i].input, sum.output += below_[i].output;
            }
        }
    }

   private:
    // The billable reports nearest below one; sums of many int64 need more than one.
    struct Sum {
        uint32_t count = 0;
        __int128 input = 0, output = 0;
    };

    static bool rolls_up(const Report& report, const Sum& below) {
        if (!report.is_call) return below.count > 0;
        return below.count > 1 && below.input == report.input && below.output == report.output;
    }

    // A counting sort.
    void sort_by_depth() {
        const uint32_t count = uint32_t(tree_.size()), deepest = tree_.max_depth();
        starts_.assign(deepest + 2, 0);
        for (uint32_t i = 0; i < count; ++i) ++starts_[deepest - tree_.depth(i) + 1];
        for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
        by_depth_.resize(count);
        for (uint32_t i = 0; i < count; ++i) by_depth_[starts_[deepest - tree_.depth(i)]++] = i;
    }

    const TraceTree& tree_;
    std::vector<uint32_t> starts_, by_depth_;
    std::vector<Sum> below_;
};

}  // namespace spanmeter::billed

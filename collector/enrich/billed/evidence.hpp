// Whether two reports may be of one call, by their names, counts and times: the predicates of `rules.py`, `names.py`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace spanmeter::billed {

// Numbers of `names.model_number`: of the model asked for, and of the one that answered; 0 where unknown.
struct Models {
    int64_t request = 0, response = 0;

    bool operator==(const Models& other) const { return request == other.request && response == other.response; }
    bool any() const { return request || response; }
    bool differ(const Models& other) const {
        if (response && other.response) return differ(response, other.response);
        if (!any() || !other.any()) return false;
        return (differ_or_unknown(request, other.request) && differ_or_unknown(request, other.response) &&
                differ_or_unknown(response, other.request) && differ_or_unknown(response, other.response));
    }
    Models merged(const Models& other) const {
        return {most_exact(request, other.request), most_exact(response, other.response)};
    }

   private:
    static int64_t release(int64_t number) { return number >> 1 & 0x7fffffff; }
    static bool differ(int64_t first, int64_t second) {
        if (first >> 32 != second >> 32) return (first & 1) == (second & 1);
        return release(first) && release(second) && release(first) != release(second);
    }
    static bool differ_or_unknown(int64_t first, int64_t second) { return !first || !second || differ(first, second); }
    static int64_t most_exact(int64_t first, int64_t second) {
        if (!first || !second) return first ? first : second;
        if ((first ^ second) & 1) return first & 1 ? first : second;
        if (!release(first) != !release(second)) return release(first) ? first : second;
        return std::min(first, second);
    }
};

inline bool providers_differ(int32_t first, int32_t second) { return first && second && first != second; }

// What the clock of a span may be wrong by.
inline int64_t overhang(int64_t start, int64_t end) {
    if (end <= start) return 0;
    return int64_t(std::min<uint64_t>(2'000'000, (uint64_t(end) - uint64_t(start)) / 4));
}
// When a span that starts with another one may have started at the earliest.
inline int64_t earliest_start(int64_t start, int64_t end) {
    const int64_t over = overhang(start, end);
    return start < std::numeric_limits<int64_t>::min() + over ? std::numeric_limits<int64_t>::min() : start - over;
}
// When a span that encloses another one may have ended at the earliest.
inline int64_t earliest_end(int64_t start, int64_t end) { return end <= start ? start : end - overhang(start, end); }

// `earlier` starts first.
template <class Timed>
bool encloses(const Timed& earlier, const Timed& later) {
    if (earlier.end < later.start) return false;
    return earlier.end >= earliest_end(later.start, later.end) ||
           earlier.start >= earliest_start(later.start, later.end);
}

inline bool is_near(int64_t first, int64_t second) {
    if (!first || !second) return true;
    const int64_t larger = std::max(first, second);
    return larger - std::min(first, second) <= std::max<int64_t>(8, larger / 50);
}

}  // namespace spanmeter::billed

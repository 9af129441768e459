// What a peer may ask for that brings no work.
#pragma once

#include <algorithm>

namespace spanmeter::http2 {

// So many at once, and so many a second.
class Budget {
   public:
    Budget(double max, double rate) : level_(max), max_(max), rate_(rate) {}

    void earn(double amount) { level_ = std::min(max_, level_ + amount); }

    bool spend(double now, double amount = 1) {
        if (now > since_) earn((now - since_) * rate_);
        since_ = now;
        level_ -= amount;
        return level_ >= 0;
    }

   private:
    double level_, max_, rate_, since_ = 0;
};

}  // namespace spanmeter::http2

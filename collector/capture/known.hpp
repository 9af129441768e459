// What Python said of names before, by name. Bounded.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "../wire/protobuf.hpp"

namespace spanmeter::capture {

using namespace wire;

class Known {
   public:
    const int* find(Bytes name) const {
        const auto found = values_.find(name);
        return found == values_.end() ? nullptr : &found->second;
    }

    void add(Bytes name, int value) {
        if (name.size() <= MAX_NAME && values_.size() < MAX_NAMES) values_.emplace(names_.emplace_back(name), value);
    }

   private:
    static constexpr size_t MAX_NAMES = 4096, MAX_NAME = 512;

    std::deque<std::string> names_;
    std::unordered_map<Bytes, int> values_;
};

}  // namespace spanmeter::capture

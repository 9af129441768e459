// The attribute names that conventions know, by number; and where they are in maps that repeat each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "text_array.hpp"
#include "text_map.hpp"

namespace spanmeter::columns {

// The keys that conventions know, and prefixes of keys that they look for. Numbers are in the order they were added.
class KeyTable {
   public:
    KeyTable(const std::vector<std::string>& keys, const std::vector<std::string>& prefixes)
        : keys_(int32_t(keys.size())), prefixes_(prefixes) {
        for (const std::string& key : keys) exact_.add(key);
    }

    int32_t keys() const { return keys_; }
    int32_t size() const { return keys_ + int32_t(prefixes_.size()); }
    size_t words() const { return size_t(size() + 63) / 64; }

    // The number of a known key or -1; marks the prefixes it begins with. Keys repeat, so what is found is kept.
    int32_t classify(std::string_view key, uint64_t* present) {
        int32_t known = seen_.find(key);
        if (known < 0) {
            if (seen_.size() >= MAX_SEEN || seen_.bytes() >= MAX_BYTES) forget();
            known = seen_.add(key);
            classes_.push_back(examine(key));
        }
        const Class& found = classes_[size_t(known)];
        for (uint64_t left = found.prefixes; left; left &= left - 1) mark(present, keys_ + __builtin_ctzll(left));
        return found.number;
    }

    static void mark(uint64_t* present, int32_t number) { present[number >> 6] |= uint64_t(1) << (number & 63); }

   private:
    static constexpr int32_t MAX_SEEN = 1 << 16;
    static constexpr size_t MAX_BYTES = 8 << 20;

    struct Class {
        int32_t number;
        uint64_t prefixes;
    };

    Class examine(std::string_view key) const {
        uint64_t prefixes = 0;
        for (size_t number = 0; number < prefixes_.size(); ++number) {
            if (key.substr(0, prefixes_[number].size()) == prefixes_[number]) prefixes |= uint64_t(1) << number;
        }
        return {exact_.find(key), prefixes};
    }

    void forget() {
        seen_ = TextMap();
        classes_.clear();
    }

    int32_t keys_;
    std::vector<std::string> prefixes_;
    TextMap exact_;
    TextMap seen_;
    std::vector<Class> classes_;
};

// Entries of known keys in maps that mostly repeat the row before: rows x keys, -1 where absent. Whether there are any.
inline bool positions_of(KeyTable& table, const int32_t* map_ends, TextArray keys, int64_t rows,
                         std::vector<int32_t>* result) {
    const size_t width = size_t(table.keys());
    std::vector<uint64_t> prefixes(table.words());
    std::vector<int32_t> relative(width, -1);
    int32_t before = -1, before_count = -1;
    bool any = false;
    result->assign(size_t(rows) * width, -1);
    const auto repeats = [&](int32_t first, int32_t count) {
        if (count != before_count) return false;
        const int32_t shift = keys.ends[first] - keys.ends[before];
        for (int32_t entry = 1; entry <= count; ++entry) {
            if (keys.ends[first + entry] - keys.ends[before + entry] != shift) return false;
        }
        return std::memcmp(keys.data + keys.ends[first], keys.data + keys.ends[before],
                           size_t(keys.ends[first + count] - keys.ends[first])) == 0;
    };
    for (int64_t row = 0; row < rows; ++row) {
        const int32_t first = map_ends[row], count = map_ends[row + 1] - first;
        if (!repeats(first, count)) {
            std::fill(relative.begin(), relative.end(), -1);
            for (int32_t entry = 0; entry < count; ++entry) {
                const int32_t number = table.classify(keys.at(first + entry), prefixes.data());
                if (number >= 0) relative[size_t(number)] = entry;
            }
            before = first;
            before_count = count;
        }
        for (size_t key = 0; key < width; ++key) {
            if (relative[key] < 0) continue;
            any = true;
            (*result)[size_t(row) * width + key] = first + relative[key];
        }
    }
    return any;
}

}  // namespace spanmeter::columns

// Which traces were seen, in little memory: a trace that was not is surely new.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "secret.hpp"

namespace spanmeter::billed {

// Keys that were added: two generations of a Bloom filter whose bits for a key share a cache line.
class SeenFilter {
   public:
    explicit SeenFilter(size_t max_keys)
        : max_keys_(max_keys ? max_keys : 1), lines_(max_keys_ / 32 + 1), now_(lines_ * 8), before_(lines_ * 8) {}

    bool has(uint64_t hash) const { return in(now_, hash) || in(before_, hash); }
    void add(uint64_t hash) {
        if (in(now_, hash)) return;
        if (count_ >= max_keys_) {
            before_.swap(now_);
            std::fill(now_.begin(), now_.end(), 0);
            count_ = 0, ++generation_;
        }
        size_t line = at(hash);
        each(hash, [&](unsigned bit) {
            now_[line + bit / 64] |= uint64_t(1) << (bit % 64);
            return true;
        });
        ++count_;
    }
    // Changes when what was added may have become part of the generation before.
    uint32_t generation() const { return generation_; }

   private:
    size_t at(uint64_t hash) const { return size_t((static_cast<unsigned __int128>(hash) * lines_) >> 64) * 8; }
    template <class Visit>
    static bool each(uint64_t hash, Visit visit) {
        uint64_t bits = hash * 0x9e3779b97f4a7c15u;
        for (int i = 0; i < 7; ++i, bits >>= 9) {
            if (!visit(unsigned(bits & 511))) return false;
        }
        return true;
    }
    bool in(const std::vector<uint64_t>& bits, uint64_t hash) const {
        size_t line = at(hash);
        return each(hash, [&](unsigned bit) { return bits[line + bit / 64] >> (bit % 64) & 1; });
    }
    size_t max_keys_, lines_, count_ = 0;
    uint32_t generation_ = 1;
    std::vector<uint64_t> now_, before_;
};

class SeenTraces {
   public:
    SeenTraces(const Secret& secret, size_t max_known) : secret_(secret), filter_(max_known) {}

    void add(std::string_view project, const Wide& id) { filter_.add(hash(project, id)); }
    bool has(std::string_view project, const Wide& id) { return filter_.has(hash(project, id)); }
    uint32_t generation() const { return filter_.generation(); }

   private:
    uint64_t hash(std::string_view project, const Wide& id) {
        if (project != hashed_project_) {
            hashed_project_ = project;
            project_hash_ = secret_.digest(project).low;
        }
        return secret_.mix(secret_.mix(project_hash_, id.high), id.low);
    }

    const Secret& secret_;
    SeenFilter filter_;
    std::string hashed_project_;
    uint64_t project_hash_ = secret_.digest("").low;
};

}  // namespace spanmeter::billed

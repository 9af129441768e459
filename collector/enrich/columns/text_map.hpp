// Texts to small numbers: an open-addressing table over an arena. Hashes are seeded, because senders choose the texts.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace spanmeter::columns {

class TextMap {
   public:
    TextMap() : slots_(1024) {
        std::random_device device;
        seed_ = (uint64_t(device()) << 32) ^ device() ^ 0x9E3779B97F4A7C15ull;
    }

    // The number of `text`, or -1.
    int32_t find(std::string_view text) const {
        const uint64_t hash = hash_of(text);
        for (size_t at = hash & mask();; at = (at + 1) & mask()) {
            const Slot& slot = slots_[at];
            if (slot.number < 0) return -1;
            if (slot.hash == hash && text_of(slot.number) == text) return slot.number;
        }
    }

    // The number of `text`, which is the next free one when it is new.
    int32_t add(std::string_view text) {
        const uint64_t hash = hash_of(text);
        size_t at = hash & mask();
        for (; slots_[at].number >= 0; at = (at + 1) & mask()) {
            const Slot& slot = slots_[at];
            if (slot.hash == hash && text_of(slot.number) == text) return slot.number;
        }
        const int32_t number = size();
        slots_[at] = {hash, number};
        arena_.append(text);
        ends_.push_back(arena_.size());
        if (ends_.size() * 2 > slots_.size()) grow();
        return number;
    }

    std::string_view text_of(int32_t number) const {
        const size_t begin = number ? ends_[number - 1] : 0;
        return std::string_view(arena_).substr(begin, ends_[number] - begin);
    }

    int32_t size() const { return int32_t(ends_.size()); }
    size_t bytes() const { return arena_.size(); }

   private:
    struct Slot {
        uint64_t hash = 0;
        int32_t number = -1;
    };

    size_t mask() const { return slots_.size() - 1; }

    static uint64_t fold(uint64_t a, uint64_t b) {
        const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
        return uint64_t(product) ^ uint64_t(product >> 64);
    }

    static uint64_t load(const char* from, size_t count) {
        uint64_t word = 0;
        std::memcpy(&word, from, count);
        return word;
    }

    uint64_t hash_of(std::string_view text) const {
        uint64_t hash = seed_ ^ (text.size() * 0xA0761D6478BD642Full);
        const char* at = text.data();
        size_t left = text.size();
        for (; left > 8; at += 8, left -= 8) hash = fold(hash ^ load(at, 8), 0xE7037ED1A0B428DBull ^ seed_);
        return fold(hash ^ load(at, left), 0x8EBC6AF09C88C6E3ull ^ seed_);
    }

    void grow() {
        std::vector<Slot> old(slots_.size() * 2);
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.number < 0) continue;
            size_t at = slot.hash & mask();
            while (slots_[at].number >= 0) at = (at + 1) & mask();
            slots_[at] = slot;
        }
    }

    uint64_t seed_;
    std::vector<Slot> slots_;
    std::string arena_;
    std::vector<size_t> ends_;
};

}  // namespace spanmeter::columns

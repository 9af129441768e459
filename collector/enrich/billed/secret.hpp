// Hashes keyed with a secret of this process: senders choose the ids and names that are hashed.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace spanmeter::billed {

struct Wide {
    uint64_t high = 0, low = 0;
    bool operator==(const Wide& other) const { return high == other.high && low == other.low; }
    bool operator!=(const Wide& other) const { return !(*this == other); }
    bool operator<(const Wide& other) const { return high != other.high ? high < other.high : low < other.low; }
};

class Secret {
   public:
    Secret() {
        std::random_device device;
        for (uint64_t& key : keys_) key = (uint64_t(device()) << 32) ^ device();
    }

    // Two numbers, for tables whose entries are compared in full.
    uint64_t mix(uint64_t first, uint64_t second) const {
        return fold(fold(first ^ keys_[0], second ^ keys_[1]) ^ keys_[2], keys_[3] | 1);
    }

    // SipHash-2-4 with 128 bits: what it tells apart need not be compared.
    Wide digest(std::string_view text) const {
        uint64_t v0 = keys_[0] ^ 0x736f6d6570736575u, v1 = keys_[1] ^ 0x646f72616e646f6du ^ 0xee;
        uint64_t v2 = keys_[0] ^ 0x6c7967656e657261u, v3 = keys_[1] ^ 0x7465646279746573u;
        size_t left = text.size();
        const char* at = text.data();
        for (; left >= 8; left -= 8, at += 8) {
            uint64_t word;
            std::memcpy(&word, at, 8);
            v3 ^= word;
            rounds(v0, v1, v2, v3, 2);
            v0 ^= word;
        }
        uint64_t last = uint64_t(text.size()) << 56;
        for (size_t i = 0; i < left; ++i) last |= uint64_t(uint8_t(at[i])) << (8 * i);
        v3 ^= last;
        rounds(v0, v1, v2, v3, 2);
        v0 ^= last;
        v2 ^= 0xee;
        rounds(v0, v1, v2, v3, 4);
        Wide made;
        made.high = v0 ^ v1 ^ v2 ^ v3;
        v1 ^= 0xdd;
        rounds(v0, v1, v2, v3, 4);
        made.low = v0 ^ v1 ^ v2 ^ v3;
        return made;
    }

   private:
    static uint64_t fold(uint64_t first, uint64_t second) {
        unsigned __int128 product = static_cast<unsigned __int128>(first) * second;
        return uint64_t(product) ^ uint64_t(product >> 64);
    }
    static uint64_t turn(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }
    static void rounds(uint64_t& v0, uint64_t& v1, uint64_t& v2, uint64_t& v3, int count) {
        while (count--) {
            v0 += v1, v1 = turn(v1, 13) ^ v0, v0 = turn(v0, 32);
            v2 += v3, v3 = turn(v3, 16) ^ v2;
            v0 += v3, v3 = turn(v3, 21) ^ v0;
            v2 += v1, v1 = turn(v1, 17) ^ v2, v2 = turn(v2, 32);
        }
    }
    uint64_t keys_[4];
};

}  // namespace spanmeter::billed

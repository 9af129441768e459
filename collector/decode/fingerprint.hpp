// Fingerprints of log records and metric points: what fingerprint.py says, number for number.
#pragma once

#include <initializer_list>
#include <vector>

#include "any_value.hpp"

namespace spanmeter::decode {

// XXH64: github.com/Cyan4973/xxHash, doc/xxhash_spec.md.
class Xxh64 {
   public:
    static uint64_t of(Bytes data, uint64_t seed = 0) {
        const char* at = data.data();
        size_t left = data.size();
        uint64_t total = left < 32 ? seed + P5 : stripes(at, left, seed);
        total += data.size();
        for (; left >= 8; at += 8, left -= 8) {
            total = rotated(total ^ round(0, little_endian(at, 8)), 27) * P1 + P4;
        }
        if (left >= 4) {
            total = rotated(total ^ little_endian(at, 4) * P1, 23) * P2 + P3;
            at += 4, left -= 4;
        }
        for (; left; ++at, --left) total = rotated(total ^ uint8_t(*at) * P5, 11) * P1;
        total = (total ^ total >> 33) * P2;
        total = (total ^ total >> 29) * P3;
        return total ^ total >> 32;
    }

   private:
    static constexpr uint64_t P1 = 0x9E3779B185EBCA87, P2 = 0xC2B2AE3D27D4EB4F, P3 = 0x165667B19E3779F9;
    static constexpr uint64_t P4 = 0x85EBCA77C2B2AE63, P5 = 0x27D4EB2F165667C5;

    static uint64_t rotated(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }
    static uint64_t round(uint64_t lane, uint64_t word) { return rotated(lane + word * P2, 31) * P1; }

    static uint64_t stripes(const char*& at, size_t& left, uint64_t seed) {
        uint64_t lanes[] = {seed + P1 + P2, seed + P2, seed, seed - P1};
        for (; left >= 32; at += 32, left -= 32) {
            for (int i = 0; i < 4; ++i) lanes[i] = round(lanes[i], little_endian(at + 8 * i, 8));
        }
        uint64_t total = rotated(lanes[0], 1) + rotated(lanes[1], 7) + rotated(lanes[2], 12) + rotated(lanes[3], 18);
        for (const uint64_t lane : lanes) total = (total ^ round(0, lane)) * P1 + P4;
        return total;
    }
};

namespace fingerprint {

constexpr uint64_t ORDINAL_STEP = 0x9E3779B97F4A7C15;

inline uint64_t words(const uint64_t* numbers, size_t count, uint64_t seed = 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return Xxh64::of({reinterpret_cast<const char*>(numbers), 8 * count}, seed);
#else
    std::vector<char> bytes(8 * count);
    for (size_t i = 0; i < 8 * count; ++i) bytes[i] = char(numbers[i / 8] >> (8 * (i % 8)));
    return Xxh64::of({bytes.data(), bytes.size()}, seed);
#endif
}

inline uint64_t words(std::initializer_list<uint64_t> numbers, uint64_t seed = 0) {
    return words(numbers.begin(), numbers.size(), seed);
}

inline uint64_t text(Bytes string) { return Xxh64::of(string, 1); }

uint64_t value(const AnyValue& value);

// The attributes' fingerprint is the sum of these, so that their order does not matter.
inline uint64_t attribute(const KeyValue& pair) { return words({text(pair.key), value(pair.value)}); }

// Of a value whose text was written before: it nests no deeper than allowed.
inline uint64_t value(const AnyValue& value) {
    switch (value.kind) {
        case ValueKind::NONE: return words({});
        case ValueKind::TEXT: return text(value.bytes);
        case ValueKind::BOOLEAN: return words({value.bits ? 1u : 0u}, 2);
        case ValueKind::INTEGER: return words({value.bits}, 3);
        case ValueKind::FLOATING: return words({value.bits}, 4);
        case ValueKind::BYTES: return Xxh64::of(value.bytes, 7);
        default: break;
    }
    const bool is_array = value.kind == ValueKind::ARRAY;
    std::vector<uint64_t> items;
    uint64_t sum = 0;
    for (Reader in(value.bytes); in.more();) {
        const uint32_t tag = in.tag();
        if (tag != message_tag(1)) {
            in.skip(tag);
        } else if (is_array) {
            items.push_back(fingerprint::value(read_any_value(in.bytes())));
        } else {
            sum += attribute(read_key_value(in.bytes()));
        }
    }
    return is_array ? words(items.data(), items.size(), 5) : words({sum}, 6);
}

}  // namespace fingerprint

// Row keys of one request: equal fingerprints get different ones, in the order they come.
class Ordinals {
   public:
    void begin(size_t rows) {
        size_t size = 16;
        while (size < 2 * rows) size *= 2;
        slots_.assign(size, {0, 0});
    }
    uint64_t row_key(uint64_t fingerprint) {
        size_t at = fingerprint & (slots_.size() - 1);
        while (slots_[at].count && slots_[at].fingerprint != fingerprint) at = (at + 1) & (slots_.size() - 1);
        slots_[at].fingerprint = fingerprint;
        return fingerprint + slots_[at].count++ * fingerprint::ORDINAL_STEP;
    }

   private:
    struct Slot {
        uint64_t fingerprint, count;
    };
    std::vector<Slot> slots_;
};

}  // namespace spanmeter::decode

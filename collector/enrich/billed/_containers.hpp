// Small parts of the native verdict: keyed hashes, an index of records by key, texts by number, a set of traces seen.
//
// Senders choose ids and names, so every hash is keyed with a secret of this process.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace spanmeter {

constexpr uint32_t NONE = 0xffffffffu;

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
    for (uint64_t& key : keys_) key = (uint64_t{device()} << 32) ^ device();
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
    uint64_t last = uint64_t{text.size()} << 56;
    for (size_t i = 0; i < left; ++i) last |= uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
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
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
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

// Numbers of records by hash, with linear probing. Whoever asks compares the records, and says how to hash one again.
class Table {
 public:
  template <class Equal>
  uint32_t find(uint64_t hash, Equal equal) const {
    if (slots_.empty()) return NONE;
    for (size_t at = hash & mask();; at = (at + 1) & mask()) {
      if (slots_[at] == NONE || equal(slots_[at])) return slots_[at];
    }
  }

  template <class Hash>
  void add(uint32_t record, Hash hash) {
    if ((count_ + 1) * 10 > slots_.size() * 6) grow(hash);
    place(record, hash(record));
    ++count_;
  }

  template <class Hash>
  void remove(uint32_t record, Hash hash) {
    size_t hole = hash(record) & mask();
    while (slots_[hole] != record) hole = (hole + 1) & mask();
    for (size_t at = (hole + 1) & mask(); slots_[at] != NONE; at = (at + 1) & mask()) {
      size_t home = hash(slots_[at]) & mask();
      if (((at - home) & mask()) >= ((at - hole) & mask())) slots_[hole] = slots_[at], hole = at;
    }
    slots_[hole] = NONE;
    --count_;
  }

 private:
  size_t mask() const { return slots_.size() - 1; }
  void place(uint32_t record, uint64_t hash) {
    size_t at = hash & mask();
    while (slots_[at] != NONE) at = (at + 1) & mask();
    slots_[at] = record;
  }
  template <class Hash>
  void grow(Hash hash) {
    std::vector<uint32_t> old(slots_.empty() ? 64 : slots_.size() * 2, NONE);
    old.swap(slots_);
    for (uint32_t record : old) {
      if (record != NONE) place(record, hash(record));
    }
  }
  std::vector<uint32_t> slots_;
  size_t count_ = 0;
};

// Records by number; the numbers of those given back are used again.
template <class Record>
class Pool {
 public:
  uint32_t take() {
    if (free_.empty()) {
      records_.emplace_back();
      return static_cast<uint32_t>(records_.size() - 1);
    }
    uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  void give(uint32_t number) {
    records_[number] = Record();
    free_.push_back(number);
  }
  Record& operator[](uint32_t number) { return records_[number]; }
  const Record& operator[](uint32_t number) const { return records_[number]; }

 private:
  std::vector<Record> records_;
  std::vector<uint32_t> free_;
};

// Texts by number, as long as something holds them.
class Texts {
 public:
  explicit Texts(const Secret& secret) : secret_(secret) {}

  uint32_t find(std::string_view text) const {
    return table_.find(secret_.digest(text).low, [&](uint32_t at) { return texts_[at].text == text; });
  }
  uint32_t hold(std::string_view text) {
    uint32_t found = find(text);
    if (found == NONE) {
      found = texts_.take();
      texts_[found].text = text;
      table_.add(found, [&](uint32_t at) { return secret_.digest(texts_[at].text).low; });
    }
    ++texts_[found].holders;
    return found;
  }
  void hold(uint32_t number) { ++texts_[number].holders; }
  void release(uint32_t number) {
    if (--texts_[number].holders) return;
    table_.remove(number, [&](uint32_t at) { return secret_.digest(texts_[at].text).low; });
    texts_.give(number);
  }
  const std::string& operator[](uint32_t number) const { return texts_[number].text; }

 private:
  struct Held {
    std::string text;
    uint64_t holders = 0;
  };
  const Secret& secret_;
  Pool<Held> texts_;
  Table table_;
};

// Which traces were seen: two generations of a Bloom filter whose bits for a key share a cache line.
class Seen {
 public:
  explicit Seen(size_t most) : most_(most ? most : 1), lines_(most_ / 32 + 1), now_(lines_ * 8), before_(lines_ * 8) {}

  bool has(uint64_t hash) const { return in(now_, hash) || in(before_, hash); }
  void add(uint64_t hash) {
    if (in(now_, hash)) return;
    if (count_ >= most_) {
      before_.swap(now_);
      std::fill(now_.begin(), now_.end(), 0);
      count_ = 0, ++generation_;
    }
    size_t line = at(hash);
    each(hash, [&](unsigned bit) { now_[line + bit / 64] |= uint64_t{1} << (bit % 64); return true; });
    ++count_;
  }
  // Changes when what was added may have become part of the generation before.
  uint32_t generation() const { return generation_; }

 private:
  size_t at(uint64_t hash) const {
    return static_cast<size_t>((static_cast<unsigned __int128>(hash) * lines_) >> 64) * 8;
  }
  template <class Visit>
  static bool each(uint64_t hash, Visit visit) {
    uint64_t bits = hash * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 7; ++i, bits >>= 9) {
      if (!visit(static_cast<unsigned>(bits & 511))) return false;
    }
    return true;
  }
  bool in(const std::vector<uint64_t>& bits, uint64_t hash) const {
    size_t line = at(hash);
    return each(hash, [&](unsigned bit) { return bits[line + bit / 64] >> (bit % 64) & 1; });
  }
  size_t most_, lines_, count_ = 0;
  uint32_t generation_ = 1;
  std::vector<uint64_t> now_, before_;
};

}  // namespace spanmeter

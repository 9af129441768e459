// Records and texts by number, and tables that find those numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "secret.hpp"

namespace spanmeter::billed {

constexpr uint32_t NONE = 0xffffffffu;

// Numbers of records by hash, with linear probing. Whoever asks compares the records. A slot keeps half of the hash, so
// that records that are not asked for are seldom read: each would be a cache miss.
class Table {
   public:
    template <class Equal>
    uint32_t find(uint64_t hash, Equal equal) const {
        if (slots_.empty()) return NONE;
        for (size_t at = home(uint32_t(hash));; at = next(at)) {
            const Slot& slot = slots_[at];
            if (slot.record == NONE || (slot.hash == uint32_t(hash) && equal(slot.record))) return slot.record;
        }
    }

    // Have the slot of a hash in the cache soon.
    void prefetch(uint64_t hash) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[home(uint32_t(hash))]);
    }

    template <class Hash>
    void add(uint32_t record, Hash hash) {
        if ((count_ + 1) * 10 > slots_.size() * 6) grow();
        place({record, uint32_t(hash(record))});
        ++count_;
    }

    template <class Hash>
    void remove(uint32_t record, Hash hash) {
        size_t hole = home(uint32_t(hash(record)));
        while (slots_[hole].record != record) hole = next(hole);
        for (size_t at = next(hole); slots_[at].record != NONE; at = next(at)) {
            const size_t wanted = home(slots_[at].hash);
            if (((at - wanted) & mask()) >= ((at - hole) & mask())) slots_[hole] = slots_[at], hole = at;
        }
        slots_[hole] = Slot();
        --count_;
    }

   private:
    struct Slot {
        uint32_t record = NONE, hash = 0;
    };
    size_t mask() const { return slots_.size() - 1; }
    size_t home(uint32_t hash) const { return hash & mask(); }
    size_t next(size_t at) const { return (at + 1) & mask(); }
    void place(Slot slot) {
        size_t at = home(slot.hash);
        while (slots_[at].record != NONE) at = next(at);
        slots_[at] = slot;
    }
    void grow() {
        std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.record != NONE) place(slot);
        }
    }
    std::vector<Slot> slots_;
    size_t count_ = 0;
};

// Records by number; the numbers of those given back are used again.
template <class Record>
class Pool {
   public:
    uint32_t take() {
        if (free_.empty()) {
            records_.emplace_back();
            return uint32_t(records_.size() - 1);
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
class InternedTexts {
   public:
    explicit InternedTexts(const Secret& secret) : secret_(secret) {}

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

}  // namespace spanmeter::billed

// Reading HPACK header blocks (RFC 7541): every read is bounds-checked, the table is bounded by what was advertised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace spanmeter::http2 {

using Bytes = std::string_view;

// The block cannot be decoded. The table is out of step with the peer's then, so the connection must end.
struct BadBlock {
    const char* why;
};

// -- Huffman coded strings (RFC 7541, appendix B) ---------------------------------------------------------------------

constexpr int SYMBOLS = 257;
constexpr int EOS = 256;
constexpr int MIN_CODE_LENGTH = 5, MAX_CODE_LENGTH = 30;

// The code is canonical: the lengths of the codes tell the codes.
inline constexpr uint8_t CODE_LENGTHS[SYMBOLS] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  5,  5,  5,  6,  6,  6,  6,  6,  6,  6,
    7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  8,  7,  8,  13, 19, 13, 14, 6,  15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,
    5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24,
    24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22,
    23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26,
    27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23,
    22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
};

struct Huffman {
    uint16_t symbols[SYMBOLS] = {};             // by length of code, then by value
    uint32_t first[MAX_CODE_LENGTH + 1] = {};   // the first code of each length
    uint16_t at[MAX_CODE_LENGTH + 1] = {};      // where its symbol is
    uint64_t beyond[MAX_CODE_LENGTH + 1] = {};  // the first 32 bits that no code up to this length begins

    constexpr Huffman() {
        uint32_t code = 0;
        uint16_t next = 0;
        for (int length = 1; length <= MAX_CODE_LENGTH; ++length) {
            code <<= 1;
            first[length] = code;
            at[length] = next;
            for (int symbol = 0; symbol < SYMBOLS; ++symbol) {
                if (CODE_LENGTHS[symbol] == length) {
                    symbols[next++] = uint16_t(symbol);
                    ++code;
                }
            }
            beyond[length] = uint64_t(code) << (32 - length);
        }
    }
};
inline constexpr Huffman HUFFMAN;

inline void decode_huffman(Bytes coded, std::string& text) {
    text.clear();
    uint64_t bits = 0;
    int count = 0;
    size_t at = 0;
    for (;;) {
        while (count <= 56 && at < coded.size()) {
            bits = bits << 8 | uint8_t(coded[at++]);
            count += 8;
        }
        // The next 32 bits; behind the end ones, which begin the end-of-string code.
        const uint64_t ahead = count >= 32 ? bits >> (count - 32) & UINT32_MAX
                                           : (bits << (32 - count) | (UINT32_MAX >> count)) & UINT32_MAX;
        int length = MIN_CODE_LENGTH;
        while (length < MAX_CODE_LENGTH && ahead >= HUFFMAN.beyond[length]) ++length;
        if (length > count) {
            if (count > 7 || ahead != UINT32_MAX) throw BadBlock{"a Huffman coded string ends within a character"};
            return;
        }
        const uint32_t code = uint32_t(ahead >> (32 - length));
        const int symbol = HUFFMAN.symbols[HUFFMAN.at[length] + (code - HUFFMAN.first[length])];
        if (symbol == EOS) throw BadBlock{"a Huffman coded string has an end within"};
        text.push_back(char(symbol));
        count -= length;
    }
}

// -- the tables -------------------------------------------------------------------------------------------------------

struct StaticField {
    Bytes name, value;
};

// RFC 7541, appendix A; indices begin at 1.
inline constexpr StaticField STATIC_TABLE[] = {
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
};
constexpr size_t STATIC_FIELDS = std::size(STATIC_TABLE);
static_assert(STATIC_FIELDS == 61);

constexpr size_t FIELD_OVERHEAD = 32;
constexpr size_t TABLE_SIZE = 4096;  // the default of SETTINGS_HEADER_TABLE_SIZE, which we leave

class HeaderDecoder {
   public:
    // Calls `field(name, value)` for each field; the views last for the call. Throws BadBlock.
    template <class Field>
    void decode(Bytes block, Field&& field) {
        at_ = block.data();
        end_ = at_ + block.size();
        bool begun = false;
        while (at_ < end_) {
            const uint8_t first = uint8_t(*at_);
            if (first & 0x80) {
                const StaticField found = entry(integer(7));
                field(found.name, found.value);
            } else if ((first & 0xE0) == 0x20) {
                if (begun) throw BadBlock{"a table size within a header block"};
                resize(integer(5));
                continue;
            } else {
                literal(first & 0x40, field);
            }
            begun = true;
        }
    }

   private:
    struct Entry {
        std::string name, value;
        size_t size() const { return name.size() + value.size() + FIELD_OVERHEAD; }
    };

    template <class Field>
    void literal(bool remember, Field&& field) {
        const uint64_t index = integer(remember ? 6 : 4);
        Bytes name = index ? entry(index).name : text(name_);
        Bytes value = text(value_);
        field(name, value);
        if (remember) insert(name, value);
    }

    StaticField entry(uint64_t index) const {
        if (index == 0) throw BadBlock{"a header field with index 0"};
        if (index <= STATIC_FIELDS) return STATIC_TABLE[index - 1];
        if (index - STATIC_FIELDS > table_.size()) throw BadBlock{"a header field that is in no table"};
        const Entry& found = table_[size_t(index - STATIC_FIELDS - 1)];
        return {found.name, found.value};
    }

    void insert(Bytes name, Bytes value) {
        Entry added{std::string(name), std::string(value)};  // before eviction: the name may be in the table
        const size_t size = added.size();
        evict(size > max_size_ ? 0 : max_size_ - size);
        if (size > max_size_) return;
        table_.push_front(std::move(added));
        held_ += size;
    }

    void resize(uint64_t size) {
        if (size > TABLE_SIZE) throw BadBlock{"a header table larger than allowed"};
        max_size_ = size_t(size);
        evict(max_size_);
    }

    void evict(size_t max_size) {
        while (held_ > max_size) {
            held_ -= table_.back().size();
            table_.pop_back();
        }
    }

    // RFC 7541 section 5.1. Nothing in a header block is as large as 2^28.
    uint64_t integer(int prefix) {
        const uint64_t mask = (uint64_t(1) << prefix) - 1;
        uint64_t value = byte() & mask;
        if (value < mask) return value;
        for (int shift = 0; shift <= 28; shift += 7) {
            const uint8_t next = byte();
            value += uint64_t(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw BadBlock{"a number that is too large"};
    }

    uint8_t byte() {
        if (at_ == end_) throw BadBlock{"a header block that ends too early"};
        return uint8_t(*at_++);
    }

    Bytes text(std::string& scratch) {
        if (at_ == end_) throw BadBlock{"a header block that ends too early"};
        const bool coded = uint8_t(*at_) & 0x80;
        const uint64_t size = integer(7);
        if (size > uint64_t(end_ - at_)) throw BadBlock{"a header block that ends too early"};
        const Bytes raw(at_, size_t(size));
        at_ += size;
        if (!coded) return raw;
        decode_huffman(raw, scratch);
        return scratch;
    }

    std::deque<Entry> table_;  // the newest in front
    size_t held_ = 0, max_size_ = TABLE_SIZE;
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    std::string name_, value_;
};

}  // namespace spanmeter::http2

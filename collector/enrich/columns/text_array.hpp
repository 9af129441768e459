// Texts where Arrow has them, and places within the buffers of a batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spanmeter::columns {

// A column of text as Arrow has it.
struct TextArray {
    const int32_t* ends;  // one more than there are texts
    const char* data;

    std::string_view at(int64_t row) const { return {data + ends[row], size_t(ends[row + 1] - ends[row])}; }
};

// Where a value lies: the buffer in the upper bits, the offset in the lower.
enum Source : int64_t { SPAN = 0, RESOURCE = 1, OTHER = 2 };
constexpr int SOURCE_SHIFT = 40;
constexpr int64_t OFFSET_MASK = (int64_t(1) << SOURCE_SHIFT) - 1;

class SourceBuffers {
   public:
    SourceBuffers() = default;
    SourceBuffers(const char* span, const char* resource, const char* other) : data_{span, resource, other} {}

    std::string_view at(int64_t begin, int32_t size) const {
        return {data_[size_t(begin >> SOURCE_SHIFT)] + (begin & OFFSET_MASK), size_t(size)};
    }

   private:
    std::array<const char*, 3> data_ = {};
};

// The first `limit` characters of UTF-8 text.
inline std::string_view head(std::string_view text, size_t limit) {
    if (text.size() <= limit) return text;
    size_t characters = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
        if (characters++ == limit) return text.substr(0, at);
    }
    return text;
}

}  // namespace spanmeter::columns

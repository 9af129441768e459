// What the fuzz targets share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace spanmeter::fuzz {

using Bytes = std::string_view;

// End the process, which libFuzzer reports with the input, unless it holds.
inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "This does not hold: %s.\n", what);
    std::abort();
}

inline Bytes bytes_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// The choices of one run (xorshift64*): the input has their seed, so that the rest of it means the same after changes.
class Choices {
   public:
    explicit Choices(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15 + 1) {}

    // A number from 0 to `count` - 1.
    size_t below(size_t count) {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return size_t((state_ * 0x2545F4914F6CDD1D) >> 33) % count;
    }

   private:
    uint64_t state_;
};

// A copy that begins `offset` bytes into memory that ends with it: AddressSanitizer sees every read beyond its end.
class Copy {
   public:
    explicit Copy(Bytes content, size_t offset = 0)
        : memory_(new char[offset + content.size()]), content_(memory_.get() + offset, content.size()) {
        if (!content.empty()) std::memcpy(memory_.get() + offset, content.data(), content.size());
    }
    Bytes bytes() const { return content_; }

   private:
    const std::unique_ptr<char[]> memory_;
    const Bytes content_;
};

}  // namespace spanmeter::fuzz

// Arrow columns while they grow: buffers from malloc, so that they can be handed over without a copy.
#pragma once

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace spanmeter::decode {

// Memory that its receiver frees with free().
struct Memory {
    void* data;
    size_t size;
};

// `memory` with room for `size` bytes or some more. Most of the time of a large batch would go into page faults, at
// 4 KiB each: from 2 MiB on it asks for huge pages.
inline Memory moved(Memory memory, size_t size) {
    constexpr size_t HUGE_PAGE = 2 << 20;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE) {
        size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        void* data = std::aligned_alloc(HUGE_PAGE, size);
        if (!data) throw std::bad_alloc();
        madvise(data, size, MADV_HUGEPAGE);  // a wish: where it is refused, small pages do
        if (memory.size) std::memcpy(data, memory.data, memory.size);
        std::free(memory.data);
        return {data, size};
    }
#endif
    void* data = std::realloc(memory.data, size);
    if (!data) throw std::bad_alloc();
    return {data, size};
}

template <class T>
class Buffer {
   public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    size_t size() const { return size_; }
    const T* data() const { return data_; }
    T back() const { return data_[size_ - 1]; }
    void truncate(size_t size) { size_ = size; }

    // Room for `count` more items, not yet counted.
    T* room(size_t count) {
        if (capacity_ - size_ < count) grow(count);
        return data_ + size_;
    }
    void add(size_t count) { size_ += count; }

    void push(T item) {
        *room(1) = item;
        ++size_;
    }
    void append(const T* items, size_t count) {
        if (!count) return;
        std::memcpy(room(count), items, count * sizeof(T));
        size_ += count;
    }
    void fill(T item, size_t count) {
        T* out = room(count);
        for (size_t i = 0; i < count; ++i) out[i] = item;
        size_ += count;
    }
    // Append the items from `begin` on again, `times` times.
    void repeat(size_t begin, size_t times) {
        const size_t width = size_ - begin;
        if (!width || !times) return;
        if (times > SIZE_MAX / sizeof(T) / 2 / width) throw std::bad_alloc();
        T* out = room(width * times);
        // Larger pieces each time: a call for each repetition would cost more than what it copies.
        for (size_t done = 0; done < width * times;) {
            const size_t piece = std::min({width * times - done, width + done, std::max(width, PIECE / width * width)});
            std::memcpy(out + done, data_ + begin, piece * sizeof(T));
            done += piece;
        }
        size_ += width * times;
    }

    // Append the `count` items from `begin` on again.
    void repeat_at(size_t begin, size_t count) {
        T* out = room(count);  // first: the items may move
        if (count) std::memcpy(out, data_ + begin, count * sizeof(T));
        size_ += count;
    }

    Memory release() {
        const Memory memory{data_, size_ * sizeof(T)};
        data_ = nullptr;
        size_ = capacity_ = 0;
        return memory;
    }

   private:
    static constexpr size_t PIECE = (16 << 10) / sizeof(T);  // stays in the nearest cache

    __attribute__((noinline)) void grow(size_t count) {
        constexpr size_t MIN_CAPACITY = 256;
        if (count > SIZE_MAX / sizeof(T) / 4 - size_) throw std::bad_alloc();
        const size_t capacity = std::max({2 * capacity_, size_ + count, MIN_CAPACITY});
        Memory grown = moved({data_, size_ * sizeof(T)}, capacity * sizeof(T));
        data_ = static_cast<T*>(grown.data);
        capacity_ = grown.size / sizeof(T);
    }

    T* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// Arrow's `list` and `string` have 32-bit offsets: a column ends at 2 GiB, or 2^31 - 1 items.
inline int32_t offset_of(size_t position) {
    if (position > INT32_MAX) throw std::overflow_error("a column exceeds 2 GiB");
    return int32_t(position);
}

// Where each row of a column begins and the last one ends.
class Offsets {
   public:
    // Close a row at position `end`.
    void close(size_t end) {
        const int32_t offset = offset_of(end);
        if (!ends_.size()) ends_.push(0);
        ends_.push(offset);
    }
    size_t rows() const { return ends_.size() ? ends_.size() - 1 : 0; }
    // Where row `row` begins; for the row after the last, where it will.
    size_t begin(size_t row) const { return ends_.size() ? size_t(ends_.data()[row]) : 0; }
    size_t end() const { return begin(rows()); }
    // Close `times` more rows like those from `row` on, each as wide as it was.
    void repeat(size_t row, size_t times) {
        const size_t count = rows() - row, width = end() - begin(row);
        if (!count || !times) return;
        if (width && times > INT32_MAX / width) offset_of(SIZE_MAX);
        offset_of(end() + width * times);
        int32_t* out = ends_.room(count * times);
        const int32_t* source = ends_.data() + row + 1;
        for (size_t i = 0; i < times; ++i) {
            const int32_t shift = int32_t(width * (i + 1));
            for (size_t j = 0; j < count; ++j) *out++ = source[j] + shift;
        }
        ends_.add(count * times);
    }
    void truncate(size_t rows) {
        if (ends_.size()) ends_.truncate(rows + 1);
    }
    Memory release() {
        if (!ends_.size()) ends_.push(0);
        return ends_.release();
    }

   private:
    Buffer<int32_t> ends_;
};

// A column of strings. Text may be written into `open()` piece by piece and becomes a row with `close()`.
class Strings {
   public:
    Buffer<char>& open() { return data_; }
    void reserve(size_t bytes) { data_.room(bytes); }
    void close() { offsets_.close(data_.size()); }
    void append(std::string_view text) {
        data_.append(text.data(), text.size());
        close();
    }
    size_t rows() const { return offsets_.rows(); }
    std::string_view row(size_t row) const {
        const size_t begin = offsets_.begin(row);
        return {data_.data() + begin, offsets_.begin(row + 1) - begin};
    }
    // Append what row `row` holds once more.
    void append_again(size_t row) {
        const size_t begin = offsets_.begin(row);
        data_.repeat_at(begin, offsets_.begin(row + 1) - begin);
        close();
    }
    void fill(std::string_view text, size_t count) {
        if (!count) return;
        append(text);
        repeat(rows() - 1, count - 1);
    }
    void repeat(size_t row, size_t times) {
        const size_t begin = offsets_.begin(row);
        offsets_.repeat(row, times);  // first: it refuses what would not fit
        data_.repeat(begin, times);
    }
    // Drop the rows from `rows` on, and what was written of an open one.
    void truncate(size_t rows) {
        offsets_.truncate(rows);
        data_.truncate(offsets_.end());
    }
    Memory release_data() { return data_.release(); }
    Memory release_offsets() { return offsets_.release(); }

   private:
    Offsets offsets_;
    Buffer<char> data_;
};

// A column of attribute maps; entries are appended to the open row, which becomes one with `close()`.
class Maps {
   public:
    Strings keys, values;

    void close() { offsets_.close(keys.rows()); }
    size_t rows() const { return offsets_.rows(); }
    size_t open_row() const { return offsets_.end(); }
    // The first entry of row `row`.
    size_t begin(size_t row) const { return offsets_.begin(row); }
    void repeat_last(size_t times) {
        if (!times) return;
        const size_t row = rows() - 1, begin = offsets_.begin(row);
        offsets_.repeat(row, times);
        keys.repeat(begin, times);
        values.repeat(begin, times);
    }
    void truncate(size_t rows) {
        offsets_.truncate(rows);
        keys.truncate(offsets_.end());
        values.truncate(offsets_.end());
    }
    Memory release_offsets() { return offsets_.release(); }

   private:
    Offsets offsets_;
};

}  // namespace spanmeter::decode

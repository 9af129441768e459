// Writing protobuf's wire format, message within message.
#pragma once

#include <string>

#include "../wire/protobuf.hpp"

namespace spanmeter::capture {

using namespace wire;

class Output {
   public:
    std::string bytes;

    void raw(Bytes content) { bytes.append(content); }

    void varint(uint64_t value) {
        for (; value >= 0x80; value >>= 7) bytes.push_back(char(value | 0x80));
        bytes.push_back(char(value));
    }

    void fixed(uint64_t value, int size) {
        for (int i = 0; i < size; ++i) bytes.push_back(char(value >> (8 * i)));
    }

    void content(uint32_t tag, Bytes content) {
        varint(tag);
        varint(content.size());
        raw(content);
    }

    // As proto3 does: what is empty is left out.
    void content_if_any(uint32_t tag, Bytes text) {
        if (!text.empty()) content(tag, text);
    }

    // Writes a message whose size is known once it is written. Its length takes as many bytes as that of `expected`
    // would, which is legal where fewer would do, so that what is made smaller is not moved.
    template <class Write>
    void message(uint32_t tag, size_t expected, Write write) {
        varint(tag);
        const size_t room = length_of(expected);
        bytes.append(room, '\0');
        const size_t start = bytes.size();
        write();
        const size_t size = bytes.size() - start, needed = length_of(size);
        if (needed > room) bytes.insert(start, needed - room, '\0');
        char* length = bytes.data() + start - room;
        const size_t taken = needed > room ? needed : room;
        size_t rest = size;
        for (size_t i = 0; i < taken; ++i, rest >>= 7) length[i] = char((rest & 0x7F) | (i + 1 < taken ? 0x80 : 0));
    }

   private:
    static size_t length_of(size_t size) {
        size_t bytes = 1;
        for (; size >= 0x80; size >>= 7) ++bytes;
        return bytes;
    }
};

}  // namespace spanmeter::capture

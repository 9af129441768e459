// HTTP/2 frames as they are written (RFC 9113 section 6), and the header blocks of gRPC answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace spanmeter::http2 {

using Bytes = std::string_view;

enum FrameType : uint8_t {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum Flag : uint8_t { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };
enum Setting : uint16_t {
    HEADER_TABLE_SIZE = 1,
    ENABLE_PUSH = 2,
    MAX_CONCURRENT_STREAMS = 3,
    INITIAL_WINDOW_SIZE = 4,
    MAX_FRAME_SIZE = 5,
    MAX_HEADER_LIST_SIZE = 6,
    NO_RFC7540_PRIORITIES = 9  // RFC 9218 section 2.1
};
enum ErrorCode : uint32_t {
    NO_ERROR = 0,
    PROTOCOL_ERROR = 1,
    FLOW_CONTROL_ERROR = 3,
    STREAM_CLOSED = 5,
    FRAME_SIZE_ERROR = 6,
    REFUSED_STREAM = 7,
    COMPRESSION_ERROR = 9,
    ENHANCE_YOUR_CALM = 11
};

constexpr size_t FRAME_HEAD = 9;
constexpr uint32_t LAST_STREAM = 0x7FFFFFFF;

inline uint32_t read32(const char* at) {
    return uint32_t(uint8_t(at[0])) << 24 | uint32_t(uint8_t(at[1])) << 16 | uint32_t(uint8_t(at[2])) << 8 |
           uint8_t(at[3]);
}
inline uint32_t read24(const char* at) {
    return uint32_t(uint8_t(at[0])) << 16 | uint32_t(uint8_t(at[1])) << 8 | uint8_t(at[2]);
}
inline uint32_t read16(const char* at) { return uint32_t(uint8_t(at[0])) << 8 | uint8_t(at[1]); }

inline void put32(std::string& out, uint32_t value) {
    const char bytes[] = {char(value >> 24), char(value >> 16), char(value >> 8), char(value)};
    out.append(bytes, 4);
}

inline void put_head(std::string& out, size_t size, FrameType type, uint8_t flags, uint32_t stream) {
    const char bytes[] = {char(size >> 16), char(size >> 8), char(size), char(type), char(flags)};
    out.append(bytes, 5);
    put32(out, stream);
}

inline void put_setting(std::string& out, Setting name, uint32_t value) {
    const char bytes[] = {char(name >> 8), char(name)};
    out.append(bytes, 2);
    put32(out, value);
}

inline void put_window_update(std::string& out, uint32_t stream, uint32_t size) {
    put_head(out, 4, WINDOW_UPDATE, 0, stream);
    put32(out, size);
}

// A header block, in one HEADERS frame and as many CONTINUATION frames as the peer's frame size makes necessary.
inline void put_block(std::string& out, uint32_t stream, Bytes block, bool last, size_t max_frame) {
    FrameType type = HEADERS;
    do {
        const Bytes part = block.substr(0, max_frame);
        block.remove_prefix(part.size());
        const uint8_t flags = uint8_t((block.empty() ? END_HEADERS : 0) | (last && type == HEADERS ? END_STREAM : 0));
        put_head(out, part.size(), type, flags, stream);
        out.append(part);
        type = CONTINUATION;
    } while (!block.empty());
}

// -- header blocks: literals that are not remembered, so that no table needs to be kept -------------------------------

inline void put_length(std::string& out, size_t size) {
    if (size < 127) {
        out.push_back(char(size));
        return;
    }
    out.push_back(127);
    for (size -= 127; size >= 128; size >>= 7) out.push_back(char(0x80 | (size & 0x7F)));
    out.push_back(char(size));
}

inline void put_field(std::string& block, Bytes name, Bytes value) {
    block.push_back(0);
    put_length(block, name.size());
    block.append(name);
    put_length(block, value.size());
    block.append(value);
}

// `:status: 200` and `content-type: application/grpc`, by their places in the static table (8, and 31 for the name).
inline constexpr Bytes OK_HEAD(
    "\x88\x0f\x10\x10"
    "application/grpc",
    20);
inline constexpr Bytes OK_TRAILERS(
    "\x00\x0b"
    "grpc-status"
    "\x01"
    "0",
    15);

constexpr char NO_TABLE = 0x20;  // a header table of size 0 from now on

// The answer to a call that succeeded without a word: what most answers are.
class EmptyAnswer {
   public:
    EmptyAnswer() {
        put_block(frames_, 0, OK_HEAD, false, OK_HEAD.size());
        second_ = frames_.size();
        put_head(frames_, 5, DATA, 0, 0);
        frames_.append(5, '\0');
        third_ = frames_.size();
        put_block(frames_, 0, OK_TRAILERS, true, OK_TRAILERS.size());
    }

    void put(std::string& out, uint32_t stream) const {
        const size_t at = out.size();
        out.append(frames_);
        for (size_t frame : {size_t(0), second_, third_}) {
            char* id = out.data() + at + frame + 5;
            id[0] = char(stream >> 24), id[1] = char(stream >> 16), id[2] = char(stream >> 8), id[3] = char(stream);
        }
    }

   private:
    std::string frames_;
    size_t second_, third_;
};
inline const EmptyAnswer EMPTY_ANSWER;

}  // namespace spanmeter::http2

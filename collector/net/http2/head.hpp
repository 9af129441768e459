// What the header block of a request says, and whether RFC 9113 section 8 allows it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hpack.hpp"

namespace spanmeter::http2 {

constexpr size_t MAX_HEAD = 64 * 1024;  // of frames other than DATA, of header blocks, and of header lists

using Fields = std::vector<std::pair<std::string, std::string>>;

// The characters of a token (RFC 9110 section 5.6.2) without upper case, which RFC 9113 section 8.2.1 forbids.
struct NameBytes {
    std::array<bool, 256> allowed{};

    constexpr NameBytes() {
        for (char c = 'a'; c <= 'z'; ++c) allowed[uint8_t(c)] = true;
        for (char c : Bytes("!#$%&'*+-.^_`|~0123456789")) allowed[uint8_t(c)] = true;
    }
};
inline constexpr NameBytes NAME_BYTES;

inline bool is_name(Bytes name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return NAME_BYTES.allowed[uint8_t(c)]; });
}

// RFC 9113 section 8.2.1.
inline bool is_value(Bytes value) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    const auto forbidden = [](char c) { return c == '\0' || c == '\r' || c == '\n'; };
    return value.empty() ||
           (!blank(value.front()) && !blank(value.back()) && std::none_of(value.begin(), value.end(), forbidden));
}

// Fields of one connection, which HTTP/2 has no use for (RFC 9113 section 8.2.2).
inline bool is_of_connection(Bytes name, Bytes value) {
    return name == "connection" || name == "transfer-encoding" || name == "upgrade" || name == "keep-alive" ||
           name == "proxy-connection" || (name == "te" && value != "trailers");
}

inline bool is_trailer(Bytes name, Bytes value) {
    return is_name(name) && is_value(value) && !is_of_connection(name, value);
}

// Built field by field. Values are kept up to MAX_DETAIL, credentials whole.
class Head {
   public:
    static constexpr int64_t NO_LENGTH = -1;

    bool post = false, grpc = false;
    std::string method, path, media_type, coding;
    const char* twice = nullptr;  // a field that says who calls, and came twice
    int64_t content_length = NO_LENGTH;
    Fields credentials;

    void add(Bytes name, Bytes value) {
        size_ += name.size() + value.size() + FIELD_OVERHEAD;
        if (too_large()) return;  // what one byte of a block may unfold to is not looked at
        if (!name.empty() && name[0] == ':') {
            sound_ &= !regular_ && is_value(value) && pseudo(name, value);
        } else {
            regular_ = true;
            sound_ &= is_trailer(name, value) && regular(name, value);
        }
    }

    bool too_large() const { return size_ > MAX_HEAD; }

    // It is no request otherwise.
    bool sound() const { return sound_ && (too_large() || (has_method_ && has_path_ && has_scheme_)); }

   private:
    static constexpr size_t MAX_DETAIL = 200;
    static constexpr size_t MAX_LENGTH_DIGITS = 15;

    // Each once. Those of answers and of extensions that we did not offer are none of a request.
    bool pseudo(Bytes name, Bytes value) {
        if (name == ":method") {
            post = value == "POST";
            method = value.substr(0, MAX_DETAIL);
            return first(has_method_);
        }
        if (name == ":path") {
            path = value.substr(0, MAX_DETAIL);
            return first(has_path_) && !value.empty();
        }
        if (name == ":scheme") return first(has_scheme_);
        return name == ":authority" && first(has_authority_);
    }

    bool regular(Bytes name, Bytes value) {
        if (name == "content-type") {
            const Bytes kind = value.substr(0, value.find(';'));
            grpc = kind == "application/grpc" || kind == "application/grpc+proto";
            media_type = value.substr(0, MAX_DETAIL);
        } else if (name == "grpc-encoding") {
            coding = value.substr(0, MAX_DETAIL);
        } else if (name == "authorization") {
            credential(name, value, has_authorization_, "authorization");
        } else if (name == "x-api-key") {
            credential(name, value, has_key_, "x-api-key");
        } else if (name == "host") {
            return first(has_host_);
        } else if (name == "content-length") {
            return content_length == NO_LENGTH && length(value);
        }
        return true;
    }

    void credential(Bytes name, Bytes value, bool& seen, const char* literal) {
        if (first(seen)) {
            credentials.emplace_back(name, value);
        } else {
            twice = literal;
        }
    }

    bool length(Bytes value) {
        if (value.empty() || value.size() > MAX_LENGTH_DIGITS) return false;
        content_length = 0;
        for (char c : value) {
            if (c < '0' || c > '9') return false;
            content_length = 10 * content_length + (c - '0');
        }
        return true;
    }

    static bool first(bool& seen) { return !std::exchange(seen, true); }

    size_t size_ = 0;
    bool sound_ = true, regular_ = false;
    bool has_method_ = false, has_path_ = false, has_scheme_ = false, has_authority_ = false;
    bool has_host_ = false, has_authorization_ = false, has_key_ = false;
};

}  // namespace spanmeter::http2

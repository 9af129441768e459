// Batches of SEEN_SCHEMA (schema.py), where Arrow has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "secret.hpp"

namespace spanmeter::billed {

// The Arrow C data interface.
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void** buffers;
    ArrowArray** children;
    ArrowArray* dictionary;
    void (*release)(ArrowArray*);
    void* private_data;
};

class ArrowColumn {
   public:
    ArrowColumn(const ArrowArray& batch, int number)
        : array_(*batch.children[number]), offset_(batch.offset + array_.offset) {}
    std::string_view text(size_t row) const {
        const int32_t* offsets = static_cast<const int32_t*>(array_.buffers[1]) + offset_ + row;
        return {static_cast<const char*>(array_.buffers[2]) + offsets[0], size_t(offsets[1] - offsets[0])};
    }
    bool flag(size_t row) const { return bit(array_.buffers[1], row); }
    bool known(size_t row) const { return !array_.buffers[0] || bit(array_.buffers[0], row); }
    template <class Number>
    Number number(size_t row) const {
        return static_cast<const Number*>(array_.buffers[1])[offset_ + row];
    }

   private:
    bool bit(const void* bits, size_t row) const {
        const size_t at = offset_ + row;
        return static_cast<const uint8_t*>(bits)[at / 8] >> (at % 8) & 1;
    }
    const ArrowArray& array_;
    int64_t offset_;
};

// The columns in their order, with their types as the Arrow C data interface writes them. `_traces.pyx` compares them
// with SEEN_SCHEMA.
enum SeenColumn {
    PROJECT,
    TRACE_ID,
    SPAN_ID,
    PARENT_SPAN_ID,
    SERVICE_NAME,
    SCOPE_NAME,
    RESPONSE_ID,
    START,
    END,
    VERSION,
    REPORTS,
    IS_CALL,
    ROOT,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    DETAIL,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    PROVIDER,
    BILLED,
    SEEN_COLUMNS
};
struct SeenField {
    SeenColumn column;
    const char* name;
    const char* format;
};
inline constexpr SeenField SEEN_FIELDS[] = {
    {PROJECT, "Project", "u"},
    {TRACE_ID, "TraceId", "u"},
    {SPAN_ID, "SpanId", "u"},
    {PARENT_SPAN_ID, "ParentSpanId", "u"},
    {SERVICE_NAME, "ServiceName", "u"},
    {SCOPE_NAME, "ScopeName", "u"},
    {RESPONSE_ID, "ResponseId", "u"},
    {START, "Start", "l"},
    {END, "End", "l"},
    {VERSION, "Version", "l"},
    {REPORTS, "Reports", "b"},
    {IS_CALL, "IsCall", "b"},
    {ROOT, "Root", "b"},
    {INPUT_TOKENS, "InputTokens", "l"},
    {OUTPUT_TOKENS, "OutputTokens", "l"},
    {DETAIL, "Detail", "c"},
    {REQUEST_MODEL, "RequestModel", "l"},
    {RESPONSE_MODEL, "ResponseModel", "l"},
    {PROVIDER, "Provider", "i"},
    {BILLED, "Billed", "b"},
};
constexpr bool seen_fields_are_in_order() {
    for (int i = 0; i < SEEN_COLUMNS; ++i) {
        if (SEEN_FIELDS[i].column != i) return false;
    }
    return true;
}
static_assert(sizeof SEEN_FIELDS / sizeof *SEEN_FIELDS == SEEN_COLUMNS && seen_fields_are_in_order());

struct SeenBatch {
    explicit SeenBatch(const ArrowArray& batch)
        : count(size_t(batch.length)),
          project(batch, PROJECT),
          trace(batch, TRACE_ID),
          span(batch, SPAN_ID),
          parent(batch, PARENT_SPAN_ID),
          service(batch, SERVICE_NAME),
          scope(batch, SCOPE_NAME),
          response(batch, RESPONSE_ID),
          start(batch, START),
          end(batch, END),
          version(batch, VERSION),
          reports(batch, REPORTS),
          is_call(batch, IS_CALL),
          root(batch, ROOT),
          input(batch, INPUT_TOKENS),
          output(batch, OUTPUT_TOKENS),
          detail(batch, DETAIL),
          request_model(batch, REQUEST_MODEL),
          response_model(batch, RESPONSE_MODEL),
          provider(batch, PROVIDER),
          billed(batch, BILLED) {}
    size_t count;
    ArrowColumn project, trace, span, parent, service, scope, response, start, end, version, reports, is_call, root,
        input, output, detail, request_model, response_model, provider, billed;
};

inline constexpr int64_t HOUR_NS = 3'600'000'000'000;

// Rounded down, also of a time before 1970.
inline int32_t hour_of(int64_t start) { return int32_t(start / HOUR_NS - (start % HOUR_NS < 0)); }

// Sixteen lower-case hex digits; false for anything else.
inline bool read_hex(const char* digits, uint64_t& value) {
    uint64_t read = 0;
    for (int i = 0; i < 16; ++i) {
        const char c = digits[i];
        const unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit > 15) return false;
        read = read << 4 | digit;
    }
    value = read;
    return true;
}
inline bool read_span_id(std::string_view text, uint64_t& id) { return text.size() == 16 && read_hex(text.data(), id); }
inline bool read_trace_id(std::string_view text, Wide& id) {
    return text.size() == 32 && read_hex(text.data(), id.high) && read_hex(text.data() + 16, id.low);
}

}  // namespace spanmeter::billed

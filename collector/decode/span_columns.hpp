// The columns of model.columns.DECODED_SCHEMA as the walk fills them. `_kernel.pyx` compares the names with the schema.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "column_builders.hpp"

namespace spanmeter::decode {

// One string per span.
enum TextColumn {
    TRACE_ID,
    SPAN_ID,
    PARENT_SPAN_ID,
    TRACE_STATE,
    SPAN_NAME,
    SPAN_KIND,
    SERVICE_NAME,
    SCOPE_NAME,
    SCOPE_VERSION,
    STATUS_CODE,
    STATUS_MESSAGE,
    RESOURCE_SCHEMA_URL,
    SCOPE_SCHEMA_URL,
    OTLP_DETAILS,
    PROJECT,
    TEXT_COLUMNS
};
// One number of 64 bits per span.
enum WideColumn { TIMESTAMP, DURATION, RECEIVED_AT, VERSION, WIDE_COLUMNS };
// One number of 32 bits per span.
enum NarrowColumn { FLAGS, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, NARROW_COLUMNS };
// One map per span.
enum MapsColumn { RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, SPAN_ATTRIBUTES, MAPS_COLUMNS };

template <class Column>
struct Named {
    Column column;
    const char* name;
};

inline constexpr Named<TextColumn> TEXT_NAMES[] = {
    {TRACE_ID, "TraceId"},
    {SPAN_ID, "SpanId"},
    {PARENT_SPAN_ID, "ParentSpanId"},
    {TRACE_STATE, "TraceState"},
    {SPAN_NAME, "SpanName"},
    {SPAN_KIND, "SpanKind"},
    {SERVICE_NAME, "ServiceName"},
    {SCOPE_NAME, "ScopeName"},
    {SCOPE_VERSION, "ScopeVersion"},
    {STATUS_CODE, "StatusCode"},
    {STATUS_MESSAGE, "StatusMessage"},
    {RESOURCE_SCHEMA_URL, "ResourceSchemaUrl"},
    {SCOPE_SCHEMA_URL, "ScopeSchemaUrl"},
    {OTLP_DETAILS, "OtlpDetails"},
    {PROJECT, "Project"},
};
inline constexpr Named<WideColumn> WIDE_NAMES[] = {
    {TIMESTAMP, "Timestamp"},
    {DURATION, "Duration"},
    {RECEIVED_AT, "ReceivedAt"},
    {VERSION, "Version"},
};
inline constexpr Named<NarrowColumn> NARROW_NAMES[] = {
    {FLAGS, "TraceFlags"},
    {DROPPED_ATTRIBUTES, "DroppedAttributesCount"},
    {DROPPED_EVENTS, "DroppedEventsCount"},
    {DROPPED_LINKS, "DroppedLinksCount"},
};
inline constexpr Named<MapsColumn> MAPS_NAMES[] = {
    {RESOURCE_ATTRIBUTES, "ResourceAttributes"},
    {SCOPE_ATTRIBUTES, "ScopeAttributes"},
    {SPAN_ATTRIBUTES, "SpanAttributes"},
};

template <class Column, size_t N>
constexpr bool names_all(const Named<Column> (&names)[N], Column count) {
    for (size_t i = 0; i < N; ++i) {
        if (names[i].column != i) return false;
    }
    return N == count;
}
static_assert(names_all(TEXT_NAMES, TEXT_COLUMNS));
static_assert(names_all(WIDE_NAMES, WIDE_COLUMNS));
static_assert(names_all(NARROW_NAMES, NARROW_COLUMNS));
static_assert(names_all(MAPS_NAMES, MAPS_COLUMNS));

struct ColumnNames {
    std::vector<std::string> text, wide, narrow, maps;
};

template <class Column, size_t N>
inline std::vector<std::string> texts_of(const Named<Column> (&names)[N]) {
    std::vector<std::string> texts;
    for (const auto& named : names) texts.push_back(named.name);
    return texts;
}

inline ColumnNames column_names() {
    return {texts_of(TEXT_NAMES), texts_of(WIDE_NAMES), texts_of(NARROW_NAMES), texts_of(MAPS_NAMES)};
}

struct Events {
    Offsets rows;
    Buffer<uint64_t> time;
    Strings name;
    Maps attributes;

    void truncate(size_t size) {
        rows.truncate(size);
        time.truncate(rows.end());
        name.truncate(rows.end());
        attributes.truncate(rows.end());
    }
};

struct Links {
    Offsets rows;
    Strings trace_id, span_id, trace_state;
    Maps attributes;

    void truncate(size_t size) {
        rows.truncate(size);
        trace_id.truncate(rows.end());
        span_id.truncate(rows.end());
        trace_state.truncate(rows.end());
        attributes.truncate(rows.end());
    }
};

}  // namespace spanmeter::decode

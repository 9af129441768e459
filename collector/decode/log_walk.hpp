// ExportLogsServiceRequest from the wire into columns: what logs.py does.
// One function for each message, named as in opentelemetry/proto/logs/v1/logs.proto.
#pragma once

#include <string>
#include <vector>

#include "groups.hpp"

namespace spanmeter::decode::log {

// The columns of model.log_columns.LOG_SCHEMA as the walk fills them. `_kernel.pyx` compares the names with the schema.
enum TextColumn {
    TRACE_ID,
    SPAN_ID,
    SEVERITY_TEXT,
    SERVICE_NAME,
    BODY,
    RESOURCE_SCHEMA_URL,
    SCOPE_SCHEMA_URL,
    SCOPE_NAME,
    SCOPE_VERSION,
    EVENT_NAME,
    PROJECT,
    EVENT,
    SESSION_ID,
    PROMPT_ID,
    REQUEST_ID,
    TEXT_COLUMNS
};
enum WideColumn { TIMESTAMP, RECEIVED_AT, OBSERVED_TIMESTAMP, ROW_KEY, WIDE_COLUMNS };
enum NarrowColumn { DROPPED_ATTRIBUTES, NARROW_COLUMNS };
enum ByteColumn { TRACE_FLAGS, SEVERITY_NUMBER, BYTE_COLUMNS };
enum MapsColumn { RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, LOG_ATTRIBUTES, MAPS_COLUMNS };

inline constexpr Named<TextColumn> TEXT_NAMES[] = {
    {TRACE_ID, "TraceId"},
    {SPAN_ID, "SpanId"},
    {SEVERITY_TEXT, "SeverityText"},
    {SERVICE_NAME, "ServiceName"},
    {BODY, "Body"},
    {RESOURCE_SCHEMA_URL, "ResourceSchemaUrl"},
    {SCOPE_SCHEMA_URL, "ScopeSchemaUrl"},
    {SCOPE_NAME, "ScopeName"},
    {SCOPE_VERSION, "ScopeVersion"},
    {EVENT_NAME, "EventName"},
    {PROJECT, "Project"},
    {EVENT, "Event"},
    {SESSION_ID, "SessionId"},
    {PROMPT_ID, "PromptId"},
    {REQUEST_ID, "RequestId"},
};
inline constexpr Named<WideColumn> WIDE_NAMES[] = {
    {TIMESTAMP, "Timestamp"},
    {RECEIVED_AT, "ReceivedAt"},
    {OBSERVED_TIMESTAMP, "ObservedTimestamp"},
    {ROW_KEY, "RowKey"},
};
inline constexpr Named<NarrowColumn> NARROW_NAMES[] = {{DROPPED_ATTRIBUTES, "DroppedAttributesCount"}};
inline constexpr Named<ByteColumn> BYTE_NAMES[] = {{TRACE_FLAGS, "TraceFlags"}, {SEVERITY_NUMBER, "SeverityNumber"}};
inline constexpr Named<MapsColumn> MAPS_NAMES[] = {
    {RESOURCE_ATTRIBUTES, "ResourceAttributes"},
    {SCOPE_ATTRIBUTES, "ScopeAttributes"},
    {LOG_ATTRIBUTES, "LogAttributes"},
};
static_assert(names_all(TEXT_NAMES, TEXT_COLUMNS));
static_assert(names_all(WIDE_NAMES, WIDE_COLUMNS));
static_assert(names_all(NARROW_NAMES, NARROW_COLUMNS));
static_assert(names_all(BYTE_NAMES, BYTE_COLUMNS));
static_assert(names_all(MAPS_NAMES, MAPS_COLUMNS));

struct LogColumnNames {
    std::vector<std::string> text, wide, narrow, byte, maps;
};

inline LogColumnNames column_names() {
    return {texts_of(TEXT_NAMES), texts_of(WIDE_NAMES), texts_of(NARROW_NAMES), texts_of(BYTE_NAMES),
            texts_of(MAPS_NAMES)};
}

// The attributes that a column is read from: the first that is there and not empty counts.
using Keys = std::vector<std::string>;

struct LogRules {
    Keys event, session, prompt, request;
    std::string resource_session;
};

// Scalars of a message; of a field sent twice the last counts.
struct Record {
    Bytes trace_id, span_id, severity_text, event_name;
    AnyValue body;
    uint64_t time = 0, observed = 0, attributes = 0;
    int32_t severity = 0;
    uint32_t flags = 0, dropped_attributes = 0;
};

class LogWalk : public Walk {
   public:
    Strings text[TEXT_COLUMNS];
    Buffer<uint64_t> wide[WIDE_COLUMNS];
    Buffer<uint32_t> narrow[NARROW_COLUMNS];
    Buffer<uint8_t> byte[BYTE_COLUMNS];
    Maps maps[MAPS_COLUMNS];

    explicit LogWalk(const LogRules& rules) : rules_(rules) {}

    size_t size() const { return wide[TIMESTAMP].size(); }

    void reserve(const std::vector<Envelope>& envelopes, size_t first) override {
        const size_t bytes = bytes_from(envelopes, first);
        maps[LOG_ATTRIBUTES].values.reserve(bytes);
        maps[LOG_ATTRIBUTES].keys.reserve(bytes);
    }

   private:
    void mark() override { marked_ = size(); }
    void drop() override { truncate(marked_); }

    void append(const Envelope& envelope) override {
        const size_t before = size();
        before_.forget();
        above_.project = fingerprint::text(envelope.project);
        each_of_request(envelope.payload, [this](Bytes message) { resource_logs(message); });
        const size_t records = size() - before;
        text[PROJECT].fill(envelope.project, records);
        wide[RECEIVED_AT].fill(envelope.received_at, records);
        ordinals_.begin(records);
        for (size_t row = before; row < size(); ++row) {
            wide[ROW_KEY].push(ordinals_.row_key(fingerprints_[row - before]));
        }
        fingerprints_.clear();
    }

    void truncate(size_t rows) {
        for (auto& column : text) column.truncate(rows);
        for (auto& column : wide) column.truncate(std::min(column.size(), rows));
        for (auto& column : narrow) column.truncate(std::min(column.size(), rows));
        for (auto& column : byte) column.truncate(std::min(column.size(), rows));
        for (auto& column : maps) column.truncate(rows);
        fingerprints_.clear();
    }

    // What is of a resource is of the fingerprints of its records, wherever it stands: it is read first.
    void resource_logs(Bytes message) {
        const size_t before = size();
        const Group group = read_group(message);
        above_.resource_attributes = read_resource(maps[RESOURCE_ATTRIBUTES], group.shared);
        above_.resource_schema_url = fingerprint::text(group.schema_url);
        const Maps& column = maps[RESOURCE_ATTRIBUTES];
        const std::string name(first_text(column, "service.name", true));
        session_ = first_text(column, rules_.resource_session, false);
        each_message(message, 2, [this](Bytes part) { scope_logs(part); });
        const size_t records = size() - before;
        share(maps[RESOURCE_ATTRIBUTES], records);
        text[SERVICE_NAME].fill(name, records);
        text[RESOURCE_SCHEMA_URL].fill(group.schema_url, records);
    }

    void scope_logs(Bytes message) {
        const size_t before = size();
        const Group group = read_group(message);
        const Scope scope = read_scope(maps[SCOPE_ATTRIBUTES], group.shared);
        group_ = above_.with(scope, group.schema_url);
        each_message(message, 2, [this](Bytes part) { log_record(part); });
        const size_t records = size() - before;
        share(maps[SCOPE_ATTRIBUTES], records);
        text[SCOPE_NAME].fill(scope.name, records);
        text[SCOPE_VERSION].fill(scope.version, records);
        text[SCOPE_SCHEMA_URL].fill(group.schema_url, records);
    }

    void log_record(Bytes message) {
        Record found;
        bool bodied = false;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(1): found.time = in.fixed64(); break;
                case varint_tag(2): found.severity = int32_t(in.varint()); break;
                case text_tag(3): found.severity_text = in.text(); break;
                case message_tag(5):
                    if (std::exchange(bodied, true)) not_plain();  // the two would merge
                    found.body = read_any_value(in.bytes());
                    break;
                case message_tag(6): found.attributes += before_.append(maps[LOG_ATTRIBUTES], in.bytes()); break;
                case varint_tag(7): found.dropped_attributes = uint32_t(in.varint()); break;
                case fixed32_tag(8): found.flags = in.fixed32(); break;
                case bytes_tag(9): found.trace_id = in.bytes(); break;
                case bytes_tag(10): found.span_id = in.bytes(); break;
                case fixed64_tag(11): found.observed = in.fixed64(); break;
                case text_tag(12): found.event_name = in.text(); break;
                default: in.skip(tag);
            }
        }
        close(found);
    }

    // A row of the columns that a record fills by itself.
    void close(const Record& record) {
        put_id(text[TRACE_ID], record.trace_id, 16);
        put_id(text[SPAN_ID], record.span_id, 8);
        text[SEVERITY_TEXT].append(record.severity_text);
        put_text(text[BODY].open(), record.body);
        text[BODY].close();
        text[EVENT_NAME].append(record.event_name);
        const Bytes prompt = first_of(rules_.prompt, {});
        text[EVENT].append(first_of(rules_.event, record.event_name));
        text[SESSION_ID].append(first_of(rules_.session, session_.empty() ? prompt : session_));
        text[PROMPT_ID].append(prompt);
        text[REQUEST_ID].append(first_of(rules_.request, {}));
        wide[TIMESTAMP].push(capped(record.time ? record.time : record.observed));
        wide[OBSERVED_TIMESTAMP].push(capped(record.observed));
        narrow[DROPPED_ATTRIBUTES].push(record.dropped_attributes);
        byte[TRACE_FLAGS].push(uint8_t(record.flags));
        byte[SEVERITY_NUMBER].push(uint8_t(record.severity));
        maps[LOG_ATTRIBUTES].close();
        fingerprints_.push_back(
            fingerprint::words({group_, record.time, record.observed, uint64_t(int64_t(record.severity)), record.flags,
                                record.dropped_attributes, fingerprint::text(record.severity_text),
                                fingerprint::value(record.body), record.attributes, Xxh64::of(record.trace_id),
                                Xxh64::of(record.span_id), fingerprint::text(record.event_name)}));
    }

    // What the open row says under the first of these keys, which stays while no attribute is added.
    Bytes first_of(const Keys& keys, Bytes otherwise) const {
        for (const std::string& key : keys) {
            const Bytes found = first_text(maps[LOG_ATTRIBUTES], key, false);
            if (!found.empty()) return found;
        }
        return otherwise;
    }

    const LogRules rules_;
    size_t marked_ = 0;
    RowBefore before_;
    GroupFingerprints above_;
    uint64_t group_ = 0;  // the fingerprint of what a scope's records share
    Bytes session_;       // of the resource; the column it lies in does not grow while its records are read
    Ordinals ordinals_;
    std::vector<uint64_t> fingerprints_;  // of the records of the envelope at hand
};

}  // namespace spanmeter::decode::log

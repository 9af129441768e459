// ExportMetricsServiceRequest from the wire into columns of five tables: what points.py does.
// One function for each message, named as in opentelemetry/proto/metrics/v1/metrics.proto.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "groups.hpp"

namespace spanmeter::decode::metric {

// In the order of model.metric_columns.MetricKind.
enum Kind { GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY, KINDS };
constexpr uint32_t FIELD_OF_KIND[] = {5, 7, 9, 10, 11};

// Columns of any kind, by layout: `_kernel.pyx` has the names, in this order. A kind fills those of its own.
enum TextColumn {
    RESOURCE_SCHEMA_URL,
    SCOPE_NAME,
    SCOPE_VERSION,
    SCOPE_SCHEMA_URL,
    SERVICE_NAME,
    METRIC_NAME,
    METRIC_DESCRIPTION,
    METRIC_UNIT,
    PROJECT,
    TEXT_COLUMNS
};
enum WideColumn {
    START_TIME,
    TIME,
    RECEIVED_AT,
    SERIES,
    ROW_KEY,
    VALUE,
    COUNT,
    SUM_OF_VALUES,
    ZERO_COUNT,
    MIN,
    MAX,
    WIDE_COLUMNS
};
enum NarrowColumn { SCOPE_DROPPED, FLAGS, TEMPORALITY, SCALE, POSITIVE_OFFSET, NEGATIVE_OFFSET, NARROW_COLUMNS };
enum MapsColumn { RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, ATTRIBUTES, MAPS_COLUMNS };
enum ListColumn { BUCKETS, BOUNDS, POSITIVE, NEGATIVE, QUANTILES, QUANTILE_VALUES, LIST_COLUMNS };

struct Numbers {
    Offsets rows;
    Buffer<uint64_t> values;

    void close() { rows.close(values.size()); }
    void truncate(size_t size) {
        rows.truncate(size);
        values.truncate(rows.end());
    }
    // Of the open row.
    uint64_t fingerprint() const { return fingerprint::words(values.data() + rows.end(), values.size() - rows.end()); }
};

struct Exemplars {
    Offsets rows;
    Buffer<uint64_t> time, value;
    Strings span_id, trace_id;
    Maps attributes;

    void truncate(size_t size) {
        rows.truncate(size);
        time.truncate(rows.end());
        value.truncate(rows.end());
        span_id.truncate(rows.end());
        trace_id.truncate(rows.end());
        attributes.truncate(rows.end());
    }
};

struct PointRows {
    Strings text[TEXT_COLUMNS];
    Buffer<uint64_t> wide[WIDE_COLUMNS];
    Buffer<uint32_t> narrow[NARROW_COLUMNS];
    Buffer<uint8_t> monotonic;
    Maps maps[MAPS_COLUMNS];
    Numbers lists[LIST_COLUMNS];
    Exemplars exemplars;
    RowBefore before;  // of ATTRIBUTES

    size_t size() const { return wide[TIME].size(); }

    void truncate(size_t rows) {
        for (auto& column : text) column.truncate(rows);
        for (auto& column : wide) column.truncate(std::min(column.size(), rows));
        for (auto& column : narrow) column.truncate(std::min(column.size(), rows));
        monotonic.truncate(std::min(monotonic.size(), rows));
        for (auto& column : maps) column.truncate(rows);
        for (auto& column : lists) column.truncate(rows);
        exemplars.truncate(rows);
    }
};

// Scalars of a point of any kind; of a field sent twice the last counts.
struct Point {
    uint64_t start = 0, time = 0, count = 0, zero_count = 0, zero_threshold = 0, attributes = 0, exemplars = 0;
    uint64_t number = 0, number_kind = 0;  // 1 an integer, 2 a double, 0 none
    uint64_t sum = 0, min = 0, max = 0;
    bool has_sum = false, has_min = false, has_max = false;
    uint32_t flags = 0;
    int32_t scale = 0, positive_offset = 0, negative_offset = 0;
};

class MetricWalk : public Walk {
   public:
    PointRows tables[KINDS];

    void reserve(const std::vector<Envelope>& envelopes, size_t first) override {
        expected_ = bytes_from(envelopes, first);
    }

   private:
    using Sizes = std::array<size_t, KINDS>;

    Sizes sizes() const {
        Sizes found;
        for (size_t kind = 0; kind < KINDS; ++kind) found[kind] = tables[kind].size();
        return found;
    }

    // Calls `fill` with each table and the rows it got since.
    template <class Fill>
    void each_grown(const Sizes& before, Fill fill) {
        for (size_t kind = 0; kind < KINDS; ++kind) {
            const size_t rows = tables[kind].size() - before[kind];
            if (rows) fill(tables[kind], rows);
        }
    }

    void mark() override { marked_ = sizes(); }

    void drop() override {
        for (size_t kind = 0; kind < KINDS; ++kind) tables[kind].truncate(marked_[kind]);
        scratch_.truncate(0);
        scope_scratch_.truncate(0);
        resource_scratch_.truncate(0);
        fingerprints_.clear();
    }

    void append(const Envelope& envelope) override {
        const Sizes before = sizes();
        for (auto& table : tables) table.before.forget();
        above_.project = fingerprint::text(envelope.project);
        each_of_request(envelope.payload, [this](Bytes message) { resource_metrics(message); });
        each_grown(before, [&](PointRows& table, size_t rows) {
            table.text[PROJECT].fill(envelope.project, rows);
            table.wide[RECEIVED_AT].fill(envelope.received_at, rows);
        });
        ordinals_.begin(fingerprints_.size());
        for (const auto& [kind, found] : fingerprints_) tables[kind].wide[ROW_KEY].push(ordinals_.row_key(found));
        fingerprints_.clear();
    }

    // The open row of `from` as so many rows.
    static void share(Maps& column, const Maps& from, size_t rows) {
        for (size_t i = 0; i < from.keys.rows(); ++i) {
            column.keys.append(from.keys.row(i));
            column.values.append(from.values.row(i));
        }
        column.close();
        column.repeat_last(rows - 1);
    }

    // What is of a resource is of the fingerprints of its points, wherever it stands: it is read first.
    void resource_metrics(Bytes message) {
        const Sizes before = sizes();
        const Group group = read_group(message);
        above_.resource_attributes = read_resource(resource_scratch_, group.shared);
        above_.resource_schema_url = fingerprint::text(group.schema_url);
        const Bytes name = first_text(resource_scratch_, "service.name", true);
        each_message(message, 2, [this](Bytes part) { scope_metrics(part); });
        each_grown(before, [&](PointRows& table, size_t rows) {
            share(table.maps[RESOURCE_ATTRIBUTES], resource_scratch_, rows);
            table.text[SERVICE_NAME].fill(name, rows);
            table.text[RESOURCE_SCHEMA_URL].fill(group.schema_url, rows);
        });
        resource_scratch_.truncate(0);
    }

    void scope_metrics(Bytes message) {
        const Sizes before = sizes();
        const Group group = read_group(message);
        const Scope scope = read_scope(scope_scratch_, group.shared);
        scope_dropped_ = scope.dropped_attributes;
        group_ = above_.with(scope, group.schema_url);
        each_message(message, 2, [this](Bytes part) { metric(part); });
        each_grown(before, [&](PointRows& table, size_t rows) {
            share(table.maps[SCOPE_ATTRIBUTES], scope_scratch_, rows);
            table.text[SCOPE_NAME].fill(scope.name, rows);
            table.text[SCOPE_VERSION].fill(scope.version, rows);
            table.text[SCOPE_SCHEMA_URL].fill(group.schema_url, rows);
            table.narrow[SCOPE_DROPPED].fill(scope_dropped_, rows);
        });
        scope_scratch_.truncate(0);
    }

    void metric(Bytes message) {
        Bytes name, description, unit, data;
        int kind = KINDS, members = 0;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case text_tag(1): name = in.text(); break;
                case text_tag(2): description = in.text(); break;
                case text_tag(3): unit = in.text(); break;
                case message_tag(5): kind = GAUGE, data = in.bytes(), ++members; break;
                case message_tag(7): kind = SUM, data = in.bytes(), ++members; break;
                case message_tag(9): kind = HISTOGRAM, data = in.bytes(), ++members; break;
                case message_tag(10): kind = EXPONENTIAL_HISTOGRAM, data = in.bytes(), ++members; break;
                case message_tag(11): kind = SUMMARY, data = in.bytes(), ++members; break;
                case message_tag(12):  // no column holds these; they have to be sound all the same
                    append_attribute(scratch_, in.bytes());
                    scratch_.truncate(0);
                    break;
                default: in.skip(tag);
            }
        }
        if (members > 1) not_plain();  // they replace each other, or merge
        if (kind != KINDS) points(Kind(kind), data, name, description, unit);
    }

    void points(Kind kind, Bytes data, Bytes name, Bytes description, Bytes unit) {
        int32_t temporality = 0;
        bool monotonic = false;
        for (Reader in(data); in.more();) {
            const uint32_t tag = in.tag();
            if (tag == varint_tag(2) && kind != GAUGE && kind != SUMMARY) {
                temporality = int32_t(in.varint());
            } else if (tag == varint_tag(3) && kind == SUM) {
                monotonic = in.varint() != 0;
            } else {
                in.skip(tag);
            }
        }
        uint64_t identity[] = {group_,
                               fingerprint::text(name),
                               fingerprint::text(unit),
                               FIELD_OF_KIND[kind],
                               uint64_t(int64_t(temporality)),
                               monotonic};
        const size_t words = kind == SUM ? 6 : kind == GAUGE || kind == SUMMARY ? 4 : 5;
        of_metric_ = fingerprint::words(identity, words);
        rest_ = fingerprint::words({scope_dropped_, fingerprint::text(description)});
        PointRows& table = tables[kind];
        const size_t before = table.size();
        if (!before) make_room(table.maps[ATTRIBUTES]);
        each_message(data, 1, [&](Bytes part) { point(kind, table, part); });
        const size_t rows = table.size() - before;
        table.text[METRIC_NAME].fill(name, rows);
        table.text[METRIC_DESCRIPTION].fill(description, rows);
        table.text[METRIC_UNIT].fill(unit, rows);
        if (kind == SUM) table.monotonic.fill(monotonic, rows);
        if (words > 4) table.narrow[TEMPORALITY].fill(uint32_t(temporality), rows);
    }

    // Most of what comes is attributes, and most of it of one kind: growing would copy them again and again.
    void make_room(Maps& attributes) {
        attributes.keys.reserve(expected_);
        attributes.values.reserve(expected_);
    }

    void point(Kind kind, PointRows& table, Bytes message) {
        Point found;
        exemplars_.clear();
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(2): found.start = in.fixed64(); continue;
                case fixed64_tag(3): found.time = in.fixed64(); continue;
                default: break;
            }
            switch (kind) {
                case GAUGE:
                case SUM: number_field(table, tag, in, found); break;
                case HISTOGRAM: histogram_field(table, tag, in, found); break;
                case EXPONENTIAL_HISTOGRAM: exponential_field(table, tag, in, found); break;
                default: summary_field(table, tag, in, found);
            }
        }
        close(kind, table, found);
    }

    void number_field(PointRows& table, uint32_t tag, Reader& in, Point& found) {
        switch (tag) {
            case fixed64_tag(4): found.number = in.fixed64(), found.number_kind = 2; break;
            case message_tag(5): exemplar(table.exemplars, in.bytes()); break;
            case fixed64_tag(6): found.number = in.fixed64(), found.number_kind = 1; break;
            case message_tag(7): found.attributes += table.before.append(table.maps[ATTRIBUTES], in.bytes()); break;
            case varint_tag(8): found.flags = uint32_t(in.varint()); break;
            default: in.skip(tag);
        }
    }

    void histogram_field(PointRows& table, uint32_t tag, Reader& in, Point& found) {
        switch (tag) {
            case fixed64_tag(4): found.count = in.fixed64(); break;
            case fixed64_tag(5): found.sum = in.fixed64(), found.has_sum = true; break;
            case bytes_tag(6): packed(table.lists[BUCKETS], in.bytes()); break;
            case fixed64_tag(6): table.lists[BUCKETS].values.push(in.fixed64()); break;
            case bytes_tag(7): packed(table.lists[BOUNDS], in.bytes()); break;
            case fixed64_tag(7): table.lists[BOUNDS].values.push(in.fixed64()); break;
            case message_tag(8): exemplar(table.exemplars, in.bytes()); break;
            case message_tag(9): found.attributes += table.before.append(table.maps[ATTRIBUTES], in.bytes()); break;
            case varint_tag(10): found.flags = uint32_t(in.varint()); break;
            case fixed64_tag(11): found.min = in.fixed64(), found.has_min = true; break;
            case fixed64_tag(12): found.max = in.fixed64(), found.has_max = true; break;
            default: in.skip(tag);
        }
    }

    void exponential_field(PointRows& table, uint32_t tag, Reader& in, Point& found) {
        switch (tag) {
            case message_tag(1): found.attributes += table.before.append(table.maps[ATTRIBUTES], in.bytes()); break;
            case fixed64_tag(4): found.count = in.fixed64(); break;
            case fixed64_tag(5): found.sum = in.fixed64(), found.has_sum = true; break;
            case varint_tag(6): found.scale = unzigzag(in.varint()); break;
            case fixed64_tag(7): found.zero_count = in.fixed64(); break;
            // A message that occurs twice merges: here that is the same as reading on.
            case message_tag(8): buckets(table.lists[POSITIVE], in.bytes(), found.positive_offset); break;
            case message_tag(9): buckets(table.lists[NEGATIVE], in.bytes(), found.negative_offset); break;
            case varint_tag(10): found.flags = uint32_t(in.varint()); break;
            case message_tag(11): exemplar(table.exemplars, in.bytes()); break;
            case fixed64_tag(12): found.min = in.fixed64(), found.has_min = true; break;
            case fixed64_tag(13): found.max = in.fixed64(), found.has_max = true; break;
            case fixed64_tag(14): found.zero_threshold = in.fixed64(); break;
            default: in.skip(tag);
        }
    }

    void summary_field(PointRows& table, uint32_t tag, Reader& in, Point& found) {
        switch (tag) {
            case fixed64_tag(4): found.count = in.fixed64(); break;
            case fixed64_tag(5): found.sum = in.fixed64(); break;
            case message_tag(6): value_at_quantile(table, in.bytes()); break;
            case message_tag(7): found.attributes += table.before.append(table.maps[ATTRIBUTES], in.bytes()); break;
            case varint_tag(8): found.flags = uint32_t(in.varint()); break;
            default: in.skip(tag);
        }
    }

    static int32_t unzigzag(uint64_t number) {
        const uint32_t low = uint32_t(number);
        return int32_t(low >> 1) ^ -int32_t(low & 1);
    }

    static void packed(Numbers& column, Bytes content) {
        if (content.size() % 8) not_plain();
        for (size_t at = 0; at < content.size(); at += 8) column.values.push(little_endian(content.data() + at, 8));
    }

    static void buckets(Numbers& column, Bytes message, int32_t& offset) {
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case varint_tag(1): offset = unzigzag(in.varint()); break;
                case varint_tag(2): column.values.push(in.varint()); break;
                case bytes_tag(2):
                    for (Reader inner(in.bytes()); inner.more();) column.values.push(inner.varint());
                    break;
                default: in.skip(tag);
            }
        }
    }

    static void value_at_quantile(PointRows& table, Bytes message) {
        uint64_t quantile = 0, value = 0;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(1): quantile = in.fixed64(); break;
                case fixed64_tag(2): value = in.fixed64(); break;
                default: in.skip(tag);
            }
        }
        table.lists[QUANTILES].values.push(quantile);
        table.lists[QUANTILE_VALUES].values.push(value);
    }

    static uint64_t number_fingerprint(uint64_t number, uint64_t kind) {
        return kind ? fingerprint::words({number}, kind) : fingerprint::words({});
    }

    // The bits of a value as a double.
    static uint64_t as_double(uint64_t number, uint64_t kind) {
        if (kind != 1) return number;
        const double value = double(int64_t(number));
        return load<uint64_t>(reinterpret_cast<const char*>(&value));
    }

    void exemplar(Exemplars& column, Bytes message) {
        uint64_t time = 0, number = 0, kind = 0, attributes = 0;
        Bytes span_id, trace_id;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case fixed64_tag(2): time = in.fixed64(); break;
                case fixed64_tag(3): number = in.fixed64(), kind = 2; break;
                case bytes_tag(4): span_id = in.bytes(); break;
                case bytes_tag(5): trace_id = in.bytes(); break;
                case fixed64_tag(6): number = in.fixed64(), kind = 1; break;
                case message_tag(7): attributes += append_attribute(column.attributes, in.bytes()); break;
                default: in.skip(tag);
            }
        }
        column.time.push(capped(time));
        column.value.push(as_double(number, kind));
        put_id(column.span_id, span_id, 8);
        put_id(column.trace_id, trace_id, 16);
        column.attributes.close();
        exemplars_.push_back(fingerprint::words(
            {time, number_fingerprint(number, kind), Xxh64::of(span_id), Xxh64::of(trace_id), attributes}));
    }

    // A row of the columns that a point fills by itself.
    void close(Kind kind, PointRows& table, const Point& point) {
        const uint64_t series = fingerprint::words({of_metric_, point.attributes});
        const uint64_t content = close_content(kind, table, point);
        uint64_t exemplars = 0;
        if (kind != SUMMARY) {
            exemplars = fingerprint::words(exemplars_.data(), exemplars_.size());
            table.exemplars.rows.close(table.exemplars.time.size());
        }
        table.maps[ATTRIBUTES].close();
        table.wide[START_TIME].push(capped(point.start));
        table.wide[TIME].push(capped(point.time));
        table.wide[SERIES].push(series);
        table.narrow[FLAGS].push(point.flags);
        fingerprints_.push_back(
            {kind, fingerprint::words({series, rest_, point.start, point.time, point.flags, content, exemplars})});
    }

    static uint64_t optional(bool has, uint64_t bits) { return has ? fingerprint::words({bits}) : 0; }

    // The columns of the kind; returns their fingerprint.
    static uint64_t close_content(Kind kind, PointRows& table, const Point& point) {
        if (kind == GAUGE || kind == SUM) {
            table.wide[VALUE].push(as_double(point.number, point.number_kind));
            return number_fingerprint(point.number, point.number_kind);
        }
        table.wide[COUNT].push(point.count);
        table.wide[SUM_OF_VALUES].push(point.sum);
        if (kind == SUMMARY) {
            const uint64_t quantiles = table.lists[QUANTILES].fingerprint();
            const uint64_t values = table.lists[QUANTILE_VALUES].fingerprint();
            table.lists[QUANTILES].close();
            table.lists[QUANTILE_VALUES].close();
            return fingerprint::words({point.count, point.sum, quantiles, values});
        }
        table.wide[MIN].push(point.min);
        table.wide[MAX].push(point.max);
        const uint64_t sum = optional(point.has_sum, point.sum), min = optional(point.has_min, point.min);
        const uint64_t max = optional(point.has_max, point.max);
        const bool exponential = kind == EXPONENTIAL_HISTOGRAM;
        Numbers &first = table.lists[exponential ? POSITIVE : BUCKETS],
                &second = table.lists[exponential ? NEGATIVE : BOUNDS];
        const uint64_t of_first = first.fingerprint(), of_second = second.fingerprint();
        first.close();
        second.close();
        if (!exponential) return fingerprint::words({point.count, sum, min, max, of_first, of_second});
        table.wide[ZERO_COUNT].push(point.zero_count);
        table.narrow[SCALE].push(uint32_t(point.scale));
        table.narrow[POSITIVE_OFFSET].push(uint32_t(point.positive_offset));
        table.narrow[NEGATIVE_OFFSET].push(uint32_t(point.negative_offset));
        return fingerprint::words({point.count, sum, min, max, uint64_t(int64_t(point.scale)), point.zero_count,
                                   point.zero_threshold, uint64_t(int64_t(point.positive_offset)), of_first,
                                   uint64_t(int64_t(point.negative_offset)), of_second});
    }

    GroupFingerprints above_;
    uint64_t group_ = 0;  // the fingerprint of what a scope's points share
    uint64_t of_metric_ = 0, rest_ = 0;
    uint32_t scope_dropped_ = 0;
    Sizes marked_{};
    Maps resource_scratch_, scope_scratch_, scratch_;
    Ordinals ordinals_;
    std::vector<uint64_t> exemplars_;                      // of the point at hand
    size_t expected_ = 0;                                  // bytes of the envelopes to read
    std::vector<std::pair<Kind, uint64_t>> fingerprints_;  // of the points of the envelope at hand
};

}  // namespace spanmeter::decode::metric

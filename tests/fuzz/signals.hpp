// The rows of requests of logs and metrics as their walks make them, and what must be true of them.
#pragma once

#include <utility>
#include <vector>

#include "collector/admit/item_count.hpp"
#include "collector/decode/log_walk.hpp"
#include "collector/decode/metric_walk.hpp"
#include "generated.hpp"
#include "harness.hpp"
#include "rows.hpp"

namespace spanmeter::fuzz {

struct Logs {
    static constexpr size_t SIGNAL = 2;

    decode::log::LogWalk walk{{{"event.name"}, {"session.id"}, {"prompt.id"}, {"request_id"}, "session.id"}};

    size_t size() const { return walk.size(); }

    Rows take() {
        RowsTaker taker;
        const size_t rows = size();
        for (auto& column : walk.byte) taker.flat(column.release(), rows);
        taker.columns(walk, rows);
        return taker.taken();
    }
};

struct Metrics {
    static constexpr size_t SIGNAL = 1;

    decode::metric::MetricWalk walk;

    size_t size() const {
        size_t rows = 0;
        for (const auto& table : walk.tables) rows += table.size();
        return rows;
    }

    Rows take() {
        RowsTaker taker;
        for (auto& table : walk.tables) points(taker, table, table.size());
        return taker.taken();
    }

   private:
    // A kind fills the columns it has, and no others.
    static void points(RowsTaker& taker, decode::metric::PointRows& table, size_t rows) {
        for (auto& column : table.text) taker.strings(column, rows);
        for (auto& column : table.maps) taker.maps(column, rows);
        for (auto& column : table.wide) flat(taker, column, rows);
        for (auto& column : table.narrow) flat(taker, column, rows);
        flat(taker, table.monotonic, rows);
        for (auto& column : table.lists) {
            const size_t filled = column.rows.rows() ? rows : 0;
            const size_t count = taker.offsets(column.rows.release(), filled);
            taker.flat(column.values.release(), count * sizeof(uint64_t));
        }
        exemplars(taker, table.exemplars, table.exemplars.rows.rows() ? rows : 0);
    }

    template <class T>
    static void flat(RowsTaker& taker, decode::Buffer<T>& column, size_t rows) {
        const size_t filled = column.size() ? rows : 0;
        taker.flat(column.release(), filled * sizeof(T));
    }

    static void exemplars(RowsTaker& taker, decode::metric::Exemplars& found, size_t rows) {
        const size_t count = taker.offsets(found.rows.release(), rows);
        taker.flat(found.time.release(), count * sizeof(uint64_t));
        taker.flat(found.value.release(), count * sizeof(uint64_t));
        taker.strings(found.span_id, count);
        taker.strings(found.trace_id, count);
        taker.maps(found.attributes, count);
    }
};

// The rows of these requests, all of which are plain.
template <class Signal>
Rows signal_rows(const std::vector<decode::Envelope>& plain) {
    Signal made;
    made.walk.reserve(plain, 0);
    require(made.walk.add(plain, 0) == plain.size(), "plain again");
    return made.take();
}

template <class Signal>
bool is_plain_signal(Bytes body) {
    Signal made;
    const bool plain = made.walk.add({envelope(body)}, 0) == 1;
    const size_t rows = made.size();
    require(plain || !rows, "a request that is not plain adds nothing");
    made.take();
    admit::ItemCount count(schema(Signal::SIGNAL), UINT64_MAX, UINT64_MAX);
    const bool counted = count.read(body) == admit::PLAIN;
    require(!plain || (counted && rows <= count.items), "what has rows is counted, and no more rows than items");
    return plain;
}

// A request that is not plain, between two that are, leaves no trace in their rows.
template <class Signal>
void check_between_signals(Bytes plain, Bytes odd) {
    Signal made;
    const std::vector<decode::Envelope> all{envelope(plain), envelope(odd), envelope(plain)};
    made.walk.reserve(all, 0);
    require(made.walk.add(all, 0) == 1, "what is not plain is not taken");
    require(made.walk.add(all, 2) == 3, "what is behind it is");
    require(made.take() == signal_rows<Signal>({all[0], all[2]}), "what is not plain leaves no trace");
}

// An input is where a copy begins in its memory, and where the bytes are cut into two requests; then the bytes.
template <class Signal>
int check_signal(const uint8_t* data, size_t size) {
    constexpr size_t INPUT_HEAD = 3;
    if (size < INPUT_HEAD) return 0;
    const Copy body(bytes_of(data + INPUT_HEAD, size - INPUT_HEAD));
    const Copy moved(body.bytes(), 1 + data[0] % 31);
    if (is_plain_signal<Signal>(body.bytes())) {
        require(signal_rows<Signal>({envelope(body.bytes())}) == signal_rows<Signal>({envelope(moved.bytes())}),
                "elsewhere, the same rows");
    }
    const size_t cut = body.bytes().empty() ? 0 : (data[1] << 8 | data[2]) % (body.bytes().size() + 1);
    const Copy first(body.bytes().substr(0, cut)), second(body.bytes().substr(cut));
    const bool one = is_plain_signal<Signal>(first.bytes()), other = is_plain_signal<Signal>(second.bytes());
    if (one && !other) check_between_signals<Signal>(first.bytes(), second.bytes());
    if (other && !one) check_between_signals<Signal>(second.bytes(), first.bytes());
    return 0;
}

}  // namespace spanmeter::fuzz

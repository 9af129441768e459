// Trace requests in protobuf, as the scan at the door, the count of items and the decode kernel read them.
//
// An input is where a copy begins in its memory, and where the bytes are cut into two requests; then the bytes.
#include "requests.hpp"

namespace spanmeter::fuzz {
namespace {

constexpr size_t INPUT_HEAD = 3;

void check_scan(Bytes body, Bytes moved) {
    admit::RequestScan one(UINT64_MAX, UINT64_MAX), other(UINT64_MAX, UINT64_MAX);
    require(one.read(body) == other.read(moved), "elsewhere, the same outcome");
    require(one.accepted == other.accepted && one.repeated == other.repeated && one.elements == other.elements,
            "elsewhere, the same numbers");
    if (!one.elements) return;
    admit::RequestScan limited(UINT64_MAX, one.elements - 1);
    require(limited.read(body) == admit::TOO_MANY_ELEMENTS, "elements are limited");
}

// A request that is not plain, between two that are, leaves no trace in their rows.
void check_between(Bytes plain, Bytes odd) {
    decode::SpanWalk walk(walk_rules());
    const std::vector<decode::Envelope> all{envelope(plain), envelope(odd), envelope(plain)};
    walk.reserve(all, 0);
    require(walk.add(all, 0) == 1, "what is not plain is not taken");
    require(walk.add(all, 2) == 3, "what is behind it is");
    require(rows_of(walk) == rows_of({all[0], all[2]}), "what is not plain leaves no trace");
}

void check(Bytes first, Bytes second) {
    const bool one = check_request(first), other = check_request(second);
    if (one && !other) check_between(first, second);
    if (other && !one) check_between(second, first);
}

}  // namespace
}  // namespace spanmeter::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace spanmeter::fuzz;
    if (size < INPUT_HEAD) return 0;
    const Copy body(bytes_of(data + INPUT_HEAD, size - INPUT_HEAD));
    const Copy moved(body.bytes(), 1 + data[0] % 31);
    check_scan(body.bytes(), moved.bytes());
    size_t spans;
    if (is_plain(body.bytes(), spans)) {
        require(rows_of({envelope(body.bytes())}) == rows_of({envelope(moved.bytes())}), "elsewhere, the same rows");
    }
    const size_t cut = body.bytes().empty() ? 0 : (data[1] << 8 | data[2]) % (body.bytes().size() + 1);
    const Copy first(body.bytes().substr(0, cut)), second(body.bytes().substr(cut));
    check(first.bytes(), second.bytes());
    return 0;
}

// Bodies of any signal at the door: the count of items in protobuf, and the JSON transcoder.
//
// An input is the signal and encoding, a limit of elements, how deep values may nest, and the body.
#include "collector/admit/json_transcoder.hpp"
#include "requests.hpp"

namespace spanmeter::fuzz {
namespace {

constexpr size_t INPUT_HEAD = 3;
constexpr uint8_t PROTOBUF = 4;  // in the first byte, whose last two bits are the signal

void check_count(size_t signal, Bytes body, Bytes moved, uint64_t limit) {
    admit::ItemCount one(schema(signal), UINT64_MAX, UINT64_MAX), other(schema(signal), UINT64_MAX, UINT64_MAX);
    const admit::Outcome outcome = one.read(body);
    require(outcome == other.read(moved), "elsewhere, the same outcome");
    require(one.items == other.items && one.elements == other.elements && one.sound == other.sound,
            "elsewhere, the same numbers");
    require(one.items <= one.elements && one.elements <= body.size(), "everything counted has a byte of its own");
    admit::ItemCount few_elements(schema(signal), UINT64_MAX, limit), few_items(schema(signal), limit, UINT64_MAX);
    const bool many = few_elements.read(body) == admit::TOO_MANY_ELEMENTS;
    require(many == (one.elements > limit), "elements are limited");
    require((few_items.read(body) == admit::TOO_MANY_ITEMS) == (one.items > limit), "items are limited");
}

constexpr int SHALLOW = 20;  // values nested less deep are in no more messages than the count calls sound

// What is made of a document is a sound request, of a size and of as many elements as can be told beforehand.
void check_transcoded(size_t signal, Bytes document, Bytes made, uint64_t limit, int max_depth) {
    admit::ItemCount count(schema(signal), UINT64_MAX, UINT64_MAX);
    require(count.read(made) == admit::PLAIN, "what is made can be read");
    require(count.sound || max_depth > SHALLOW, "what is made is sound");
    require(count.elements <= limit, "elements are limited");
    require(count.elements <= admit::json_separators(document), "separators tell how much is in a document");
    require(made.size() <= 5 * document.size(), "what is made is no larger than five documents");
    if (signal == 0) check_request(made);
}

void check_json(size_t signal, Bytes document, Bytes moved, uint64_t limit, int max_depth) {
    admit::JsonTranscoder one(schema(signal), limit, max_depth), other(schema(signal), limit, max_depth);
    const admit::Outcome outcome = one.read(document);
    require(outcome == other.read(moved), "elsewhere, the same outcome");
    require(one.out == other.out, "elsewhere, the same request");
    if (outcome == admit::PLAIN) check_transcoded(signal, document, Copy(one.out).bytes(), limit, max_depth);
}

}  // namespace
}  // namespace spanmeter::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace spanmeter::fuzz;
    if (size < INPUT_HEAD) return 0;
    const size_t signal = (data[0] & 3) % SIGNALS;
    const Copy body(bytes_of(data + INPUT_HEAD, size - INPUT_HEAD));
    const Copy moved(body.bytes(), 1 + data[1] % 31);
    const uint64_t limit = data[1] == 255 ? 1'000'000 : data[1];
    if (data[0] & PROTOBUF) {
        check_count(signal, body.bytes(), moved.bytes(), limit);
    } else {
        check_json(signal, body.bytes(), moved.bytes(), limit, data[2]);
    }
    return 0;
}

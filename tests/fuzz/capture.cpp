// Capture policies and redaction on the bytes of requests of spans and log records.
//
// An input is the signal and how strict the policies are, where a copy begins in its memory, which texts are replaced,
// and the request.
#include "collector/admit/item_count.hpp"
#include "collector/capture/texts.hpp"
#include "collector/capture/withhold.hpp"
#include "generated.hpp"
#include "harness.hpp"

namespace spanmeter::fuzz {
namespace {

constexpr size_t INPUT_HEAD = 3;
constexpr size_t LOGS_SIGNAL = 2;

// A keeper whose answers are told by names alone.
struct Answers {
    int strictest;
};

int kept(void*, int policy, Bytes key) { return int(key.size() % (policy == capture::OFF ? 3 : 4)); }

int answer(void*, int question, int, Bytes key, Bytes text, std::string* found) {
    if (question != capture::TELLS_OF_SESSION || (key.size() + text.size()) % 2) found->assign(text.substr(0, 7));
    return 0;
}

int of_service(void* self, Bytes service) {
    const int strictest = static_cast<Answers*>(self)->strictest;
    return strictest == capture::POLICIES || service == "by agent" ? capture::BY_AGENT : strictest;
}

int of_agents(void*, const std::vector<Bytes>* agents) { return int(agents->size() % capture::POLICIES); }

int flags(void*, Bytes key) {
    return key.size() % 5 == 4 ? capture::COUNTED : key.size() % 5 == 3 ? capture::IS_WHOLE : 0;
}

std::string withheld(size_t signal, Bytes body, int strictest, bool& taken) {
    const capture::Settings settings{{"agent"}, "own", {"full", "metadata", "off"}, "https://", 30, 12};
    capture::Remembered remembered;
    Answers answers{strictest};
    capture::Withholder found(settings, remembered, {&answers, kept, answer, of_service, of_agents});
    taken = (signal == LOGS_SIGNAL ? found.logs(body) : found.traces(body)) == capture::REWRITTEN;
    return found.out.bytes;
}

bool is_sound(size_t signal, Bytes body) {
    admit::ItemCount count(schema(signal), UINT64_MAX, UINT64_MAX);
    return count.read(body) == admit::PLAIN && count.sound;
}

void check_policies(size_t signal, Bytes body, Bytes moved, int strictest) {
    bool taken = false, again = false;
    const std::string left = withheld(signal, body, strictest, taken);
    require(left == withheld(signal, moved, strictest, again) && taken == again, "elsewhere, the same");
    if (taken && is_sound(signal, body)) require(is_sound(signal, left), "what is left is a request");
}

void check_texts(size_t signal, Bytes body, Bytes moved, uint8_t chosen) {
    capture::Known known, others;
    capture::Texts one(shapes(signal), {nullptr, flags, &known}), other(shapes(signal), {nullptr, flags, &others});
    const capture::Looked looked = one.read(body);
    require(looked == other.read(moved), "elsewhere, the same outcome");
    if (looked != capture::TAKEN) return;
    require(one.seen == other.seen && one.places.size() == other.places.size(), "elsewhere, the same texts");
    std::vector<capture::Patch> patches;
    for (size_t i = 0; i < one.places.size(); ++i) {
        const capture::Place& place = one.places[i];
        require(place.end <= body.size() && one.place_of(place.seen) == i, "a text is where it is said to be");
        require(place.text_start + place.text_size <= body.size(), "a text is within the request");
        if (i % 7 == chosen % 7)
            patches.push_back({place.start, place.text_size ? place.tag : 10u, std::string(i % 9, 'x')});
    }
    for (const capture::Whole& whole : one.wholes) {
        require(whole.start < body.size() && whole.text_start + whole.text_size <= body.size(),
                "it is within the request");
    }
    const std::vector<capture::Patch> none;
    capture::Patcher same(shapes(signal), none), patched(shapes(signal), patches);
    same.write(body);
    patched.write(moved);
    require(same.out.bytes == body, "nothing to replace leaves the request as it is");
    const Copy written(patched.out.bytes);
    require(!is_sound(signal, body) || is_sound(signal, written.bytes()), "what is left is a request");
}

}  // namespace
}  // namespace spanmeter::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace spanmeter::fuzz;
    if (size < INPUT_HEAD) return 0;
    const size_t signal = data[0] & 1 ? LOGS_SIGNAL : 0;
    const Copy body(bytes_of(data + INPUT_HEAD, size - INPUT_HEAD));
    const Copy moved(body.bytes(), 1 + data[1] % 31);
    check_policies(signal, body.bytes(), moved.bytes(), data[0] / 2 % 4);
    check_texts(signal, body.bytes(), moved.bytes(), data[2]);
    return 0;
}

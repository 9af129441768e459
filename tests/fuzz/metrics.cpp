// Requests of metrics in protobuf, as the count of items at the door and the walk read them.
#include "signals.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return spanmeter::fuzz::check_signal<spanmeter::fuzz::Metrics>(data, size);
}

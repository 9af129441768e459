// What the walks of all signals have in common: envelopes in, rows of columns out.
#pragma once

#include <vector>

#include "../wire/protobuf.hpp"

namespace spanmeter::decode {

using namespace wire;

// One accepted request and what its rows say about it. The views outlive the walk.
struct Envelope {
    Bytes payload;
    Bytes project;
    uint64_t received_at;
};

class Walk {
   public:
    virtual ~Walk() = default;

    // Make room for the rows of the envelopes from `first` on.
    virtual void reserve(const std::vector<Envelope>&, size_t) {}

    // Append the rows of envelopes; returns the position of the first that is not plain, which adds nothing.
    size_t add(const std::vector<Envelope>& envelopes, size_t first) {
        for (size_t i = first; i < envelopes.size(); ++i) {
            mark();
            try {
                append(envelopes[i]);
            } catch (const NotPlain&) {
                drop();
                return i;
            }
        }
        return envelopes.size();
    }

   protected:
    // Append the rows of one envelope. Throws NotPlain, when some of them may be there in part.
    virtual void append(const Envelope&) = 0;
    // Remember which rows there are.
    virtual void mark() = 0;
    // Drop what was appended since the last mark.
    virtual void drop() = 0;

    static size_t bytes_from(const std::vector<Envelope>& envelopes, size_t first) {
        size_t bytes = 0;
        for (size_t i = first; i < envelopes.size(); ++i) bytes += envelopes[i].payload.size();
        return bytes;
    }
};

}  // namespace spanmeter::decode

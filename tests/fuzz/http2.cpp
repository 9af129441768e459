// Bytes of a client for the HTTP/2 codec, in any pieces, answered in any way.
//
// An input is flags, the greatest size of a piece as a power of two (and, in its higher four bits, which part of what
// is sent comes often), a seed of 16 bits, and what the client sends.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "collector/net/http2/session.hpp"
#include "harness.hpp"

namespace spanmeter::fuzz {
namespace {

using namespace http2;

constexpr size_t INPUT_HEAD = 4;
enum InputFlag : uint8_t {
    FEW_STREAMS = 1,
    SMALL_MESSAGES = 2,
    IDLE_PINGS = 4,
    PINGS_AT_ONCE = 8,
    GREETED = 16,  // the preface and SETTINGS go before what is in the input
    NO_MEMORY = 32,
    OFTEN = 64,  // the rest of the input, from so many sixteenths on, is sent so often that limits are met
};
constexpr size_t TIMES = 256, MAX_SENT = 3 << 20;

struct Input {
    uint8_t flags;
    size_t max_piece;
    uint64_t seed;
    std::string sent;

    explicit Input(Bytes data)
        : flags(uint8_t(data[0])),
          max_piece(size_t(1) << (uint8_t(data[1]) & 15)),
          seed(read16(data.data() + 2)),
          sent(flags & GREETED ? std::string(PREFACE) : std::string()) {
        if (flags & GREETED) put_head(sent, 0, SETTINGS, 0, 0);
        sent += data.substr(INPUT_HEAD);
        const Bytes again = data.substr(INPUT_HEAD + (data.size() - INPUT_HEAD) * (uint8_t(data[1]) >> 4) / 16);
        for (size_t i = 1; flags & OFTEN && i < TIMES && sent.size() + again.size() <= MAX_SENT; ++i) sent += again;
    }

    Rules rules() const {
        return {flags & SMALL_MESSAGES ? size_t(1000) : size_t(4) << 20,
                flags & FEW_STREAMS ? size_t(2) : size_t(100),
                flags & PINGS_AT_ONCE ? 0.0 : 10.0,
                bool(flags & IDLE_PINGS),
                {"/a.B/C", "/d.E/F"}};
    }
};

constexpr size_t MAX_PIECES = 400;

// Calls `take` with each piece, in memory of its own that is gone afterwards.
template <class Take>
void in_pieces(Bytes sent, size_t max_piece, Choices& choices, Take take) {
    max_piece = std::max(max_piece, 2 * sent.size() / MAX_PIECES);
    while (!sent.empty()) {
        const Copy piece(sent.substr(0, max_piece < sent.size() ? 1 + choices.below(max_piece) : sent.size()));
        sent.remove_prefix(piece.bytes().size());
        take(piece.bytes());
    }
}

// Calls `take` with each whole frame's type, flags, stream and payload; returns what is left behind the last.
template <class Take>
Bytes each_frame(Bytes data, Take take) {
    while (data.size() >= FRAME_HEAD && data.size() - FRAME_HEAD >= read24(data.data())) {
        const Bytes payload = data.substr(FRAME_HEAD, read24(data.data()));
        take(uint8_t(data[3]), uint8_t(data[4]), read32(data.data() + 5) & LAST_STREAM, payload);
        data.remove_prefix(FRAME_HEAD + payload.size());
    }
    return data;
}

// -- the same bytes in other pieces -----------------------------------------------------------------------------------

// What a connection made of its bytes, but for what depends on how they came: calls reported open, and parts of them.
class Story {
   public:
    Story(const Input& input, size_t max_piece) : session_(input.rules()) {
        Choices choices(input.seed);
        in_pieces(input.sent, max_piece, choices, [this](Bytes piece) {
            session_.feed(piece, 1.0);
            for (Event& event : session_.events()) add(event);
            out_ += session_.out();
            session_.sent();
        });
    }

    void check_equal(const Story& other) const {
        require(events_ == other.events_, "other pieces, the same events");
        require(out_ == other.out_, "other pieces, the same answer");
        require(session_.calls() == other.session_.calls(), "other pieces, as many calls");
        require(session_.ended() == other.session_.ended(), "other pieces, the same end");
        require(session_.why() == other.session_.why(), "other pieces, the same reason");
        require(session_.greeted() == other.session_.greeted(), "other pieces, the same greeting");
        require(session_.unfinished_since() == other.session_.unfinished_since(), "other pieces, as unfinished");
    }

    // What is written without an answer to a call stays near what came.
    void check_size(size_t sent) const {
        require(out_.size() <= 200 + 3 * sent, "writes no more than what comes asks for");
    }

   private:
    void add(Event& event) {
        Fields& credentials = credentials_[event.stream];
        for (auto& field : event.credentials) credentials.push_back(std::move(field));
        if (event.kind == EventKind::OPEN || event.kind == EventKind::PART) return;
        const bool known = whole_.count(event.stream);
        if (event.kind == EventKind::GONE && !known) return;
        whole_[event.stream] = true;
        std::string text = std::to_string(int(event.kind)) + ' ' + std::to_string(event.stream) + ' ' +
                           std::to_string(event.path) + ' ' + std::to_string(int(event.fault)) + ' ' + event.detail +
                           (event.compressed ? " coded " : " plain ") + event.coding + ' ';
        if (event.message.size()) text.append(event.message.data(), event.message.size());
        for (const auto& [name, value] : credentials) text += ' ' + name + '=' + value;
        events_.push_back(std::move(text));
    }

    Session session_;
    std::vector<std::string> events_;
    std::string out_;
    std::map<uint32_t, Fields> credentials_;
    std::map<uint32_t, bool> whole_;
};

void tell(const Input& input) {
    const Story whole(input, input.sent.size()), pieces(input, input.max_piece);
    whole.check_equal(pieces);
    whole.check_size(input.sent.size());
}

// -- a server that answers --------------------------------------------------------------------------------------------

// The most that the client allows at any time.
struct Allowed {
    int64_t data = DEFAULT_WINDOW;
    size_t frame = 16384;

    explicit Allowed(Bytes sent) {
        if (sent.substr(0, PREFACE.size()) == PREFACE) sent.remove_prefix(PREFACE.size());
        each_frame(sent, [this](uint8_t type, uint8_t, uint32_t stream, Bytes payload) {
            if (type == WINDOW_UPDATE && !stream && payload.size() == 4) data += read32(payload.data()) & LAST_STREAM;
            if (type == SETTINGS) settings(payload);
        });
    }

    void settings(Bytes payload) {
        for (; payload.size() >= 6; payload.remove_prefix(6)) {
            if (read16(payload.data()) == MAX_FRAME_SIZE) frame = std::max<size_t>(frame, read32(payload.data() + 2));
        }
    }
};

// A call as the events and the frames that are sent tell of it.
struct Call {
    size_t held = 0;        // bytes of its message
    bool whole = false;     // nothing more is told of it, but that it is gone
    bool answered = false;  // to its end, though the client's windows may not have taken it yet
};

class Server {
   public:
    explicit Server(const Input& input)
        : input_(input), choices_(input.seed), allowed_(input.sent), session_(input.rules()) {}

    // Throws bad_alloc where a message finds no room.
    void run() {
        look();
        in_pieces(input_.sent, input_.max_piece, choices_, [this](Bytes piece) {
            session_.feed(piece, now_ += STEPS[choices_.below(std::size(STEPS))]);
            look();
            act();
            look();
        });
    }

   private:
    static constexpr double STEPS[] = {0, 0, 0, 0.01, 1, 3600};

    void look() {
        for (Event& event : session_.events()) take(event);
        read(session_.out());
        session_.sent();
        check();
    }

    void take(Event& event) {
        const auto found = calls_.find(event.stream);
        const bool known = found != calls_.end();
        require(!known || event.credentials.empty(), "credentials come with the first event");
        require(are_one_each(event.credentials), "each credential comes once");
        require(event.detail.size() <= 200, "details are short");
        switch (event.kind) {
            case EventKind::OPEN:
                require(!known && event.path >= 0, "what opens is new, and of a path");
                calls_[event.stream].held = event.size;
                break;
            case EventKind::PART:
                require(known && !found->second.whole, "parts are of calls that are open");
                found->second.held = event.size;
                break;
            case EventKind::CALL:
                require(event.message.size() <= input_.rules().max_message, "messages are as large as allowed");
                require(event.path >= 0, "calls are of a path");
                [[fallthrough]];
            case EventKind::FAULT:
                require(!known || !found->second.whole, "calls become whole once");
                calls_[event.stream] = Call{0, true, false};
                break;
            case EventKind::GONE:
                require(known, "what goes was there");
                calls_.erase(found);
                break;
        }
    }

    static bool are_one_each(const Fields& credentials) {
        return credentials.size() < 2 || (credentials.size() == 2 && credentials[0].first != credentials[1].first);
    }

    // What is sent: whole frames that the client allows, with header blocks that it can read.
    void read(Bytes out) {
        const Bytes rest = each_frame(out, [this](uint8_t type, uint8_t flags, uint32_t stream, Bytes payload) {
            require(payload.size() <= allowed_.frame, "frames are as large as allowed");
            if (type == DATA) data_ += int64_t(payload.size());
            if (type == HEADERS) ends_ = flags & END_STREAM;
            if (type == HEADERS || type == CONTINUATION) block_ += payload;
            if ((type == HEADERS || type == CONTINUATION) && (flags & END_HEADERS)) block(stream);
            if (type == RST_STREAM) calls_.erase(stream);
        });
        require(rest.empty(), "whole frames are sent");
        require(block_.empty(), "whole header blocks are sent");
        require(data_ <= allowed_.data, "the connection's window is kept");
    }

    void block(uint32_t stream) {
        const auto found = calls_.find(stream);
        require(found != calls_.end(), "only calls are answered");
        decoder_.decode(block_, [](Bytes name, Bytes) { require(!name.empty(), "fields have names"); });
        block_.clear();
        if (!ends_) return;
        require(found->second.answered, "only what is answered ends");
        calls_.erase(found);
    }

    void check() const {
        size_t held = 0;
        for (const auto& [stream, call] : calls_) held += call.held;
        require(held == allocations.bytes, "what is held is reported");
        require(session_.calls() == calls_.size(), "calls are known");
        require(session_.calls() <= input_.rules().max_streams, "streams are bounded");
        require(session_.blocked() <= session_.calls(), "answers that wait are of calls");
        require(session_.unfinished_since() == NEVER || session_.unfinished_since() <= now_, "frames began before now");
        require(!session_.ended() || !session_.why().empty(), "an end has a reason");
    }

    void act() {
        std::vector<uint32_t> streams;
        for (const auto& [stream, call] : calls_) {
            if (!call.answered) streams.push_back(stream);
        }
        for (uint32_t stream : streams) answer(stream, calls_[stream]);
        switch (choices_.below(200)) {
            case 0: session_.ping(); break;
            case 1: session_.announce_end(); break;
            case 2: session_.drain(); break;
            default: break;
        }
    }

    void answer(uint32_t stream, Call& call) {
        const size_t choice = choices_.below(call.whole ? 8 : 32);
        if (choice == 0) {
            call = Call{0, true, true};
            session_.refuse(stream, "200",
                            {{"grpc-status", "8"}, {"grpc-message", std::string(choices_.below(300), 'x')}});
        } else if (choice < 3 && call.whole) {
            call.answered = true;
            session_.answer(stream, "");
        } else if (choice < 5 && call.whole) {
            call.answered = choice == 3;
            const std::string message(choices_.below(choices_.below(16) ? 100 : 100'000), 'y');
            if (call.answered) {
                session_.answer(stream, message);
            } else {
                require(session_.send(stream, message), "calls that are there are answered");
            }
        }
    }

    const Input& input_;
    Choices choices_;
    const Allowed allowed_;
    Session session_;
    HeaderDecoder decoder_;
    std::map<uint32_t, Call> calls_;
    std::string block_;
    bool ends_ = false;
    int64_t data_ = 0;
    double now_ = 0;
};

void serve(const Input& input) {
    if (input.flags & NO_MEMORY) allocations.left = input.seed % 8;
    try {
        Server(input).run();
    } catch (const std::bad_alloc&) {
        require(input.flags & NO_MEMORY, "there is memory");
    }
    allocations.left = Allocations::NONE;
    require(!allocations.bytes && !allocations.objects, "a connection that is over holds nothing");
}

}  // namespace
}  // namespace spanmeter::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace spanmeter::fuzz;
    if (size < INPUT_HEAD) return 0;
    const Input input(bytes_of(data, size));
    tell(input);
    serve(input);
    return 0;
}

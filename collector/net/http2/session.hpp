// The server's side of one HTTP/2 connection (RFC 9113) that carries unary gRPC calls.
//
// Bytes go in; events come out for whoever answers, and bytes for the peer. Nothing a peer sends makes it keep more
// than what is bounded here, but for the messages themselves: how much of each is held is reported, so that someone can
// count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "budget.hpp"
#include "frames.hpp"
#include "grpc_message.hpp"
#include "head.hpp"
#include "hpack.hpp"

namespace spanmeter::http2 {

inline constexpr Bytes PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

constexpr uint32_t MAX_FRAME = 1 << 20;  // of DATA, which is taken as it comes; MAX_HEAD of other frames
constexpr int64_t DEFAULT_WINDOW = 65535;
constexpr int64_t MAX_WINDOW = 0x7FFFFFFF;
constexpr int64_t STREAM_WINDOW = 4 << 20;
constexpr int64_t CONNECTION_WINDOW = 16 << 20;
constexpr double NEVER = std::numeric_limits<double>::infinity();
constexpr int STRIKES = 2;                         // pings that may come too early
constexpr double IDLE_PING_INTERVAL = 2 * 3600.0;  // gRPC's, where pings without a call are not permitted

struct Rules {
    size_t max_message;
    size_t max_streams;
    double min_ping_interval;
    bool pings_without_calls;
    std::vector<std::string> paths;
};

enum class EventKind {
    CALL,   // a whole call
    OPEN,   // a call has begun; the rest of its message is to come
    PART,   // more of the message of a call has come
    FAULT,  // a call that cannot be taken; the peer's further bytes of it are dropped
    GONE,   // the peer has given a call up
};

enum class Fault {
    NONE,
    METHOD,
    MEDIA_TYPE,
    PATH,
    HEADERS_TOO_LARGE,
    TOO_LARGE,
    NO_MESSAGE,
    CUT,
    SECOND_MESSAGE,
    BAD_FLAG,
    TWICE
};

struct Event {
    EventKind kind;
    uint32_t stream;
    int path = -1;  // CALL, OPEN, FAULT: an index into Rules::paths
    Fault fault = Fault::NONE;
    std::string detail;       // FAULT: the method, media type, path, or name of the field
    Fields credentials;       // CALL, OPEN
    bool compressed = false;  // CALL
    std::string coding;       // CALL: grpc-encoding
    BytesObject message;      // CALL
    size_t size = 0;          // OPEN, PART: bytes of memory that the message has
};

class Session {
   public:
    explicit Session(Rules rules) : rules_(std::move(rules)) {
        put_head(out_, 4 * 6, SETTINGS, 0, 0);
        put_setting(out_, MAX_CONCURRENT_STREAMS, uint32_t(rules_.max_streams));
        put_setting(out_, INITIAL_WINDOW_SIZE, uint32_t(STREAM_WINDOW));
        put_setting(out_, MAX_FRAME_SIZE, MAX_FRAME);
        put_setting(out_, MAX_HEADER_LIST_SIZE, uint32_t(MAX_HEAD));
        put_window_update(out_, 0, uint32_t(CONNECTION_WINDOW - DEFAULT_WINDOW));
    }

    // -- in -----------------------------------------------------------------------------------------------------------

    void feed(Bytes data, double now) {
        now_ = now;
        try {
            while (!ended_ && !data.empty()) step(data);
        } catch (const Broken& broken) {
            fail(broken.code, broken.why);
        } catch (const BadBlock& bad) {
            fail(COMPRESSION_ERROR, bad.why);
        }
        report_parts();
    }

    std::vector<Event> events() { return std::exchange(events_, {}); }

    // -- out ----------------------------------------------------------------------------------------------------------

    // What is to be sent; valid until anything else is done.
    Bytes out() const { return out_; }
    void sent() { release(out_); }

    // The one message that answers a call, and success. Nothing happens where the peer has given the call up.
    void answer(uint32_t id, Bytes message) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) return;
        Stream& stream = found->second;
        if (message.empty() && !stream.answering && !no_table_due_ &&
            int64_t(PREFIX) <= std::min(window_, stream.window)) {
            window_ -= PREFIX;
            EMPTY_ANSWER.put(out_, id);
            answered_ = true;
            close(found);
            return;
        }
        begin(id, stream);
        queue(stream, message);
        end(found, std::string(OK_TRAILERS));
    }

    // A message of an answer that goes on. False where the peer has given the call up.
    bool send(uint32_t id, Bytes message) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) return false;
        begin(id, found->second);
        queue(found->second, message);
        pump(found);
        return true;
    }

    // The end of a call with these header fields. `status` is for a call of which nothing was answered before.
    void refuse(uint32_t id, Bytes status, const Fields& fields) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) return;
        std::string block;
        if (!found->second.answering) {
            put_field(block, ":status", status);
            put_field(block, "content-type", "application/grpc");
        }
        for (const auto& [name, value] : fields) put_field(block, name, value);
        end(found, std::move(block));
    }

    void ping() { put_ping("spanmetr"); }

    // Ask the peer to make no more calls (RFC 9113 section 6.8). Those that it sends before it hears are taken; that it
    // has heard, its answer to a PING behind the words says, and then `drain` follows by itself.
    void announce_end() {
        if (ending()) return;
        announced_ = true;
        put_goaway(LAST_STREAM, NO_ERROR, "");
        put_ping(FAREWELL);
    }

    // Take no more calls; those begun go on.
    void drain() {
        if (!draining_ && !ended_) put_goaway(last_, NO_ERROR, "");
        draining_ = true;
    }

    size_t calls() const { return streams_.size(); }
    bool ended() const { return ended_; }
    // The peer is asked to make no more calls, or none is taken any more.
    bool ending() const { return announced_ || draining_ || ended_; }
    bool draining() const { return draining_; }
    // How many answers the peer's windows do not take whole.
    size_t blocked() const { return blocked_.size(); }
    bool greeted() const { return greeted_; }
    // When the frame or the header block began that has not ended, other than DATA; NEVER without one.
    double unfinished_since() const { return in_frame_ || block_open_ || !partial_.empty() ? began_ : NEVER; }
    Bytes why() const { return why_; }

   private:
    struct Broken {
        ErrorCode code;
        const char* why;
    };

    struct Stream {
        int path = -1;
        bool reported = false;  // whoever answers knows of it
        bool touched = false;   // in `touched_`
        bool dropping = false;  // what more comes of it is dropped
        bool half_closed = false;
        bool answering = false;
        bool blocked = false;  // in `blocked_`
        bool ends = false;     // with `trailers`, behind what is queued
        int64_t window = 0;    // that the peer has for us
        int64_t granted = STREAM_WINDOW;
        int64_t due = Head::NO_LENGTH;  // bytes of content that it announced and that have not come
        Message message;
        Fields credentials;
        std::string coding, queued, trailers;
    };
    using Streams = std::unordered_map<uint32_t, Stream>;

    enum class Await { GREETING, FRAME, DATA, SKIPPED };

    [[noreturn]] static void broken(ErrorCode code, const char* why) { throw Broken{code, why}; }

    // Empty it; what was large once need not stay so.
    static void release(std::string& text) {
        if (text.capacity() > MAX_KEPT) {
            text = std::string();
        } else {
            text.clear();
        }
    }

    // Frames that ask for work and bring none. Those that concern every stream cost by their number.
    void count_idle(size_t streams = 0) {
        if (!idle_.spend(now_, 1 + double(streams) / STREAMS_A_FRAME)) {
            broken(ENHANCE_YOUR_CALM, "too many frames without a call");
        }
    }

    // No stream of this number has been opened, nor passed over (RFC 9113 section 5.1.1). Clients open odd ones only;
    // those beyond the last one that a draining server takes may be on their way.
    bool idle(uint32_t id) const { return !id || !(id & 1) || (id > last_ && !draining_); }

    // -- frames -------------------------------------------------------------------------------------------------------

    void step(Bytes& data) {
        switch (await_) {
            case Await::GREETING: greeting(data); return;
            case Await::FRAME: frame(data); return;
            case Await::DATA: content(data); return;
            case Await::SKIPPED: left_ -= take(data, left_).size();
        }
        if (!left_) await_ = Await::FRAME;
    }

    static Bytes take(Bytes& data, size_t size) {
        const Bytes part = data.substr(0, size);
        data.remove_prefix(part.size());
        return part;
    }

    void greeting(Bytes& data) {
        const Bytes part = take(data, PREFACE.size() - seen_);
        if (part != PREFACE.substr(seen_, part.size())) {
            ended_ = true;
            why_ = "what came is not HTTP/2";
            return;
        }
        seen_ += part.size();
        if (seen_ == PREFACE.size()) await_ = Await::FRAME;
    }

    // The bytes of a whole unit of `size`; empty when they have not all come. They are valid until more are taken.
    Bytes whole(Bytes& data, size_t size) {
        if (partial_.empty() && data.size() >= size) return take(data, size);
        partial_.append(take(data, size - partial_.size()));
        return partial_.size() == size ? Bytes(partial_) : Bytes();
    }

    void frame(Bytes& data) {
        if (!in_frame_) {
            if (partial_.empty() && !block_open_) began_ = now_;
            const Bytes head = whole(data, FRAME_HEAD);
            if (head.empty()) return;
            length_ = read24(head.data());
            type_ = uint8_t(head[3]);
            flags_ = uint8_t(head[4]);
            id_ = read32(head.data() + 5) & LAST_STREAM;
            partial_.clear();
            check_head();
            if (await_ != Await::FRAME) return;
            in_frame_ = true;
        }
        Bytes payload;
        if (length_) {
            payload = whole(data, length_);
            if (payload.empty()) return;
        }
        in_frame_ = false;
        control(payload);
        release(partial_);
    }

    void check_head() {
        if (!greeted_ && type_ != SETTINGS) broken(PROTOCOL_ERROR, "the first frame is not SETTINGS");
        if (length_ > MAX_FRAME) broken(FRAME_SIZE_ERROR, "a frame larger than allowed");
        if (block_open_ && (type_ != CONTINUATION || id_ != block_stream_)) {
            broken(PROTOCOL_ERROR, "a header block that is interrupted");
        }
        if (type_ == DATA) {
            begin_data();
        } else if (type_ > CONTINUATION || type_ == GOAWAY) {  // we open no streams that a client could refuse
            if (type_ == GOAWAY) check_goaway();
            count_idle();
            left_ = length_;
            if (left_) await_ = Await::SKIPPED;
        } else if (length_ > MAX_HEAD) {
            broken(ENHANCE_YOUR_CALM, "a frame that is too large");
        }
    }

    void check_goaway() const {
        if (id_) broken(PROTOCOL_ERROR, "GOAWAY on a stream");
        if (length_ < 8) broken(FRAME_SIZE_ERROR, "a GOAWAY frame that is too small");
    }

    void control(Bytes payload) {
        switch (type_) {
            case HEADERS: headers(payload); return;
            case CONTINUATION: continuation(payload); return;
            case PRIORITY:
                count_idle();
                if (!id_) broken(PROTOCOL_ERROR, "PRIORITY without a stream");
                if (payload.size() != 5) broken(FRAME_SIZE_ERROR, "a PRIORITY frame of a wrong size");
                return;
            case RST_STREAM: reset(payload); return;
            case SETTINGS: settings(payload); return;
            case PING: pinged(payload); return;
            case WINDOW_UPDATE: window_update(payload); return;
            case PUSH_PROMISE: broken(PROTOCOL_ERROR, "a push from a client");
            default: return;
        }
    }

    // -- DATA ---------------------------------------------------------------------------------------------------------

    void begin_data() {
        if (idle(id_)) broken(PROTOCOL_ERROR, "DATA on a stream that is not open");
        if (!length_ && !(flags_ & END_STREAM)) count_idle();
        granted_ -= length_;
        if (granted_ < 0) broken(FLOW_CONTROL_ERROR, "more than the connection's window");
        if (granted_ < CONNECTION_WINDOW / 2) {
            put_window_update(out_, 0, uint32_t(CONNECTION_WINDOW - granted_));
            granted_ = CONNECTION_WINDOW;
        }
        left_ = length_;
        padding_ = 0;
        padding_due_ = flags_ & PADDED;
        if (padding_due_ && !left_) broken(FRAME_SIZE_ERROR, "a padded frame without padding");
        const auto found = streams_.find(id_);
        if (found == streams_.end()) {
            count_idle_stray();
        } else if (found->second.half_closed) {
            reset_stream(found, STREAM_CLOSED);
        } else if (!grant(found->second)) {
            reset_stream(found, FLOW_CONTROL_ERROR);
        } else if (!padding_due_) {
            count_content(found, left_);
        }
        if (left_) {
            await_ = Await::DATA;
        } else {
            end_data();
        }
    }

    // What comes on a stream that was refused is dropped; it is the peer's bandwidth, unless the frames are tiny.
    void count_idle_stray() {
        if (length_ < 64) count_idle();
    }

    bool grant(Stream& stream) {
        stream.granted -= length_;
        if (stream.granted < 0) return false;
        if (stream.granted < STREAM_WINDOW / 2 && !stream.dropping && !(flags_ & END_STREAM)) {
            put_window_update(out_, id_, uint32_t(STREAM_WINDOW - stream.granted));
            stream.granted = STREAM_WINDOW;
        }
        return true;
    }

    // More than was announced is known from a frame's head, in whatever pieces the rest comes (RFC 9113 section 8.1.1).
    void count_content(Streams::iterator found, size_t size) {
        if (found == streams_.end() || found->second.dropping || found->second.due == Head::NO_LENGTH) return;
        found->second.due -= int64_t(size);
        if (found->second.due < 0) reset_stream(found, PROTOCOL_ERROR);
    }

    void content(Bytes& data) {
        if (padding_due_) {
            padding_due_ = false;
            padding_ = uint8_t(take(data, 1)[0]);
            --left_;
            if (padding_ > left_) broken(PROTOCOL_ERROR, "more padding than frame");
            count_content(streams_.find(id_), left_ - padding_);
        }
        if (left_ > padding_) {
            const Bytes part = take(data, left_ - padding_);
            left_ -= part.size();
            deliver(part);
        }
        if (left_ <= padding_) {
            const size_t size = take(data, left_).size();
            left_ -= size;
            padding_ -= size;
        }
        if (!left_) {
            await_ = Await::FRAME;
            end_data();
        }
    }

    void deliver(Bytes part) {
        const auto found = streams_.find(id_);
        if (found == streams_.end() || found->second.dropping || part.empty()) return;
        Stream& stream = found->second;
        switch (stream.message.take(part, rules_.max_message)) {
            case Taken::SOME: touch(id_, stream); return;
            case Taken::TOO_LARGE: refuse_call(id_, stream, Fault::TOO_LARGE); return;
            case Taken::SECOND: refuse_call(id_, stream, Fault::SECOND_MESSAGE); return;
            case Taken::BAD_FLAG: refuse_call(id_, stream, Fault::BAD_FLAG); return;
        }
    }

    void end_data() {
        if (!(flags_ & END_STREAM)) return;
        const auto found = streams_.find(id_);
        if (found != streams_.end()) half_close(found);
    }

    // -- calls --------------------------------------------------------------------------------------------------------

    void half_close(Streams::iterator found) {
        auto& [id, stream] = *found;
        stream.half_closed = true;
        if (stream.dropping) return;
        if (stream.due > 0) {
            reset_stream(found, PROTOCOL_ERROR);
            return;
        }
        if (!stream.message.whole()) {
            refuse_call(id, stream, stream.message.begun() ? Fault::CUT : Fault::NO_MESSAGE);
            return;
        }
        idle_.earn(4);  // windows, pings and such as a call brings with it
        stream.dropping = stream.reported = true;
        Event event{EventKind::CALL, id};
        event.path = stream.path;
        event.credentials = std::move(stream.credentials);
        event.compressed = stream.message.compressed();
        event.coding = std::move(stream.coding);
        event.message = stream.message.give();
        events_.push_back(std::move(event));
    }

    void refuse_call(uint32_t id, Stream& stream, Fault fault, std::string detail = {}) {
        stream.dropping = stream.reported = true;
        stream.message = Message();
        Event event{EventKind::FAULT, id};
        event.path = stream.path;
        event.fault = fault;
        event.detail = std::move(detail);
        event.credentials = std::move(stream.credentials);
        events_.push_back(std::move(event));
    }

    void touch(uint32_t id, Stream& stream) {
        if (stream.touched) return;
        stream.touched = true;
        touched_.push_back(id);
    }

    // What is incomplete at the end of the bytes at hand.
    void report_parts() {
        for (uint32_t id : touched_) {
            const auto found = streams_.find(id);
            if (found == streams_.end()) continue;
            Stream& stream = found->second;
            stream.touched = false;
            if (stream.dropping) continue;
            Event event{stream.reported ? EventKind::PART : EventKind::OPEN, id};
            event.path = stream.path;
            event.size = stream.message.room();
            event.credentials = std::exchange(stream.credentials, {});
            stream.reported = true;
            events_.push_back(std::move(event));
        }
        touched_.clear();
    }

    // The stream is over; the peer is told where it still sends.
    void close(Streams::iterator found) {
        if (!found->second.half_closed) put_reset(found->first, NO_ERROR);
        streams_.erase(found);
    }

    // The peer broke a rule of this stream.
    void reset_stream(Streams::iterator found, ErrorCode code) {
        count_reset();
        put_reset(found->first, code);
        gone(found);
    }

    void gone(Streams::iterator found) {
        forget_blocked(*found);
        if (found->second.reported) events_.push_back(Event{EventKind::GONE, found->first});
        streams_.erase(found);
    }

    void put_reset(uint32_t id, ErrorCode code) {
        put_head(out_, 4, RST_STREAM, 0, id);
        put32(out_, code);
    }

    // -- HEADERS ------------------------------------------------------------------------------------------------------

    void headers(Bytes payload) {
        if (!id_ || !(id_ & 1)) broken(PROTOCOL_ERROR, "HEADERS on a stream that clients cannot open");
        size_t padding = 0;
        if (flags_ & PADDED) {
            if (payload.empty()) broken(FRAME_SIZE_ERROR, "a padded frame without padding");
            padding = uint8_t(payload[0]);
            payload.remove_prefix(1);
        }
        if (flags_ & HAS_PRIORITY) {
            if (payload.size() < 5) broken(FRAME_SIZE_ERROR, "a HEADERS frame that is too small");
            payload.remove_prefix(5);
        }
        if (padding > payload.size()) broken(PROTOCOL_ERROR, "more padding than frame");
        payload.remove_suffix(padding);
        block_stream_ = id_;
        block_ends_ = flags_ & END_STREAM;
        if (flags_ & END_HEADERS) {
            block(payload);
        } else {
            block_open_ = true;
            block_.assign(payload);
        }
    }

    void continuation(Bytes payload) {
        if (!block_open_) broken(PROTOCOL_ERROR, "a CONTINUATION of nothing");
        count_idle();
        if (block_.size() + payload.size() > MAX_HEAD) broken(ENHANCE_YOUR_CALM, "a header block that is too large");
        block_.append(payload);
        if (!(flags_ & END_HEADERS)) return;
        block_open_ = false;
        block(block_);
        release(block_);
    }

    void block(Bytes block) {
        const uint32_t id = block_stream_;
        const auto found = streams_.find(id);
        if (found == streams_.end() && id > last_) {
            open(id, block);
            return;
        }
        // Trailers, which no call has, or what was on its way to a stream that is over. The table must know.
        bool sound = block_ends_;
        size_t size = 0;
        decoder_.decode(block, [&sound, &size](Bytes name, Bytes value) {
            size += name.size() + value.size() + FIELD_OVERHEAD;
            sound &= size > MAX_HEAD || is_trailer(name, value);
        });
        count_idle();
        if (found == streams_.end()) return;
        if (found->second.half_closed) {
            reset_stream(found, STREAM_CLOSED);
        } else if (!sound) {
            reset_stream(found, PROTOCOL_ERROR);
        } else {
            half_close(found);
        }
    }

    void open(uint32_t id, Bytes block) {
        Head head;
        decoder_.decode(block, [&head](Bytes name, Bytes value) { head.add(name, value); });
        if (draining_) {  // the peer knows that these are not taken
            count_idle();
            return;
        }
        last_ = id;
        if (!head.sound() || (block_ends_ && head.content_length > 0)) {
            count_reset();
            put_reset(id, PROTOCOL_ERROR);
            return;
        }
        if (streams_.size() >= rules_.max_streams) {
            count_idle();
            put_reset(id, REFUSED_STREAM);
            return;
        }
        const auto opened = streams_.try_emplace(id).first;
        Stream& stream = opened->second;
        stream.window = initial_window_;
        stream.half_closed = block_ends_;
        stream.due = head.content_length;
        stream.coding = std::move(head.coding);
        stream.credentials = std::move(head.credentials);
        if (head.too_large()) {
            refuse_call(id, stream, Fault::HEADERS_TOO_LARGE);
        } else if (!head.post) {
            refuse_call(id, stream, Fault::METHOD, std::move(head.method));
        } else if (!head.grpc) {
            refuse_call(id, stream, Fault::MEDIA_TYPE, std::move(head.media_type));
        } else if ((stream.path = path_of(head.path)) < 0) {
            refuse_call(id, stream, Fault::PATH, std::move(head.path));
        } else if (head.twice) {
            refuse_call(id, stream, Fault::TWICE, head.twice);
        } else if (block_ends_) {
            half_close(opened);
        } else {
            touch(id, stream);
        }
    }

    int path_of(const std::string& name) const {
        const auto found = std::find(rules_.paths.begin(), rules_.paths.end(), name);
        return found == rules_.paths.end() ? -1 : int(found - rules_.paths.begin());
    }

    // -- the other frames ---------------------------------------------------------------------------------------------

    void reset(Bytes payload) {
        if (payload.size() != 4) broken(FRAME_SIZE_ERROR, "a RST_STREAM frame of a wrong size");
        if (idle(id_)) broken(PROTOCOL_ERROR, "RST_STREAM on a stream that is not open");
        const auto found = streams_.find(id_);
        if (found == streams_.end()) {
            count_idle();
            return;
        }
        count_reset();
        gone(found);
    }

    // CVE-2023-44487: calls that are given up at once are not counted by max_concurrent_streams.
    void count_reset() {
        if (!resets_.spend(now_)) broken(ENHANCE_YOUR_CALM, "too many calls given up");
    }

    void settings(Bytes payload) {
        if (id_) broken(PROTOCOL_ERROR, "SETTINGS on a stream");
        if (flags_ & ACK) {
            count_idle();
            if (!payload.empty()) broken(FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that is not empty");
            return;
        }
        if (payload.size() % 6) broken(FRAME_SIZE_ERROR, "a SETTINGS frame of a wrong size");
        if (payload.size() > 6 * MAX_SETTINGS) broken(ENHANCE_YOUR_CALM, "too many settings");
        if (greeted_) count_idle();
        greeted_ = true;
        int64_t initial_window = initial_window_;
        for (size_t at = 0; at < payload.size(); at += 6) {
            setting(uint16_t(read16(payload.data() + at)), read32(payload.data() + at + 2), initial_window);
        }
        put_head(out_, 0, SETTINGS, ACK, 0);
        if (initial_window != initial_window_) resize_windows(initial_window);
    }

    // Once a frame, however often it says another size.
    void resize_windows(int64_t initial_window) {
        count_idle(streams_.size());
        const int64_t change = initial_window - std::exchange(initial_window_, initial_window);
        for (auto& [id, stream] : streams_) {
            stream.window += change;
            if (stream.window > MAX_WINDOW) broken(FLOW_CONTROL_ERROR, "a window larger than allowed");
        }
        if (change > 0) unblock();
    }

    void setting(uint16_t name, uint32_t value, int64_t& initial_window) {
        if (name == HEADER_TABLE_SIZE) {
            // We keep no table, and have to say so once where the peer's becomes smaller.
            no_table_due_ |= value < TABLE_SIZE && !no_table_said_;
        } else if (name == INITIAL_WINDOW_SIZE) {
            if (value > MAX_WINDOW) broken(FLOW_CONTROL_ERROR, "a window larger than allowed");
            initial_window = value;
        } else if (name == ENABLE_PUSH || name == NO_RFC7540_PRIORITIES) {
            if (value > 1) broken(PROTOCOL_ERROR, "a setting that is neither 0 nor 1");
        } else if (name == MAX_FRAME_SIZE) {
            if (value < 16384 || value > 16777215) broken(PROTOCOL_ERROR, "a frame size that is not allowed");
            frame_size_ = value;
        }
    }

    // gRPC's rule (its proposal A8): pings that come too early are counted until something is answered.
    void pinged(Bytes payload) {
        if (id_) broken(PROTOCOL_ERROR, "PING on a stream");
        if (payload.size() != 8) broken(FRAME_SIZE_ERROR, "a PING frame of a wrong size");
        count_idle();
        if (flags_ & ACK) {
            if (announced_ && payload == FAREWELL) drain();
            return;
        }
        put_head(out_, 8, PING, ACK, 0);
        out_.append(payload);
        const double interval =
            streams_.empty() && !rules_.pings_without_calls ? IDLE_PING_INTERVAL : rules_.min_ping_interval;
        if (answered_) {
            answered_ = false;
            strikes_ = 0;
        } else if (pinged_ && now_ < pinged_at_ + interval && ++strikes_ > STRIKES) {
            broken(ENHANCE_YOUR_CALM, "too_many_pings");
        }
        pinged_ = true;
        pinged_at_ = now_;
    }

    void window_update(Bytes payload) {
        if (payload.size() != 4) broken(FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame of a wrong size");
        count_idle(id_ ? 0 : blocked_.size());
        const uint32_t more = read32(payload.data()) & LAST_STREAM;
        if (!id_) {
            if (!more) broken(PROTOCOL_ERROR, "a WINDOW_UPDATE of 0");
            window_ += more;
            if (window_ > MAX_WINDOW) broken(FLOW_CONTROL_ERROR, "a window larger than allowed");
            unblock();
            return;
        }
        if (idle(id_)) broken(PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that is not open");
        const auto found = streams_.find(id_);
        if (found == streams_.end()) return;
        found->second.window += more;
        if (!more || found->second.window > MAX_WINDOW) {
            reset_stream(found, more ? FLOW_CONTROL_ERROR : PROTOCOL_ERROR);
        } else {
            pump(found);
        }
    }

    // -- answers ------------------------------------------------------------------------------------------------------

    void begin(uint32_t id, Stream& stream) {
        if (stream.answering) return;
        stream.answering = answered_ = true;
        put_headers(id, std::string(OK_HEAD), false);
    }

    static void queue(Stream& stream, Bytes message) {
        stream.queued.push_back(0);
        put32(stream.queued, uint32_t(message.size()));
        stream.queued.append(message);
    }

    void end(Streams::iterator found, std::string trailers) {
        Stream& stream = found->second;
        stream.dropping = stream.ends = true;
        stream.message = Message();
        stream.trailers = std::move(trailers);
        pump(found);
    }

    // As much of what is queued as the peer's windows take. The stream may be over after it.
    void pump(Streams::iterator found) {
        auto& [id, stream] = *found;
        size_t at = 0;
        while (at < stream.queued.size()) {
            const int64_t room = std::min({window_, stream.window, frame_size_, int64_t(stream.queued.size() - at)});
            if (room <= 0) break;
            put_head(out_, size_t(room), DATA, 0, id);
            out_.append(stream.queued, at, size_t(room));
            at += size_t(room);
            window_ -= room;
            stream.window -= room;
        }
        stream.queued.erase(0, at);
        if (!stream.queued.empty()) {
            if (!stream.blocked) blocked_.push_back(id);
            stream.blocked = true;
            return;
        }
        forget_blocked(*found);
        if (stream.ends) {
            answered_ = true;
            put_headers(id, stream.trailers, true);
            close(found);
        }
    }

    void forget_blocked(Streams::value_type& entry) {
        if (!std::exchange(entry.second.blocked, false)) return;
        blocked_.erase(std::find(blocked_.begin(), blocked_.end(), entry.first));
    }

    void unblock() {
        for (uint32_t id : std::exchange(blocked_, {})) {
            const auto found = streams_.find(id);
            found->second.blocked = false;
            pump(found);
        }
    }

    void put_headers(uint32_t id, const std::string& block, bool last) {
        const bool first = std::exchange(no_table_due_, false);
        no_table_said_ |= first;
        put_block(out_, id, first ? NO_TABLE + block : block, last, size_t(frame_size_));
    }

    void fail(ErrorCode code, const char* why) {
        put_goaway(last_, code, why);
        ended_ = true;
        why_ = why;
        in_frame_ = block_open_ = false;  // nothing is waited for any more
        release(partial_);
        release(block_);
    }

    void put_ping(Bytes payload) {
        put_head(out_, payload.size(), PING, 0, 0);
        out_.append(payload);
    }

    void put_goaway(uint32_t last, ErrorCode code, Bytes why) {
        put_head(out_, 8 + why.size(), GOAWAY, 0, 0);
        put32(out_, last);
        put32(out_, code);
        out_.append(why);
    }

    static constexpr size_t MAX_SETTINGS = 64;
    static constexpr double STREAMS_A_FRAME = 64;
    static constexpr size_t MAX_KEPT = 4096;
    static constexpr Bytes FAREWELL = "farewell";

    const Rules rules_;
    HeaderDecoder decoder_;
    Streams streams_;
    std::vector<Event> events_;
    std::string out_;
    double now_ = 0;

    Await await_ = Await::GREETING;
    size_t seen_ = 0;        // of the preface
    std::string partial_;    // a frame's head or payload of which not all has come
    bool in_frame_ = false;  // its head has come
    size_t length_ = 0, left_ = 0, padding_ = 0;
    bool padding_due_ = false;
    uint8_t type_ = 0, flags_ = 0;
    uint32_t id_ = 0, last_ = 0;

    bool block_open_ = false, block_ends_ = false;
    uint32_t block_stream_ = 0;
    std::string block_;
    double began_ = 0;

    std::vector<uint32_t> touched_, blocked_;
    int64_t granted_ = CONNECTION_WINDOW;                                                     // to the peer
    int64_t window_ = DEFAULT_WINDOW, initial_window_ = DEFAULT_WINDOW, frame_size_ = 16384;  // to us
    bool no_table_due_ = false, no_table_said_ = false;

    Budget idle_{2000, 200}, resets_{2000, 200};
    bool answered_ = false, pinged_ = false;
    double pinged_at_ = 0;
    int strikes_ = 0;
    bool greeted_ = false, announced_ = false, draining_ = false, ended_ = false;
    Bytes why_;
};

}  // namespace spanmeter::http2

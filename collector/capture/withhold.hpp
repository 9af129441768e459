// Capture policies applied to the bytes of a request: reference.py says what becomes of what.
//
// It takes less than the protobuf library does (a message or a value that is sent twice, fields of values that OTLP
// does not have), and throws NotPlain for the rest. Only the keeper in Python knows names; what it said is remembered.
#pragma once

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "known.hpp"
#include "output.hpp"

namespace spanmeter::capture {

enum Policy : int { FULL, METADATA, OFF, POLICIES };
enum Kept : int { NOTHING, NAME, SHORT, PARTS };
enum Question : char { SHORT_TEXT, PARTS_OF, SPAN_NAME, EVENT_NAME, TELLS_OF_SESSION };

// The policy of a service whose policy is that of its agents.
constexpr int BY_AGENT = -2;

// Python has raised.
struct Raised {};

// What is asked in Python; -1 says that it has raised.
struct Keeper {
    void* self;
    int (*kept)(void*, int policy, Bytes key);
    int (*answer)(void*, int question, int policy, Bytes key, Bytes text, std::string* answer);
    int (*of_service)(void*, Bytes service);
    int (*of_agents)(void*, const std::vector<Bytes>* agents);  // none are named by an empty list
};

// What the keeper said before. Bounded; calls of Python come between its own, so nothing points into it meanwhile.
class Remembered {
   public:
    Known kept[POLICIES];

    const std::string* answer(const std::string& question) const {
        const auto found = answers_.find(question);
        return found == answers_.end() ? nullptr : &found->second;
    }

    void answered(const std::string& question, const std::string& answer) {
        if (question.size() > MAX_TEXT || answer.size() > MAX_TEXT) return;
        if (answers_.size() >= MAX_ANSWERS) answers_.clear();
        answers_.emplace(question, answer);
    }

   private:
    static constexpr size_t MAX_ANSWERS = 4096, MAX_TEXT = 512;

    std::unordered_map<std::string, std::string> answers_;
};

struct Settings {
    std::unordered_set<std::string> agent_keys;
    std::string own_key;          // of the attribute that says which policy was applied
    std::string words[POLICIES];  // what it says
    std::string schemas;          // how the addresses of schemas begin that are kept
    size_t max_schema = 0;        // and how many characters they have
    size_t max_text = 0;          // in characters
};

enum Withheld : int { REWRITTEN, LEFT, RAISED };

// The first `most` characters of a text.
inline Bytes characters(Bytes text, size_t most) {
    if (text.size() <= most) return text;
    size_t at = 0;
    for (size_t left = most; at < text.size(); ++at) {
        if ((uint8_t(text[at]) & 0xC0) != 0x80 && left-- == 0) break;
    }
    return text.substr(0, at);
}

class Withholder {
   public:
    Output out;
    uint64_t items[POLICIES] = {};

    Withholder(const Settings& settings, Remembered& remembered, Keeper keeper)
        : settings_(settings), remembered_(remembered), keeper_(keeper) {}

    Withheld traces(Bytes body) { return whole(body, false); }
    Withheld logs(Bytes body) { return whole(body, true); }

   private:
    // The numbers of fields that resources and scopes of spans and of log records have in common.
    static constexpr uint32_t HEAD = message_tag(1), INNER = message_tag(2), SCHEMA_URL = text_tag(3);

    Withheld whole(Bytes body, bool logs) {
        try {
            out.bytes.reserve(body.size());
            each_of_request(body, [&](Bytes message) { of_resource(message, logs); });
            return REWRITTEN;
        } catch (const NotPlain&) {
            return LEFT;
        } catch (const Raised&) {
            return RAISED;
        }
    }

    // -- resources and scopes ---------------------------------------------------------------------------------------

    struct Parts {
        Bytes head;  // resource or scope
        bool has_head = false;
        std::vector<Bytes> inner;
        Bytes schema_url;
    };

    static Parts parts_of(Bytes message) {
        Parts parts;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            switch (tag) {
                case HEAD:
                    if (parts.has_head) not_plain();
                    parts.has_head = true;
                    parts.head = in.bytes();
                    break;
                case INNER: parts.inner.push_back(in.bytes()); break;
                case SCHEMA_URL: parts.schema_url = in.text(); break;
                default: in.skip(tag);
            }
        }
        return parts;
    }

    struct Scope {
        Parts parts;
        std::vector<Policy> policies;  // of its items
        Policy policy;                 // the strictest
    };

    void of_resource(Bytes message, bool logs) {
        const Parts parts = parts_of(message);
        const int of_service = asked(keeper_.of_service(keeper_.self, service_of(parts.head)));
        if (of_service == FULL) return out.content(HEAD, message);
        std::vector<Scope> scopes;
        Policy strictest = FULL;
        for (const Bytes inner : parts.inner) {
            scopes.push_back(scope_of(inner, of_service, logs));
            strictest = std::max(strictest, scopes.back().policy);
        }
        if (scopes.empty()) strictest = unnamed(of_service);
        out.message(HEAD, message.size(), [&] {
            if (parts.has_head) head(parts.head, strictest, true);
            for (const Scope& scope : scopes) of_scope(scope, logs);
            schema_url(parts.schema_url, strictest);
        });
    }

    Scope scope_of(Bytes message, int of_service, bool logs) {
        Scope scope{parts_of(message), {}, FULL};
        scope.policies.reserve(scope.parts.inner.size());
        for (const Bytes item : scope.parts.inner) {
            const Policy policy =
                of_service == BY_AGENT ? by_agent(item, logs ? message_tag(6) : message_tag(9)) : Policy(of_service);
            scope.policies.push_back(policy);
            scope.policy = std::max(scope.policy, policy);
        }
        if (scope.policies.empty()) scope.policy = unnamed(of_service);
        return scope;
    }

    void of_scope(const Scope& scope, bool logs) {
        const Bytes name = scope.parts.has_head ? name_of(scope.parts.head) : Bytes();
        size_t expected = scope.parts.head.size() + scope.parts.schema_url.size();
        for (const Bytes item : scope.parts.inner) expected += item.size();
        out.message(INNER, expected, [&] {
            if (scope.parts.has_head) head(scope.parts.head, scope.policy, false);
            for (size_t i = 0; i < scope.policies.size(); ++i) {
                const Bytes item = scope.parts.inner[i];
                const Policy policy = scope.policies[i];
                ++items[policy];
                if (policy == FULL) {
                    out.content(INNER, item);
                } else if (logs) {
                    record(item, name, policy);
                } else {
                    span(item, policy);
                }
            }
            schema_url(scope.parts.schema_url, scope.policy);
        });
    }

    // A resource (attributes, dropped) or a scope (name, version, attributes, dropped).
    void head(Bytes message, Policy policy, bool resource) {
        if (policy == FULL) return out.content(HEAD, message);
        const uint32_t attributes = resource ? message_tag(1) : message_tag(3);
        const uint32_t dropped = resource ? varint_tag(2) : varint_tag(4);
        out.message(HEAD, message.size(), [&] {
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                if (tag == attributes) {
                    attribute(tag, in.bytes(), policy);
                } else if (tag == dropped) {
                    copy_varint(tag, in);
                } else if (!resource && (tag == text_tag(1) || tag == text_tag(2))) {
                    out.content(tag, in.text());
                } else {
                    in.skip(tag);
                }
            }
        });
    }

    void schema_url(Bytes url, Policy policy) {
        const bool known = url.substr(0, settings_.schemas.size()) == settings_.schemas &&
                           characters(url, settings_.max_schema).size() == url.size();
        if (policy == FULL || known) out.content_if_any(SCHEMA_URL, url);
    }

    static Bytes service_of(Bytes resource) {
        for (Reader in(resource); in.more();) {
            const uint32_t tag = in.tag();
            if (tag != message_tag(1)) {
                in.skip(tag);
                continue;
            }
            const Pair pair = pair_of(in.bytes());
            if (pair.key == "service.name") return pair.text();
        }
        return {};
    }

    static Bytes name_of(Bytes scope) {
        Bytes name;
        for (Reader in(scope); in.more();) {
            const uint32_t tag = in.tag();
            if (tag == text_tag(1)) {
                name = in.text();
            } else {
                in.skip(tag);
            }
        }
        return name;
    }

    // -- policies ---------------------------------------------------------------------------------------------------

    Policy unnamed(int of_service) {
        const std::vector<Bytes> none;
        return of_service == BY_AGENT ? Policy(asked(keeper_.of_agents(keeper_.self, &none))) : Policy(of_service);
    }

    Policy by_agent(Bytes item, uint32_t attributes) {
        std::vector<Bytes> agents;
        for (Reader in(item); in.more();) {
            const uint32_t tag = in.tag();
            if (tag != attributes) {
                in.skip(tag);
                continue;
            }
            const Pair pair = pair_of(in.bytes());
            if (settings_.agent_keys.count(std::string(pair.key))) agents.push_back(pair.text());
        }
        return Policy(asked(keeper_.of_agents(keeper_.self, &agents)));
    }

    // -- items ------------------------------------------------------------------------------------------------------

    void span(Bytes message, Policy policy) {
        out.message(INNER, message.size(), [&] {
            Bytes trace_id, span_id, parent_span_id, name;
            bool has_status = false;
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                switch (tag) {
                    case bytes_tag(1): trace_id = in.bytes(); break;
                    case bytes_tag(2): span_id = in.bytes(); break;
                    case bytes_tag(4): parent_span_id = in.bytes(); break;
                    case text_tag(5): name = in.text(); break;
                    case varint_tag(6):
                    case varint_tag(10):
                    case varint_tag(12):
                    case varint_tag(14): copy_varint(tag, in); break;
                    case fixed64_tag(7):
                    case fixed64_tag(8): copy_fixed64(tag, in); break;
                    case fixed32_tag(16): copy_fixed32(tag, in); break;
                    case message_tag(9): attribute(tag, in.bytes(), policy); break;
                    case message_tag(11): event(in.bytes(), policy); break;
                    case message_tag(13): link(in.bytes(), policy); break;
                    case message_tag(15):
                        if (has_status) not_plain();
                        has_status = true;
                        status(in.bytes());
                        break;
                    default: in.skip(tag);
                }
            }
            id(bytes_tag(1), trace_id, 16);
            id(bytes_tag(2), span_id, 8);
            id(bytes_tag(4), parent_span_id, 8);
            out.content_if_any(text_tag(5), answer(SPAN_NAME, policy, {}, name));
            mark(message_tag(9), policy);
        });
    }

    void event(Bytes message, Policy policy) {
        out.message(message_tag(11), message.size(), [&] {
            Bytes name;
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                switch (tag) {
                    case fixed64_tag(1): copy_fixed64(tag, in); break;
                    case text_tag(2): name = in.text(); break;
                    case message_tag(3): attribute(tag, in.bytes(), policy); break;
                    case varint_tag(4): copy_varint(tag, in); break;
                    default: in.skip(tag);
                }
            }
            out.content_if_any(text_tag(2), answer(EVENT_NAME, policy, {}, name));
        });
    }

    void link(Bytes message, Policy policy) {
        if (policy == OFF) return;
        out.message(message_tag(13), message.size(), [&] {
            Bytes trace_id, span_id;
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                switch (tag) {
                    case bytes_tag(1): trace_id = in.bytes(); break;
                    case bytes_tag(2): span_id = in.bytes(); break;
                    case message_tag(4): attribute(tag, in.bytes(), policy); break;
                    case varint_tag(5): copy_varint(tag, in); break;
                    case fixed32_tag(6): copy_fixed32(tag, in); break;
                    default: in.skip(tag);
                }
            }
            id(bytes_tag(1), trace_id, 16);
            id(bytes_tag(2), span_id, 8);
        });
    }

    void status(Bytes message) {
        out.message(message_tag(15), message.size(), [&] {
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                if (tag == varint_tag(3)) {
                    copy_varint(tag, in);
                } else {
                    in.skip(tag);
                }
            }
        });
    }

    void record(Bytes message, Bytes scope, Policy policy) {
        Bytes event_name, named;
        bool has_named = false;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            if (tag == text_tag(12)) {
                event_name = in.text();
            } else if (tag == message_tag(6) && !has_named) {
                const Pair pair = pair_of(in.bytes());
                if ((has_named = pair.key == "event.name")) named = pair.text();
            } else {
                in.skip(tag);
            }
        }
        if (policy == OFF && !tells_of_session(named.empty() ? event_name : named, scope)) return;
        const std::string kept_name(tells_of_session(event_name, scope) ? event_name
                                                                        : answer(EVENT_NAME, policy, {}, event_name));
        out.message(INNER, message.size(), [&] {
            Bytes trace_id, span_id, severity;
            for (Reader in(message); in.more();) {
                const uint32_t tag = in.tag();
                switch (tag) {
                    case fixed64_tag(1):
                    case fixed64_tag(11): copy_fixed64(tag, in); break;
                    case varint_tag(2):
                    case varint_tag(7): copy_varint(tag, in); break;
                    case text_tag(3): severity = in.text(); break;
                    case message_tag(6): attribute(tag, in.bytes(), policy); break;
                    case fixed32_tag(8): copy_fixed32(tag, in); break;
                    case bytes_tag(9): trace_id = in.bytes(); break;
                    case bytes_tag(10): span_id = in.bytes(); break;
                    default: in.skip(tag);
                }
            }
            id(bytes_tag(9), trace_id, 16);
            id(bytes_tag(10), span_id, 8);
            if (policy == METADATA) out.content_if_any(text_tag(3), characters(severity, MAX_SEVERITY));
            out.content_if_any(text_tag(12), kept_name);
            mark(message_tag(6), policy);
        });
    }

    bool tells_of_session(Bytes event, Bytes scope) { return !answer(TELLS_OF_SESSION, FULL, scope, event).empty(); }

    // -- attributes -------------------------------------------------------------------------------------------------

    // A key-value pair, whose value has one member or none.
    struct Pair {
        Bytes key;
        uint32_t tag = 0;
        Bytes content;  // of a member that has a length

        Bytes text() const { return tag == text_tag(1) ? content : Bytes(); }
    };

    static Pair pair_of(Bytes message) {
        Pair pair;
        bool has_key = false, has_value = false;
        for (Reader in(message); in.more();) {
            const uint32_t tag = in.tag();
            if (tag == text_tag(1) && !has_key) {
                has_key = true;
                pair.key = in.text();
            } else if (tag == message_tag(2) && !has_value) {
                has_value = true;
                pair.tag = value_of(in.bytes(), pair.content);
            } else {
                not_plain();
            }
        }
        return pair;
    }

    // The tag of the one member of a value, 0 for none.
    static uint32_t value_of(Bytes message, Bytes& content) {
        Reader in(message);
        if (!in.more()) return 0;
        const uint32_t tag = in.tag();
        switch (tag) {
            case text_tag(1): content = in.text(); break;
            case varint_tag(2):
            case varint_tag(3): in.varint(); break;
            case fixed64_tag(4): in.fixed64(); break;
            case message_tag(5):
            case message_tag(6):
            case bytes_tag(7): content = in.bytes(); break;
            default: not_plain();
        }
        if (in.more()) not_plain();
        return tag;
    }

    void attribute(uint32_t tag, Bytes message, Policy policy) {
        const Pair pair = pair_of(message);
        if (pair.key == settings_.own_key) return;
        const int kept = kept_of(policy, pair.key);
        if (kept == NOTHING) return;
        if (kept == NAME) return text_pair(tag, message.size(), pair.key, {});
        switch (pair.tag) {
            case text_tag(1):
                if (kept == SHORT && stays(pair.content)) return out.content(tag, message);
                if (kept == SHORT) return text_pair(tag, message.size(), pair.key, shortened(pair.content));
                return text_pair(tag, message.size(), pair.key, answer(PARTS_OF, policy, pair.key, pair.content));
            case message_tag(5):
                if (kept == SHORT) return array_pair(tag, message.size(), pair);
                return text_pair(tag, message.size(), pair.key, {});
            case message_tag(6):
            case bytes_tag(7): return text_pair(tag, message.size(), pair.key, {});
            default: out.content(tag, message);
        }
    }

    void text_pair(uint32_t tag, size_t expected, Bytes key, Bytes text) {
        out.message(tag, expected, [&] {
            out.content_if_any(text_tag(1), key);
            out.message(message_tag(2), text.size() + 8, [&] { out.content(text_tag(1), text); });
        });
    }

    void array_pair(uint32_t tag, size_t expected, const Pair& pair) {
        out.message(tag, expected, [&] {
            out.content_if_any(text_tag(1), pair.key);
            out.message(message_tag(2), pair.content.size() + 8, [&] {
                out.message(message_tag(5), pair.content.size(), [&] {
                    for (Reader in(pair.content); in.more();) {
                        const uint32_t inner = in.tag();
                        if (inner == message_tag(1)) {
                            array_item(in.bytes());
                        } else {
                            in.skip(inner);
                        }
                    }
                });
            });
        });
    }

    void array_item(Bytes message) {
        Bytes content;
        switch (value_of(message, content)) {
            case text_tag(1):
                if (stays(content)) return out.content(message_tag(1), message);
                return text_item(shortened(content));
            case message_tag(5):
            case message_tag(6):
            case bytes_tag(7): return text_item({});
            default: out.content(message_tag(1), message);
        }
    }

    void text_item(Bytes text) {
        out.message(message_tag(1), text.size() + 8, [&] { out.content(text_tag(1), text); });
    }

    void mark(uint32_t tag, Policy policy) {
        text_pair(tag, settings_.own_key.size() + 16, settings_.own_key, settings_.words[policy]);
    }

    // -- texts ------------------------------------------------------------------------------------------------------

    // Whether a text is certain to be kept as it is: short, and no JSON, before which there may be space.
    bool stays(Bytes text) const {
        if (text.empty()) return true;
        const uint8_t first = uint8_t(text[0]);
        return first > ' ' && first < 0x7F && first != '{' && first != '[' && text.size() <= settings_.max_text;
    }

    Bytes shortened(Bytes text) {
        return characters(text, settings_.max_text).size() == text.size() ? answer(SHORT_TEXT, FULL, {}, text)
                                                                          : Bytes();
    }

    int kept_of(Policy policy, Bytes key) {
        if (const int* known = remembered_.kept[policy].find(key)) return *known;
        const int kept = asked(keeper_.kept(keeper_.self, policy, key));
        remembered_.kept[policy].add(key, kept);
        return kept;
    }

    // Stays as it is until the next question.
    Bytes answer(Question question, Policy policy, Bytes key, Bytes text) {
        if (text.empty() && (question == SPAN_NAME || question == EVENT_NAME || question == SHORT_TEXT)) return {};
        const uint64_t key_size = key.size();
        asking_.assign(1, char(question * POLICIES + policy));
        asking_.append(reinterpret_cast<const char*>(&key_size), sizeof key_size).append(key).append(text);
        if (const std::string* known = remembered_.answer(asking_)) return answer_ = *known;
        answer_.clear();
        asked(keeper_.answer(keeper_.self, question, policy, key, text, &answer_));
        remembered_.answered(asking_, answer_);
        return answer_;
    }

    static int asked(int answer) {
        if (answer == -1) throw Raised{};
        return answer;
    }

    // -- what is copied ---------------------------------------------------------------------------------------------

    // An id is kept when it is one.
    void id(uint32_t tag, Bytes content, size_t size) {
        if (content.size() == size) out.content(tag, content);
    }

    void copy_varint(uint32_t tag, Reader& in) {
        out.varint(tag);
        out.varint(in.varint());
    }

    void copy_fixed64(uint32_t tag, Reader& in) {
        out.varint(tag);
        out.fixed(in.fixed64(), 8);
    }

    void copy_fixed32(uint32_t tag, Reader& in) {
        out.varint(tag);
        out.fixed(in.fixed32(), 4);
    }

    static constexpr size_t MAX_SEVERITY = 16;

    const Settings& settings_;
    Remembered& remembered_;
    const Keeper keeper_;
    std::string asking_, answer_;
};

}  // namespace spanmeter::capture

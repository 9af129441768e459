// One value of a JSON text, found without building the others. What is not plain is left to the full parser.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace spanmeter::columns {

enum class JsonResult { ABSENT, FOUND, HARD };

// Follows a path of names, array positions and `member=value`, which is the first element that has it; the whole text
// is checked, as a full parser would refuse it as a whole. Found are strings without escapes and small whole numbers,
// as their text. Hard is everything that needs the full parser to say what it means: other values, escapes in names,
// duplicates of them in any object that is searched, numbers JSON does not have, deep nesting, texts that are no JSON.
class JsonPath {
   public:
    explicit JsonPath(std::vector<std::string> steps) : steps_(std::move(steps)) {
        for (const std::string& step : steps_) {
            positions_.push_back(position_of(step));
            const size_t equals = step.find('=');
            const bool selects = equals != std::string::npos;
            members_.push_back(selects ? step.substr(0, equals) : "");
            values_.push_back(selects ? step.substr(equals + 1) : "");
        }
        names_ = needles();
        std::reverse(names_.begin(), names_.end());
    }

    JsonResult find(std::string_view text, std::string_view* value) const {
        if (!may_be_in(text)) return JsonResult::ABSENT;
        Parser parser{text.data(), text.data() + text.size(), this, value};
        parser.space();
        parser.value(0, 0);
        parser.space();
        if (parser.hard || parser.at != parser.end) return JsonResult::HARD;
        return parser.found ? JsonResult::FOUND : JsonResult::ABSENT;
    }

    // What a text has to contain for the path to lead anywhere in it, unless JSON writes it with escapes.
    std::vector<std::string> needles() const {
        std::vector<std::string> found;
        for (size_t step = 0; step < steps_.size(); ++step) {
            if (positions_[step] != NOT_A_POSITION) continue;
            found.push_back(members_[step].empty() ? steps_[step] : values_[step]);
        }
        return found;
    }

    // Whether JSON text writes a character of ASCII as an escape: names may then be there without being seen.
    static bool hides_names(std::string_view text) {
        const char* at = text.data();
        const char* const end = at + text.size();
        while ((at = static_cast<const char*>(memmem(at, size_t(end - at), "\\u00", 4)))) {
            at += 4;
            if (at != end && *at >= '2' && *at <= '7') return true;
        }
        return false;
    }

    // The first member of an object, when it has the name of a one-step path and a string without escapes.
    bool leading(std::string_view text, std::string_view* value) const {
        if (steps_.size() != 1) return false;
        const char* at = text.data();
        const char* end = at + text.size();
        skip_space(&at, end);
        if (at == end || *at++ != '{') return false;
        skip_space(&at, end);
        const std::string& name = steps_[0];
        if (size_t(end - at) < name.size() + 2 || *at != '"' || at[name.size() + 1] != '"') return false;
        if (std::string_view(at + 1, name.size()) != name) return false;
        at += name.size() + 2;
        skip_space(&at, end);
        if (at == end || *at++ != ':') return false;
        skip_space(&at, end);
        if (at == end || *at++ != '"') return false;
        const char* begin = at;
        while (at != end && *at != '"' && *at != '\\') ++at;
        if (at == end || *at != '"') return false;
        *value = std::string_view(begin, size_t(at - begin));
        return true;
    }

   private:
    // Whether every name of the path stands in the text, or might be there in escapes: most texts lack most names, and
    // looking for one is many times faster than parsing.
    bool may_be_in(std::string_view text) const {
        for (const std::string& name : names_)
            if (!contains(text, name)) return contains(text, "\\u00");
        return true;
    }

    static bool contains(std::string_view text, std::string_view wanted) {
        return memmem(text.data(), text.size(), wanted.data(), wanted.size()) != nullptr;
    }

    static constexpr int MAX_DEPTH = 64;
    static constexpr int NOT_A_POSITION = -1;
    static constexpr int UNUSUAL = -2;

    static void skip_space(const char** at, const char* end) {
        while (*at != end && (**at == ' ' || **at == '\n' || **at == '\r' || **at == '\t')) ++*at;
    }

    static int position_of(const std::string& step) {
        if (step.empty() || step.size() > 6) return NOT_A_POSITION;
        if (step[0] == '-') return UNUSUAL;
        for (char c : step)
            if (c < '0' || c > '9') return NOT_A_POSITION;
        return std::atoi(step.c_str());
    }

    struct Parser {
        const char* at;
        const char* end;
        const JsonPath* path;
        std::string_view* out;
        bool found = false;
        bool hard = false;

        void space() { skip_space(&at, end); }

        bool fail() {
            hard = true;
            return false;
        }

        // Reads one value. `step` is the next step of the path, the number of steps when this is the value that is
        // asked for, -1 when it is not on the path.
        bool value(int depth, int step) {
            if (at == end || depth > MAX_DEPTH) return fail();
            const bool wanted = step == int(path->steps_.size());
            switch (*at) {
                case '{': return wanted ? fail() : object(depth, step);
                case '[': return wanted ? fail() : array(depth, step);
                case '"': {
                    std::string_view text;
                    bool escaped = false;
                    if (!string(&text, &escaped)) return false;
                    if (!wanted) return true;
                    if (escaped || text.empty()) return fail();
                    return take(text);
                }
                case 't': return word("true") && (!wanted || fail());
                case 'f': return word("false") && (!wanted || fail());
                case 'n': return word("null");
                default: return number(wanted);
            }
        }

        bool take(std::string_view text) {
            *out = text;
            found = true;
            return true;
        }

        bool object(int depth, int step) {
            bool matched = false;
            ++at;
            space();
            if (at != end && *at == '}') return ++at, true;
            for (;;) {
                std::string_view name;
                bool escaped = false;
                if (at == end || *at != '"' || !string(&name, &escaped)) return fail();
                int next = -1;
                if (step >= 0) {
                    if (escaped) return fail();
                    if (name == path->steps_[size_t(step)]) {
                        if (matched) return fail();
                        matched = true;
                        next = step + 1;
                    }
                }
                space();
                if (at == end || *at++ != ':') return fail();
                space();
                if (!value(depth + 1, next)) return false;
                space();
                if (at == end) return fail();
                if (*at == '}') return ++at, true;
                if (*at++ != ',') return fail();
                space();
            }
        }

        // Reads an object of an array; `chosen` when it is the one that the step selects by one of its members.
        bool candidate(int depth, int step, bool* chosen) {
            bool matched = false;
            ++at;
            space();
            if (at != end && *at == '}') return ++at, true;
            for (;;) {
                std::string_view name, text;
                bool escaped = false;
                if (at == end || *at != '"' || !string(&name, &escaped) || escaped) return fail();
                space();
                if (at == end || *at++ != ':') return fail();
                space();
                if (name == path->members_[size_t(step)]) {
                    if (matched) return fail();
                    matched = true;
                    if (at != end && *at == '"') {
                        if (!string(&text, &escaped) || escaped) return fail();
                        *chosen = text == path->values_[size_t(step)];
                    } else if (!value(depth + 1, -1)) {
                        return false;
                    }
                } else if (!value(depth + 1, -1)) {
                    return false;
                }
                space();
                if (at == end) return fail();
                if (*at == '}') return ++at, true;
                if (*at++ != ',') return fail();
                space();
            }
        }

        // Reads an element of an array of which a step selects the first that has a member of some value.
        bool element(int depth, int step, bool* selected) {
            if (*selected || at == end || *at != '{') return value(depth, -1);
            const char* begin = at;
            if (depth > MAX_DEPTH || !candidate(depth, step, selected)) return fail();
            if (!*selected) return true;
            at = begin;
            return value(depth, step + 1);
        }

        bool array(int depth, int step) {
            int wanted = NOT_A_POSITION;
            bool selected = step < 0 || path->members_[size_t(step)].empty();
            const bool selects = !selected;
            if (step >= 0) {
                wanted = path->positions_[size_t(step)];
                if (wanted == UNUSUAL) return fail();
            }
            ++at;
            space();
            if (at != end && *at == ']') return ++at, true;
            for (int position = 0;; ++position) {
                if (selects ? !element(depth + 1, step, &selected)
                            : !value(depth + 1, step >= 0 && position == wanted ? step + 1 : -1)) {
                    return false;
                }
                space();
                if (at == end) return fail();
                if (*at == ']') return ++at, true;
                if (*at++ != ',') return fail();
                space();
            }
        }

        bool string(std::string_view* text, bool* escaped) {
            const char* begin = ++at;
            for (; at != end; ++at) {
                const unsigned char c = static_cast<unsigned char>(*at);
                if (c == '"') {
                    *text = std::string_view(begin, size_t(at - begin));
                    ++at;
                    return true;
                }
                if (c < 0x20) return fail();
                if (c == '\\') {
                    *escaped = true;
                    if (!escape()) return false;
                }
            }
            return fail();
        }

        bool escape() {
            if (++at == end) return fail();
            switch (*at) {
                case '"':
                case '\\':
                case '/':
                case 'b':
                case 'f':
                case 'n':
                case 'r':
                case 't': return true;
                case 'u':
                    for (int digit = 0; digit < 4; ++digit) {
                        if (++at == end || !is_hex(*at)) return fail();
                    }
                    return true;
                default: return fail();
            }
        }

        static bool is_hex(char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        }

        bool word(std::string_view text) {
            if (size_t(end - at) < text.size() || std::string_view(at, text.size()) != text) return fail();
            at += text.size();
            return true;
        }

        size_t digits() {
            const char* begin = at;
            while (at != end && *at >= '0' && *at <= '9') ++at;
            return size_t(at - begin);
        }

        bool number(bool wanted) {
            const char* begin = at;
            if (at != end && *at == '-') ++at;
            const char* first = at;
            const size_t whole = digits();
            // Python bounds the digits of an integer it parses.
            if (!whole || whole > 300 || (whole > 1 && *first == '0')) return fail();
            bool plain = first == begin;
            if (at != end && *at == '.') {
                plain = false;
                ++at;
                if (!digits()) return fail();
            }
            if (at != end && (*at == 'e' || *at == 'E')) {
                plain = false;
                ++at;
                if (at != end && (*at == '+' || *at == '-')) ++at;
                if (!digits()) return fail();
            }
            if (!wanted) return true;
            if (!plain || whole > 10) return fail();
            return take(std::string_view(begin, whole));
        }
    };

    std::vector<std::string> steps_;
    std::vector<std::string> names_;  // of the steps, the last first
    std::vector<int> positions_;
    // Of steps that select an element: the name of its member and the member's value; otherwise empty.
    std::vector<std::string> members_;
    std::vector<std::string> values_;
};

}  // namespace spanmeter::columns

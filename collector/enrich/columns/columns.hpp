// Attribute maps read by column: which known keys each row has, and the first of several places that holds a value.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "json_path.hpp"
#include "text_map.hpp"

namespace spanmeter {

// A column of text as Arrow has it.
struct Texts {
  const int32_t* ends;  // one more than there are texts
  const char* data;

  std::string_view at(int64_t row) const { return {data + ends[row], size_t(ends[row + 1] - ends[row])}; }
};

// Where a value lies: the buffer in the upper bits, the offset in the lower.
enum Buffer : int64_t { kSpan = 0, kResource = 1, kOther = 2 };
constexpr int kBufferShift = 40;
constexpr int64_t kOffsetMask = (int64_t(1) << kBufferShift) - 1;

struct Buffers {
  std::array<const char*, 3> data;

  std::string_view at(int64_t begin, int32_t size) const {
    return {data[size_t(begin >> kBufferShift)] + (begin & kOffsetMask), size_t(size)};
  }
};

// The first `limit` characters of UTF-8 text.
inline std::string_view head(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t characters = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
    if (characters++ == limit) return text.substr(0, at);
  }
  return text;
}

// The keys that conventions know, and prefixes of keys that they look for. Numbers are in the order they were added.
class KeyTable {
 public:
  static constexpr int kMost = 512;

  KeyTable(const std::vector<std::string>& keys, const std::vector<std::string>& prefixes)
      : keys_(int32_t(keys.size())), prefixes_(prefixes) {
    for (const std::string& key : keys) exact_.add(key);
  }

  int32_t keys() const { return keys_; }
  int32_t size() const { return keys_ + int32_t(prefixes_.size()); }
  size_t words() const { return size_t(size() + 63) / 64; }

  // The number of a known key or -1; marks the prefixes it begins with. Keys repeat, so what is found is kept.
  int32_t classify(std::string_view key, uint64_t* present) {
    int32_t known = seen_.find(key);
    if (known < 0) {
      if (seen_.size() >= kMostSeen || seen_.bytes() >= kMostBytes) forget();
      known = seen_.add(key);
      classes_.push_back(examine(key));
    }
    const Class& found = classes_[size_t(known)];
    for (uint64_t left = found.prefixes; left; left &= left - 1) mark(present, keys_ + __builtin_ctzll(left));
    return found.number;
  }

  static void mark(uint64_t* present, int32_t number) { present[number >> 6] |= uint64_t(1) << (number & 63); }

 private:
  static constexpr int32_t kMostSeen = 1 << 16;
  static constexpr size_t kMostBytes = 8 << 20;

  struct Class {
    int32_t number;
    uint64_t prefixes;
  };

  Class examine(std::string_view key) const {
    uint64_t prefixes = 0;
    for (size_t number = 0; number < prefixes_.size(); ++number) {
      if (key.substr(0, prefixes_[number].size()) == prefixes_[number]) prefixes |= uint64_t(1) << number;
    }
    return {exact_.find(key), prefixes};
  }

  void forget() {
    seen_ = TextMap();
    classes_.clear();
  }

  int32_t keys_;
  std::vector<std::string> prefixes_;
  TextMap exact_;
  TextMap seen_;
  std::vector<Class> classes_;
};

// The rows of a batch by shape: a scope's name and the known keys (and prefixes) that are present.
struct Shapes {
  std::vector<int32_t> group;        // of each row
  std::vector<int64_t> start;        // of each row in `positions`
  std::vector<int32_t> positions;    // of each known key present, ascending by number: its last entry in the map
  std::vector<uint8_t> repeated;     // a row has some key twice
  std::vector<std::string> scopes;   // of each group
  std::vector<std::vector<int32_t>> present;  // of each group: numbers, ascending
};

inline Shapes shapes_of(KeyTable& table, Texts scopes, const int32_t* map_ends, Texts keys, int64_t rows,
                        size_t longest_scope) {
  Shapes result;
  result.group.reserve(size_t(rows));
  result.start.reserve(size_t(rows));
  result.positions.reserve(size_t(rows) * 8);
  result.repeated.assign(size_t(rows), 0);
  TextMap groups;
  const size_t words = table.words();
  std::vector<uint64_t> present(words);
  std::vector<int32_t> last(size_t(table.keys()));
  std::string name;
  for (int64_t row = 0; row < rows; ++row) {
    std::fill(present.begin(), present.end(), 0);
    for (int32_t entry = map_ends[row]; entry < map_ends[row + 1]; ++entry) {
      const int32_t number = table.classify(keys.at(entry), present.data());
      if (number < 0) continue;
      if (present[size_t(number >> 6)] >> (number & 63) & 1) result.repeated[size_t(row)] = 1;
      KeyTable::mark(present.data(), number);
      last[size_t(number)] = entry;
    }
    name.assign(head(scopes.at(row), longest_scope));
    name.append(reinterpret_cast<const char*>(present.data()), words * sizeof(uint64_t));
    const int32_t group = groups.add(name);
    std::vector<int32_t>* members = nullptr;
    if (size_t(group) == result.scopes.size()) {
      result.scopes.push_back(name.substr(0, name.size() - words * sizeof(uint64_t)));
      members = &result.present.emplace_back();
    }
    result.group.push_back(group);
    result.start.push_back(int64_t(result.positions.size()));
    for (size_t word = 0; word < words; ++word) {
      for (uint64_t left = present[word]; left; left &= left - 1) {
        const int32_t number = int32_t(word * 64) + __builtin_ctzll(left);
        if (members) members->push_back(number);
        if (number < table.keys()) result.positions.push_back(last[size_t(number)]);
      }
    }
  }
  return result;
}

// One place of a field, for rows of one shape. `rank` is that of its key among the shape's known keys.
struct Place {
  enum Kind : int32_t { kPlain, kJson, kEvent, kName, kResourceKey, kPrefix };
  Kind kind;
  int32_t rank;            // of the key; for kResourceKey the number of the key
  bool in_content;         // counts on model calls only
  std::shared_ptr<JsonPath> path;
  std::string event;       // a name, or with a dot at its end a prefix
};

// The fields of a shape in order, each with its places, most believed first.
class Plan {
 public:
  void add_field(bool values) { fields_.push_back({{}, values}); }

  void add_place(int32_t kind, int32_t rank, bool in_content, const std::vector<std::string>& steps,
                 const std::string& event) {
    std::shared_ptr<JsonPath> path;
    if (kind == Place::kJson) path = std::make_shared<JsonPath>(steps);
    fields_.back().places.push_back({Place::Kind(kind), rank, in_content, path, event});
  }

  size_t size() const { return fields_.size(); }

  struct Input {
    Texts values;                  // of span attributes
    const int64_t* start;          // Shapes::start
    const int32_t* positions;      // Shapes::positions
    Texts names;                   // of spans
    const int32_t* event_ends;     // lists of events
    Texts event_names;
    Texts resource_values;
    const int32_t* resource;       // entry of each known resource key of each row, or -1: rows x resource_keys
    int32_t resource_keys;
  };

  // For each of `rows` and each field the first place that is not empty: `begin` and `size` say where its value lies,
  // `which` is its number, or -1. A row is `hard` when only the full parser can tell.
  void extract(const Input& input, const int64_t* rows, int64_t count, const uint8_t* is_call, int64_t* begin,
               int32_t* size, int8_t* which, uint8_t* hard) const {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = rows[i];
      for (size_t f = 0; f < fields_.size(); ++f) {
        const size_t cell = f * size_t(count) + size_t(i);
        size[cell] = 0;
        begin[cell] = 0;
        which[cell] = -1;
        read(fields_[f], input, row, is_call && is_call[i], begin + cell, size + cell, which + cell, hard + i);
      }
    }
  }

 private:
  static constexpr size_t kLargestJson = 1 << 20;

  struct Field {
    std::vector<Place> places;
    // An empty text inside JSON is a value of its own here, not one that is absent.
    bool values;
  };

  static bool has_event(const Input& input, int64_t row, const std::string& wanted) {
    const bool prefix = wanted.back() == '.';
    for (int32_t event = input.event_ends[row]; event < input.event_ends[row + 1]; ++event) {
      const std::string_view name = input.event_names.at(event);
      if ((prefix ? name.substr(0, wanted.size()) : name) == wanted) return true;
    }
    return false;
  }

  static void read(const Field& field, const Input& input, int64_t row, bool is_call, int64_t* begin, int32_t* size,
                   int8_t* which, uint8_t* hard) {
    for (size_t number = 0; number < field.places.size(); ++number) {
      const Place& place = field.places[number];
      if (place.in_content && !is_call) continue;
      std::string_view found;
      Buffer buffer = kSpan;
      const char* base = input.values.data;
      switch (place.kind) {
        case Place::kPlain:
          found = input.values.at(input.positions[input.start[row] + place.rank]);
          break;
        case Place::kJson: {
          const std::string_view text = input.values.at(input.positions[input.start[row] + place.rank]);
          if (text.empty()) continue;
          if (place.path->leading(text, &found)) {
            if (found.empty() && field.values) *hard = 1;
            break;
          }
          const Json outcome = text.size() > kLargestJson ? Json::kHard : place.path->find(text, &found);
          if (outcome == Json::kHard) {
            *hard = 1;
            return;
          }
          if (outcome == Json::kAbsent) continue;
          break;
        }
        case Place::kEvent:
          if (has_event(input, row, place.event)) {
            *hard = 1;
            return;
          }
          continue;
        case Place::kName:
          found = input.names.at(row);
          if (found.empty()) continue;
          *size = int32_t(found.size());
          *which = int8_t(number);
          return;
        case Place::kResourceKey: {
          const int32_t entry = input.resource[row * input.resource_keys + place.rank];
          if (entry < 0) continue;
          found = input.resource_values.at(entry);
          buffer = kResource;
          base = input.resource_values.data;
          break;
        }
        case Place::kPrefix:
          *which = int8_t(number);
          return;
      }
      if (found.empty()) continue;
      *begin = (int64_t(buffer) << kBufferShift) | int64_t(found.data() - base);
      *size = int32_t(found.size());
      *which = int8_t(number);
      return;
    }
  }

  std::vector<Field> fields_;
};

// Entries of known keys in maps that mostly repeat the row before: rows x keys, -1 where absent. Whether there are any.
inline bool positions_of(KeyTable& table, const int32_t* map_ends, Texts keys, int64_t rows,
                         std::vector<int32_t>* result) {
  const size_t width = size_t(table.keys());
  std::vector<uint64_t> prefixes(table.words());
  std::vector<int32_t> relative(width, -1);
  int32_t before = -1, before_count = -1;
  bool any = false;
  result->assign(size_t(rows) * width, -1);
  const auto repeats = [&](int32_t first, int32_t count) {
    if (count != before_count) return false;
    const int32_t shift = keys.ends[first] - keys.ends[before];
    for (int32_t entry = 1; entry <= count; ++entry) {
      if (keys.ends[first + entry] - keys.ends[before + entry] != shift) return false;
    }
    return std::memcmp(keys.data + keys.ends[first], keys.data + keys.ends[before],
                       size_t(keys.ends[first + count] - keys.ends[first])) == 0;
  };
  for (int64_t row = 0; row < rows; ++row) {
    const int32_t first = map_ends[row], count = map_ends[row + 1] - first;
    if (!repeats(first, count)) {
      std::fill(relative.begin(), relative.end(), -1);
      for (int32_t entry = 0; entry < count; ++entry) {
        const int32_t number = table.classify(keys.at(first + entry), prefixes.data());
        if (number >= 0) relative[size_t(number)] = entry;
      }
      before = first;
      before_count = count;
    }
    for (size_t key = 0; key < width; ++key) {
      if (relative[key] < 0) continue;
      any = true;
      (*result)[size_t(row) * width + key] = first + relative[key];
    }
  }
  return any;
}

// Counts as providers' libraries send them: up to ten ASCII digits. State 0: nothing sent, 1: a count, 2: something else.
inline void parse_counts(const Buffers& buffers, const int64_t* begin, const int32_t* size, int64_t count, int64_t most,
                         int64_t* values, uint8_t* states) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = 0;
    states[i] = 0;
    if (!size[i]) continue;
    const std::string_view text = buffers.at(begin[i], size[i]);
    int64_t value = 0;
    bool plain = text.size() <= 10;
    for (size_t at = 0; plain && at < text.size(); ++at) {
      plain = text[at] >= '0' && text[at] <= '9';
      value = value * 10 + (text[at] - '0');
    }
    states[i] = plain && value <= most ? 1 : 2;
    if (states[i] == 1) values[i] = value;
  }
}

// The different rows of a table of numbers: the place of each row among them, and the first row of each.
inline void distinct_rows(const int32_t* table, int64_t rows, int64_t width, int32_t* places,
                          std::vector<int64_t>* firsts) {
  TextMap seen;
  for (int64_t row = 0; row < rows; ++row) {
    const char* bytes = reinterpret_cast<const char*>(table + row * width);
    places[row] = seen.add({bytes, size_t(width) * sizeof(int32_t)});
    if (size_t(places[row]) == firsts->size()) firsts->push_back(row);
  }
}

// Where the remaining entries of maps go; room for all of them.
struct Remaining {
  int32_t* map_ends;
  int32_t* key_ends;
  int32_t* value_ends;
  char* keys;
  char* values;
};

// Copies maps without the entries at `first` and `second` (-1: none), and where a row is `repeated`, without their
// namesakes. How many entries remain.
inline int64_t copy_without(const int32_t* map_ends, Texts keys, Texts values, int64_t rows, const int32_t* first,
                            const int32_t* second, const uint8_t* repeated, Remaining left) {
  int32_t entries = 0, key_size = 0, value_size = 0;
  left.map_ends[0] = left.key_ends[0] = left.value_ends[0] = 0;
  const auto keep = [&](int32_t from, int32_t to) {  // entries that lie side by side move together
    if (from == to) return;
    const int32_t key_shift = key_size - keys.ends[from], value_shift = value_size - values.ends[from];
    std::memcpy(left.keys + key_size, keys.data + keys.ends[from], size_t(keys.ends[to] - keys.ends[from]));
    std::memcpy(left.values + value_size, values.data + values.ends[from], size_t(values.ends[to] - values.ends[from]));
    for (int32_t entry = from + 1; entry <= to; ++entry) {
      ++entries;
      left.key_ends[entries] = keys.ends[entry] + key_shift;
      left.value_ends[entries] = values.ends[entry] + value_shift;
    }
    key_size = left.key_ends[entries];
    value_size = left.value_ends[entries];
  };
  for (int64_t row = 0; row < rows; ++row) {
    const auto gone = [&](int32_t entry) {
      if (entry == first[row] || entry == second[row]) return true;
      if (!repeated[row]) return false;
      return (first[row] >= 0 && keys.at(entry) == keys.at(first[row])) ||
             (second[row] >= 0 && keys.at(entry) == keys.at(second[row]));
    };
    int32_t from = map_ends[row];
    for (int32_t entry = from; entry < map_ends[row + 1]; ++entry) {
      if (!gone(entry)) continue;
      keep(from, entry);
      from = entry + 1;
    }
    keep(from, map_ends[row + 1]);
    left.map_ends[row + 1] = entries;
  }
  return entries;
}

}  // namespace spanmeter

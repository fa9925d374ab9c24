// Random schemas and documents, written by a simple writer that is not ours, cut into random batches;
// and documents with random damage.
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "wrackline/codec/json_decoder.h"
#include "wrackline/core/step.h"

namespace wrackline {
namespace {

using Value = std::variant<std::monostate, bool, int64_t, double, std::string>;

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  uint64_t below(uint64_t n) { return random_() % n; }
  bool one_in(uint64_t n) { return below(n) == 0; }

  Schema schema() {
    static const std::vector<std::string> names = {
        "a",  "b",           "id",   "gps.speed", "gps.lat", "gps.pos.x", "a_rather_long_field_name_for_a_key",
        "ts", "caf\xc3\xa9", "x\"y", "name",      "n1",      "n2",        "n3"};
    std::vector<std::string> chosen = names;
    std::shuffle(chosen.begin(), chosen.end(), random_);
    chosen.resize(1 + below(names.size()));
    std::vector<Field> fields;
    for (const std::string& name : chosen) {
      static constexpr Type types[] = {Type::kBool,   Type::kInt64, Type::kFloat64,
                                       Type::kString, Type::kBytes, Type::kTimestamp};
      fields.push_back({.name = name, .type = types[below(6)], .nullable = one_in(2)});
    }
    return Schema(std::move(fields));
  }

  Value value(Type type) {
    switch (type) {
      case Type::kBool: return one_in(2);
      case Type::kInt64: return static_cast<int64_t>(random_() >> below(64)) * (one_in(3) ? -1 : 1);
      case Type::kFloat64:
        return static_cast<double>(static_cast<int64_t>(below(2'000'000)) - 1'000'000) /
               static_cast<double>(1 + below(1000));
      case Type::kTimestamp: return static_cast<int64_t>(below(4'000'000'000'000));
      default: {
        static const std::vector<std::string> pieces = {
            "a", "Zq", "\"", "\\", "\n", "\t", "\xc3\xa9",         "\xf0\x9f\x98\x80",
            "}", "{",  ",",  ":",  "[",  " ",  "0123456789abcdef", std::string(1, '\0')};
        std::string text;
        for (uint64_t n = below(8); n > 0; --n)
          text += type == Type::kBytes ? std::string(1, static_cast<char>(below(256))) : pieces[below(pieces.size())];
        return text;
      }
    }
  }

  std::string space() {
    static const char* const kinds[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
    return kinds[below(8)];
  }

  // A string as some writers spell it: escaped where it must be, and at times where it need not be.
  std::string text(const std::string& value) {
    std::string out = "\"";
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\')
        out += std::string("\\") + c;
      else if (byte < 0x20 || (byte < 0x80 && one_in(12))) {
        char code[8];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(byte));
        out += code;
      } else {
        out += c;
      }
    }
    return out + '"';
  }

  std::string spelled(const Value& value, Type type) {
    if (std::holds_alternative<std::monostate>(value)) return "null";
    switch (type) {
      case Type::kBool: return std::get<bool>(value) ? "true" : "false";
      case Type::kInt64:
      case Type::kTimestamp: return std::to_string(std::get<int64_t>(value));
      case Type::kFloat64: {
        char number[64];
        std::snprintf(number, sizeof number, one_in(2) ? "%.17g" : "%.16e", std::get<double>(value));
        return number;
      }
      case Type::kBytes: return text(base64(std::get<std::string>(value)));
      default: return text(std::get<std::string>(value));
    }
  }

  static std::string base64(const std::string& bytes) {
    static const char* const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bits;
    for (const char c : bytes) {
      for (int i = 7; i >= 0; --i) bits += (static_cast<unsigned char>(c) >> i & 1) != 0 ? '1' : '0';
    }
    while (bits.size() % 6 != 0) bits += '0';
    std::string out;
    for (size_t i = 0; i < bits.size(); i += 6) out += letters[std::stoi(bits.substr(i, 6), nullptr, 2)];
    while (out.size() % 4 != 0) out += '=';
    return out;
  }

  std::string extra(int depth) {
    switch (below(depth > 3 ? 4 : 6)) {
      case 0: return "null";
      case 1: return text("}{\",\n");
      case 2: return "-0.5e-3";
      case 3: return "true";
      case 4: {
        std::string out = "[";
        for (uint64_t n = below(4); n > 0; --n) out += extra(depth + 1) + space() + (n > 1 ? "," : "");
        return out + "]";
      }
      default: {
        std::string out = "{";
        for (uint64_t n = below(4); n > 0; --n) out += space() + "\"id\":" + extra(depth + 1) + (n > 1 ? "," : "");
        return out + "}";
      }
    }
  }

  // Members of one object from the fields whose names (below `prefix`) are given with their spelling.
  struct Tree {
    std::map<std::string, Tree> children;
    std::optional<std::string> leaf;
  };
  std::string object(const Tree& tree, int depth) {
    std::vector<std::string> members;
    for (const auto& [key, child] : tree.children) {
      members.push_back(space() + text(key) + space() + ":" + space() +
                        (child.leaf ? *child.leaf : object(child, depth + 1)) + space());
    }
    for (uint64_t n = one_in(2) ? below(3) : 0; n > 0; --n)
      members.push_back("\"extra" + std::to_string(n) + "\":" + extra(depth));
    if (one_in(2)) std::shuffle(members.begin(), members.end(), random_);
    std::string out = "{";
    for (size_t i = 0; i < members.size(); ++i) out += (i > 0 ? "," : "") + members[i];
    return out + "}";
  }

  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_;
};

// Cuts, drops, adds or changes one byte.
void damage(Generator& generator, std::string& text) {
  static const std::string bytes = "\"\\{}[],:0 \n-etn.\x80\xff\xc3";
  if (text.empty()) return;
  const size_t at = generator.below(text.size());
  const char byte =
      generator.one_in(3) ? static_cast<char>(generator.below(256)) : bytes[generator.below(bytes.size())];
  switch (generator.below(4)) {
    case 0: text.resize(at); break;
    case 1: text.erase(at, 1); break;
    case 2: text.insert(at, 1, byte); break;
    default: text[at] = byte;
  }
}

struct Document {
  std::string text;
  std::vector<Value> values;  // one per field of the schema
};

Document document_of(Generator& generator, const Schema& schema) {
  Document document;
  Generator::Tree tree;
  for (const Field& field : schema.fields()) {
    const bool null = field.nullable && generator.one_in(4);
    const Value value = null ? Value() : generator.value(field.type);
    document.values.push_back(value);
    if (null && generator.one_in(2)) continue;  // missing
    Generator::Tree* node = &tree;
    if (generator.one_in(6)) {
      node = &node->children[field.name];
    } else {
      size_t begin = 0;
      for (size_t dot = field.name.find('.'); dot != std::string::npos; dot = field.name.find('.', begin)) {
        node = &node->children[field.name.substr(begin, dot - begin)];
        begin = dot + 1;
      }
      node = &node->children[field.name.substr(begin)];
    }
    node->leaf = generator.spelled(value, field.type);
  }
  document.text = generator.space() + generator.object(tree, 1) + generator.space();
  return document;
}

void expect_row(const Batch& batch, int64_t row, const Schema& schema, const Document& document,
                const std::vector<bool>& used) {
  int column = 0;
  for (int i = 0; i < schema.size(); ++i) {
    if (!used[static_cast<size_t>(i)]) continue;
    const Column& got = batch.column(column++);
    const Value& want = document.values[static_cast<size_t>(i)];
    ASSERT_EQ(got.is_null(row), std::holds_alternative<std::monostate>(want)) << document.text;
    if (got.is_null(row)) continue;
    switch (schema.field(i).type) {
      case Type::kBool: ASSERT_EQ(got.bool_at(row), std::get<bool>(want)) << document.text; break;
      case Type::kInt64:
      case Type::kTimestamp: ASSERT_EQ(got.int64s()[row], std::get<int64_t>(want)) << document.text; break;
      case Type::kFloat64: ASSERT_EQ(got.float64s()[row], std::get<double>(want)) << document.text; break;
      default: ASSERT_EQ(got.string_at(row), std::get<std::string>(want)) << document.text;
    }
  }
}

TEST(JsonDecoderProperty, RandomDocumentsInRandomBatchesArriveWhole) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const Schema schema = generator.schema();
    JsonDecoderOptions options;
    for (int i = 0; i < schema.size(); ++i) options.used.push_back(!generator.one_in(4));
    const std::vector<bool> used = options.used;
    Result<JsonDecoder> decoder = JsonDecoder::make(schema, options);
    ASSERT_TRUE(decoder.ok());
    for (int batch_number = 0; batch_number < 4; ++batch_number) {
      auto records = std::make_shared<Records>();
      std::vector<std::optional<Document>> documents;
      for (uint64_t n = generator.below(60); n > 0; --n) {
        if (generator.one_in(15)) {
          documents.emplace_back();
          records->add("key", std::nullopt, 0);
        } else {
          documents.push_back(document_of(generator, schema));
          records->add(std::nullopt, documents.back()->text, 0);
        }
      }
      if (generator.one_in(2)) records->pad();
      const Decoded decoded = decoder->decode(records);
      ASSERT_TRUE(decoded.bad.empty()) << decoded.bad[0].message << "\n" << records->value(decoded.bad[0].record);
      int64_t row = 0;
      size_t tombstone = 0;
      for (size_t i = 0; i < documents.size(); ++i) {
        if (!documents[i]) {
          ASSERT_LT(tombstone, decoded.tombstones.size());
          ASSERT_EQ(decoded.tombstones[tombstone++], i);
          continue;
        }
        ASSERT_LT(row, decoded.batch.length);
        ASSERT_EQ(decoded.batch.record_of[static_cast<size_t>(row)], i);
        ASSERT_NO_FATAL_FAILURE(expect_row(decoded.batch, row, schema, *documents[i], used));
        ++row;
      }
      ASSERT_EQ(row, decoded.batch.length);
    }
  }
}

// What one damaged document is must not depend on its neighbours, and they must not depend on it.
TEST(JsonDecoderProperty, DamageStaysInItsRecord) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const Schema schema = generator.schema();
    const std::vector<bool> used(static_cast<size_t>(schema.size()), true);
    Result<JsonDecoder> decoder = JsonDecoder::make(schema);
    ASSERT_TRUE(decoder.ok());
    auto records = std::make_shared<Records>();
    std::vector<Document> documents;
    std::set<uint32_t> damaged;
    const uint64_t count = 1 + generator.below(50);
    for (uint32_t i = 0; i < count; ++i) {
      Document document = document_of(generator, schema);
      if (generator.one_in(4)) {
        damaged.insert(i);
        for (uint64_t n = 1 + generator.below(3); n > 0; --n) damage(generator, document.text);
      }
      records->add(std::nullopt, document.text, 0);
      documents.push_back(std::move(document));
    }
    const Decoded decoded = decoder->decode(records);
    ASSERT_TRUE(decoded.tombstones.empty());
    ASSERT_EQ(static_cast<size_t>(decoded.batch.length) + decoded.bad.size(), count);
    int64_t row = 0;
    size_t bad = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const bool is_bad = bad < decoded.bad.size() && decoded.bad[bad].record == i;
      if (is_bad) {
        ASSERT_TRUE(damaged.contains(i)) << decoded.bad[bad].message << "\n" << documents[i].text;
        ASSERT_FALSE(decoded.bad[bad].message.empty());
      } else {
        ASSERT_EQ(decoded.batch.record_of[static_cast<size_t>(row)], i);
        if (!damaged.contains(i)) {
          ASSERT_NO_FATAL_FAILURE(expect_row(decoded.batch, row, schema, documents[i], used));
        }
      }
      if (damaged.contains(i)) {  // the same answer when it is alone
        auto alone = std::make_shared<Records>();
        alone->add(std::nullopt, documents[i].text, 0);
        const Decoded again = decoder->decode(alone);
        ASSERT_EQ(again.bad.size(), is_bad ? 1U : 0U) << documents[i].text;
        if (is_bad) {
          ASSERT_EQ(again.bad[0].reason, decoded.bad[bad].reason) << documents[i].text;
        }
      }
      if (is_bad)
        ++bad;
      else
        ++row;
    }
  }
}

// Nothing of the document is asked for, so it is taken if and only if it is JSON: as a parser of whole
// documents says.
TEST(JsonDecoderProperty, WhatIsNotAskedForIsStillJson) {
  int good = 0;
  int bad = 0;
  simdjson::dom::parser parser;
  Result<JsonDecoder> decoder =
      JsonDecoder::make(Schema({{.name = "not there", .type = Type::kInt64, .nullable = true}}));
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    Generator generator(seed);
    std::string text = document_of(generator, generator.schema()).text;
    for (uint64_t n = generator.below(3); n > 0; --n) damage(generator, text);
    simdjson::dom::element element;
    const simdjson::error_code error = parser.parse(simdjson::padded_string(text)).get(element);
    // Numbers that no double or uint64 can hold are still JSON; the grammar of numbers has its own test.
    if (error == simdjson::BIGINT_ERROR || error == simdjson::NUMBER_ERROR) continue;
    const bool is_good = error == simdjson::SUCCESS && element.is_object();
    auto records = std::make_shared<Records>();
    records->add(std::nullopt, text, 0);
    const Decoded decoded = decoder->decode(records);
    ASSERT_EQ(decoded.batch.length == 1, is_good) << "seed " << seed << ": " << text;
    ++(is_good ? good : bad);
  }
  EXPECT_GT(good, 5'000);
  EXPECT_GT(bad, 5'000);
}

}  // namespace
}  // namespace wrackline

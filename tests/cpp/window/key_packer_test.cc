#include <cmath>
#include <limits>

#include "step_harness.h"
#include <gtest/gtest.h>

#include "wrackline/core/key.h"

namespace wrackline::testing {
namespace {

const SchemaPtr kSchema = std::make_shared<const Schema>(std::vector<Field>{{"a", Type::kString, true},
                                                                            {"b", Type::kString, true},
                                                                            {"x", Type::kFloat64, true},
                                                                            {"i", Type::kInt64, false},
                                                                            {"on", Type::kBool, true}});

Batch batch_of(const std::vector<Row>& rows) {
  BatchMaker maker(kSchema);
  for (const Row& row : rows) maker.add(0, row);
  return maker.take();
}

// Of the second row of a batch.
std::string key_of(const std::vector<std::string>& columns, bool null_group, const Row& row) {
  KeyPacker packer = KeyPacker::make(*kSchema, columns, null_group).value();
  const Batch batch = batch_of({{{}, {}, {}, int64_t{9}, {}}, row});
  packer.pack(batch);
  return packer.is_null(1) ? "(null)" : std::string(packer.key(1));
}

Row row(Scalar a, Scalar b, Scalar x, int64_t i = 0, Scalar on = true) {
  return {std::move(a), std::move(b), x, i, on};
}

// rule: 5.17
TEST(KeyPackerTest, AllNanAreOneKeyAndMinusZeroIsZero) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::vector<std::string>& columns : {std::vector<std::string>{"x"}, {"x", "i"}}) {
    EXPECT_EQ(key_of(columns, false, row({}, {}, nan)), key_of(columns, false, row({}, {}, -nan)));
    EXPECT_EQ(key_of(columns, false, row({}, {}, std::nan("7"))), key_of(columns, false, row({}, {}, nan)));
    EXPECT_EQ(key_of(columns, false, row({}, {}, 0.0)), key_of(columns, false, row({}, {}, -0.0)));
    EXPECT_NE(key_of(columns, false, row({}, {}, 0.0)), key_of(columns, false, row({}, {}, nan)));
  }
}

// rule: 5.17
TEST(KeyPackerTest, ANullPartMakesTheKeyNullUnlessNullsAreGrouped) {
  EXPECT_EQ("(null)", key_of({"a"}, false, row({}, {}, {})));
  EXPECT_EQ("(null)", key_of({"a", "b"}, false, row(std::string("p"), {}, {})));
  EXPECT_NE("(null)", key_of({"a"}, true, row({}, {}, {})));
  EXPECT_NE(key_of({"a"}, true, row(std::string(""), {}, {})), key_of({"a"}, true, row({}, {}, {})));
  EXPECT_NE(key_of({"a", "b"}, true, row({}, std::string("q"), {})),
            key_of({"a", "b"}, true, row(std::string("q"), {}, {})));
}

TEST(KeyPackerTest, PartsOfACompositeKeyDoNotRunIntoEachOther) {
  EXPECT_NE(key_of({"a", "b"}, false, row(std::string("ab"), std::string("c"), {})),
            key_of({"a", "b"}, false, row(std::string("a"), std::string("bc"), {})));
}

TEST(KeyPackerTest, ASingleStringIsItsOwnBytesAndAnIntegerEight) {
  EXPECT_EQ("truck", key_of({"a"}, false, row(std::string("truck"), {}, {})));
  EXPECT_EQ(8U, key_of({"i"}, false, row({}, {}, {}, 7)).size());
  EXPECT_EQ("", key_of({}, false, row({}, {}, {})));
}

TEST(KeyPackerTest, UnpackGivesThePartsBack) {
  const std::vector<Row> rows = {row(std::string("p"), std::string(""), 1.5, -3, true),
                                 row({}, std::string("a much longer text than sixteen bytes"), {}, 4, {}),
                                 row(std::string("q"), {}, -0.5, 5, false)};
  for (const std::vector<std::string>& columns :
       {std::vector<std::string>{"a", "b", "x", "i", "on"}, {"on", "i", "x", "b", "a"}, {"b"}, {"x"}, {"on"}}) {
    KeyPacker packer = KeyPacker::make(*kSchema, columns, true).value();
    const Batch batch = batch_of(rows);
    packer.pack(batch);
    std::vector<Column> parts;
    for (const Field& field : packer.fields()) parts.emplace_back(field.type);
    for (int64_t i = 0; i < batch.length; ++i) packer.unpack(packer.key(i), parts);
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t part = 0; part < columns.size(); ++part) {
        const auto index = static_cast<size_t>(kSchema->index_of(columns[part]));
        EXPECT_TRUE(same(rows[i][index], read(parts[part], static_cast<int64_t>(i))))
            << columns[part] << " of row " << i;
      }
    }
  }
}

TEST(KeyPackerTest, RefusesUnknownAndRepeatedColumns) {
  const Status unknown = KeyPacker::make(*kSchema, {"onn"}, false).status();
  EXPECT_NE(std::string::npos, unknown.message().find("'on'")) << unknown.message();
  EXPECT_FALSE(KeyPacker::make(*kSchema, {"a", "a"}, false).ok());
}

}  // namespace
}  // namespace wrackline::testing

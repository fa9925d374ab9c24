// A reader for the JSON that the job writes, so that the comparison does not rest on the codec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace wrackline::simulation {

struct Cell;
using Cells = std::vector<Cell>;
// One value: null, bool, integer, float, string, list.
struct Cell {
  std::variant<std::monostate, bool, int64_t, double, std::string, Cells> value;
  Cell() = default;
  template <typename T>
  Cell(T v) : value(std::move(v)) {}  // NOLINT(google-explicit-constructor)
  bool is_null() const { return std::holds_alternative<std::monostate>(value); }
};

using Row = std::vector<std::pair<std::string, Cell>>;  // columns in order

// The same text for equal values; an integral float has the text of the integer.
std::string to_text(const Cell& cell);
std::string to_text(const Row& row);

// An object without objects in it; an array. Nullopt: something else.
std::optional<Row> parse_object(std::string_view text);
std::optional<Cells> parse_array(std::string_view text);

// A string as a document has it, with its quotes.
std::string quoted(std::string_view text);

}  // namespace wrackline::simulation

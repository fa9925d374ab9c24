// Layout: from what is asked for to parts and outputs. The table of functions is in functions.cc: a new one is a line
// there, and a part if no other has what it needs.
#pragma once

#include <string>
#include <vector>

#include "wrackline/window/aggregate.h"

namespace wrackline {

class Layout {
 public:
  Layout(Aggregates& aggregates, const AggregateSpec& spec, const Schema& input)
      : aggregates_(aggregates), spec_(spec), input_(input) {}

  // Adds the aggregate, or says what is wrong with it.
  Status add();
  // A user's own.
  Status add_custom();

  // What the functions of the table are made with; the column is there and of a type that the function takes.
  bool is_float() const { return field_->type == Type::kFloat64; }
  bool is_text() const { return field_->type == Type::kString || field_->type == Type::kBytes; }
  void rows();
  void sum();
  void mean();
  void moments(Answer answer);
  void extreme(bool low);
  void edge(bool first);
  void arg(bool low);
  void listed(Answer answer, const Part& part);
  void counted(Answer answer, PartKind kind);
  void quantile(double q, Interpolation interpolation);
  void approx_quantile();
  Part of(PartKind kind) const;

 private:
  Status find_columns();
  Status check_options();
  std::string fingerprint() const;
  int part(Part part);
  int count_part();
  void answer(Output output, Type type, bool nullable);

  Aggregates& aggregates_;
  const AggregateSpec& spec_;
  const Schema& input_;
  const struct Function* function_ = nullptr;
  const Field* field_ = nullptr;  // null: of rows
  int column_ = -1;
  const Field* by_field_ = nullptr;
  int by_column_ = -1;
  Field result_;
};

}  // namespace wrackline

#include "simulation/json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace wrackline::simulation {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  bool object(Row& row) {
    if (!take('{')) return false;
    if (take('}')) return at_end();
    do {
      Cell name;
      Cell value;
      if (!string(name) || !take(':') || !cell(value)) return false;
      row.emplace_back(std::get<std::string>(name.value), std::move(value));
    } while (take(','));
    return take('}') && at_end();
  }
  bool whole_array(Cells& cells) { return array(cells) && at_end(); }

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool array(Cells& cells) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!cell(cells.emplace_back())) return false;
    } while (take(','));
    return take(']');
  }
  bool cell(Cell& to) {
    if (at_ >= text_.size()) return false;
    switch (text_[at_]) {
      case 'n': return word("null");
      case 't': to = Cell(true); return word("true");
      case 'f': to = Cell(false); return word("false");
      case '"': return string(to);
      case '[': {
        Cells cells;
        if (!array(cells)) return false;
        to = Cell(std::move(cells));
        return true;
      }
      default: return number(to);
    }
  }
  bool string(Cell& to) {
    if (!take('"')) return false;
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        out += text_[at_++];
        continue;
      }
      if (at_ + 1 >= text_.size()) return false;
      const char c = text_[at_ + 1];
      at_ += 2;
      switch (c) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'u': {
          unsigned code = 0;
          if (at_ + 4 > text_.size()) return false;
          std::from_chars(text_.data() + at_, text_.data() + at_ + 4, code, 16);
          if (code > 0x7f) return false;  // the generator has no other
          out += static_cast<char>(code);
          at_ += 4;
          break;
        }
        default: out += c;
      }
    }
    to = Cell(std::move(out));
    return take('"');
  }
  bool number(Cell& to) {
    const size_t end = text_.find_first_not_of("+-.0123456789eE", at_);
    const std::string_view text = text_.substr(at_, end == std::string_view::npos ? end : end - at_);
    if (text.empty()) return false;
    at_ += text.size();
    const char* const last = text.data() + text.size();
    if (text.find_first_of(".eE") == std::string_view::npos) {
      int64_t value = 0;
      to = Cell(value);
      const auto [stop, error] = std::from_chars(text.data(), last, value);
      if (error == std::errc() && stop == last) {
        to = Cell(value);
        return true;
      }
    }
    double value = 0;
    const auto [stop, error] = std::from_chars(text.data(), last, value);
    to = Cell(value);
    return error == std::errc() && stop == last;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string to_text(const Cell& cell) {
  struct Visitor {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const {
      if (v == std::floor(v) && std::fabs(v) < 0x1p53) return std::to_string(static_cast<int64_t>(v));
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", v);
      return text;
    }
    std::string operator()(const std::string& v) const { return quoted(v); }
    std::string operator()(const Cells& v) const {
      std::string text = "[";
      for (const Cell& item : v) text += (text.size() == 1 ? "" : ",") + to_text(item);
      return text + "]";
    }
  };
  return std::visit(Visitor(), cell.value);
}

std::string to_text(const Row& row) {
  std::string text;
  for (const auto& [name, cell] : row) text += (text.empty() ? "" : " ") + name + "=" + to_text(cell);
  return text;
}

std::optional<Row> parse_object(std::string_view text) {
  Row row;
  if (!Parser(text).object(row)) return std::nullopt;
  return row;
}

std::optional<Cells> parse_array(std::string_view text) {
  Cells cells;
  if (!Parser(text).whole_array(cells)) return std::nullopt;
  return cells;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    out += c;
  }
  return out + "\"";
}

}  // namespace wrackline::simulation

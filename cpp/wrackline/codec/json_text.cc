#include "wrackline/codec/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace wrackline::json {
namespace {

constexpr std::array<double, 23> kPowersOfTen = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Four hexadecimal digits at [at, end), or -1.
int32_t hex4(const uint8_t* at, const uint8_t* end) {
  if (end - at < 4) return -1;
  int32_t code = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_value(at[i]);
    if (digit < 0) return -1;
    code = code << 4 | digit;
  }
  return code;
}

uint8_t* put_utf8(int32_t code, uint8_t* to) {
  if (code < 0x80) {
    *to++ = static_cast<uint8_t>(code);
  } else if (code < 0x800) {
    *to++ = static_cast<uint8_t>(0xc0 | code >> 6);
    *to++ = static_cast<uint8_t>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *to++ = static_cast<uint8_t>(0xe0 | code >> 12);
    *to++ = static_cast<uint8_t>(0x80 | (code >> 6 & 0x3f));
    *to++ = static_cast<uint8_t>(0x80 | (code & 0x3f));
  } else {
    *to++ = static_cast<uint8_t>(0xf0 | code >> 18);
    *to++ = static_cast<uint8_t>(0x80 | (code >> 12 & 0x3f));
    *to++ = static_cast<uint8_t>(0x80 | (code >> 6 & 0x3f));
    *to++ = static_cast<uint8_t>(0x80 | (code & 0x3f));
  }
  return to;
}

// Length of the UTF-8 character at [at, end), 0: none starts here.
size_t utf8_size(const uint8_t* at, const uint8_t* end) {
  const uint8_t lead = *at;
  if (lead < 0x80) return 1;
  const auto left = static_cast<size_t>(end - at);
  const auto follows = [at](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return at[i] >= low && at[i] <= high;
  };
  if (lead >= 0xc2 && lead <= 0xdf) return left >= 2 && follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;   // no overlong forms
    const uint8_t high = lead == 0xed ? 0x9f : 0xbf;  // no surrogates
    return left >= 3 && follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;  // up to U+10FFFF
    return left >= 4 && follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// All of the eight bytes can be written as they are: 0x20 to 0x7f, no quote, no backslash.
bool eight_plain(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = 0x8080808080808080;
  const auto has_zero = [](uint64_t w) { return (w - kOnes) & ~w & kHighs; };
  return ((word | has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) | ((word - kOnes * 0x20) & ~word)) &
          kHighs) == 0;
}

}  // namespace

Number read_any_float64(const uint8_t* at, double* value, bool* integral) {
  const bool negative = *at == '-';
  const uint8_t* p = at + negative;
  const uint8_t* const digits = p;
  uint64_t mantissa = 0;
  p = read_digits(p, &mantissa);
  auto count = p - digits;
  if (count == 0 || (*digits == '0' && count > 1)) return Number::kNotJson;
  int64_t exponent = 0;
  *integral = true;
  if (*p == '.') {
    *integral = false;
    const uint8_t* const fraction = ++p;
    p = read_digits(p, &mantissa);
    if (p == fraction) return Number::kNotJson;
    exponent = fraction - p;
    count += p - fraction;
  }
  if (*p == 'e' || *p == 'E') {
    *integral = false;
    ++p;
    const bool down = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    if (!is_digit(*p)) return Number::kNotJson;
    int64_t power = 0;
    while (is_digit(*p)) {
      if (power < 1'000'000'000) power = power * 10 + (*p - '0');
      ++p;
    }
    exponent += down ? -power : power;
  }
  if (!ends_scalar(*p)) return Number::kNotJson;

  // Exact factors of one correctly rounded operation.
  if (count <= 19 && mantissa <= uint64_t{1} << 53 && exponent >= -22 && exponent <= 22) {
    const auto exact = static_cast<double>(mantissa);
    const double result = exponent < 0 ? exact / kPowersOfTen[static_cast<size_t>(-exponent)]
                                       : exact * kPowersOfTen[static_cast<size_t>(exponent)];
    *value = negative ? -result : result;
    return Number::kOk;
  }
  double result = 0;
  const auto [end, error] =
      std::from_chars(reinterpret_cast<const char*>(at), reinterpret_cast<const char*>(p), result);
  if (error == std::errc::result_out_of_range) {
    // Too small is zero, too large is an error: tell them apart by where the first digit stands.
    const uint8_t* first = digits;
    while (*first == '0' || *first == '.') ++first;
    const uint8_t* point = digits;
    while (is_digit(*point)) ++point;
    const int64_t places = first < point ? point - first : -(first - point - 1);
    const int64_t fraction_digits = *point == '.' ? [point] {
      const uint8_t* q = point + 1;
      while (is_digit(*q)) ++q;
      return q - point - 1;
    }()
                                                  : 0;
    if (places + exponent + fraction_digits > 0) return Number::kOutOfRange;
    *value = negative ? -0.0 : 0.0;
    return Number::kOk;
  }
  if (!std::isfinite(result)) return Number::kOutOfRange;
  *value = result;
  return Number::kOk;
}

uint8_t* unescape(const uint8_t* begin, const uint8_t* end, uint8_t* to) {
  for (const uint8_t* p = begin; p < end;) {
    if (*p != '\\') {
      *to++ = *p++;
      continue;
    }
    if (++p == end) return nullptr;
    switch (*p++) {
      case '"': *to++ = '"'; break;
      case '\\': *to++ = '\\'; break;
      case '/': *to++ = '/'; break;
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case 'n': *to++ = '\n'; break;
      case 'r': *to++ = '\r'; break;
      case 't': *to++ = '\t'; break;
      case 'u': {
        int32_t code = hex4(p, end);
        if (code < 0) return nullptr;
        p += 4;
        if (code >= 0xd800 && code < 0xe000) {  // a pair of surrogates: one character
          if (code >= 0xdc00 || end - p < 6 || p[0] != '\\' || p[1] != 'u') return nullptr;
          const int32_t low = hex4(p + 2, end);
          if (low < 0xdc00 || low >= 0xe000) return nullptr;
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          p += 6;
        }
        to = put_utf8(code, to);
        break;
      }
      default: return nullptr;
    }
  }
  return to;
}

std::string to_utf8(std::string_view text) {
  std::string made;
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = p + text.size();
  while (p < end) {
    const size_t size = *p < 0x80 ? 1 : utf8_size(p, end);
    if (size == 0)
      made += "\xef\xbf\xbd";
    else
      made.append(reinterpret_cast<const char*>(p), size);
    p += size == 0 ? 1 : size;
  }
  return made;
}

char* write_string(std::string_view text, char* to) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = p + text.size();
  *to++ = '"';
  while (p < end) {
    while (end - p >= 8) {
      const uint64_t word = load8(p);
      if (!eight_plain(word)) break;
      std::memcpy(to, &word, sizeof word);
      p += 8;
      to += 8;
    }
    // Up to eight bytes one by one, then try eight again.
    for (int i = 0; i < 8 && p < end; ++i) {
      const uint8_t c = *p;
      if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
        *to++ = static_cast<char>(c);
        ++p;
      } else if (c >= 0x80) {
        const size_t size = utf8_size(p, end);
        if (size == 0) {
          std::memcpy(to, "\xef\xbf\xbd", 3);
          to += 3;
          ++p;
        } else {
          std::memcpy(to, p, size);
          to += size;
          p += size;
        }
      } else {
        *to++ = '\\';
        ++p;
        switch (c) {
          case '"': *to++ = '"'; break;
          case '\\': *to++ = '\\'; break;
          case '\b': *to++ = 'b'; break;
          case '\f': *to++ = 'f'; break;
          case '\n': *to++ = 'n'; break;
          case '\r': *to++ = 'r'; break;
          case '\t': *to++ = 't'; break;
          default:
            std::memcpy(to, "u00", 3);
            to[3] = static_cast<char>('0' + (c >> 4));
            to[4] = "0123456789abcdef"[c & 15];
            to += 5;
        }
      }
    }
  }
  *to++ = '"';
  return to;
}

char* write_int64(int64_t value, char* to) { return std::to_chars(to, to + kMaxNumberSize, value).ptr; }

namespace {

char* write_text(std::string_view text, char* to) { return std::copy(text.begin(), text.end(), to); }

}  // namespace

char* write_float64(double value, char* to) {
  // Most values of life have few decimals: n / 10^4 for a whole n, and that quotient, which is what
  // reading the text computes, is the value itself.
  constexpr double kScale = 1e4;
  const double scaled = value * kScale;
  if (std::abs(scaled) < 1e15) {
    const auto whole = static_cast<int64_t>(scaled);
    if (static_cast<double>(whole) == scaled && static_cast<double>(whole) / kScale == value && whole != 0) {
      to = write_int64(whole / 10'000, whole < 0 && whole > -10'000 ? (*to = '-', to + 1) : to);
      auto rest = static_cast<int>(whole < 0 ? -(whole % 10'000) : whole % 10'000);
      if (rest == 0) return write_text(".0", to);
      *to++ = '.';
      for (int digit = 1'000; rest > 0; digit /= 10) {
        *to++ = static_cast<char>('0' + rest / digit);
        rest %= digit;
      }
      return to;
    }
  }
  // A float stays one for whoever reads it: 3.0, not 3.
  char* const end = std::to_chars(to, to + kMaxNumberSize - 2, value).ptr;
  return std::string_view(to, static_cast<size_t>(end - to)).find_first_of(".e") == std::string_view::npos
             ? write_text(".0", end)
             : end;
}

}  // namespace wrackline::json

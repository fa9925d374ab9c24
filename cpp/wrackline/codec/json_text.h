// Pieces of JSON text: numbers, strings, literals. What the decoder and the encoder are made of.
//
// The readers work on text whose strings simdjson's first stage has found closed and UTF-8. Each
// looks at most kLookAhead bytes past what it reads, so the text needs that much readable behind it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "wrackline/core/buffer.h"

namespace wrackline::json {

inline constexpr size_t kLookAhead = 32;

// What may stand behind a number or literal.
inline constexpr auto kEndsScalar = [] {
  std::array<bool, 256> ends{};
  for (const char c : {',', '}', ']', ' ', '\n', '\r', '\t', ':'}) ends[static_cast<uint8_t>(c)] = true;
  return ends;
}();
inline bool ends_scalar(uint8_t c) { return kEndsScalar[c]; }

inline bool is_digit(uint8_t c) { return static_cast<uint8_t>(c - '0') < 10; }

inline uint64_t load8(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

inline constexpr std::array<uint64_t, 9> kTens = {1,       10,        100,        1'000,      10'000,
                                                  100'000, 1'000'000, 10'000'000, 100'000'000};

// The digits at the beginning of the eight bytes at `at`, without a branch on how many they are.
struct Digits {
  uint64_t value;
  unsigned count;  // 0 to 8
};
inline Digits leading_digits(const uint8_t* at) {
  const uint64_t word = load8(at) ^ 0x3030303030303030;  // digits are 0 to 9 now
  const uint64_t others = (word | (word + 0x0606060606060606)) & 0xf0f0f0f0f0f0f0f0;
  const auto count = static_cast<unsigned>(std::countr_zero(others)) / 8;  // 64 / 8 if there are no others
  // Zeros before the digits make eight of them; then pairs, fours and all eight are added up.
  uint64_t value = count == 0 ? 0 : word << (64 - 8 * count);
  value = value * 10 + (value >> 8);
  const uint64_t low = (value & 0x000000ff000000ff) * (100 + (uint64_t{1'000'000} << 32));
  const uint64_t high = (value >> 16 & 0x000000ff000000ff) * (1 + (uint64_t{10'000} << 32));
  return {(low + high) >> 32, count};
}

// Adds the digits at `at` to *value, which wraps beyond 19 of them; returns the end.
inline const uint8_t* read_digits(const uint8_t* at, uint64_t* value) {
  for (;;) {
    const Digits digits = leading_digits(at);
    *value = *value * kTens[digits.count] + digits.value;
    at += digits.count;
    if (digits.count < 8) return at;
  }
}

enum class Number : uint8_t {
  kOk,
  kNotJson,    // no number of the JSON grammar, or something sticks to it
  kOtherForm,  // a number, but with a fraction or an exponent
  kOutOfRange,
};

// An integer; `at` is its first character.
inline Number read_int64(const uint8_t* at, int64_t* value) {
  const bool negative = *at == '-';
  const uint8_t* const digits = at + negative;
  uint64_t sum = 0;
  const uint8_t* const p = read_digits(digits, &sum);
  const auto count = p - digits;
  if (count == 0 || (*digits == '0' && count > 1)) return Number::kNotJson;
  if (!ends_scalar(*p)) return *p == '.' || *p == 'e' || *p == 'E' ? Number::kOtherForm : Number::kNotJson;
  if (count > 19 || sum > uint64_t{INT64_MAX} + negative) return Number::kOutOfRange;
  *value = static_cast<int64_t>(negative ? 0 - sum : sum);
  return Number::kOk;
}

// Any JSON number; *integral: it has neither fraction nor exponent.
Number read_any_float64(const uint8_t* at, double* value, bool* integral);

inline Number read_float64(const uint8_t* at, double* value, bool* integral) {
  // 123.45: a whole number that a double holds, divided by a power of ten that one holds, is rounded
  // once and so correctly.
  static constexpr std::array<double, 9> kPowers = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  const bool negative = *at == '-';
  const Digits whole = leading_digits(at + negative);
  const uint8_t* p = at + negative + whole.count;
  if (whole.count - 1 < 7 && *p == '.' && (at[negative] != '0' || whole.count == 1)) {
    const Digits fraction = leading_digits(p + 1);
    p += 1 + fraction.count;
    if (fraction.count - 1 < 7 && ends_scalar(*p)) {
      const double magnitude =
          static_cast<double>(whole.value * kTens[fraction.count] + fraction.value) / kPowers[fraction.count];
      *value = negative ? -magnitude : magnitude;
      *integral = false;
      return Number::kOk;
    }
  }
  return read_any_float64(at, value, integral);
}

// `open` is the opening quote. Finds the closing one; *plain: no backslash before it.
inline const uint8_t* find_close(const uint8_t* open, bool* plain) {
  const uint8_t* p = open + 1;
  *plain = true;
  for (;;) {
#if defined(__SSE2__)
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const auto hits = static_cast<unsigned>(_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')))));
    if (hits == 0) {
      p += 16;
      continue;
    }
    p += std::countr_zero(hits);
#else
    while (*p != '"' && *p != '\\') ++p;
#endif
    if (*p == '"') return p;
    *plain = false;
    p += 2;  // the escaped character; of \uXXXX the rest needs no care
  }
}

// Copies a string without backslashes from behind its opening quote and returns its length; -1: there
// is a backslash. REQUIRES: room for the string and 16 bytes more.
inline int64_t copy_plain(const uint8_t* open, uint8_t* to) {
  const uint8_t* p = open + 1;
  for (;;) {
#if defined(__SSE2__)
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    const auto hits = static_cast<unsigned>(_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')))));
    if (hits == 0) {
      p += 16;
      to += 16;
      continue;
    }
    p += std::countr_zero(hits);
#else
    while (*p != '"' && *p != '\\') *to++ = *p++;
#endif
    return *p == '"' ? p - open - 1 : -1;
  }
}

// Writes what [begin, end), the inside of a string, stands for; returns the end of what was written
// (never longer than the input), or null: an unknown escape, or a surrogate without its other half.
uint8_t* unescape(const uint8_t* begin, const uint8_t* end, uint8_t* to);

// Length of the literal (true, false, null) at `at`, or 0.
inline size_t literal_size(const uint8_t* at) {
  const uint64_t word = load8(at);
  const auto is = [word](uint64_t text, int bits) { return ((word ^ text) & ((uint64_t{1} << bits) - 1)) == 0; };
  if (is(0x65757274, 32)) return ends_scalar(at[4]) ? 4 : 0;    // true
  if (is(0x6c6c756e, 32)) return ends_scalar(at[4]) ? 4 : 0;    // null
  if (is(0x65736c6166, 40)) return ends_scalar(at[5]) ? 5 : 0;  // false
  return 0;
}

// --- writing -----------------------------------------------------------------------------------

// Bytes that write_string needs for a string of `size` bytes: each may become six, and two quotes.
constexpr size_t max_string_size(size_t size) { return 6 * size + 2 + 16; }
// `text` in quotes. What is not UTF-8 becomes U+FFFD. Returns the end.
char* write_string(std::string_view text, char* to);
// `text` itself, what is not UTF-8 as U+FFFD.
std::string to_utf8(std::string_view text);

inline constexpr size_t kMaxNumberSize = 32;
char* write_int64(int64_t value, char* to);
// Shortest text that reads back as `value`. REQUIRES: finite.
char* write_float64(double value, char* to);

}  // namespace wrackline::json

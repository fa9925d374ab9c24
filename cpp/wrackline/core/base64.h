// Base64 as RFC 4648 section 4 has it: standard alphabet, padded, strict.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wrackline {

std::string encode_base64(std::string_view bytes);
// nullopt: not base64 (foreign characters, missing padding, bits left over).
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace wrackline

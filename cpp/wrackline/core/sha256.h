// SHA-256, for what other programs have to be able to check.
#pragma once

#include <string>
#include <string_view>

namespace wrackline {

// As 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace wrackline

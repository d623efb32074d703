// What the core refuses, Python has explained before: a bare message is enough.
#pragma once
#include <stdexcept>

namespace fastdw {

[[noreturn]] inline void refuse(const char* what) { throw std::invalid_argument(what); }

}  // namespace fastdw

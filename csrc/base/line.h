// The cache line: memory moves by it.
#pragma once

namespace fastdw {

constexpr int kLineBytes = 64;
constexpr int kLineFloats = kLineBytes / static_cast<int>(sizeof(float));

}  // namespace fastdw

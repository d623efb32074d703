// Weights of a network's later steps, to be asked for while one computes: else each network's call finds most
// of them in memory.
#pragma once
#include <algorithm>
#include <vector>

#include "ops/source.h"

namespace fastdw {

struct Upcoming {
  std::vector<Ahead> pieces;
  ptrdiff_t lines = 0;

  void add(const char* begin, ptrdiff_t count) {
    if (count > 0) pieces.push_back({begin, count, 0});
    lines += count;
  }

  // Part i of n, of them all: what of it lies in one piece.
  Ahead share(ptrdiff_t i, ptrdiff_t n) const {
    ptrdiff_t first = lines * i / n;
    const ptrdiff_t count = lines * (i + 1) / n - first;
    for (const Ahead& piece : pieces) {
      if (first < piece.lines) {
        return {piece.begin + first * kLineBytes, std::min(count, piece.lines - first), 0};
      }
      first -= piece.lines;
    }
    return {};
  }
};

}  // namespace fastdw

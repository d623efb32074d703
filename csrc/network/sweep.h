// Pixel by pixel: how steps whose outputs read no neighbours are cut into tasks.
#pragma once
#include <algorithm>

#include "base/math.h"
#include "base/threads.h"
#include "network/cost.h"
#include "network/operand.h"

namespace fastdw {

// Pixels side by side, with so many channels.
struct Pixels {
  ptrdiff_t row, column, columns, channels;
};

// An image as rows of pixels; or, where all operands are dense, as one row of "pixels" of `channels`
// elements, of which the last may have less. So few channels fill vectors too.
struct Sweep {
  ptrdiff_t rows, columns, channels, last;
  bool lines;

  static Sweep pixels(const Operand& o) { return {o.sizes[0], o.sizes[1], o.sizes[2], o.sizes[2], false}; }
  static Sweep in_lines(const Operand& o, ptrdiff_t line) {
    const ptrdiff_t size = o.sizes[0] * o.sizes[1] * o.sizes[2], count = ceil_div(size, line);
    return {1, count, line, size - (count - 1) * line, true};
  }

  // f(pixels) for all of them, on some threads.
  template <class F>
  void operator()(int threads, double nanoseconds, const F& f) const {
    constexpr ptrdiff_t kTaskFloats = 4096;
    const ptrdiff_t step = std::clamp<ptrdiff_t>(kTaskFloats / channels, 1, columns);
    const ptrdiff_t runs = ceil_div(columns, step);
    parallel_for(awake_threads(threads, nanoseconds), rows * runs, 0, [&](ptrdiff_t task, float*) {
      const ptrdiff_t row = task / runs, column = task % runs * step;
      ptrdiff_t count = std::min(step, columns - column);
      if (last < channels && column + count == columns) f({row, columns - 1, 1, last}), --count;
      if (count > 0) f({row, column, count, channels});
    });
  }
};

// An operand as a sweep walks over it.
struct Walk {
  Operand operand;
  ptrdiff_t row_stride, stride;

  Walk(const Operand& o, const Sweep& s)
      : operand(o), row_stride(s.lines ? 0 : o.strides[0]), stride(s.lines ? s.channels : o.strides[1]) {}

  template <class T = float>
  T* at(Memory memory, const Pixels& p) const {
    return data<T>(operand, memory) + p.row * row_stride + p.column * stride;
  }
};

}  // namespace fastdw

// Rows, columns and channels picked or mixed by tables.
#include <cmath>
#include <cstring>

#include "base/refuse.h"
#include "network/step8.h"
#include "network/sweep.h"

namespace fastdw {
namespace {

void check_table(const std::vector<ptrdiff_t>& table, ptrdiff_t least, ptrdiff_t size, ptrdiff_t outputs) {
  if (static_cast<ptrdiff_t>(table.size()) != outputs) refuse("length of a table");
  for (const ptrdiff_t n : table) {
    if (n < least || n >= size) refuse("table");
  }
}

// So many of the output that follow each other in the input, or are all the constant.
struct Span {
  ptrdiff_t to, from, count;
  bool constant() const { return from < 0; }
};

std::vector<Span> spans_of(const std::vector<ptrdiff_t>& table, ptrdiff_t size, ptrdiff_t outputs) {
  if (table.empty()) {
    if (size != outputs) refuse("length of a table");
    return {{0, 0, size}};
  }
  check_table(table, -1, size, outputs);
  std::vector<Span> spans;
  for (ptrdiff_t to = 0; to < outputs; ++to) {
    const ptrdiff_t from = table[static_cast<size_t>(to)];
    if (!spans.empty()) {
      Span& last = spans.back();
      if (from == (last.constant() ? -1 : last.from + last.count)) {
        ++last.count;
        continue;
      }
    }
    spans.push_back({to, from, 1});
  }
  return spans;
}

// Operands may lie across each other: wrong numbers, but nothing worse.
template <class T>
void copy_line(T* to, const T* from, ptrdiff_t count) {
  std::memmove(to, from, static_cast<size_t>(count) * sizeof(T));
}

template <class T>
class GatherStep final : public Step {
 public:
  GatherStep(const GatherTables& tables, const Operands& o)
      : rows_(tables.rows),
        columns_(spans_of(tables.columns, o.x.sizes[1], o.out.sizes[1])),
        channels_(spans_of(tables.channels, o.x.sizes[2], o.out.sizes[2])),
        constant_(static_cast<T>(tables.constant)),
        out_(o.out),
        x_(o.x) {
    spans_of(rows_, x_.sizes[0], out_.sizes[0]);
  }

  double nanoseconds() const override { return floats(out_) * kMoveNs; }

  void run(Memory memory, int threads) const override {
    const View<const T> x = image<const T>(x_, memory);
    const View<T> out = image<T>(out_, memory);
    parallel_for(awake_threads(threads, nanoseconds()), out.height, 0, [&](ptrdiff_t row, float*) {
      const ptrdiff_t from = rows_.empty() ? row : rows_[static_cast<size_t>(row)];
      for (const Span& span : columns_) {
        T* y = out.at(0, row, span.to, 0);
        if (from < 0 || span.constant()) {
          fill(y, out, span.count);
        } else {
          copy(x.at(0, from, span.from, 0), x, y, out, span.count);
        }
      }
    });
  }

 private:
  void fill(T* y, const View<T>& out, ptrdiff_t pixels) const {
    for (ptrdiff_t j = 0; j < pixels; ++j, y += out.column_stride) {
      std::fill(y, y + out.channels, constant_);
    }
  }

  void copy(const T* x, const View<const T>& in, T* y, const View<T>& out, ptrdiff_t pixels) const {
    const bool all = channels_.size() == 1 && channels_[0].from == 0 && out.channels == in.channels;
    if (all && in.column_stride == in.channels && out.column_stride == out.channels) {
      return copy_line(y, x, pixels * in.channels);
    }
    for (ptrdiff_t j = 0; j < pixels; ++j, x += in.column_stride, y += out.column_stride) {
      for (const Span& span : channels_) {
        if (span.constant()) {
          std::fill(y + span.to, y + span.to + span.count, constant_);
        } else {
          copy_line(y + span.to, x + span.from, span.count);
        }
      }
    }
  }

  const std::vector<ptrdiff_t> rows_;
  const std::vector<Span> columns_, channels_;
  const T constant_;
  const Operand out_, x_;
};

// Of floats or bytes.
class MixStep : public Step {
 public:
  double nanoseconds() const override { return floats(out_) * 3 * kMoveNs; }

 protected:
  MixStep(BilinearTable rows, BilinearTable columns, const Operands& o)
      : rows_(std::move(rows)), columns_(std::move(columns)), out_(o.out), x_(o.x) {
    check_image(out_, "out");
    check_image(x_, "x");
    for (size_t axis = 0; axis < 2; ++axis) {
      const BilinearTable& t = axis == 0 ? rows_ : columns_;
      check_table(t.low, 0, x_.sizes[axis], out_.sizes[axis]);
      check_table(t.high, 0, x_.sizes[axis], out_.sizes[axis]);
      if (t.weight.size() != t.low.size()) refuse("weights of a table");
    }
    if (out_.sizes[2] != x_.sizes[2]) refuse("channels");
  }

  const BilinearTable rows_, columns_;
  const Operand out_, x_;
};

class BilinearStep final : public MixStep {
 public:
  BilinearStep(const KernelSet& set, BilinearTable rows, BilinearTable columns, const Operands& o)
      : MixStep(std::move(rows), std::move(columns), o), set_(set) {}

  void run(Memory memory, int threads) const override {
    const Input x = image<const float>(x_, memory);
    const Output out = image<float>(out_, memory);
    parallel_for(awake_threads(threads, nanoseconds()), out.height, 0, [&](ptrdiff_t row, float*) {
      const auto i = static_cast<size_t>(row);
      set_.network.bilinear({x.at(0, rows_.low[i], 0, 0), x.at(0, rows_.high[i], 0, 0), rows_.weight[i],
                             x.column_stride, columns_.low.data(), columns_.high.data(),
                             columns_.weight.data(), out.at(0, row, 0, 0), out.column_stride, out.width,
                             out.channels});
    });
  }

 private:
  const KernelSet& set_;
};

std::vector<int32_t> whole_weights(const std::vector<float>& weights) {
  constexpr float kOne = 2048;
  std::vector<int32_t> whole;
  for (const float weight : weights) {
    if (!(weight >= 0 && weight <= 1)) refuse("weights of a table");
    whole.push_back(static_cast<int32_t>(std::nearbyint(weight * kOne)));
  }
  return whole;
}

class Bilinear8Step final : public MixStep {
 public:
  Bilinear8Step(const Kernels8& set, BilinearTable rows, BilinearTable columns, int32_t origin, uint8_t flip,
                const Operands& o)
      : MixStep(std::move(rows), std::move(columns), o),
        kernel_(set.bilinear),
        row_weights_(whole_weights(rows_.weight)),
        column_weights_(whole_weights(columns_.weight)),
        origin_(origin),
        flip_(flip) {}

  void run(Memory memory, int threads) const override {
    const View<const uint8_t> x = image<const uint8_t>(x_, memory);
    const View<uint8_t> out = image<uint8_t>(out_, memory);
    parallel_for(awake_threads(threads, nanoseconds()), out.height, 0, [&](ptrdiff_t row, float*) {
      const auto i = static_cast<size_t>(row);
      kernel_({x.at(0, rows_.low[i], 0, 0), x.at(0, rows_.high[i], 0, 0), row_weights_[i], x.column_stride,
               columns_.low.data(), columns_.high.data(), column_weights_.data(), origin_, flip_,
               out.at(0, row, 0, 0), out.column_stride, out.width, out.channels});
    });
  }

 private:
  const Bilinear8Fn kernel_;
  const std::vector<int32_t> row_weights_, column_weights_;
  const int32_t origin_;
  const uint8_t flip_;
};

}  // namespace

StepPointer gather_step(const GatherTables& tables, bool bytes, const Operands& o) {
  check_image(o.out, "out");
  check_image(o.x, "x");
  if (!bytes) return std::make_unique<GatherStep<float>>(tables, o);
  if (!(tables.constant >= 0 && tables.constant <= 255)) refuse("constant");
  return std::make_unique<GatherStep<uint8_t>>(tables, o);
}

StepPointer bilinear_step(const KernelSet& set, BilinearTable rows, BilinearTable columns,
                          const Operands& o) {
  return std::make_unique<BilinearStep>(set, std::move(rows), std::move(columns), o);
}

StepPointer bilinear8_step(const Kernels8& set, BilinearTable rows, BilinearTable columns, int32_t origin,
                           uint8_t flip, const Operands& o) {
  return std::make_unique<Bilinear8Step>(set, std::move(rows), std::move(columns), origin, flip, o);
}

}  // namespace fastdw

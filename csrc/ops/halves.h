// A layer on halves. A band of rows becomes floats in scratch, is computed there as any image is, and its
// results become halves: the bits are those of the layer on floats, each rounded once.
#pragma once
#include <cstdint>
#include <vector>

#include "plan/cut.h"
#include "plan/plan.h"

namespace fastdw {

// IEEE 754's binary16, by its bits.
struct Halves {
  View<const uint16_t> x, residual;  // a residual's data is null where there is none
  View<uint16_t> out;
};

class HalfCall {
 public:
  // The chains are those of a layer, or the groups of a grouped convolution. Refuses views that do not go
  // together.
  HalfCall(const std::vector<Chain>& groups, const Geometry& geometry, const Halves& halves, int threads);

  ptrdiff_t tasks() const { return halves_.out.images * bands_.parts; }
  double nanoseconds() const;               // of one core
  int sharing() const { return sharing_; }  // threads that have bands of their own; 1: all share each

  // Throws std::bad_alloc, before it writes.
  void run(ptrdiff_t first_task, ptrdiff_t tasks) const;

  // A band in the middle, as text and in numbers.
  std::string show() const;

 private:
  // Rows of out, with the rows of x under their windows.
  struct Band {
    ptrdiff_t row, rows, x_row, x_rows;
  };
  Band band(ptrdiff_t index) const;
  ptrdiff_t x_floats(const Band& band) const;
  ptrdiff_t out_floats(const Band& band) const;
  // Of a band in memory: x, then the results, which begin as the residual.
  Problem problem(const Band& band, size_t group, float* memory) const;
  void compute(ptrdiff_t image, ptrdiff_t index, float* scratch) const;
  void cut(int threads);

  const std::vector<Chain>& groups_;
  const Geometry geometry_;
  const Halves halves_;
  Cut bands_;
  int sharing_ = 1;
  std::vector<Plan> plans_;  // of each band, for all its groups
  ptrdiff_t inner_ = 0;      // floats of scratch that the plans want
  ptrdiff_t band_ = 0;       // and those of a band
};

}  // namespace fastdw

// Of results that were just written, what a global average needs: the sums over the columns of each row.
#pragma once
#include "plan/plan.h"

namespace fastdw {

// Of whole rows of the only image.
inline void sum_rows(const Problem& p, const OutputRect& r) {
  const Output &y = p.out, &sums = p.sums;
  p.set().network.row_sums({y.at(0, r.row, 0, r.channel), y.row_stride, y.column_stride, r.rows, r.columns,
                            r.channels, sums.at(0, r.row, 0, r.channel), sums.row_stride});
}

}  // namespace fastdw

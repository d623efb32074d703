#include "pack/bytes.h"

#include <algorithm>
#include <cstring>

namespace fastdw {
namespace {

// Whether twice a sum of nine products is no more than 32 bits hold: as good as always.
bool doubles(const UnpackedWeights8& unpacked, ptrdiff_t outputs) {
  constexpr int32_t most = 1 << 29;
  return std::all_of(unpacked.bias, unpacked.bias + outputs, [](int32_t b) { return -most < b && b < most; });
}

const DwKernel8& choose_kernel(const Kernels8& set, const UnpackedWeights8& unpacked, const WindowShape& w,
                               ptrdiff_t channels, ptrdiff_t multiplier) {
  const bool threes = w.kernel_h == 3 && w.kernel_w == 3 && w.dilation_h == 1 && w.dilation_w == 1 &&
                      w.stride_h == w.stride_w && w.stride_h <= 2 && multiplier == 1;
  const bool fives = w.kernel_w == 5 && w.dilation_w == 1 && w.stride_w <= 2 && multiplier == 1;
  const DwKernel8* const own = threes  ? &set.depthwise_3x3[w.stride_h - 1]
                               : fives ? &set.depthwise_fives[w.stride_w - 1]
                                       : nullptr;
  if (!own || !own->run) return set.depthwise;
  return own->layout == Layout8::kDifferences && !doubles(unpacked, channels) ? set.depthwise : *own;
}

// What the sums of channel `f` start from, the zero point and the offset of the input taken off.
int32_t start_of(const Kernels8& set, const UnpackedWeights8& unpacked, ptrdiff_t taps, ptrdiff_t outputs,
                 ptrdiff_t f) {
  int64_t sum = 0;
  for (ptrdiff_t k = 0; k < taps; ++k) sum += unpacked.kernel[k * outputs + f];
  return static_cast<int32_t>(unpacked.bias[f] - (unpacked.input_zero + set.offset) * sum);
}

bool has_lowest(const UnpackedWeights8& unpacked, ptrdiff_t count) {
  return *std::min_element(unpacked.kernel, unpacked.kernel + count) == -128;
}

void put(uint8_t* to, const void* number) { std::memcpy(to, number, 4); }

// The weight at `place` of a lane.
void put_weight(const Kernels8& set, uint8_t* lane, ptrdiff_t place, int8_t value) {
  const int16_t wide = value;
  set.weight_bytes == 1 ? std::memcpy(lane + place, &value, 1) : std::memcpy(lane + 2 * place, &wide, 2);
}

}  // namespace

ByteMemory::ByteMemory(ptrdiff_t bytes) : bytes_(bytes), floats_(allocate_floats(ceil_div(bytes, 4))) {
  std::memset(get(), 0, static_cast<size_t>(bytes));
}

Depthwise8Weights::Depthwise8Weights(const Kernels8& set, const UnpackedWeights8& unpacked,
                                     const WindowShape& window, ptrdiff_t channels, ptrdiff_t multiplier,
                                     uint8_t input_flip, const Rescale8& rescale)
    : set(set),
      window(window),
      channels(channels),
      multiplier(multiplier),
      input_flip(input_flip),
      rescale(rescale),
      kernel(choose_kernel(set, unpacked, window, channels, multiplier)),
      lowest(has_lowest(unpacked, window.kernel_h * window.kernel_w * channels * multiplier)),
      outside(static_cast<size_t>(channels),
              static_cast<uint8_t>((unpacked.input_zero + set.offset) ^ input_flip)),
      packed_([&] {
        return checked_product(ceil_div(outputs(), group()), checked_product(group(), channel_bytes()));
      }()) {
  pack(unpacked);
}

ptrdiff_t Depthwise8Weights::lanes() const {
  const ptrdiff_t live = outputs() % group();
  return outputs() - live + (live > 0 ? group() / pairs_of(group(), live, most_pairs()) : 0);
}

// Of start, factor and taps.
ptrdiff_t Depthwise8Weights::channel_bytes() const {
  const int pair = 2 * kQuad * set.weight_bytes;
  switch (kernel.layout) {
    case Layout8::kQuads:
      return 8 + 3 * pair;
    case Layout8::kDifferences:
      return 8 + 4 * pair;
    case Layout8::kFives:
      return 8 + checked_product(window.kernel_h, pair * shifts_of_fives(window.stride_w));
    case Layout8::kTaps:
      break;
  }
  return 8 + checked_product(window.kernel_h, window.kernel_w);
}

void Depthwise8Weights::put_tap(uint8_t* weights, ptrdiff_t width, ptrdiff_t slot, ptrdiff_t tap,
                                int8_t value) const {
  const ptrdiff_t lane = kQuad / set.weight_bytes, row = tap / window.kernel_w, i = tap % window.kernel_w;
  const auto lane_of = [&](ptrdiff_t quad, ptrdiff_t place) {
    return weights + kQuad * ((quad * set.weight_bytes + place / lane) * width + slot);
  };
  const auto put_at = [&](ptrdiff_t quad, ptrdiff_t place) {
    put_weight(set, lane_of(quad, place), place % lane, value);
  };
  if (kernel.layout == Layout8::kFives) {
    const int shifts = shifts_of_fives(window.stride_w);
    for (int shift = 0; shift < shifts; ++shift) {
      const ptrdiff_t place = shift * window.stride_w + i;
      put_at(2 * (row * shifts + shift) + place / kQuad, place % kQuad);
    }
  } else if (kernel.layout == Layout8::kQuads) {
    put_at(2 * row, i);
    put_at(2 * row + 1, i + 1);
  } else if (kernel.layout == Layout8::kDifferences) {
    constexpr int kTimes[3][4] = {{2, 1, 1, 0}, {0, 1, -1, 0}, {0, 1, 1, -2}};
    for (int k = 0; k < 4; ++k) {
      for (int second = 0; second < 2; ++second) {
        const ptrdiff_t place = row + second;
        uint8_t* const at = lane_of(2 * k + second, place) + 2 * (place % lane);
        int16_t sum;
        std::memcpy(&sum, at, 2);
        sum = static_cast<int16_t>(sum + kTimes[i][k] * value);
        std::memcpy(at, &sum, 2);
      }
    }
  } else {
    weights[tap * width + slot] = static_cast<uint8_t>(value);
  }
}

void Depthwise8Weights::pack(const UnpackedWeights8& unpacked) {
  const ptrdiff_t taps = window.kernel_h * window.kernel_w, count = outputs();
  const ptrdiff_t width = group();
  const int times = kernel.layout == Layout8::kDifferences ? 2 : 1;
  uint8_t* w = packed_.get();
  for (ptrdiff_t c0 = 0; c0 < count; c0 += width) {
    uint8_t* const weights = w + 8 * width;
    const ptrdiff_t chunk = width / pairs_of(width, count - c0, most_pairs());
    for (ptrdiff_t slot = 0; slot < width; ++slot) {
      const ptrdiff_t c =
          c0 + channel_of(vectors(), static_cast<int>(slot / set.lanes), static_cast<int>(slot % set.lanes)) %
                   chunk;
      // Factors stand in the order of the sums too.
      if (c >= count) continue;
      const int32_t start = times * start_of(set, unpacked, taps, count, c);
      const float factor = unpacked.factors[c] / static_cast<float>(times);
      put(w + 4 * slot, &start);
      put(w + 4 * (width + slot), &factor);
      for (ptrdiff_t tap = 0; tap < taps; ++tap) {
        put_tap(weights, width, slot, tap, unpacked.kernel[tap * count + c]);
      }
    }
    w += width * channel_bytes();
  }
}

Pointwise8Weights::Pointwise8Weights(const Kernels8& set, const UnpackedWeights8& unpacked, ptrdiff_t inputs,
                                     ptrdiff_t outputs, uint8_t input_flip, const Rescale8& rescale)
    : set(set),
      inputs(inputs),
      outputs(outputs),
      input_flip(input_flip),
      lowest(has_lowest(unpacked, inputs * outputs)),
      outside(static_cast<uint8_t>(unpacked.input_zero + set.offset)),
      rescale(rescale),
      packed_(checked_product(ceil_div(outputs, set.lanes) * set.lanes, channel_bytes())) {
  const ptrdiff_t dot = set.dot_inputs;
  for (ptrdiff_t i = 0; i < panels(); ++i) {
    const Panel p = panel(i);
    const ptrdiff_t width = p.vectors * set.lanes;
    uint8_t* const w = packed_.get() + (p.weights - packed_.get());
    for (ptrdiff_t slot = 0; slot < width; ++slot) {
      const ptrdiff_t c =
          channel_of(p.vectors, static_cast<int>(slot / set.lanes), static_cast<int>(slot % set.lanes));
      if (c >= p.channels) continue;
      const int32_t start = start_of(set, unpacked, inputs, outputs, p.first + c);
      put(w + 4 * slot, &start);
      put(w + 4 * (width + slot), &unpacked.factors[p.first + c]);
      for (ptrdiff_t k = 0; k < inputs; ++k) {
        put_weight(set, w + 8 * width + dot * set.weight_bytes * (k / dot * width + slot), k % dot,
                   unpacked.kernel[k * outputs + p.first + c]);
      }
    }
  }
}

Pointwise8Weights::Panel Pointwise8Weights::panel(ptrdiff_t i) const {
  const ptrdiff_t first = i * width();
  const auto channels = static_cast<int>(std::min(outputs - first, width()));
  return {first, channels, static_cast<int>(ceil_div(channels, set.lanes)),
          packed_.get() + first * channel_bytes()};
}

}  // namespace fastdw

// The words of the 8-bit kernels (words8.inc) in portable C++: four sums a vector.
#pragma once
#include <cstring>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace scalar {
namespace {

struct Bytes {
  static constexpr int lanes = 4, offset = 128, tap_vectors = 1, most_pairs = 1;
  static constexpr int quad_vectors = 4, weight_bytes = 1;
  static constexpr bool dots_by_lane = false;
  struct Ints {
    int32_t v[lanes];
  };
  using Pixel = Ints;
  using Quad = Ints;

  static Ints load(const uint8_t* p) {
    Ints r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static Ints broadcast(const uint8_t* p) {
    Ints r;
    for (int32_t& lane : r.v) std::memcpy(&lane, p, sizeof lane);
    return r;
  }
  static Ints widen(const uint8_t* p, int n, uint8_t flip) {
    Ints r = {};
    for (int i = 0; i < n; ++i) r.v[i] = p[i] ^ flip;
    return r;
  }
  static Ints widen_signed(const uint8_t* p) {
    Ints r;
    for (int i = 0; i < lanes; ++i) r.v[i] = static_cast<int8_t>(p[i]);
    return r;
  }
  static void multiply_add(Ints (&acc)[1], Ints a, Ints b) {
    for (int i = 0; i < lanes; ++i) acc[0].v[i] += a.v[i] * b.v[i];
  }
  static void dot(Ints& acc, Ints x, Ints w) {
    uint8_t a[4 * lanes];
    int8_t b[4 * lanes];
    std::memcpy(a, x.v, sizeof a);
    std::memcpy(b, w.v, sizeof b);
    for (int i = 0; i < 4 * lanes; ++i) acc.v[i / 4] += a[i] * b[i];
  }
  static void dot_memory(Ints& acc, Ints x, const uint8_t* w) { dot(acc, x, load(w)); }
  template <int P>
  static Ints chunks(const uint8_t* const (&pixels)[P], int n, uint8_t flip) {
    static_assert(P == 1);
    uint8_t bytes[4 * lanes] = {};
    for (int i = 0; i < 4 * lanes && i < n; ++i) bytes[i] = pixels[0][i] ^ flip;
    return load(bytes);
  }
  static void interleave(const Ints (&pixels)[4], Ints (&quad)[4]) {
    uint8_t from[4][4 * lanes];
    std::memcpy(from, pixels, sizeof from);
    for (int i = 0; i < 4 * lanes; ++i) {
      const uint8_t bytes[4] = {from[0][i], from[1][i], from[2][i], from[3][i]};
      std::memcpy(&quad[i / lanes].v[i % lanes], bytes, 4);
    }
  }

  struct Table {
    static constexpr ptrdiff_t width = 8;
    const uint8_t* table;
    explicit Table(const uint8_t* entries) : table(entries) {}

    void look_up(const uint8_t* x, uint8_t* y) const {
      for (ptrdiff_t i = 0; i < width; ++i) y[i] = table[x[i]];
    }
  };

  // Read where they are needed.
  template <int>
  using Factors = const uint8_t*;

  struct Rescale {
    Rescale8 r;
    explicit Rescale(const Rescale8& rescale) : r(rescale) {}

    template <int NV>
    void store(const Ints (&acc)[NV], const uint8_t* factors, uint8_t* y, int n) const {
      for (int i = 0; i < NV * lanes && i < n; ++i) {
        float factor;
        std::memcpy(&factor, factors + i * 4, 4);
        y[i] = r(static_cast<float>(acc[i / lanes].v[i % lanes]) * factor);
      }
    }
    template <int P>
    void store_chunks(const Ints (&acc)[4], const uint8_t* factors, uint8_t* y, ptrdiff_t, int n, int) const {
      store<4>(acc, factors, y, n);
    }
  };
};

}  // namespace
}  // namespace scalar
}  // namespace fastdw

// The words of the 8-bit kernels (words8.inc) with AVX2: eight sums a vector. Products are of 16 bits, by
// pairs: vpmaddubsw would saturate.
#pragma once
#include <immintrin.h>

#include "kernels/contract8.h"
#include "simd/compiler.h"
#include "simd/unroll.h"

namespace fastdw {
namespace avx2 {
namespace {

template <class T>
FASTDW_INLINE T number(const uint8_t* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

// The first n < 8 bytes.
FASTDW_INLINE uint64_t some_bytes(const uint8_t* p, int n) {
  uint64_t bytes = n & 4 ? number<uint32_t>(p) : 0;
  if (n & 2) bytes |= uint64_t{number<uint16_t>(p + (n & 4))} << 8 * (n & 4);
  if (n & 1) bytes |= uint64_t{p[n - 1]} << 8 * (n - 1);
  return bytes;
}

// The first n of sixteen, zeros behind them.
FASTDW_INLINE __m128i load_bytes(const uint8_t* p, int n) {
  if (n >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const uint64_t low = n >= 8 ? number<uint64_t>(p) : some_bytes(p, n);
  const uint64_t high = n > 8 ? some_bytes(p + 8, n - 8) : 0;
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

FASTDW_INLINE void store_bytes(uint8_t* y, __m128i bytes, int n) {
  if (n >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(y), bytes);
  uint64_t some = static_cast<uint64_t>(_mm_cvtsi128_si64(bytes));
  if (n & 8) {
    __builtin_memcpy(y, &some, 8);
    some = static_cast<uint64_t>(_mm_extract_epi64(bytes, 1));
    y += 8;
  }
  for (const int size : {4, 2, 1}) {
    if (!(n & size)) continue;
    __builtin_memcpy(y, &some, static_cast<size_t>(size));
    some >>= 8 * size;
    y += size;
  }
}

struct Bytes {
  static constexpr int lanes = 8, offset = 128, tap_vectors = 1, quad_vectors = 2, most_pairs = 1;
  static constexpr int weight_bytes = 2;
  static constexpr bool dots_by_lane = false;
  using Ints = __m256i;
  using Pixel = Ints;
  // Of four pixels, in 16 bits: the first two, and the others.
  struct Quad {
    Ints first, second;
  };

  static FASTDW_INLINE Ints load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static FASTDW_INLINE Ints broadcast(const void* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  static FASTDW_INLINE Ints widen(const uint8_t* p, int n, uint8_t flip) {
    const __m128i sign = _mm_set1_epi8(static_cast<char>(flip));
    const __m128i bytes = n >= lanes ? _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))
                                     : _mm_cvtsi64_si128(static_cast<long long>(some_bytes(p, n)));
    return _mm256_cvtepu8_epi32(_mm_xor_si128(bytes, sign));
  }
  static FASTDW_INLINE Ints widen_signed(const uint8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  // The upper halves of a's lanes are 0.
  static FASTDW_INLINE void multiply_add(Ints (&acc)[1], Ints a, Ints b) { dot(acc[0], a, b); }

  static FASTDW_INLINE void dot(Ints& acc, Ints x, Ints w) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
  }
  static FASTDW_INLINE void widen_line(const uint8_t* x, ptrdiff_t count, int16_t* y) {
    for (; count > 0; count -= 16, x += 16, y += 16) {
      const __m128i bytes = load_bytes(x, static_cast<int>(count < 16 ? count : 16));
      _mm256_store_si256(reinterpret_cast<__m256i*>(y), _mm256_cvtepu8_epi16(bytes));
    }
  }

  static FASTDW_INLINE void dot_memory(Ints& acc, const Quad& x, const uint8_t* w) {
    add_products(acc, x.first, w);
    add_products(acc, x.second, w + quad_vectors * sizeof(Ints));
  }
  template <int P>
  static FASTDW_INLINE Ints chunks(const uint8_t* const (&pixels)[P], int n, uint8_t flip) {
    static_assert(P == 1);
    return _mm256_cvtepu8_epi16(
        _mm_xor_si128(load_bytes(pixels[0], n), _mm_set1_epi8(static_cast<char>(flip))));
  }
  static FASTDW_INLINE void interleave(const Ints (&pixels)[4], Quad (&quad)[2]) {
    quad[0] = {_mm256_unpacklo_epi16(pixels[0], pixels[1]), _mm256_unpacklo_epi16(pixels[2], pixels[3])};
    quad[1] = {_mm256_unpackhi_epi16(pixels[0], pixels[1]), _mm256_unpackhi_epi16(pixels[2], pixels[3])};
  }

  static FASTDW_INLINE void differences(Ints (&pixels)[4]) {
    const Ints x1 = pixels[1], x2 = pixels[2];
    pixels[0] = _mm256_sub_epi16(pixels[0], x2);
    pixels[1] = _mm256_add_epi16(x1, x2);
    pixels[2] = _mm256_sub_epi16(x2, x1);
    pixels[3] = _mm256_sub_epi16(x1, pixels[3]);
  }
  static FASTDW_INLINE void pairs(Ints a, Ints b, Ints (&pairs)[2]) {
    pairs[0] = _mm256_unpacklo_epi16(a, b);
    pairs[1] = _mm256_unpackhi_epi16(a, b);
  }
  static FASTDW_INLINE void sum_and_difference(Ints& a, Ints& b) {
    const Ints sum = _mm256_add_epi32(a, b);
    b = _mm256_sub_epi32(a, b);
    a = sum;
  }

  // Sixteen entries a shuffle, which gives 0 where the highest bit of an index is set. Each part holds what
  // changes from the part before it: as long as a byte less 16, 32, … is no less than 0 all parts that it
  // passes add up, exclusively, to the entry. The upper half of bytes does so on its own.
  struct Table {
    static constexpr ptrdiff_t width = 32;
    Ints changes[16];
    explicit FASTDW_INLINE Table(const uint8_t* table) {
      for (int i = 0; i < 16; ++i) {
        __m128i part = load_bytes(table + 16 * i, 16);
        if (i % 8) part = _mm_xor_si128(part, load_bytes(table + 16 * (i - 1), 16));
        changes[i] = _mm256_broadcastsi128_si256(part);
      }
    }

    FASTDW_INLINE void look_up(const uint8_t* x, uint8_t* y) const {
      const Ints sixteen = _mm256_set1_epi8(16);
      Ints low = load(x), high = _mm256_xor_si256(low, _mm256_set1_epi8(-128));
      Ints entries = _mm256_setzero_si256();
      unroll<8>([&](auto i) FASTDW_INLINE_LAMBDA {
        entries = _mm256_xor_si256(entries, _mm256_shuffle_epi8(changes[i], low));
        entries = _mm256_xor_si256(entries, _mm256_shuffle_epi8(changes[8 + i], high));
        low = _mm256_subs_epi8(low, sixteen);
        high = _mm256_subs_epi8(high, sixteen);
      });
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), entries);
    }
  };

  // Read where they are needed.
  template <int>
  using Factors = const uint8_t*;

  struct Rescale {
    const Rescale8& r;
    explicit FASTDW_INLINE Rescale(const Rescale8& rescale) : r(rescale) {}

    template <int NV>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const uint8_t* factors, uint8_t* y, int n) const {
      store_bytes(y, bytes_of<NV>(acc, factors), n);
    }

    template <int P>
    FASTDW_INLINE void store_chunks(const Ints (&acc)[2], const uint8_t* factors, uint8_t* y, ptrdiff_t,
                                    int n, int) const {
      store<2>(acc, factors, y, n);
    }

   private:
    // As they are stored, the channels in their order from the lowest byte on.
    template <int NV>
    FASTDW_INLINE __m128i bytes_of(const Ints (&acc)[NV], const uint8_t* factors) const {
      static_assert(NV <= 2);
      Ints rounded[NV];
      const bool saturates = r.saturates;
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        const __m256 factor = _mm256_loadu_ps(reinterpret_cast<const float*>(factors + v * 32));
        __m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[v]), factor);
        if (!saturates) {
          t = _mm256_min_ps(_mm256_max_ps(t, _mm256_set1_ps(r.low)), _mm256_set1_ps(r.high));
        }
        rounded[v] = _mm256_cvtps_epi32(t);
      });
      // Each half holds channels side by side.
      Ints all = _mm256_packs_epi32(rounded[0], rounded[NV - 1]);
      if (!saturates) all = _mm256_adds_epi16(all, _mm256_set1_epi16(static_cast<int16_t>(r.zero_point)));
      __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
      if constexpr (NV == 1) bytes = _mm_shuffle_epi32(bytes, _MM_SHUFFLE(3, 1, 2, 0));
      return _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(r.flip)));
    }
  };

 private:
  // By hand, for GCC 12 keeps products of several rows in memory until a branch wants their sum.
  static FASTDW_INLINE void add_products(Ints& acc, Ints x, const uint8_t* w) {
    Ints products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
            : "+x"(acc), "=&x"(products)
            : "x"(x), "m"(*reinterpret_cast<const __m256i_u*>(w)));
  }
};

}  // namespace
}  // namespace avx2
}  // namespace fastdw

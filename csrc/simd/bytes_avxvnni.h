// The words of the 8-bit kernels (words8.inc) with AVX-VNNI: those of AVX2, but dot products of four bytes.
#pragma once
#include "simd/bytes_avx2.h"

// AVX-512 has the same instruction in another encoding. A build for tests (CMakeLists.txt) takes that.
#if defined(FASTDW_EVEX_DOTS)
#define FASTDW_VPDPBUSD "%{evex%} vpdpbusd %2, %1, %0"
#else
#define FASTDW_VPDPBUSD "%{vex%} vpdpbusd %2, %1, %0"
#endif

namespace fastdw {
namespace avxvnni {
namespace {

struct Bytes : avx2::Bytes {
  static constexpr int weight_bytes = 1;
  using Pixel = __m128i;
  using Quad = Ints;

  static FASTDW_INLINE void dot(Ints& acc, Ints x, Ints w) {
    __asm__(FASTDW_VPDPBUSD : "+x"(acc) : "x"(x), "x"(w));
  }
  static FASTDW_INLINE void dot_memory(Ints& acc, Ints x, const uint8_t* w) {
    __asm__(FASTDW_VPDPBUSD : "+x"(acc) : "x"(x), "m"(*reinterpret_cast<const __m256i_u*>(w)));
  }
  template <int P>
  static FASTDW_INLINE Pixel chunks(const uint8_t* const (&pixels)[P], int n, uint8_t flip) {
    static_assert(P == 1);
    return _mm_xor_si128(avx2::load_bytes(pixels[0], n), _mm_set1_epi8(static_cast<char>(flip)));
  }
  static FASTDW_INLINE void interleave(const Pixel (&pixels)[4], Quad (&quad)[2]) {
    const auto pair = [](Pixel a, Pixel b) FASTDW_INLINE_LAMBDA {
      return _mm256_set_m128i(_mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b));
    };
    const Ints ab = pair(pixels[0], pixels[1]), cd = pair(pixels[2], pixels[3]);
    quad[0] = _mm256_unpacklo_epi16(ab, cd);
    quad[1] = _mm256_unpackhi_epi16(ab, cd);
  }
};

}  // namespace
}  // namespace avxvnni
}  // namespace fastdw

// Every word of Bytes alone, on the instruction set FASTDW_SET with its header FASTDW_BYTES, against plain
// C++: csrc/simd/words8.inc says what it means. Prints each word before it runs, so that a crash has a name,
// then what is wrong. A word of words8.inc without a test here does not compile.
#include "words.h"

#include FASTDW_BYTES

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "simd/unroll.h"

// The families of words8.inc that a set has.
#define LANES_scalar 1
#define LANES_avx2 1
#define LANES_avxvnni 1
#define LANES_avx512vnni 1
#define LANES_dotprod 1
#define QUADS_scalar 1
#define QUADS_avx2 1
#define QUADS_avxvnni 1
#define QUADS_avx512vnni 1
#define COLUMNS_avx2 1
#define WIDENED_avx2 1
#define NEON_neon 1
#define NEON_dotprod 1
#define NEON_i8mm 1
#define PAIRS_neon 1
#define ROWS_dotprod 1
#define BLOCKS_i8mm 1

namespace fastdw {
namespace FASTDW_SET {
namespace {

using Ints = Bytes::Ints;
using Page = GuardedPage<uint8_t>;
using Line = std::vector<uint8_t>;

constexpr int lanes = Bytes::lanes, vector_bytes = 4 * lanes;
constexpr uint8_t kFlips[] = {0, 0x80};
constexpr int tap_vectors = Bytes::tap_vectors, tap_group = tap_vectors * lanes;
static_assert(sizeof(Ints) == vector_bytes);
static_assert(Bytes::offset == 0 || Bytes::offset == 128);

// A byte inside as the number that it stands for there, and a weight.
int32_t inside(uint8_t byte) { return Bytes::offset ? byte : static_cast<int8_t>(byte); }
int32_t weight(uint8_t byte) { return static_cast<int8_t>(byte); }

// Bytes drawn at random (a multiplicative hash), every third one an end of the range.
uint8_t drawn(uint32_t i) {
  constexpr uint8_t kEnds[] = {0, 255, 127, 128};
  const uint32_t u = (i + 1) * 0x9e3779b1u;
  const uint32_t mixed = (u ^ u >> 15) * 0x85ebca77u;
  return i % 3 == 2 ? kEnds[mixed >> 30] : static_cast<uint8_t>(mixed >> 24);
}
Line drawn_line(int size, uint32_t first) {
  Line line(static_cast<size_t>(size));
  for (uint8_t& byte : line) byte = drawn(first++);
  return line;
}

// Where `size` bytes lie: at both ends of a page and between, as a copy of `bytes` or to be written.
template <class Test>
void for_places(const Page& page, int size, const Test& test) {
  for (uint8_t* const p : {page.begin, page.begin + 1, page.end - size}) test(p);
}
uint8_t* at_end(const Page& page, const Line& line) {
  uint8_t* const p = page.end - line.size();
  std::memcpy(p, line.data(), line.size());
  return p;
}

template <class T, class Vector>
std::vector<T> parts_of(const Vector& vector) {
  std::vector<T> parts(sizeof vector / sizeof(T));
  std::memcpy(parts.data(), &vector, sizeof vector);
  return parts;
}
Ints ints(const void* p) {
  Ints r;
  std::memcpy(&r, p, sizeof r);
  return r;
}
template <int NV>
void fill(Ints (&acc)[NV], int32_t with) {
  const std::vector<int32_t> all(lanes, with);
  for (Ints& v : acc) v = ints(all.data());
}

// Lane by lane: `wanted` is a function of the lane.
template <class Wanted>
void expect(Ints got, const Wanted& wanted) {
  const auto lane = parts_of<int32_t>(got);
  for (int i = 0; i < lanes; ++i) {
    const int32_t w = wanted(i), g = lane[static_cast<size_t>(i)];
    if (g != w) fail(i, static_cast<uint32_t>(g), static_cast<uint32_t>(w));
  }
}
// Channel by channel of a group.
template <int NV, class Wanted>
void expect_group(const Ints (&acc)[NV], const Wanted& wanted, int live = NV * lanes) {
  for (int v = 0; v < NV; ++v) {
    const auto got = parts_of<int32_t>(acc[v]);
    expect(acc[v], [&](int lane) {
      const auto c = static_cast<int>(channel_of(NV, v, lane));
      return c < live ? wanted(c) : got[static_cast<size_t>(lane)];
    });
  }
}
// Byte by byte.
template <class Wanted>
void expect_bytes(const uint8_t* got, int count, const Wanted& wanted) {
  for (int i = 0; i < count; ++i) {
    const uint8_t w = wanted(i);
    if (got[i] != w) fail(i, got[i], w);
  }
}
// What a page holds that was filled with 0xa5 before.
template <class Wanted>
void expect_written(const Page& page, const uint8_t* y, int count, const Wanted& wanted) {
  expect_bytes(page.begin, static_cast<int>(page.end - page.begin), [&](int i) {
    const ptrdiff_t at = page.begin + i - y;
    return at >= 0 && at < count ? wanted(static_cast<int>(at)) : uint8_t{0xa5};
  });
}

void test_load() {
  Page page;
  const Line line = drawn_line(vector_bytes, 0);
  for_places(page, vector_bytes, [&](uint8_t* p) {
    std::memcpy(p, line.data(), line.size());
    const auto got = parts_of<uint8_t>(Bytes::load(p));
    expect_bytes(got.data(), vector_bytes, [&](int i) { return line[static_cast<size_t>(i)]; });
  });
}

// A group of bytes of one value, inside or as weights.
auto widened(uint8_t byte) { return Bytes::widen(Line(tap_group, byte).data(), tap_group, 0); }
auto widened_weights(uint8_t byte) { return Bytes::widen_signed(Line(tap_group, byte).data()); }

// What widens is seen through its product with one.
void test_widen() {
  Page page;
  const auto one = widened_weights(1);
  for (int n = 1; n <= tap_group; ++n) {
    for_places(page, n, [&](uint8_t* p) {
      for (const uint8_t flip : kFlips) {
        for (int first = 0; first < 256; ++first) {
          const auto byte = [&](int i) { return static_cast<uint8_t>(first + 37 * i); };
          for (int i = 0; i < n; ++i) p[i] = byte(i);
          Ints acc[tap_vectors];
          fill(acc, 0);
          Bytes::multiply_add(acc, Bytes::widen(p, n, flip), one);
          expect_group(acc, [&](int c) { return inside(byte(c) ^ flip); }, n);
        }
      }
    });
  }
}
void test_widen_signed() {
  Page page;
  const auto one = widened(1);
  for_places(page, tap_group, [&](uint8_t* p) {
    for (int first = 0; first < 256; ++first) {
      const auto byte = [&](int i) { return static_cast<uint8_t>(first + 37 * i); };
      for (int i = 0; i < tap_group; ++i) p[i] = byte(i);
      Ints acc[tap_vectors];
      fill(acc, 0);
      Bytes::multiply_add(acc, one, Bytes::widen_signed(p));
      expect_group(acc, [&](int c) { return weight(byte(c)); });
    }
  });
}
// All pairs, on sums that are more than 16 bits.
void test_multiply_add() {
  for (int a = 0; a < 256; ++a) {
    const auto x = widened(static_cast<uint8_t>(a));
    for (int b = 0; b < 256; ++b) {
      Line weights(tap_group);
      for (int i = 0; i < tap_group; ++i) weights[static_cast<size_t>(i)] = static_cast<uint8_t>(b + i);
      Ints acc[tap_vectors];
      fill(acc, 1000000 * (a % 3 - 1));
      Bytes::multiply_add(acc, x, Bytes::widen_signed(weights.data()));
      expect_group(acc, [&](int c) {
        return 1000000 * (a % 3 - 1) +
               inside(static_cast<uint8_t>(a)) * weight(weights[static_cast<size_t>(c)]);
      });
    }
  }
}

void test_look_up() {
  constexpr int width = static_cast<int>(Bytes::Table::width);
  static_assert(256 % width == 0);
  Page entries, given, page;
  const Line table = drawn_line(256, 7);
  for_places(entries, 256, [&](uint8_t* e) {
    std::memcpy(e, table.data(), 256);
    const Bytes::Table held(e);
    for (int first = 0; first < 256; first += width) {
      // In an order of their own: neighbours of any place.
      const auto index = [&](int i) { return static_cast<uint8_t>(91 * (first + i) + 5); };
      uint8_t* const x = given.end - width;
      for (int i = 0; i < width; ++i) x[i] = index(i);
      for_places(page, width, [&](uint8_t* y) {
        page.fill(0xa5);
        held.look_up(x, y);
        expect_written(page, y, width, [&](int i) { return table[index(i)]; });
      });
      held.look_up(x, x);
      expect_bytes(x, width, [&](int i) { return table[index(i)]; });
    }
  });
}

#include "words8_rescale.inl"

#if PASTE(LANES_, FASTDW_SET)
#define IF_LANES(...) __VA_ARGS__
void test_broadcast() {
  Page page;
  for (uint32_t first = 0; first < 256; ++first) {
    const Line line = drawn_line(4, first);
    expect(Bytes::broadcast(at_end(page, line)), [&](int) {
      int32_t lane;
      std::memcpy(&lane, line.data(), 4);
      return lane;
    });
  }
}
#else
#define IF_LANES(...)
#endif
#if PASTE(QUADS_, FASTDW_SET)
#define IF_QUADS(...) __VA_ARGS__
#include "words8_quads.inl"
#else
#define IF_QUADS(...)
#endif
#if PASTE(COLUMNS_, FASTDW_SET)
#define IF_COLUMNS(...) __VA_ARGS__
#include "words8_columns.inl"
#else
#define IF_COLUMNS(...)
#endif
#if PASTE(WIDENED_, FASTDW_SET)
#define IF_WIDENED(...) __VA_ARGS__
void test_widen_line() {
  Page page;
  alignas(32) int16_t y[128];
  for (int count = 1; count <= 100; ++count) {
    const Line line = drawn_line(count, static_cast<uint32_t>(count));
    std::fill_n(y, 128, int16_t{-7});
    Bytes::widen_line(at_end(page, line), count, y);
    for (int i = 0; i < 128; ++i) {
      CHECK(y[i] == (i < count ? line[static_cast<size_t>(i)] : i < (count + 15) / 16 * 16 ? 0 : -7));
    }
  }
}
#else
#define IF_WIDENED(...)
#endif
#if PASTE(NEON_, FASTDW_SET)
#define IF_NEON(...) __VA_ARGS__
#include "words8_neon.inl"
#else
#define IF_NEON(...)
#endif
#if PASTE(PAIRS_, FASTDW_SET)
#define IF_PAIRS(...) __VA_ARGS__
#include "words8_pairs.inl"
#else
#define IF_PAIRS(...)
#endif
#if PASTE(ROWS_, FASTDW_SET)
#define IF_ROWS(...) __VA_ARGS__
#include "words8_rows.inl"
#else
#define IF_ROWS(...)
#endif
#if PASTE(BLOCKS_, FASTDW_SET)
#define IF_BLOCKS(...) __VA_ARGS__
#include "words8_blocks.inl"
#else
#define IF_BLOCKS(...)
#endif
#define IF_ALL(...) __VA_ARGS__

const Word kWords[] = {
#define FASTDW_NAME8(family, name, meaning)
#define FASTDW_WORD8(family, name, form, meaning) IF_##family({form, meaning, test_##name}, )
#include "simd/words8.inc"
};

}  // namespace
}  // namespace FASTDW_SET
}  // namespace fastdw

int main() { return run_alone(QUOTE(FASTDW_SET), fastdw::FASTDW_SET::kWords); }

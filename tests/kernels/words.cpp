// Every word of Vec alone, on the instruction set FASTDW_SET with its header FASTDW_VEC, against plain C++:
// csrc/simd/vec.h says what it means. Prints each word before it runs, so that a crash has a name, then what
// is wrong. A word of words.inc without a test here does not compile, nor does a test without a word.
#include "floats.h"

#include FASTDW_VEC

#define IS_SCALAR_scalar 1
#define IS_AVX512_avx512 1
#define IS_NEON_neon 1

namespace fastdw {
namespace FASTDW_SET {
namespace {

constexpr int lanes = Vec::lanes;

// Lane by lane: `wanted` is a function of the lane.
template <class Wanted>
void expect(Vec got, const Wanted& wanted, bool (*same)(float, float) = same_bits) {
  float lane[lanes];
  std::memcpy(lane, &got.v, sizeof lane);
  for (int i = 0; i < lanes; ++i) {
    const float w = wanted(i);
    if (!same(lane[i], w)) fail(i, lane[i], w);
  }
}

// Three vectors of operands, and their lanes.
struct Operands {
  float x[3][lanes];
  Vec a, b, c;
};

template <class Test>
void for_operands(const Test& test) {
  for (uint32_t first = 0; first < kOperands; first += lanes) {
    Operands o;
    for (int k = 0; k < 3; ++k) {
      for (int i = 0; i < lanes; ++i) o.x[k][i] = operand(k, first + static_cast<uint32_t>(i));
    }
    std::memcpy(&o.a.v, o.x[0], sizeof o.a.v);
    std::memcpy(&o.b.v, o.x[1], sizeof o.b.v);
    std::memcpy(&o.c.v, o.x[2], sizeof o.c.v);
    test(o);
  }
}

// A word of one, two or three vectors, of which each lane is a function of the same lanes.
template <class Word, class Plain>
void unary(const Word& word, const Plain& plain, bool (*same)(float, float) = same_bits) {
  for_operands([&](const Operands& o) { expect(word(o.a), [&](int i) { return plain(o.x[0][i]); }, same); });
}
template <class Word, class Plain>
void binary(const Word& word, const Plain& plain, bool (*same)(float, float) = same_bits) {
  for_operands([&](const Operands& o) {
    expect(word(o.a, o.b), [&](int i) { return plain(o.x[0][i], o.x[1][i]); }, same);
  });
}
template <class Word, class Plain>
void ternary(const Word& word, const Plain& plain, bool (*same)(float, float) = same_bits) {
  for_operands([&](const Operands& o) {
    expect(word(o.a, o.b, o.c), [&](int i) { return plain(o.x[0][i], o.x[1][i], o.x[2][i]); }, same);
  });
}
// A word that moves lanes: lane i of the result is number source(i) of a and b in line.
template <class Word, class Source>
void moves(const Word& word, const Source& source) {
  for_operands([&](const Operands& o) {
    expect(word(o.a, o.b), [&](int i) { return o.x[source(i) / lanes][source(i) % lanes]; });
  });
}

// Distinct, of which two are NaNs.
float numbered(int i) {
  return from_bits(i % 5 == 1 ? 0xffc00000u + static_cast<uint32_t>(i)
                              : 0x3f800000u + static_cast<uint32_t>(16 * i));
}

Vec numbered_vector() {
  Vec v;
  float x[lanes];
  for (int i = 0; i < lanes; ++i) x[i] = numbered(i);
  std::memcpy(&v.v, x, sizeof x);
  return v;
}

void test_set1() {
  for (uint32_t i = 0; i < kOperands; ++i) {
    const float f = operand(0, i);
    expect(Vec::set1(f), [&](int) { return f; });
  }
}

void test_load() {
  Guarded page;
  for (int n = 0; n <= lanes; ++n) {
    for (float* const p : {page.begin, page.begin + 1, page.end - n}) {
      for (int i = 0; i < n; ++i) p[i] = numbered(i);
      expect(Vec::load(p, n), [&](int i) { return i < n ? numbered(i) : 0.0f; });
      if (n == lanes) expect(Vec::load(p, All{}), numbered);
    }
  }
}

void test_store() {
  Guarded page;
  const Vec v = numbered_vector();
  const float before = -77.0f;
  const auto written = [&](const float* p, int n) {
    for (const float* q = page.begin; q < page.end; ++q) {
      const float wanted = q >= p && q < p + n ? numbered(static_cast<int>(q - p)) : before;
      if (!same_bits(*q, wanted)) fail(static_cast<int>(q - p), *q, wanted);
    }
  };
  for (int n = 0; n <= lanes; ++n) {
    for (float* const p : {page.begin, page.begin + 1, page.end - n}) {
      page.fill(before);
      v.store(p, n);
      written(p, n);
      if (n < lanes) continue;
      page.fill(before);
      v.store(p, All{});
      written(p, n);
    }
  }
}

// Every half there is, and what fits each of `n` lanes at both ends of a page.
void test_load_half() {
  Guarded page;
  uint16_t* const begin = reinterpret_cast<uint16_t*>(page.begin);
  uint16_t* const end = reinterpret_cast<uint16_t*>(page.end);
  for (int n = 0; n <= lanes; ++n) {
    for (uint16_t* const p : {begin, begin + 1, end - n}) {
      for (uint32_t first = 0; first < 0x10000; first += lanes) {
        const auto half = [&](int i) { return static_cast<uint16_t>(first + static_cast<uint32_t>(i)); };
        for (int i = 0; i < n; ++i) p[i] = half(i);
        expect(Vec::load_half(p, n), [&](int i) { return i < n ? plain_widened(half(i)) : 0.0f; });
        if (n == lanes) expect(Vec::load_half(p, All{}), [&](int i) { return plain_widened(half(i)); });
        if (n < lanes && first > 64u * lanes) break;
      }
    }
  }
}

// What lies on halves, between two of them, and next to either; beyond the largest; and the operands.
void test_store_half() {
  Guarded page;
  uint16_t* const begin = reinterpret_cast<uint16_t*>(page.begin);
  uint16_t* const end = reinterpret_cast<uint16_t*>(page.end);
  const auto stores = [&](const Vec& v, const float* x, int n, uint16_t* p) {
    const uint16_t before = 0x5a5a;
    for (uint16_t* q = begin; q < end; ++q) *q = before;
    v.store_half(p, n);
    for (const uint16_t* q = begin; q < end; ++q) {
      const bool inside = q >= p && q < p + n;
      const uint16_t wanted = inside ? plain_narrowed(x[q - p]) : before;
      if (*q != wanted) fail(static_cast<int>(q - p), from_bits(*q), from_bits(wanted));
    }
  };
  const auto stores_all = [&](const Vec& v, const float* x) {
    uint16_t got[lanes];
    v.store_half(got, All{});
    for (int i = 0; i < lanes; ++i) {
      const uint16_t wanted = plain_narrowed(x[i]);
      if (got[i] != wanted) fail(i, from_bits(got[i]), from_bits(wanted));
    }
  };
  for_operands([&](const Operands& o) { stores_all(o.a, o.x[0]); });
  const uint32_t beside[] = {0, 1, 0xfff, 0x1000, 0x1001, 0x1fff};
  for (uint32_t half = 0; half < 0x10000; ++half) {
    float x[lanes];
    for (int i = 0; i < lanes; ++i) {
      // Of a subnormal half more bits are rounded away: half of what follows it is between two.
      const uint32_t wide = bits_of(plain_widened(static_cast<uint16_t>(half)));
      const uint32_t next = bits_of(plain_widened(static_cast<uint16_t>(half + 1)));
      const bool small = (half & 0x7c00) == 0;
      x[i] = from_bits(small && i % 2 ? wide + (next - wide) / 2 + static_cast<uint32_t>(i) - 2
                                      : wide + beside[static_cast<uint32_t>(i) % 6]);
      if (is_nan(x[i])) x[i] = from_bits(bits_of(x[i]) | 0x00400000u);
    }
    Vec v;
    std::memcpy(&v.v, x, sizeof x);
    stores_all(v, x);
    if (half % 4099 != 0) continue;
    for (int n = 0; n <= lanes; ++n) {
      for (uint16_t* const p : {begin, begin + 1, end - n}) stores(v, x, n, p);
    }
  }
}

void put_index(float* to, int index) {
  const int32_t value = index;
  std::memcpy(to, &value, sizeof value);
}

void test_spread() {
  Guarded page, indices;
  float* const index = indices.end - lanes;
  for (int n = 0; n <= lanes; ++n) {
    float* const p = page.end - n;
    for (int i = 0; i < n; ++i) p[i] = numbered(i);
    for (int step = 0; step < 2 * lanes; ++step) {
      const auto at = [&](int i) { return (i * step / 2 + step) % lanes; };
      for (int i = 0; i < lanes; ++i) put_index(index + i, at(i));
      expect(Vec::spread(p, n, index), [&](int i) { return at(i) < n ? numbered(at(i)) : 0.0f; });
    }
  }
}

void test_last_index() {
  Guarded indices;
  for (int n = 1; n <= lanes; ++n) {
    float* const index = indices.end - n;
    for (int i = 0; i < n; ++i) put_index(index + i, 100 + i);
    CHECK(Vec::last_index(index, n) == 99 + n);
    if (n == lanes) CHECK(Vec::last_index(index, All{}) == 99 + n);
  }
}

void test_add() {
  binary([](Vec a, Vec b) { return add(a, b); }, [](float a, float b) { return a + b; }, same_number);
}
void test_sub() {
  binary([](Vec a, Vec b) { return sub(a, b); }, [](float a, float b) { return a - b; }, same_number);
}
void test_mul() {
  binary([](Vec a, Vec b) { return mul(a, b); }, [](float a, float b) { return a * b; }, same_number);
}
void test_div() {
  binary([](Vec a, Vec b) { return div(a, b); }, [](float a, float b) { return a / b; }, same_number);
}

void test_sqrt() {
  unary([](Vec a) { return sqrt(a); }, [](float a) { return std::sqrt(a); }, same_number);
}

float plain_fma(float a, float b, float c) {
#if PASTE(IS_SCALAR_, FASTDW_SET)
  return a * b + c;
#else
  return std::fma(a, b, c);
#endif
}
void test_fma() {
  ternary([](Vec a, Vec b, Vec c) { return fma(a, b, c); }, plain_fma, same_number);
}

// `first` tells which of two numbers is wanted. Of two zeros any will do; where a alone is NaN, `nan` must
// come, or may.
template <class Word, class First>
void one_of_two(const Word& word, const First& first, bool nan) {
  for_operands([&](const Operands& o) {
    float got[lanes];
    const Vec v = word(o.a, o.b);
    std::memcpy(got, &v.v, sizeof got);
    for (int i = 0; i < lanes; ++i) {
      const float a = o.x[0][i], b = o.x[1][i];
      const float wanted = is_nan(b) || (is_nan(a) && !nan) ? b : is_nan(a) || first(a, b) ? a : b;
      const bool right = same_number(got[i], wanted) || (is_nan(a) && is_nan(got[i])) ||
                         (a == 0.0f && b == 0.0f && got[i] == 0.0f);
      if (!right) fail(i, got[i], wanted);
    }
  });
}
void test_min() {
  one_of_two([](Vec a, Vec b) { return min(a, b); }, [](float a, float b) { return a < b; }, false);
}
void test_max() {
  one_of_two([](Vec a, Vec b) { return max(a, b); }, [](float a, float b) { return a > b; }, false);
}
void test_max_or_nan() {
  one_of_two([](Vec a, Vec b) { return max_or_nan(a, b); }, [](float a, float b) { return a > b; }, true);
}

void test_select_less() {
  for_operands([](const Operands& o) {
    const auto less = [&](int i) { return o.x[0][i] < o.x[1][i]; };
    expect(select_less(o.a, o.b, o.c, o.a), [&](int i) { return o.x[less(i) ? 2 : 0][i]; });
    expect(select_less(o.a, o.b, o.b, o.c), [&](int i) { return o.x[less(i) ? 1 : 2][i]; });
  });
}

void test_abs() {
  unary([](Vec a) { return abs(a); }, [](float a) { return from_bits(bits_of(a) & 0x7fffffffu); });
}
void test_minus_abs() {
  unary([](Vec a) { return minus_abs(a); }, [](float a) { return from_bits(bits_of(a) | 0x80000000u); });
}
void test_copysign() {
  binary([](Vec a, Vec b) { return copysign(a, b); },
         [](float a, float b) { return from_bits((bits_of(a) & 0x7fffffffu) | (bits_of(b) & 0x80000000u)); });
}

template <int N>
void shifted_left() {
  unary([](Vec a) { return a.shift_left<N>(); }, [](float a) { return from_bits(bits_of(a) << N); });
}
void test_shift_left() {
  shifted_left<1>();
  shifted_left<19>();
  shifted_left<23>();
  shifted_left<31>();
}
template <int N>
void shifted_right() {
  unary([](Vec a) { return a.shift_right<N>(); }, [](float a) { return from_bits(bits_of(a) >> N); });
}
void test_shift_right() {
  shifted_right<1>();
  shifted_right<9>();
  shifted_right<23>();
  shifted_right<31>();
}
void test_add_bits() {
  binary([](Vec a, Vec b) { return add_bits(a, b); },
         [](float a, float b) { return from_bits(bits_of(a) + bits_of(b)); });
}
void test_look_up() {
  alignas(64) uint32_t table[16];
  for (uint32_t i = 0; i < 16; ++i) table[i] = 0xffc00000u + 0x01234567u * i;
  unary([&](Vec a) { return look_up(table, a); }, [&](float a) { return from_bits(table[bits_of(a) & 15]); });
}

void test_zip_low() {
  moves([](Vec a, Vec b) { return zip_low(a, b); }, [](int i) { return i / 2 + i % 2 * lanes; });
}
void test_zip_high() {
  moves([](Vec a, Vec b) { return zip_high(a, b); }, [](int i) { return (lanes + i) / 2 + i % 2 * lanes; });
}

#if PASTE(IS_AVX512_, FASTDW_SET)
#include "words_avx512.inl"
#endif
#if PASTE(IS_NEON_, FASTDW_SET)
#include "words_neon.inl"
#endif

// Every channel once, whole vectors as such, and `next` is what comes next.
void test_loops() {
  for (std::ptrdiff_t channels = 0; channels < 14 * lanes; ++channels) {
    const size_t vectors = static_cast<size_t>((channels + lanes - 1) / lanes);
    std::vector<int> in_line(vectors), shuffled(vectors);
    const auto live = [&](std::ptrdiff_t c, auto n) {
      bool right = c % lanes == 0;
      for (int i = 0; i < lanes; ++i) right = right && is_live(i, n) == (c + i < channels);
      return right;
    };
    for_vectors<Vec>(channels, [&](std::ptrdiff_t c, auto n) {
      CHECK(live(c, n));
      ++in_line[static_cast<size_t>(c / lanes)];
    });
    std::ptrdiff_t wanted = -1, first = -1;
    for_vectors_shuffled<Vec>(channels, 1000, [&](std::ptrdiff_t c, auto n, std::ptrdiff_t next) {
      CHECK(live(c, n));
      CHECK(wanted == -1 || c == wanted);
      if (first == -1) first = c;
      wanted = next;
      ++shuffled[static_cast<size_t>(c / lanes)];
    });
    CHECK(channels == 0 || wanted == 1000 + first);
    for (size_t i = 0; i < vectors; ++i) CHECK(in_line[i] == 1 && shuffled[i] == 1);
  }
}

const Word kWords[] = {
#define FASTDW_WORD(name, form, meaning) {form, meaning, test_##name},
#if PASTE(IS_AVX512_, FASTDW_SET)
#define FASTDW_WORD_AVX512 FASTDW_WORD
#else
#define FASTDW_WORD_AVX512(name, form, meaning)
#endif
#if PASTE(IS_NEON_, FASTDW_SET)
#define FASTDW_WORD_NEON FASTDW_WORD
#else
#define FASTDW_WORD_NEON(name, form, meaning)
#endif
#include "simd/words.inc"
    {"for_vectors(channels, step)", "and for_vectors_shuffled: each channel once", test_loops},
};

}  // namespace
}  // namespace FASTDW_SET
}  // namespace fastdw

int main() { return run_alone(QUOTE(FASTDW_SET), fastdw::FASTDW_SET::kWords); }

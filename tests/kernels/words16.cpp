// Every word of kernels on sums of halves alone, on FASTDW_SET with its header FASTDW_HALVES, against plain
// C++. Prints each word before it runs, so that a crash has a name, then what is wrong.
#include "words.h"

#include FASTDW_HALVES

#include <cmath>
#include <cstring>

#include "simd/unroll.h"

namespace fastdw {
namespace FASTDW_SET {
namespace {

constexpr int lanes = Halves::lanes;
const GuardedPage<uint16_t> page;
const GuardedPage<float> floats;

// Drawn at random, a multiplicative hash: any half that is no NaN and not infinite.
uint16_t drawn(uint32_t i) {
  const uint32_t u = (i + 1) * 0x9e3779b1u, mixed = (u ^ u >> 15) * 0x85ebca77u;
  return static_cast<uint16_t>((mixed >> 16 & 0x8000) | (mixed >> 8) % 0x7c00);
}

double number(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double size = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return half & 0x8000 ? -size : size;
}

// The half next to a number that float64 holds, of two the even one.
uint16_t rounded(double value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double size = std::fabs(value);
  int exponent = size < std::ldexp(1, -14) ? -14 : std::ilogb(size);
  const double steps = std::nearbyint(std::ldexp(size, 10 - exponent));
  const int bits = static_cast<int>(steps) + (exponent + 14) * 1024;  // a carry is the next exponent's
  return static_cast<uint16_t>(sign | (size >= 65520 ? 0x7c00 : bits));
}

struct Line {
  uint16_t halves[lanes];

  explicit Line(uint32_t first) {
    for (uint16_t& half : halves) half = drawn(first++);
  }
  explicit Line(const Halves& h) { std::memcpy(halves, &h, sizeof halves); }
  Halves vector() const { return Halves::load(halves); }
};

void compare(const Halves& got, const uint16_t (&wanted)[lanes]) {
  const Line line(got);
  for (int i = 0; i < lanes; ++i) {
    const bool zeros = (line.halves[i] | wanted[i]) == 0x8000;  // of either sign
    if (line.halves[i] != wanted[i] && !zeros) fail(i, line.halves[i], wanted[i]);
  }
}

void load_and_store() {
  const Line line(1);
  for (int n = 0; n <= lanes; ++n) {
    uint16_t wanted[lanes] = {};
    std::memcpy(wanted, line.halves, static_cast<size_t>(n) * 2);
    std::memcpy(page.end - n, line.halves, static_cast<size_t>(n) * 2);
    compare(Halves::load(page.end - n, n), wanted);
    for (int i = 0; i <= n; ++i) page.end[-1 - i] = 7;
    line.vector().store(page.end - n, n);
    for (int i = 0; i < n; ++i) CHECK(page.end[i - n] == line.halves[i]);
    CHECK(page.end[-1 - n] == 7);
  }
}

void same_in_all_lanes() {
  uint16_t wanted[lanes];
  for (uint16_t& half : wanted) half = 0x4321;
  page.end[-1] = 0x4321;
  compare(Halves::set1(0x4321), wanted);
  compare(Halves::broadcast(page.end - 1), wanted);
  for (uint16_t& half : wanted) half = 0;
  compare(Halves::zero(), wanted);
}

// Float64 drops nothing of a sum that decides how it is rounded.
void multiply_adds() {
  for (uint32_t i = 0; i < 20000; i += 3 * lanes) {
    const Line a(i), b(i + lanes), c(i + 2 * lanes);
    uint16_t wanted[lanes];
    for (int j = 0; j < lanes; ++j) {
      wanted[j] = rounded(number(a.halves[j]) * number(b.halves[j]) + number(c.halves[j]));
    }
    Halves sum = c.vector();
    multiply_add(sum, a.vector(), b.vector());
    compare(sum, wanted);
    unroll<lanes>([&](auto lane) {
      for (int j = 0; j < lanes; ++j) {
        wanted[j] = rounded(number(a.halves[lane]) * number(b.halves[j]) + number(c.halves[j]));
      }
      sum = c.vector();
      multiply_add_lane<lane>(sum, a.vector(), b.vector());
      compare(sum, wanted);
    });
  }
}

void clamps() {
  for (uint32_t i = 0; i < 1000; i += lanes) {
    const Line a(i);
    uint16_t wanted[lanes];
    for (int j = 0; j < lanes; ++j) {
      wanted[j] = rounded(std::fmin(6, std::fmax(-2, number(a.halves[j]))));
    }
    compare(clamp(a.vector(), Halves::set1(0xc000), Halves::set1(0x4600)), wanted);
  }
}

void totals() {
  for (uint32_t i = 0; i < 20000; i += 2 * lanes) {
    const Line a(i), b(i + lanes);
    float* const p = floats.end - lanes;
    uint16_t wanted[lanes];
    for (int j = 0; j < lanes; ++j) {
      p[j] = static_cast<float>(number(b.halves[j]) * 1.0009765625);
      const float total = p[j] + static_cast<float>(number(a.halves[j]));
      wanted[j] = rounded(total);
    }
    const Totals sums = Totals::load(p).plus(a.vector());
    compare(sums.rounded(), wanted);
    sums.store(p);
    for (int j = 0; j < lanes; ++j) CHECK(std::isinf(p[j]) || rounded(p[j]) == wanted[j] || p[j] == 0);
  }
}

constexpr Word kWords[] = {
    {"load(p, n), store(p, n)", "n halves, and no byte beside them", load_and_store},
    {"zero(), set1(bits), broadcast(p)", "one half in all lanes", same_in_all_lanes},
    {"multiply_add, multiply_add_lane", "a·b + sum, by one rounding", multiply_adds},
    {"clamp(a, low, high)", "min(high, max(low, a))", clamps},
    {"Totals", "as many floats: plus halves, rounded to halves", totals},
};

}  // namespace
}  // namespace FASTDW_SET
}  // namespace fastdw

int main() { return run_alone(QUOTE(FASTDW_SET), fastdw::FASTDW_SET::kWords); }

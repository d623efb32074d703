// For words8.cpp: the words of SDOT.

static_assert(Bytes::dots_by_lane);

void test_dot_lane() {
  for (uint32_t first = 0; first < 2000; ++first) {
    Line x = drawn_line(16, first), w = drawn_line(16, first + 500);
    if (first % 10 == 0) x = w = Line(16, 0x80);
    unroll<4>([&](auto lane) {
      Ints acc[1];
      fill(acc, 70000);
      Bytes::dot_lane<lane>(acc[0], Bytes::load(x.data()), Bytes::load(w.data()));
      expect(acc[0], [&](int i) {
        int32_t sum = 70000;
        for (int k = 0; k < 4; ++k) {
          sum += inside(x[static_cast<size_t>(4 * lane + k)]) * weight(w[static_cast<size_t>(4 * i + k)]);
        }
        return sum;
      });
    });
  }
}

template <int S>
void meets_rows() {
  Page page;
  for (uint32_t first = 0; first < 300; ++first) {
    const Window8<S> window(first, -128);
    for (int i = 0; i < 3; ++i) {
      const uint8_t of = kFlips[first % 2];
      Line taps(S == 1 ? 64 : 32);
      for (int c = 0; c < 8; ++c) {
        for (int j = 0; j < 3; ++j) {
          const auto w = static_cast<uint8_t>(window.tap(i, j, c));
          taps[static_cast<size_t>(4 * c + j)] = w;
          if (S == 1) taps[static_cast<size_t>(32 + 4 * c + j + 1)] = w;
        }
      }
      Ints acc[2][2];
      fill(acc[0], -70000);
      fill(acc[1], 70000);
      Bytes::meet(acc, Bytes::Row::of<S>(window.pixel[i], Bytes::flip(of)),
                  Bytes::Taps::load<S>(at_end(page, taps)));
      for (int j = 0; j < 2; ++j) {
        expect_group(acc[j], [&](int c) { return (j ? 70000 : -70000) + window.sum(i, j, c, of); });
      }
    }
  }
}
void test_meet() {
  static_assert(Bytes::Taps::bytes == 64);
  meets_rows<1>();
  meets_rows<2>();
}
// What rows and taps hold is seen through sums alone.
void test_of() { test_meet(); }
void test_Taps() { test_meet(); }

// For words8.cpp: the words of plain NEON, whose products are of 16 bits.

void test_input_pairs() {
  Page page;
  const auto all = [&](auto pairs) {
    constexpr int N = pairs;
    const Line line = drawn_line(2 * N, 11);
    const auto got = Bytes::input_pairs<N>(at_end(page, line));
    for (int i = 0; i < N; ++i) {
      const auto bytes = parts_of<uint8_t>(got.pair[i]);
      expect_bytes(bytes.data(), 16, [&](int k) { return line[static_cast<size_t>(2 * i + k % 2)]; });
    }
  };
  all(std::integral_constant<int, 1>{});
  all(std::integral_constant<int, 4>{});
}

template <int N, int NV, bool kLowest>
void adds_pairs(uint32_t first) {
  Page inputs, weights;
  Line x = drawn_line(2 * N, first), w = drawn_line(8 * N * NV, first + 50);
  if (first % 4 == 0) std::fill(x.begin(), x.end(), uint8_t{0x80});
  for (uint8_t& byte : w) {
    if (first % 4 == 0) byte = 0x80;
    if (!kLowest && byte == 0x80) byte = 0x81;
  }
  Ints acc[NV];
  fill(acc, -70000);
  Bytes::add_pairs<kLowest>(acc, Bytes::input_pairs<N>(at_end(inputs, x)),
                            Bytes::weight_pairs<N, NV>(at_end(weights, w)));
  expect_group(acc, [&](int c) {
    int32_t sum = -70000;
    for (int k = 0; k < 2 * N; ++k) {
      const int at = 8 * (k / 2 * NV + c / 4) + 2 * (c % 4) + k % 2;
      sum += inside(x[static_cast<size_t>(k)]) * weight(w[static_cast<size_t>(at)]);
    }
    return sum;
  });
}
void test_add_pairs() {
  for (uint32_t first = 0; first < 100; ++first) {
    unroll<4>([&](auto v) {
      constexpr int NV = v + 1;
      adds_pairs<1, NV, false>(first);
      adds_pairs<1, NV, true>(first);
      adds_pairs<4, NV, false>(first);
      adds_pairs<4, NV, true>(first);
    });
  }
}
// What they hold is seen through sums alone.
void test_weight_pairs() { test_add_pairs(); }

void test_flipped() {
  const Line line = drawn_line(8, 3);
  for (const uint8_t of : kFlips) {
    const auto got = parts_of<uint8_t>(Bytes::flipped(Bytes::load_first(line.data(), 8), Bytes::flip(of)));
    expect_bytes(got.data(), 8,
                 [&](int i) { return static_cast<uint8_t>(line[static_cast<size_t>(i)] ^ of); });
  }
}

template <int S, bool kLowest>
void meets_window() {
  Page starts, taps;
  for (uint32_t first = 0; first < 300; ++first) {
    const Window8<S> window(first, kLowest ? -128 : -127);
    Bytes::Row rows[3];
    for (int i = 0; i < 3; ++i) rows[i] = Bytes::Row::of<S>(window.pixel[i]);
    int32_t start[8];
    for (int c = 0; c < 8; ++c) start[c] = 100000 * (c - 3);
    uint8_t* const s = starts.end - sizeof start;
    std::memcpy(s, start, sizeof start);
    Ints acc[2][2];
    Bytes::meet<S, kLowest>(acc, rows, Bytes::Taps<S>(at_end(taps, window.weights)), s);
    for (int j = 0; j < 2; ++j) {
      expect_group(acc[j], [&](int c) {
        return start[c] + window.sum(0, j, c) + window.sum(1, j, c) + window.sum(2, j, c);
      });
    }
  }
}
void test_meet() {
  meets_window<1, false>();
  meets_window<1, true>();
  meets_window<2, false>();
  meets_window<2, true>();
}
// What rows hold is seen through windows alone.
void test_of() { test_meet(); }

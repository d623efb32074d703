// For words8.cpp: the words of SMMLA.

void test_weights() {
  Page page;
  const Line line = drawn_line(16, 5);
  for_places(page, 16, [&](uint8_t* p) {
    std::memcpy(p, line.data(), line.size());
    const auto got = parts_of<uint8_t>(Bytes::weights(p));
    expect_bytes(got.data(), 16, [&](int i) { return line[static_cast<size_t>(i)]; });
  });
}

template <int N>
void reads_inputs() {
  Page pages[2];
  const Line lines[2] = {drawn_line(8 * N, 1), drawn_line(8 * N, 101)};
  Bytes::Two of[N];
  Bytes::inputs(of, at_end(pages[0], lines[0]), at_end(pages[1], lines[1]));
  for (int k = 0; k < N; ++k) {
    const auto got = parts_of<uint8_t>(of[k]);
    expect_bytes(got.data(), 16, [&](int i) { return lines[i / 8][static_cast<size_t>(8 * k + i % 8)]; });
  }
}
void test_inputs() {
  reads_inputs<1>();
  reads_inputs<2>();
}

void test_add_block() {
  for (uint32_t first = 0; first < 2000; ++first) {
    Line x = drawn_line(16, first), w = drawn_line(16, first + 500);
    if (first % 10 == 0) x = w = Line(16, 0x80);
    Ints acc[1];
    fill(acc, 70000);
    Bytes::add_block(acc[0], Bytes::weights(x.data()), Bytes::weights(w.data()));
    expect(acc[0], [&](int i) {
      int32_t sum = 70000;
      for (int k = 0; k < 8; ++k) {
        sum += inside(x[static_cast<size_t>(i / 2 * 8 + k)]) * weight(w[static_cast<size_t>(i % 2 * 8 + k)]);
      }
      return sum;
    });
  }
}

template <class Half>
void halves(const Half& half, int from) {
  const int32_t a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8};
  expect(half(ints(a), ints(b)), [&](int i) { return (i < 2 ? a : b)[from + i % 2]; });
}
void test_lower() {
  halves([](Ints a, Ints b) { return Bytes::lower(a, b); }, 0);
}
void test_upper() {
  halves([](Ints a, Ints b) { return Bytes::upper(a, b); }, 2);
}

// For words.cpp: the words that NEON alone has.

void test_all_bits() {
  expect(Vec::all_bits(true), [](int) { return from_bits(~0u); });
  expect(Vec::all_bits(false), [](int) { return 0.0f; });
}
void test_and_bits() {
  binary([](Vec a, Vec b) { return and_bits(a, b); },
         [](float a, float b) { return from_bits(bits_of(a) & bits_of(b)); });
}

template <int N>
void loads_line() {
  Guarded page;
  float* const p = page.end - N * lanes;
  for (int i = 0; i < N * lanes; ++i) p[i] = numbered(i);
  Vec v[N];
  Vec::load_line(p, v);
  for (int k = 0; k < N; ++k) {
    expect(v[k], [&](int i) { return numbered(k * lanes + i); });
  }
}
void test_load_line() {
  loads_line<1>();
  loads_line<2>();
  loads_line<3>();
  loads_line<4>();
}

void test_fma_lane() {
  for_operands([](const Operands& o) {
    unroll<lanes>([&](auto lane) {
      expect(
          fma_lane<lane>(o.a, o.b, o.c), [&](int i) { return std::fma(o.x[0][i], o.x[1][lane], o.x[2][i]); },
          same_number);
    });
  });
}

// Matrices at both ends of the page, so that nothing is written around them.
void test_store_transposed() {
  Guarded page;
  const Vec v = numbered_vector();
  const auto column = [&](int j) { return add_bits(v, Vec::set1(from_bits(static_cast<uint32_t>(j)))); };
  for (float* const p : {page.begin, page.begin + 3, page.end - 4 * lanes}) {
    page.fill(-77.0f);
    for (const std::ptrdiff_t step : {4 * lanes, -8, 0}) {
      CHECK(store_transposed(p, step, column(0), column(1), column(2), column(3)) == p + step);
    }
    transposed_stored();
    for (const float* q = page.begin; q < page.end; ++q) {
      const int i = static_cast<int>(q - p);
      const bool written = i >= 0 && i < 4 * lanes;
      const float wanted =
          written ? from_bits(bits_of(numbered(i / 4)) + static_cast<uint32_t>(i % 4)) : -77.0f;
      if (!same_bits(*q, wanted)) fail(i, *q, wanted);
    }
  }
}

// What GCC knew to stand there before is read anew.
void test_transposed_stored() {
  float matrix[4 * lanes] = {};
  const Vec v = numbered_vector();
  store_transposed(matrix, 0, v, v, v, v);
  transposed_stored();
  for (int i = 0; i < 4 * lanes; ++i) CHECK(same_bits(matrix[i], numbered(i / 4)));
}

void test_opaque_after() {
  float f = 0.0f;
  CHECK(opaque_after(&f, numbered_vector()) == &f);
}

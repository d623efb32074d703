// For words.cpp: the words that AVX-512 alone has.

void test_ldexp() {
  for_operands([](const Operands& o) {
    for (int exponent = -300; exponent <= 300; exponent += 7) {
      const float n = static_cast<float>(exponent);
      expect(ldexp(o.a, Vec::set1(n)), [&](int i) { return std::ldexp(o.x[0][i], exponent); }, same_number);
    }
    if (bits_of(o.x[1][0]) % 8 == 0) return;
    // A power of each lane's own.
    float n[lanes];
    for (int i = 0; i < lanes; ++i)
      n[i] = static_cast<float>(static_cast<int>(bits_of(o.x[1][i]) >> 8 & 511) - 256);
    expect(
        ldexp(o.a, Vec::load(n, All{})), [&](int i) { return std::ldexp(o.x[0][i], static_cast<int>(n[i])); },
        same_number);
  });
}

// Whether lane i lies in [0, size) from `first` on.
bool lies_inside(int i, int first, int size) { return first + i >= 0 && first + i < size; }

void test_inside() {
  for (int first = -2 * lanes; first <= 2 * lanes; ++first) {
    for (int size = 0; size <= 3 * lanes; ++size) {
      const Vec::Lanes live = Vec::inside(first, size);
      for (int i = 0; i < lanes; ++i) CHECK((live >> i & 1) == lies_inside(i, first, size));
    }
  }
  CHECK(Vec::inside(std::ptrdiff_t{1} << 40, std::ptrdiff_t{1} << 41) == Vec::inside(0, lanes));
  CHECK(Vec::inside(-(std::ptrdiff_t{1} << 40), std::ptrdiff_t{1} << 41) == 0);
}

// A row that fills the whole page: every lane outside it would fault.
void test_load_where() {
  Guarded page;
  const int size = static_cast<int>(page.end - page.begin);
  for (int i = 0; i < size; ++i) page.begin[i] = numbered(i);
  for (int from : {0, size}) {
    for (int first = from - 2 * lanes; first <= from + lanes; ++first) {
      const float* const p = page.begin + first;
      expect(Vec::load_where(Vec::inside(first, size), p),
             [&](int i) { return lies_inside(i, first, size) ? numbered(first + i) : 0.0f; });
    }
  }
}

void test_load_halves() {
  constexpr int half = lanes / 2;
  Guarded page;
  for (int i = 0; i < half; ++i) {
    page.begin[i] = numbered(i);
    page.end[i - half] = numbered(i + half);
  }
  expect(Vec::load_halves(page.begin, page.end - half), numbered);
  expect(Vec::load_halves(page.end - half, page.begin), [](int i) { return numbered((i + half) % lanes); });
}

template <int N>
void slides_by() {
  moves([](Vec a, Vec b) { return Vec::slide<N>(a, b); }, [](int i) { return N + i; });
}
void test_slide() {
  unroll<lanes>([](auto n) { slides_by<n>(); });
}
void test_Slide() {
  for (int n = 0; n <= lanes; ++n) moves(Slide(n), [&](int i) { return n + i; });
}

void test_halves() {
  moves([](Vec a, Vec b) { return halves(a, b); }, [](int i) { return i < lanes / 2 ? i : lanes + i; });
}
void test_upper_half() {
  // The upper lanes are nobody's: the lower half of a in their place.
  moves([](Vec a, Vec) { return halves(upper_half(a), a); },
        [](int i) { return i < lanes / 2 ? i + lanes / 2 : i; });
}
void test_even() {
  moves([](Vec a, Vec b) { return even(a, b); }, [](int i) { return 2 * i; });
}
void test_odd() {
  moves([](Vec a, Vec b) { return odd(a, b); }, [](int i) { return 2 * i + 1; });
}

void test_keep_in_register() {
  unary(
      [](Vec a) {
        keep_in_register(a);
        return a;
      },
      [](float a) { return a; });
}

// For words8.cpp: the words of 3×3 by sums and differences of columns.

// Four pixels of a group, and what becomes of them.
struct Columns {
  Line bytes[4];
  Bytes::Pixel pixels[4];

  explicit Columns(uint32_t first) {
    for (uint32_t i = 0; i < 4; ++i) {
      bytes[i] = drawn_line(quad_group, first + 1000 * i);
      pixels[i] = Bytes::chunks<1>({bytes[i].data()}, quad_group, 0);
    }
  }
  int32_t pixel(int i, int channel) const { return inside(bytes[i][static_cast<size_t>(channel)]); }
};

// A number of 16 bits of a Pixel, or of a vector of pairs.
template <class V>
int32_t number_of(const V& v, int i) {
  int16_t number;
  const auto bytes = parts_of<uint8_t>(v);
  std::memcpy(&number, bytes.data() + 2 * i, 2);
  return number;
}

void test_differences() {
  for (uint32_t first = 0; first < 1000; first += 7) {
    Columns c(first);
    Bytes::differences(c.pixels);
    for (int i = 0; i < quad_group; ++i) {
      const int32_t x[] = {c.pixel(0, i), c.pixel(1, i), c.pixel(2, i), c.pixel(3, i)};
      CHECK(number_of(c.pixels[0], i) == x[0] - x[2]);
      CHECK(number_of(c.pixels[1], i) == x[1] + x[2]);
      CHECK(number_of(c.pixels[2], i) == x[2] - x[1]);
      CHECK(number_of(c.pixels[3], i) == x[1] - x[3]);
    }
  }
}

void test_pairs() {
  for (uint32_t first = 0; first < 1000; first += 7) {
    const Columns c(first);
    Ints pairs[quad_vectors];
    Bytes::pairs(c.pixels[0], c.pixels[1], pairs);
    for (int v = 0; v < quad_vectors; ++v) {
      for (int lane = 0; lane < lanes; ++lane) {
        const auto channel = static_cast<int>(channel_of(quad_vectors, v, lane));
        CHECK(number_of(pairs[v], 2 * lane) == c.pixel(0, channel));
        CHECK(number_of(pairs[v], 2 * lane + 1) == c.pixel(1, channel));
      }
    }
  }
}

void test_sum_and_difference() {
  int32_t first[lanes], second[lanes];
  for (int i = 0; i < lanes; ++i) {
    first[i] = 1000000000 - 77777 * i;
    second[i] = (i % 2 ? -1 : 1) * (900000000 + i);
  }
  Ints a = ints(first), b = ints(second);
  Bytes::sum_and_difference(a, b);
  expect(a, [&](int i) { return first[i] + second[i]; });
  expect(b, [&](int i) { return first[i] - second[i]; });
}

// For words8.cpp: the words of depthwise tiles by quads of pixels.

constexpr int quad_vectors = Bytes::quad_vectors, quad_group = quad_vectors * lanes;
constexpr int weight_bytes = Bytes::weight_bytes, inputs_of_lane = 4 / weight_bytes;
static_assert(most_vectors == quad_vectors);
static_assert(sizeof(Bytes::Pixel) == quad_group * weight_bytes);
static_assert(!Bytes::dots_by_lane);

// A number as one of bytes or of 16 bits, as the set has them.
void put(uint8_t* p, int index, int32_t number) {
  const auto wide = static_cast<int16_t>(number);
  if (weight_bytes == 1) p[index] = static_cast<uint8_t>(number);
  if (weight_bytes == 2) std::memcpy(p + 2 * index, &wide, 2);
}

// Products of extremes first, which saturating ones of 16 bits would not bear; then what is drawn.
void test_dot() {
  constexpr int count = lanes * inputs_of_lane;
  for (uint32_t first = 0; first < 70000; first += count) {
    uint8_t x[vector_bytes], w[vector_bytes];
    int32_t wanted[lanes];
    for (int lane = 0; lane < lanes; ++lane) wanted[lane] = first % 2 ? -2000000 : 40000;
    Ints acc = ints(wanted);
    for (int i = 0; i < count; ++i) {
      const uint32_t at = first + static_cast<uint32_t>(i);
      // All pairs at the first place of a lane, in time.
      const bool ends = first < 4 * count;
      const uint8_t a = ends ? 255 : static_cast<uint8_t>(at);
      const uint8_t b = ends ? (first < 2 * count ? 128 : 127) : static_cast<uint8_t>(at / 256);
      put(x, i, inside(a));
      put(w, i, weight(b));
      wanted[i / inputs_of_lane] += inside(a) * weight(b);
    }
    Bytes::dot(acc, ints(x), ints(w));
    expect(acc, [&](int lane) { return wanted[lane]; });
  }
}

template <int P>
void reads_chunks() {
  constexpr int chunk = quad_group / P;
  Page pages[P];
  for (int n = 1; n <= chunk; ++n) {
    for (const uint8_t flip : kFlips) {
      const uint8_t* pixels[P];
      for (int i = 0; i < P; ++i) {
        pixels[i] = at_end(pages[i], drawn_line(n, static_cast<uint32_t>(100 * i + n)));
      }
      const auto got = parts_of<uint8_t>(Bytes::chunks<P>(pixels, n, flip));
      for (int i = 0; i < chunk * P; ++i) {
        const int at = i % chunk;
        if (at >= n) continue;
        uint8_t wanted[2];
        put(wanted, 0, inside(pixels[i / chunk][at] ^ flip));
        for (int k = 0; k < weight_bytes; ++k) {
          const uint8_t g = got[static_cast<size_t>(i * weight_bytes + k)];
          if (g != wanted[k]) fail(i, g, wanted[k]);
        }
      }
    }
  }
}
void test_chunks() {
  reads_chunks<1>();
  if constexpr (Bytes::most_pairs > 1) reads_chunks<2>();
  if constexpr (Bytes::most_pairs > 2) reads_chunks<4>();
  static_assert(Bytes::most_pairs == 1 || Bytes::most_pairs == 2 || Bytes::most_pairs == 4);
}

// Quads of four pixels of a group, and weights for them as they lie in memory.
struct Quads {
  Line pixels[4];
  Bytes::Quad quad[quad_vectors];

  explicit Quads(uint32_t first) {
    Bytes::Pixel given[4];
    for (int i = 0; i < 4; ++i) {
      pixels[i] = drawn_line(quad_group, first + static_cast<uint32_t>(i * quad_group));
      const uint8_t* const p[] = {pixels[i].data()};
      given[i] = Bytes::chunks<1>(p, quad_group, 0);
    }
    Bytes::interleave(given, quad);
  }
  int32_t pixel(int i, int channel) const { return inside(pixels[i][static_cast<size_t>(channel)]); }
};
// weights(tap, channel)
template <class Weights>
Line quad_weights(const Weights& weights) {
  Line line(static_cast<size_t>(quad_vectors * vector_bytes * weight_bytes));
  for (int v = 0; v < quad_vectors; ++v) {
    for (int lane = 0; lane < lanes; ++lane) {
      for (int tap = 0; tap < 4; ++tap) {
        const int part = tap / inputs_of_lane, vector = part * quad_vectors + v;
        put(line.data() + vector * vector_bytes, lane * inputs_of_lane + tap % inputs_of_lane,
            weights(tap, static_cast<int>(channel_of(quad_vectors, v, lane))));
      }
    }
  }
  return line;
}
template <class Weights, class Wanted>
void meets(const Quads& quads, const Weights& weights, const Wanted& wanted) {
  static Page page;
  const uint8_t* const w = at_end(page, quad_weights(weights));
  Ints acc[quad_vectors];
  fill(acc, 70000);
  unroll<quad_vectors>([&](auto v) { Bytes::dot_memory(acc[v], quads.quad[v], w + v * vector_bytes); });
  expect_group(acc, [&](int c) { return 70000 + wanted(c); });
}

// Each of the four bytes alone.
void test_interleave() {
  for (uint32_t first = 0; first < 2000; first += 97) {
    const Quads quads(first);
    for (int i = 0; i < 4; ++i) {
      meets(quads, [&](int tap, int) { return tap == i; }, [&](int c) { return quads.pixel(i, c); });
    }
  }
}
void test_dot_memory() {
  for (uint32_t first = 0; first < 4000; first += 13) {
    const Quads quads(first);
    const auto weights = [&](int tap, int channel) {
      if (first % 5 == 0) return first % 2 ? -128 : 127;
      return weight(drawn(first + static_cast<uint32_t>(5 * channel + tap)));
    };
    meets(quads, weights, [&](int c) {
      int32_t sum = 0;
      for (int tap = 0; tap < 4; ++tap) sum += quads.pixel(tap, c) * weights(tap, c);
      return sum;
    });
  }
}

template <int P>
void stores_chunks(const Rescale8& r) {
  constexpr int chunk = quad_group / P;
  Page factors, page;
  const Bytes::Rescale rescale(r);
  for (int n = 1; n <= chunk; ++n) {
    for (int count = 1; count <= P; ++count) {
      const Group<quad_vectors> group(r, static_cast<uint32_t>(31 * n));
      const int stride = chunk + 3, size = (count - 1) * stride + n;
      for_places(page, size, [&](uint8_t* y) {
        page.fill(0xa5);
        const Bytes::Factors<quad_vectors> held(at_end(factors, group.factors));
        rescale.template store_chunks<P>(group.acc, held, y, stride, n, count);
        expect_written(page, y, size, [&](int i) {
          const int at = i % stride;
          return at < n ? group.wanted[static_cast<size_t>(i / stride * chunk + at)] : uint8_t{0xa5};
        });
      });
    }
  }
}
void test_store_chunks() {
  for (const Rescale8& r : {rescale_of(-5, -100, 90, 0x80), rescale_of(-128, -128, 127, 0, true)}) {
    stores_chunks<1>(r);
    if constexpr (Bytes::most_pairs > 1) stores_chunks<2>(r);
    if constexpr (Bytes::most_pairs > 2) stores_chunks<4>(r);
  }
}

// For words8.cpp: the words that all sets of NEON have.

void test_load_first() {
  Page page;
  for (int n = 1; n <= 8; ++n) {
    const Line line = drawn_line(n, static_cast<uint32_t>(n));
    for_places(page, n, [&](uint8_t* p) {
      std::memcpy(p, line.data(), line.size());
      const auto got = parts_of<uint8_t>(Bytes::load_first(p, n));
      expect_bytes(got.data(), 16, [&](int i) { return i < n ? line[static_cast<size_t>(i)] : uint8_t{0}; });
    });
  }
}
void test_flip() {
  for (const uint8_t of : kFlips) {
    const auto got = parts_of<uint8_t>(Bytes::flip(of));
    expect_bytes(got.data(), 16, [&](int) { return of; });
  }
}

// Two pixels far apart, or the second in the first one's place.
template <bool kPlain>
void stores_two(const Rescale8& r) {
  Page factors, page, other;
  const Bytes::Rescale rescale(r);
  for (int n = 1; n <= 8; ++n) {
    // Of both pixels the factors are the same: those of the first group.
    const uint32_t first = static_cast<uint32_t>(29 * n);
    const Group<2> group(r, first);
    const Bytes::Factors<2> held(at_end(factors, group.factors));
    const auto sum = [](int c) { return 1001 * (c % 2 ? c : -c) + 3; };
    int32_t sums[8];
    for (int c = 0; c < 8; ++c) sums[c] = sum(c);
    const Ints acc[2][2] = {{group.acc[0], group.acc[1]}, {ints(sums), ints(sums + 4)}};
    for_places(page, n, [&](uint8_t* y) {
      page.fill(0xa5);
      rescale.template store_two<kPlain>(acc, held, y, y, n);
      expect_written(page, y, n, [&](int i) { return group.wanted[static_cast<size_t>(i)]; });
      page.fill(0xa5);
      other.fill(0xa5);
      uint8_t* const second = other.begin + (y - page.begin);
      rescale.template store_two<kPlain>(acc, held, y, second, n);
      expect_written(page, y, n, [&](int i) { return group.wanted[static_cast<size_t>(i)]; });
      expect_written(other, second, n, [&](int i) {
        const auto c = static_cast<uint32_t>(i);
        return plain_rescaled(r, {sum(i), scaled(first + c, r.saturates).factor});
      });
    });
  }
}
// And what else knows of plain ends.
void test_store_two() {
  int plain = 0;
  for (const Rescale8& r : all_rescales()) {
    const bool wanted = r.flip == 0 && r.low + static_cast<float>(r.zero_point) == -128.0f &&
                        r.high + static_cast<float>(r.zero_point) == 127.0f;
    CHECK(Bytes::Rescale(r).plain == wanted);
    stores_two<false>(r);
    if (!wanted) continue;
    ++plain;
    stores_two<true>(r);
    unroll<most_vectors>([&](auto v) {
      constexpr int NV = v + 1;
      stores<NV>(r, [](const auto& rescale, const Group<NV>& group, const auto& factors, uint8_t* y, int n) {
        rescale.template store<NV, true>(group.acc, factors, y, n);
      });
    });
  }
  CHECK(plain > 1);
}

#if PASTE(PAIRS_, FASTDW_SET) || PASTE(ROWS_, FASTDW_SET)
// Eight channels of three rows of S + 3 pixels, and weights of 3x3, none lower than `least`.
template <int S>
struct Window8 {
  static constexpr int kPixels = S + 3;
  Line rows[3], weights;
  Bytes::Eight pixel[3][kPixels];

  Window8(uint32_t first, int least) : weights(drawn_line(72, first + 1000)) {
    for (uint8_t& w : weights) w = weight(w) < least ? static_cast<uint8_t>(least) : w;
    // The largest products of all.
    if (first % 4 == 0) std::fill(weights.begin(), weights.end(), static_cast<uint8_t>(least));
    for (int i = 0; i < 3; ++i) {
      rows[i] = drawn_line(8 * kPixels, first + static_cast<uint32_t>(100 * i));
      if (first % 4 == 0) std::fill(rows[i].begin(), rows[i].end(), uint8_t{0x80});
      for (int j = 0; j < kPixels; ++j)
        pixel[i][j] = Bytes::load_first(&rows[i][static_cast<size_t>(8 * j)], 8);
    }
  }
  int32_t tap(int i, int j, int channel) const {
    return weight(weights[static_cast<size_t>(8 * (3 * i + j) + channel)]);
  }
  // Of row i under the window of column `column`.
  int32_t sum(int i, int column, int channel, uint8_t flip = 0) const {
    int32_t sum = 0;
    for (int j = 0; j < 3; ++j) {
      sum += inside(rows[i][static_cast<size_t>(8 * (S * column + j) + channel)] ^ flip) * tap(i, j, channel);
    }
    return sum;
  }
};
#endif

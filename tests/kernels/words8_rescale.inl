// For words8.cpp: sums that become bytes.

constexpr int most_vectors = tap_vectors == 2 ? 4 : 2 * lanes == 16 ? 2 : 4;

// What int8 results may have: a zero point, ends, and where they are stored a sign or none.
Rescale8 rescale_of(int zero, int low, int high, uint8_t flip, bool saturates = false) {
  return {static_cast<float>(low - zero), static_cast<float>(high - zero), zero + Bytes::offset, flip,
          saturates};
}
std::vector<Rescale8> all_rescales() {
  std::vector<Rescale8> all;
  for (const uint8_t flip : kFlips) {
    for (const int zero : {-128, -5, 0, 127}) {
      all.push_back(rescale_of(zero, -128, 127, flip));
      all.push_back(rescale_of(zero, zero, 127, flip));
      all.push_back(rescale_of(zero, -100, 90, flip));
    }
    all.push_back(rescale_of(-128, -128, 127, flip, true));
  }
  return all;
}

// Number i of sums and their factors: halves of both signs and parity, sums that float32 rounds, products
// beyond each end of int32; of these none where rounding and saturating must do.
constexpr uint32_t kSums = 3000;
struct Scaled {
  int32_t sum;
  float factor;
};
Scaled scaled(uint32_t i, bool saturates) {
  constexpr int32_t kLarge[] = {INT32_MIN, INT32_MAX,  16777217, -16777219,
                                1 << 30,   -(1 << 30), 40000,    -40000};
  constexpr float kFactors[] = {0.5f, 0.25f, 1.0f, 0.0123f, 1e-7f, 3.0f};
  Scaled s{static_cast<int32_t>(i) / 2 - 700, kFactors[i % 6]};
  if (i % 2) s.sum = i % 5 == 0 ? kLarge[i / 10 % 8] : 2 * (s.sum % 300) + 1;
  if (i % 2 && i % 3) s.factor = 0.5f;
  if (i % 7 == 0) s.factor = 1e30f;
  if (saturates && std::fabs(static_cast<float>(s.sum) * s.factor) > 2e9f) s.factor = 0.01f;
  return s;
}
uint8_t plain_rescaled(const Rescale8& r, const Scaled& s) {
  const double t = static_cast<float>(s.sum) * s.factor;
  const double held = std::min(std::max(t, double{r.low}), double{r.high});
  return static_cast<uint8_t>((static_cast<int>(std::nearbyint(held)) + r.zero_point) ^ r.flip);
}

// The sums of a group with their factors, as they lie in memory, and the bytes that should become of them.
template <int NV>
struct Group {
  Ints acc[NV];
  Line factors, wanted;

  Group(const Rescale8& r, uint32_t first) : factors(NV * vector_bytes), wanted(NV * lanes) {
    for (int v = 0; v < NV; ++v) {
      std::vector<int32_t> sums(lanes);
      for (int lane = 0; lane < lanes; ++lane) {
        const auto c = static_cast<size_t>(channel_of(NV, v, lane));
        const Scaled s = scaled(first + static_cast<uint32_t>(c), r.saturates);
        sums[static_cast<size_t>(lane)] = s.sum;
        std::memcpy(&factors[static_cast<size_t>(v * vector_bytes + 4 * lane)], &s.factor, 4);
        wanted[c] = plain_rescaled(r, s);
      }
      acc[v] = ints(sums.data());
    }
  }
};

// store(rescale, group, factors in memory, y, n), of as many channels as there are and of all sums, then of
// fewer.
template <int NV, class Store>
void stores(const Rescale8& r, const Store& store) {
  Page factors, page;
  const Bytes::Rescale rescale(r);
  const auto written = [&](uint32_t first, int n, uint8_t* y) {
    const Group<NV> group(r, first);
    page.fill(0xa5);
    store(rescale, group, Bytes::Factors<NV>(at_end(factors, group.factors)), y, n);
    expect_written(page, y, n, [&](int i) { return group.wanted[static_cast<size_t>(i)]; });
  };
  for (uint32_t first = 0; first < kSums; first += NV * lanes) {
    const Group<NV> group(r, first);
    uint8_t y[NV * lanes];
    store(rescale, group, Bytes::Factors<NV>(at_end(factors, group.factors)), y, NV * lanes);
    expect_bytes(y, NV * lanes, [&](int i) { return group.wanted[static_cast<size_t>(i)]; });
  }
  for (int n = 1; n <= NV * lanes; ++n) {
    for_places(page, n, [&](uint8_t* y) { written(static_cast<uint32_t>(61 * n), n, y); });
  }
}

void test_store() {
  for (const Rescale8& r : all_rescales()) {
    unroll<most_vectors>([&](auto v) {
      constexpr int NV = v + 1;
      stores<NV>(r, [](const auto& rescale, const Group<NV>& group, const auto& factors, uint8_t* y, int n) {
        rescale.template store<NV>(group.acc, factors, y, n);
      });
    });
  }
}

// Where a step finds its arrays: views of a network's memory, in numbers that are checked once.
#pragma once
#include <array>
#include <type_traits>
#include <vector>

#include "base/view.h"

namespace fastdw {

constexpr int kMaxRank = 6;

enum class Element : char { kFloat, kHalf, kUint8, kInt8 };

inline bool is_byte(Element e) { return e == Element::kUint8 || e == Element::kInt8; }

// The arena, then a call's inputs and outputs, one image of each, then the arena as bytes and as halves. A
// step may write to the arena and to outputs.
struct Buffer {
  ptrdiff_t size = 0;  // in elements
  bool writeable = false;
  Element element = Element::kFloat;

  ptrdiff_t nbytes() const {
    return size * (is_byte(element) ? 1 : element == Element::kHalf ? 2 : ptrdiff_t{sizeof(float)});
  }
};

constexpr size_t kArenaViews = 2;  // behind a call's arrays

// Strides and the offset count elements. An axis of one has the stride 0.
struct Operand {
  int buffer = -1;  // no array
  ptrdiff_t offset = 0;
  int rank = 0;
  std::array<ptrdiff_t, kMaxRank> sizes{}, strides{};

  bool exists() const { return buffer >= 0; }
};

// Refuses an operand that reaches beyond its buffer, or that has an element more than once, unless it is
// `spread` over pixels by strides of 0. No product of its numbers overflows then.
void check(const Operand& operand, const std::vector<Buffer>& buffers, bool written, bool spread);

// The first byte of each buffer.
using Memory = const std::vector<char*>&;

template <class T>
T* data(const Operand& operand, Memory memory) {
  return reinterpret_cast<T*>(memory[static_cast<size_t>(operand.buffer)]) + operand.offset;
}

// An operand of three axes as one image; without data where there is no operand.
template <class T>
View<T> image(const Operand& o, T* data) {
  return {data, 1, o.sizes[0], o.sizes[1], o.sizes[2], 0, o.strides[0], o.strides[1], o.strides[2]};
}

template <class T>
View<T> image(const Operand& o, Memory memory) {
  return image(o, o.exists() ? data<T>(o, memory) : nullptr);
}

// Its sizes and strides; only whether there is data is looked at.
template <class T>
View<T> shape_of(const Operand& o) {
  static std::remove_const_t<T> anything;
  return image<T>(o, o.exists() ? &anything : nullptr);
}

inline bool same_sizes(const Operand& a, const Operand& b) { return a.rank == b.rank && a.sizes == b.sizes; }

// Whether an image's numbers lie in one line.
bool is_dense(const Operand& operand);

// Refuses what is no image with channels side by side.
void check_image(const Operand& operand, const char* what);

}  // namespace fastdw

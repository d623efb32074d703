// The steps on bytes, from what Python says of them.
#include <algorithm>

#include "network/step8.h"
#include "python/operator8.h"
#include "python/settings.h"

namespace py = pybind11;

namespace fastdw {
namespace {

uint8_t byte(ptrdiff_t number) {
  if (number < 0 || number > 255) refuse("byte");
  return static_cast<uint8_t>(number);
}

uint8_t read_flip(Settings& s, const char* name = "flip") {
  const ptrdiff_t flip = read_integer(s.take(name));
  if (flip != 0 && flip != 0x80) refuse(name);
  return byte(flip);
}

int32_t read_zero(Settings& s, const char* name = "zero") { return byte(read_integer(s.take(name))); }

float read_factor(Settings& s, const char* name = "factor") {
  const float factor = read_real(s.take(name));
  if (!(factor > 0 && factor <= std::numeric_limits<float>::max())) refuse(name);
  return factor;
}

// (zero, low, high, flip): what a byte is made of, in bytes.
Rescale8 read_rescale(Settings& s) {
  const auto n = read_integers<4>(s.take("rescale"));
  const int zero = byte(n[0]), low = byte(n[1]), high = byte(n[2]);
  if (n[3] != 0 && n[3] != 0x80) refuse("flip");
  return {static_cast<float>(low - zero), static_cast<float>(high - zero), zero, byte(n[3]), false};
}

// One byte a channel; empty for None.
std::vector<uint8_t> read_term(Settings& s) {
  const std::vector<ptrdiff_t> numbers = s.table("term");
  std::vector<uint8_t> term(numbers.size());
  std::transform(numbers.begin(), numbers.end(), term.begin(), byte);
  return term;
}

StepPointer make_layer8(Settings& s, const Operands& o, const OperandTypes&) {
  Chain8 chain{s.part<Depthwise8Weights>("depthwise"), s.part<Pointwise8Weights>("pointwise"), {}};
  if (!chain.depthwise && !chain.pointwise) refuse("parts");
  const py::object sum = s.optional("sum");
  if (!sum.is_none()) chain.sum = read_sum8(sum);
  const auto size = read_integers<2>(s.take("kernel_size"));
  const Geometry g = checked_geometry(read_integers<6>(s.take("geometry")));
  constexpr ptrdiff_t kLargest = ptrdiff_t{1} << 20;
  if (std::min(size[0], size[1]) < 1 || std::max(size[0], size[1]) > kLargest) refuse("kernel_size");
  const WindowShape window{size[0], size[1], g.stride_h, g.stride_w, g.dilation_h, g.dilation_w};
  return layer8_step(chain, window, {g.pad_top, g.pad_left}, o);
}

StepPointer make_add8(Settings& s, const Operands& o, const OperandTypes&) {
  const Sum8 sum = read_sum8(s.take("sum"));
  std::vector<uint8_t> term = read_term(s);
  return add8_step(chosen_kernels8(s.optional("isa")), sum, std::move(term), o);
}

StepPointer make_multiply8(Settings& s, const Operands& o, const OperandTypes&) {
  const int32_t zero_a = read_zero(s, "zero_a"), zero_b = read_zero(s, "zero_b");
  const float factor = read_factor(s);
  const uint8_t flip_a = read_flip(s, "flip_a"), flip_b = read_flip(s, "flip_b");
  const Product8 product{zero_a, zero_b, factor, flip_a, flip_b, read_rescale(s)};
  std::vector<uint8_t> term = read_term(s);
  return multiply8_step(chosen_kernels8(s.optional("isa")), product, std::move(term), o);
}

StepPointer make_bilinear8(Settings& s, const Operands& o, const OperandTypes&) {
  BilinearTable rows = read_mix(s, "rows"), columns = read_mix(s, "columns");
  const int32_t origin = read_zero(s, "origin");
  const uint8_t flip = read_flip(s);
  const Kernels8& set = chosen_kernels8(s.optional("isa"));
  return bilinear8_step(set, std::move(rows), std::move(columns), origin, flip, o);
}

StepPointer make_table8(Settings& s, const Operands& o, const OperandTypes&) {
  Table8 table{{}, read_flip(s)};
  const auto bytes = read_integers<256>(s.take("table"));
  std::transform(bytes.begin(), bytes.end(), table.bytes.begin(), byte);
  return table8_step(chosen_kernels8(s.optional("isa")), table, o);
}

StepPointer make_quantize(Settings& s, const Operands& o, const OperandTypes&) {
  const float scale = read_factor(s);
  return quantize_step(scale, read_rescale(s), o);
}

StepPointer make_dequantize(Settings& s, const Operands& o, const OperandTypes&) {
  const float scale = read_factor(s);
  const int32_t zero = read_zero(s);
  return dequantize_step(scale, zero, read_flip(s), o);
}

StepPointer make_pool8(Settings& s, const Operands& o, const OperandTypes&) {
  const Pooling pooling = read_function(s);
  const int32_t origin = read_zero(s, "origin"), low = read_zero(s, "low"), high = read_zero(s, "high");
  const Pool8 pool{pooling, origin, low, std::max(low, high), read_flip(s)};
  const auto [rows, columns] = read_windows(s);
  return pool8_step(pool, rows, columns, o);
}

StepPointer make_mean8(Settings& s, const Operands& o, const OperandTypes&) {
  const int32_t zero = read_zero(s);
  const float factor = read_factor(s);
  const uint8_t flip = read_flip(s);
  return mean8_step({zero, factor, flip, read_rescale(s)}, o);
}

StepPointer make_softmax8(Settings& s, const Operands& o, const OperandTypes&) {
  Softmax8 softmax{};
  const py::tuple powers = read_tuple(s.take("powers"), static_cast<ptrdiff_t>(softmax.powers.size()));
  for (size_t i = 0; i < softmax.powers.size(); ++i) {
    softmax.powers[i] = read_real(powers[i]);
    if (!(softmax.powers[i] >= 0 && softmax.powers[i] <= 1)) refuse("powers");
  }
  if (softmax.powers[0] != 1) refuse("powers");
  softmax.factor = read_factor(s);
  softmax.flip = read_flip(s);
  softmax.rescale = read_rescale(s);
  return softmax8_step(softmax, o);
}

bool bytes(const OperandTypes& types) { return types.all_bytes(); }
bool to_bytes(const OperandTypes& types) { return is_byte(types.out) && types.x == Element::kFloat; }
bool from_bytes(const OperandTypes& types) { return is_byte(types.x) && types.out == Element::kFloat; }

// A sum or product without a second operand has a term.
constexpr StepKind kKinds[] = {
    {"layer8", 2, 3, false, bytes, make_layer8},
    {"add8", 2, 3, true, bytes, make_add8},
    {"multiply8", 2, 3, true, bytes, make_multiply8},
    {"bilinear8", 2, 2, false, bytes, make_bilinear8},
    {"table8", 2, 2, false, bytes, make_table8},
    {"quantize", 2, 2, false, to_bytes, make_quantize},
    {"dequantize", 2, 2, false, from_bytes, make_dequantize},
    {"pool8", 2, 2, false, bytes, make_pool8},
    {"mean8", 2, 2, false, bytes, make_mean8},
    {"softmax8", 2, 2, false, bytes, make_softmax8},
};

}  // namespace

const StepKind* find_kind8(const std::string& name) {
  const auto named = [&](const StepKind& kind) { return name == kind.name; };
  const StepKind* const found = std::find_if(std::begin(kKinds), std::end(kKinds), named);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace fastdw

// The steps of a network, from what Python says of them.
#include <algorithm>

#include "network/step16.h"
#include "python/settings.h"

namespace py = pybind11;

namespace fastdw {
namespace {

Operand read_operand(py::handle object) {
  if (object.is_none()) return {};
  const py::tuple parts = read_tuple(object, 4);
  Operand o;
  o.buffer = static_cast<int>(std::clamp<ptrdiff_t>(read_integer(parts[0]), -1, 1 << 30));
  o.offset = read_integer(parts[1]);
  const std::vector<ptrdiff_t> sizes = read_integers(parts[2]), strides = read_integers(parts[3]);
  if (sizes.empty() || sizes.size() > kMaxRank || sizes.size() != strides.size()) refuse("axes");
  if (o.buffer < 0) refuse("buffer");
  o.rank = static_cast<int>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    o.sizes[i] = sizes[i];
    o.strides[i] = sizes[i] == 1 ? 0 : strides[i];
  }
  return o;
}

StepPointer make_layer(Settings& s, const Operands& o, const OperandTypes&) {
  Chain chain{s.weights<DepthwiseWeights>("depthwise"), s.weights<PointwiseWeights>("pointwise"),
              s.part<Activation>("pre_activation")};
  chain.expand = s.weights<PointwiseWeights>("expand");
  if (!chain.depthwise && (!chain.pointwise || chain.pre_activation)) refuse("parts");
  const py::object kernel_size = s.optional("kernel_size");
  if (!kernel_size.is_none()) {
    const auto [kernel_h, kernel_w] = read_integers<2>(kernel_size);
    constexpr ptrdiff_t kLargest = ptrdiff_t{1} << 30;  // its extent is a number then
    if (chain.depthwise || std::min(kernel_h, kernel_w) < 1 || std::max(kernel_h, kernel_w) > kLargest) {
      refuse("kernel_size");
    }
    chain.kernel_h = kernel_h;
    chain.kernel_w = kernel_w;
  }
  return layer_step(chain, checked_geometry(read_integers<6>(s.take("geometry"))), o);
}

StepPointer make_layer16(Settings& s, const Operands& o, const OperandTypes&) {
  Chain16 chain{s.part<Depthwise16Weights>("depthwise"), s.part<Pointwise16Weights>("pointwise")};
  chain.expand = s.part<Pointwise16Weights>("expand");
  if (!chain.depthwise && !chain.pointwise) refuse("parts");
  std::optional<std::array<ptrdiff_t, 2>> kernel_size;
  const py::object size = s.optional("kernel_size");
  if (!size.is_none()) kernel_size = read_integers<2>(size);
  return layer16_step(chain, checked_geometry(read_integers<6>(s.take("geometry"))), kernel_size, o);
}

StepPointer make_copy(Settings& s, const Operands& o, const OperandTypes& types) {
  return copy_step(s.set(), types.x, types.out, o);
}

template <Pair pair>
StepPointer make_pair(Settings& s, const Operands& o, const OperandTypes&) {
  return pair_step(s.set(), pair, s.activation(), o);
}

StepPointer make_activation(Settings& s, const Operands& o, const OperandTypes&) {
  return affine_step(s.set(), {}, {}, s.activation(), o);
}

StepPointer make_affine(Settings& s, const Operands& o, const OperandTypes&) {
  std::vector<float> scale = s.vector("scale"), offset = s.vector("offset");
  return affine_step(s.set(), std::move(scale), std::move(offset), s.activation(), o);
}

StepPointer make_pool(Settings& s, const Operands& o, const OperandTypes&) {
  const Pooling pooling = read_function(s);
  const auto [rows, columns] = read_windows(s);
  return pool_step(s.set(), pooling, rows, columns, o);
}

StepPointer make_global_pool(Settings& s, const Operands& o, const OperandTypes&) {
  const Pooling pooling = read_function(s);
  const py::object count = s.optional("count");
  return global_pool_step(s.set(), pooling, count.is_none() ? 0 : read_integer(count), o);
}

StepPointer make_gather(Settings& s, const Operands& o, const OperandTypes& types) {
  return gather_step(
      {s.table("rows"), s.table("columns"), s.table("channels"), read_real(s.take("constant"))},
      is_byte(types.x), o);
}

StepPointer make_bilinear(Settings& s, const Operands& o, const OperandTypes&) {
  BilinearTable rows = read_mix(s, "rows");
  return bilinear_step(s.set(), std::move(rows), read_mix(s, "columns"), o);
}

StepPointer make_softmax(Settings& s, const Operands& o, const OperandTypes&) {
  return softmax_step(s.set(), read_real(s.take("beta")), o);
}

StepPointer make_normalize(Settings& s, const Operands& o, const OperandTypes&) {
  const float epsilon = read_real(s.take("epsilon"));
  std::vector<float> scale = s.vector("scale"), offset = s.vector("offset");
  return normalize_step(s.set(), epsilon, std::move(scale), std::move(offset), o);
}

bool floats(const OperandTypes& types) { return types.all(Element::kFloat); }
bool halves(const OperandTypes& types) { return types.all(Element::kHalf); }
bool bytes_or_floats(const OperandTypes& types) { return floats(types) || types.all_bytes(); }
bool kept_or_turned(const OperandTypes& types) {
  const auto pair = [&](Element x, Element out) { return types.x == x && types.out == out; };
  return bytes_or_floats(types) || (is_byte(types.x) && types.out == Element::kFloat) ||
         pair(Element::kFloat, Element::kHalf) || pair(Element::kHalf, Element::kFloat);
}

constexpr StepKind kKinds[] = {
    {"layer", 2, 5, false, floats, make_layer},
    {"layer16", 2, 4, false, halves, make_layer16},
    {"copy", 2, 2, false, kept_or_turned, make_copy},
    {"add", 3, 3, true, floats, make_pair<Pair::kAdd>},
    {"multiply", 3, 3, true, floats, make_pair<Pair::kMultiply>},
    {"divide", 3, 3, true, floats, make_pair<Pair::kDivide>},
    {"maximum", 3, 3, true, floats, make_pair<Pair::kMaximum>},
    {"minimum", 3, 3, true, floats, make_pair<Pair::kMinimum>},
    {"activation", 2, 2, false, floats, make_activation},
    {"affine", 2, 2, false, floats, make_affine},
    {"pool", 2, 2, false, floats, make_pool},
    {"global_pool", 2, 2, false, floats, make_global_pool},
    {"gather", 2, 2, false, bytes_or_floats, make_gather},
    {"bilinear", 2, 2, false, floats, make_bilinear},
    {"softmax", 2, 2, false, floats, make_softmax},
    {"normalize", 2, 2, false, floats, make_normalize},
};

const StepKind& find_kind(const std::string& name) {
  for (const StepKind& kind : kKinds) {
    if (name == kind.name) return kind;
  }
  const StepKind* kind = find_kind8(name);
  if (!kind) refuse("kind of step");
  return *kind;
}

StepPointer make_step(const py::tuple& parts, const std::vector<Buffer>& buffers, const KernelSet& set,
                      const py::list& kept) {
  const StepKind& kind = find_kind(read_text(parts[0]));
  const py::tuple operands = read_tuple(parts[1]);
  if (operands.size() < kind.least || operands.size() > kind.most) refuse("number of operands");
  const auto operand = [&](size_t i) { return i < operands.size() ? read_operand(operands[i]) : Operand{}; };
  const Operands o{operand(0), operand(1), operand(2), operand(3), operand(4)};
  check(o.out, buffers, true, false);
  check(o.x, buffers, false, false);
  if (o.second.exists() || kind.least > 2) check(o.second, buffers, false, kind.spreads);
  if (o.scale.exists()) check(o.scale, buffers, false, false);
  if (o.sums.exists()) check(o.sums, buffers, true, false);
  const auto element = [&](const Operand& a) { return buffers[static_cast<size_t>(a.buffer)].element; };
  const auto odd = [&](const Operand& a) { return a.exists() && element(a) != Element::kFloat; };
  OperandTypes types{element(o.out), element(o.x), {}};
  if (o.second.exists()) types.second = element(o.second);
  if (odd(o.scale) || odd(o.sums) || !kind.allows(types)) refuse("bytes");
  Settings settings(parts[2], set, kept);
  StepPointer step = kind.make(settings, o, types);
  settings.finish();
  return step;
}

}  // namespace

BilinearTable read_mix(Settings& s, const char* name) {
  const py::tuple parts = read_tuple(s.take(name), 3);
  const auto weight = dense<float>(parts[2], 1, name);
  return {read_integers(parts[0]), read_integers(parts[1]), {weight.data(), weight.data() + weight.shape(0)}};
}

Pooling read_function(Settings& s) {
  const std::string name = read_text(s.take("function"));
  if (name != "max" && name != "average") refuse("function");
  return name == "max" ? Pooling::kMaximum : Pooling::kAverage;
}

std::array<PoolAxis, 2> read_windows(Settings& s) {
  const auto window = read_integers<2>(s.take("window")), strides = read_integers<2>(s.take("strides")),
             dilation = read_integers<2>(s.take("dilation"));
  const py::tuple pads = read_tuple(s.take("padding"), 2), counted = read_tuple(s.take("counted"), 2);
  std::array<PoolAxis, 2> axes;
  for (size_t i = 0; i < 2; ++i) {
    axes[i] = {window[i], strides[i], dilation[i], read_integers<2>(pads[i]), read_integers<2>(counted[i])};
  }
  return axes;
}

std::vector<StepPointer> make_steps(py::handle steps, const std::vector<Buffer>& buffers,
                                    const KernelSet& set, const py::list& kept) {
  std::vector<StepPointer> all;
  for (const py::handle item : read_tuple(steps)) {
    all.push_back(make_step(read_tuple(item, 3), buffers, set, kept));
  }
  return all;
}

}  // namespace fastdw

// The steps of a network, from what Python says of them.
#include <algorithm>

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

StepPointer make_layer(Settings& s, const Operands& o) {
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

StepPointer make_step(const std::string& kind, const KernelSet& set, Settings& s, std::array<bool, 2> bytes,
                      const Operands& o) {
  if (kind == "layer") return make_layer(s, o);
  if (kind == "copy") return copy_step(set, bytes, o);
  if (kind == "add") return pair_step(set, Pair::kAdd, s.activation(), o);
  if (kind == "multiply") return pair_step(set, Pair::kMultiply, s.activation(), o);
  if (kind == "activation") return affine_step(set, {}, {}, s.activation(), o);
  if (kind == "affine") {
    std::vector<float> scale = s.vector("scale"), offset = s.vector("offset");
    return affine_step(set, std::move(scale), std::move(offset), s.activation(), o);
  }
  if (kind == "pool") {
    const Pooling pooling = read_function(s);
    const auto [rows, columns] = read_windows(s);
    return pool_step(set, pooling, rows, columns, o);
  }
  if (kind == "global_pool") {
    const Pooling pooling = read_function(s);
    const py::object count = s.optional("count");
    return global_pool_step(set, pooling, count.is_none() ? 0 : read_integer(count), o);
  }
  if (kind == "gather") {
    return gather_step(
        {s.table("rows"), s.table("columns"), s.table("channels"), read_real(s.take("constant"))}, bytes[0],
        o);
  }
  if (kind == "bilinear") {
    BilinearTable rows = read_mix(s, "rows");
    return bilinear_step(set, std::move(rows), read_mix(s, "columns"), o);
  }
  if (kind == "softmax") return softmax_step(set, read_real(s.take("beta")), o);
  return make_step8(kind, s, o);
}

// Which of the operands (out, x, second) are bytes, by kinds of steps.
bool has_types(const std::string& kind, bool out, bool x, bool second, bool has_second) {
  if (kind == "copy") return x || !out;
  if (kind == "gather") return x == out;
  if (kind == "quantize") return out && !x;
  if (kind == "dequantize") return x && !out;
  const bool bytes = !kind.empty() && kind.back() == '8';
  return out == bytes && x == bytes && second == (bytes && has_second);
}

}  // namespace

BilinearTable read_mix(Settings& s, const char* name) {
  const py::tuple parts = read_tuple(s.take(name), 3);
  const Plain weight = plain(parts[2], 1, name);
  return {read_integers(parts[0]), read_integers(parts[1]), {weight.data(), weight.data() + weight.size(0)}};
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
  std::vector<StepPointer> made;
  for (const py::handle item : read_tuple(steps)) {
    const py::tuple parts = read_tuple(item, 3), operands = read_tuple(parts[1]);
    const std::string kind = read_text(parts[0]);
    const bool pair8 = kind == "add8" || kind == "multiply8";  // or one operand and a term
    const bool pair = kind == "add" || kind == "multiply" || (pair8 && operands.size() > 2);
    const size_t most = kind == "layer" ? 5 : pair || kind == "layer8" ? 3 : 2;
    if (operands.size() < (pair ? 3 : 2) || operands.size() > most) {
      refuse("number of operands");
    }
    const auto operand = [&](size_t i) {
      return i < operands.size() ? read_operand(operands[i]) : Operand{};
    };
    const Operands o{operand(0), operand(1), operand(2), operand(3), operand(4)};
    check(o.out, buffers, true, false);
    check(o.x, buffers, false, false);
    if (pair || o.second.exists()) check(o.second, buffers, false, pair);
    if (o.scale.exists()) check(o.scale, buffers, false, false);
    if (o.sums.exists()) check(o.sums, buffers, true, false);
    const auto bytes = [&](const Operand& a) {
      return a.exists() && buffers[static_cast<size_t>(a.buffer)].bytes();
    };
    if (bytes(o.scale) || bytes(o.sums) ||
        !has_types(kind, bytes(o.out), bytes(o.x), bytes(o.second), o.second.exists())) {
      refuse("bytes");
    }
    Settings settings(parts[2], set, kept);
    made.push_back(make_step(kind, set, settings, {bytes(o.x), bytes(o.out)}, o));
    settings.finish();
  }
  return made;
}

}  // namespace fastdw

// What a step of a network has besides operands: a dict of Python's, read by names.
#pragma once
#include <limits>
#include <optional>

#include "network/step.h"
#include "python/arrays.h"
#include "python/operator.h"
#include "python/read.h"

namespace fastdw {

// Each is taken once.
class Settings {
 public:
  Settings(pybind11::handle object, const KernelSet& set, pybind11::list kept)
      : set_(set), kept_(std::move(kept)) {
    if (!PyDict_Check(object.ptr())) refuse("no dict");
    left_ = pybind11::dict(pybind11::reinterpret_borrow<pybind11::dict>(object).attr("copy")());
  }

  pybind11::object optional(const char* name) {
    pybind11::object value = pybind11::none();
    if (left_.contains(name)) {
      value = left_[name];
      PyDict_DelItemString(left_.ptr(), name);
    }
    return value;
  }
  pybind11::object take(const char* name) {
    pybind11::object value = optional(name);
    if (value.is_none()) refuse(name);
    return value;
  }
  const KernelSet& set() const { return set_; }
  void finish() const {
    if (!left_.empty()) refuse("strange settings");
  }

  // Null for None.
  template <class T>
  const T* part(const char* name) {
    const pybind11::object value = optional(name);
    if (value.is_none()) return nullptr;
    if (!pybind11::isinstance<T>(value)) refuse(name);
    kept_.append(value);
    return value.cast<const T*>();
  }
  template <class T>
  const T* weights(const char* name) {
    const T* found = part<T>(name);
    if (found && &found->set != &set_) refuse("instruction sets differ");
    return found;
  }
  Activation activation() {
    const auto* found = part<Activation>("activation");
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return found ? *found : Activation{Curve::kClamp, -kInfinity, kInfinity, {}};
  }
  std::vector<float> vector(const char* name) {
    const auto p = dense<float>(take(name), 1, name);
    return {p.data(), p.data() + p.shape(0)};
  }
  // Empty for None.
  std::vector<ptrdiff_t> table(const char* name) {
    const pybind11::object value = optional(name);
    if (value.is_none()) return {};
    std::vector<ptrdiff_t> numbers = read_integers(value);
    if (numbers.empty()) refuse(name);
    return numbers;
  }

 private:
  pybind11::dict left_;
  const KernelSet& set_;
  pybind11::list kept_;
};

Pooling read_function(Settings& settings);
// Rows and columns of a pool.
std::array<PoolAxis, 2> read_windows(Settings& settings);

// Rows or columns of a resize.
BilinearTable read_mix(Settings& settings, const char* name);

// What operands consist of; `second` where there is one.
struct OperandTypes {
  Element out, x;
  std::optional<Element> second;

  bool all(Element e) const { return out == e && x == e && second.value_or(e) == e; }
  bool all_bytes() const { return is_byte(out) && is_byte(x) && is_byte(second.value_or(x)); }
};

// A kind of step: its name, how many operands it has, whether the second is spread over axes that it has not,
// what they may consist of, and how it is made.
struct StepKind {
  const char* name;
  size_t least, most;
  bool spreads;
  bool (*allows)(const OperandTypes& types);
  StepPointer (*make)(Settings& settings, const Operands& operands, const OperandTypes& types);
};

// Of the steps on bytes; null for no name of one.
const StepKind* find_kind8(const std::string& name);

// All steps of a network; `kept` takes what they refer to.
std::vector<StepPointer> make_steps(pybind11::handle steps, const std::vector<Buffer>& buffers,
                                    const KernelSet& set, const pybind11::list& kept);

}  // namespace fastdw

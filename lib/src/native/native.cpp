// What tch does not reach of libtorch. Nothing throws into Rust: what can fail returns a text, or null.

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using at::Tensor;
using torch::autograd::Node;
using torch::autograd::variable_list;

namespace {

// A closure of Rust: takes a gradient, fills a list with new tensors or null; false if it panicked.
struct Backward {
  void* state;
  bool (*call)(void* state, Tensor* gradient, Tensor** results);
  void (*drop)(void* state);
};

class RustNode : public Node {
 public:
  explicit RustNode(Backward backward) : backward_(backward) {}
  ~RustNode() override { release_variables(); }

  std::string name() const override { return "RustNode"; }

  void release_variables() override {
    if (backward_.state) backward_.drop(backward_.state);
    backward_.state = nullptr;
  }

 protected:
  variable_list apply(variable_list&& gradients) override {
    if (!backward_.state) throw std::runtime_error("this part of the graph has been used and freed: compute the loss anew");
    variable_list passed(num_outputs());
    if (!gradients[0].defined()) return passed;
    std::vector<Tensor*> results(num_outputs(), nullptr);
    const bool done = backward_.call(backward_.state, new Tensor(gradients[0]), results.data());
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i]) passed[i] = std::move(*std::unique_ptr<Tensor>(results[i]));
    }
    if (!done) throw std::runtime_error("a backward pass panicked");
    return passed;
  }

 private:
  Backward backward_;
};

// What `run` threw, as a text that lives until the next call in this thread; null if it went well.
template <typename F>
const char* message_of(F run) {
  static thread_local std::string message;
  try {
    run();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

// The tensors behind a list of pointers to them.
std::vector<Tensor> list(Tensor* const* tensors, size_t count) {
  std::vector<Tensor> all;
  for (size_t i = 0; i < count; ++i) all.push_back(*tensors[i]);
  return all;
}

}  // namespace

extern "C" {

// Lets the gradient of `value` flow to `inputs` through `backward`, which it owns from now on.
const char* course_with_gradient(Tensor* value, Tensor* const* inputs, size_t count, Backward backward) {
  auto node = std::shared_ptr<RustNode>(new RustNode(backward), torch::autograd::deleteNode);
  return message_of([&] {
    for (size_t i = 0; i < count; ++i) node->add_next_edge(torch::autograd::impl::gradient_edge(*inputs[i]));
    torch::autograd::set_history(*value, node);
  });
}

bool course_is_recording() { return at::GradMode::is_enabled(); }

// Calls `work` for the parts of 0..count, on libtorch's threads.
void course_parallel(int64_t count, void (*work)(const void* state, int64_t begin, int64_t end), const void* state) {
  at::parallel_for(0, count, 1, [=](int64_t begin, int64_t end) { work(state, begin, end); });
}

// The norm of all tensors together, at least one, as a scalar tensor in `norm`.
const char* course_norm(Tensor* const* tensors, size_t count, Tensor* norm) {
  return message_of([&] { *norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(list(tensors, count)))); });
}

// Multiplies each tensor, at least one, by a scalar tensor.
const char* course_scale(Tensor* const* tensors, size_t count, const Tensor* factor) {
  return message_of([&] { at::_foreach_mul_(list(tensors, count), *factor); });
}

// libtorch's fused AdamW on tensors of one kind and device, at least one.
const char* course_adamw(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* first, Tensor* const* second,
                         size_t count, double step, double lr, double beta1, double beta2, double weight_decay, double epsilon) {
  return message_of([&] {
    const std::vector<Tensor> steps(count, at::full({}, step, parameters[0]->options().dtype(at::kFloat)));
    at::_fused_adamw_(list(parameters, count), list(gradients, count), list(first, count), list(second, count), {}, steps, lr,
                      beta1, beta2, weight_decay, epsilon, false, false);
  });
}

// Leaves the parameters without a gradient.
void course_clear_gradients(Tensor* const* parameters, size_t count) {
  for (size_t i = 0; i < count; ++i) parameters[i]->mutable_grad().reset();
}

// Autocast to bf16, a switch of each thread for each kind of device.
bool course_autocast(bool cuda) { return at::autocast::is_autocast_enabled(cuda ? at::kCUDA : at::kCPU); }

void course_begin_autocast(bool cuda, bool enabled) {
  at::autocast::set_autocast_enabled(cuda ? at::kCUDA : at::kCPU, enabled);
  at::autocast::set_autocast_dtype(cuda ? at::kCUDA : at::kCPU, at::kBFloat16);
  at::autocast::increment_nesting();
}

// The cache holds rounded weights, which the next step changes.
void course_end_autocast(bool cuda, bool enabled_before) {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(cuda ? at::kCUDA : at::kCPU, enabled_before);
}

}

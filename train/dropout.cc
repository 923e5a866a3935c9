#include "train/dropout.h"

#include <mutex>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/CPUGeneratorImpl.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/batches.h"
#include "train/kernel_functions.h"
#include "train/vector_clones.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// MurmurHash3's 32-bit finalizer (Appleby) of a counter, which one key enters
// before and another in the middle.
TERN_VECTOR_CLONES void FillFactors(uint32_t first_key, uint32_t second_key,
                                    uint32_t threshold, float kept,
                                    int64_t count, float* factors) {
  for (int64_t j = 0; j < count; ++j) {
    uint32_t x = static_cast<uint32_t>(j) * 0x9e3779b9u + first_key;
    x = (x ^ (x >> 16)) * 0x85ebca6bu + second_key;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    x ^= x >> 16;
    factors[j] = x < threshold ? 0.0f : kept;
  }
}

// The rows of x times their factors.
torch::Tensor Masked(const torch::Tensor& x, double probability,
                     uint64_t seed) {
  const torch::Tensor rows = x.contiguous();
  torch::Tensor y = torch::empty_like(rows);
  const int64_t k = rows.size(1);
  const float* const in = rows.data_ptr<float>();
  float* const out = y.data_ptr<float>();
  ForRows(rows.size(0), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const row = out + i * k;
      DropoutFactors(seed, i, probability, k, row);
      for (int64_t p = 0; p < k; ++p) row[p] *= in[i * k + p];
    }
  });
  return y;
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor x,
                               double probability, int64_t seed) {
    context->saved_data["probability"] = probability;
    context->saved_data["seed"] = seed;
    return Masked(x, probability, static_cast<uint64_t>(seed));
  }
  static variable_list backward(AutogradContext* context, variable_list dy) {
    return {Masked(dy[0], context->saved_data["probability"].toDouble(),
                   static_cast<uint64_t>(context->saved_data["seed"].toInt())),
            {},
            {}};
  }
};

}  // namespace

void DropoutFactors(uint64_t seed, int64_t row, double probability,
                    int64_t count, float* factors) {
  const uint64_t keys = MixSeeds(seed, static_cast<uint64_t>(row));
  FillFactors(static_cast<uint32_t>(keys), static_cast<uint32_t>(keys >> 32),
              static_cast<uint32_t>(probability * 0x1p32),
              static_cast<float>(1 / (1 - probability)), count, factors);
}

uint64_t DrawDropoutSeed() {
  auto* const generator = at::get_generator_or_default<at::CPUGeneratorImpl>(
      c10::nullopt, at::detail::getDefaultCPUGenerator());
  const std::lock_guard<std::mutex> lock(generator->mutex_);
  return generator->random64();
}

torch::Tensor Dropout(const torch::Tensor& x, double probability) {
  return DropoutFunction::apply(x, probability,
                                static_cast<int64_t>(DrawDropoutSeed()));
}

}  // namespace tern

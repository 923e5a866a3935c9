#include "train/latent_weights.h"

#include "ATen/ATen.h"
#include "model/tensor_names.h"

namespace tern {

torch::Tensor LatentWeights(const torch::Tensor& w, const torch::Tensor& t,
                            bool per_row) {
  // A turn shrinks delta's error to 0.7 * 1.05 of it at most: these to 1e-4.
  constexpr int kTurns = 30;
  const torch::Tensor sign = t.to(torch::kFloat32);
  torch::Tensor latent = w;
  for (int turn = 0; turn < kTurns; ++turn) {
    const torch::Tensor magnitude = latent.abs();
    const torch::Tensor delta =
        0.7 * (per_row ? magnitude.mean(1, /*keepdim=*/true)
                       : magnitude.mean().reshape({1, 1}));
    const torch::Tensor zero = 0.95 * delta;
    latent = at::where(sign == 0, w.clamp(-zero, zero),
                       sign * at::maximum(sign * w, 1.05 * delta));
  }
  return latent;
}

void RecoverLatentWeights(const BertModule& teacher, BertModule& student) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : student.parameters()) {
    const Storage storage = StorageOf(name);
    if (!IsTernary(storage)) continue;
    torch::Tensor weights = parameter;
    weights.copy_(LatentWeights(teacher.parameters().at(name), weights.sign(),
                                storage == Storage::kTernaryPerRow));
  }
  student.RefreshQuantizedWeights(/*draw=*/0);
}

}  // namespace tern
